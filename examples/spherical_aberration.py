"""A real lens
===========

Point lights and edges through a real lens at f/2 and f/8: ``python examples/spherical_aberration.py [FOLDER]``.
"""

import sys
from pathlib import Path

import imageio.v3 as iio
import torch

import taichi_bokeh as tb
from taichi_bokeh.io import to_srgb8

SIZE = 160  # pixels across a sensor of 24 mm
y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
rgb = torch.full((1, 1, 3, SIZE, SIZE), 0.02)
rgb[..., 12::34, 13::33] = 60.0
rgb[..., SIZE // 2 :, :] += 0.25 * ((x // 16 + y // 16) % 2)[SIZE // 2 :]
ones = torch.ones(1, 1, 1, SIZE, SIZE)

rows = []
for distance_m in (2.0, 3.0):  # in focus, and behind the focus
    layers = tb.Layers(rgb, ones, ones / distance_m)
    images = []
    for f_number in (2.0, 8.0):
        real = tb.BiconvexLens.from_focal_length(
            focal_length=0.05,
            f_number=f_number,
            refractive_index=1.5,
            focus_distance=2.0,
            sensor_width=0.024,
            image_width=SIZE,
        )
        images += [tb.trace(layers, real, rays=512), tb.trace(layers, real.thin_lens(), rays=512)]
    rows.append(torch.cat(images, -1))
path = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "spherical-aberration.png"
iio.imwrite(path, to_srgb8(torch.cat(rows, -2)[0].permute(1, 2, 0)))
print(f"{path}: f/2 real, f/2 ideal, f/8 real, f/8 ideal; above in focus, below 1 m behind it")
