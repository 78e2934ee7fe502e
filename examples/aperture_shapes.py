"""Four apertures
==============

Small lights near and far, seen through four apertures side by side: ``python examples/aperture_shapes.py [FOLDER]``.
"""

import sys
from pathlib import Path

import imageio.v3 as iio
import torch

import taichi_bokeh as tb
from taichi_bokeh.io import to_srgb8

HEIGHT, WIDTH = 108, 144
FOCUS = 0.5
ROWS = ((22, 1.0), (50, 0.7), (82, 0.0))  # row of lights and its disparity: the nearest on top, the last beyond the focus
COLOURS = ((1.0, 0.45, 0.2), (1.0, 0.8, 0.4), (0.9, 0.9, 1.0), (0.5, 0.75, 1.0))
NIGHT = (0.010, 0.015, 0.030)

APERTURES = {
    "disc": tb.Aperture(),
    "hexagon": tb.Aperture(blades=6, roundness=0.0),
    "cat-eye": tb.Aperture(cat_eye=0.35),
    "anamorphic ring": tb.Aperture(squeeze=1.8, ring=0.9),
}

rgb = torch.zeros(1, len(ROWS), 3, HEIGHT, WIDTH)
alpha = torch.zeros(1, len(ROWS), 1, HEIGHT, WIDTH)
rgb[0, -1] = torch.tensor(NIGHT)[:, None, None]
alpha[0, -1] = 1.0
for layer, (row, _) in enumerate(ROWS):
    for column, colour in zip(range(18, WIDTH, 36), COLOURS, strict=True):
        light = (0, layer, slice(None), slice(row - 1, row + 2), slice(column - 1, column + 2))
        rgb[light] = 12.0 * torch.tensor(colour)[:, None, None]
        alpha[light] = 1.0
disparity = torch.tensor([disparity for _, disparity in ROWS])[None, :, None, None, None].expand_as(alpha)
layers = tb.Layers(rgb, alpha, disparity)

images = []
for aperture in APERTURES.values():
    lens = tb.ThinLens(blur=20.0, focus=FOCUS, aperture=aperture)
    images.append(tb.render(layers, lens, model="subaperture", cells=4))
path = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "aperture-shapes.png"
iio.imwrite(path, to_srgb8(torch.cat(images, -1)[0].permute(1, 2, 0)))
print(f"{path}: {', '.join(APERTURES)}; above nearer than the focus, below beyond it")
