"""The blur of a photograph, by gradients
======================================

Find a photograph's blur by its gradient, and draw that of disparity: ``python examples/gradient_of_blur.py [FOLDER]``.
"""

import sys
from pathlib import Path

import imageio.v3 as iio
import torch

import taichi_bokeh as tb
from taichi_bokeh.io import to_srgb8

torch.manual_seed(0)
rgb = torch.nn.functional.interpolate(torch.rand(1, 3, 24, 32), scale_factor=4, mode="bilinear")[:, None]
disparity = torch.linspace(0, 1, 128).expand(1, 1, 1, 96, 128)
layers = tb.Layers(rgb, torch.ones_like(disparity), disparity)
model = tb.Scatter()
photograph = tb.render(layers, tb.ThinLens(blur=12.0, focus=0.3), model)

blur = torch.tensor(4.0, requires_grad=True)
optimiser = torch.optim.Adam([blur], lr=0.5, betas=(0.6, 0.99))
for step in range(50):
    loss = (tb.render(layers, tb.ThinLens(blur, 0.3), model) - photograph).square().mean()
    (blur.grad,) = torch.autograd.grad(loss, blur)
    optimiser.step()
    if step % 10 == 9:
        print(f"step {step + 1}: loss {loss:.2e}, blur {blur:.4f} px (truth 12)")

maps = layers.disparity.clone().requires_grad_()
image = tb.render(tb.Layers(rgb, layers.alpha, maps), tb.ThinLens(6.0, 0.3), model)
(slope,) = torch.autograd.grad((image - photograph).square().sum(), maps)
scaled = (0.5 + 0.5 * slope[0, 0, 0] / slope.abs().max())[..., None].expand(-1, -1, 3)
path = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "gradient-of-disparity.png"
iio.imwrite(path, to_srgb8(scaled))
print(path)
