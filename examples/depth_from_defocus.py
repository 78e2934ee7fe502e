"""Depth from one blurred image
============================

Find the depth of a scene from one sharp and one blurred image: ``python examples/depth_from_defocus.py [FOLDER]``.
"""

import sys
from pathlib import Path

import imageio.v3 as iio
import torch

import taichi_bokeh as tb
from taichi_bokeh.dfd.estimate.optimize import OptimizeSettings, optimize
from taichi_bokeh.dfd.estimate.plane_sweep import plane_sweep
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.io import to_srgb8

HEIGHT, WIDTH = 96, 128
BLUR, FOCUS = 8.0, 0.0
y, x = torch.meshgrid(torch.linspace(-1, 1, HEIGHT), torch.linspace(-4 / 3, 4 / 3, WIDTH), indexing="ij")

# Before a wall that comes nearer to the bottom, a ball. Both have detail of all sizes, as blur shows on detail only.
generator = torch.Generator().manual_seed(0)
noise = [torch.rand(2, 1, 3 << k, 4 << k, generator=generator) for k in range(1, 6)]
detail = torch.stack([torch.nn.functional.interpolate(octave, (HEIGHT, WIDTH), mode="bilinear") for octave in noise]).mean(0)
paint = torch.tensor([[0.95, 0.6, 0.3], [0.4, 0.55, 0.7]])[:, :, None, None]
rgb = (paint * (3 * detail - 1).clamp(0.02, 1))[None]
ball = 1 - (x * x + y * y) / 0.36
matte = (ball * HEIGHT / 5).clamp(0, 1)
disparity = torch.stack([0.6 + 0.3 * ball.clamp(min=0).sqrt(), 0.1 + 0.1 * (y + 1)])
layers = tb.Layers(rgb, torch.stack([matte, torch.ones_like(matte)])[None, :, None], disparity[None, :, None])

# What a camera would take: stopped down, and with an open lens focused beyond the wall.
sharp = matte * rgb[:, 0] + (1 - matte) * rgb[:, 1]
blurred = tb.trace(layers, tb.ThinLens(BLUR, FOCUS), rays=256)
truth = torch.where(matte > 0.5, disparity[0], disparity[1])

seen = Observation(sharp, blurred[:, None], torch.tensor([[BLUR]]), torch.tensor([[FOCUS]]), near=1.0, far=0.0)
found = {
    "plane sweep": plane_sweep(seen).disparity,
    "one layer": optimize(seen, settings=OptimizeSettings(steps=60)).disparity,
    "two layers": optimize(seen, settings=OptimizeSettings(steps=60, layers=2)).disparity,
}
for name, estimate in found.items():
    print(f"{name}: mean error {BLUR * (estimate[0, 0] - truth).abs().mean():.2f} px of the radius of blur")

maps = [truth, *(estimate[0, 0] for estimate in found.values())]
strip = torch.cat([sharp[0], blurred[0], *(each.expand(3, -1, -1) for each in maps)], -1)
path = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "depth-from-defocus.png"
iio.imwrite(path, to_srgb8(strip.permute(1, 2, 0)))
print(f"{path}: sharp, blurred, true disparity, {', '.join(found)}")
