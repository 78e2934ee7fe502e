"""Two layers, near and far focus
==============================

Render a scene of two layers with near and far focus: ``python examples/render.py [FOLDER]``.
"""

import sys
from pathlib import Path

import imageio.v3 as iio
import torch

import taichi_bokeh as tb
from taichi_bokeh.io import to_srgb8

HEIGHT, WIDTH = 240, 360
y, x = torch.meshgrid(torch.linspace(-1, 1, HEIGHT), torch.linspace(-1.5, 1.5, WIDTH), indexing="ij")

# Behind: a wall of tiles with point lights. In front: a striped ring, whose matte is soft by a pixel.
tiles = ((x * 6).floor() + (y * 6).floor()) % 2
wall = torch.stack([0.15 + 0.2 * tiles, 0.2 + 0.2 * tiles, 0.35 + 0.25 * tiles])
wall[:, 15::45, 20::45] = 40.0
stripes = 0.5 + 0.5 * torch.sin(24 * torch.atan2(y, x))
ring = torch.stack([0.9 - 0.3 * stripes, 0.3 + 0.4 * stripes, 0.1 + 0 * stripes])
matte = ((0.22 - (torch.hypot(x, y) - 0.6).abs()) * HEIGHT / 2).clamp(0, 1)

layers = tb.Layers(
    rgb=torch.stack([ring, wall])[None],
    alpha=torch.stack([matte, torch.ones_like(matte)])[None, :, None],
    disparity=torch.stack([0.9 + 0 * x, 0.2 + 0.1 * y])[None, :, None],
)
folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
for name, focus in (("near", 0.9), ("far", 0.2)):
    image = tb.render(layers, tb.ThinLens(blur=20.0, focus=focus))
    path = folder / f"render-{name}.png"
    iio.imwrite(path, to_srgb8(image[0].permute(1, 2, 0)))
    print(path)
