"""Refocus an image in one call
============================

Refocus an 8-bit image with its disparity, near and far: ``python examples/refocus.py [FOLDER]``.
"""

import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np

import taichi_bokeh as tb

# Of a photograph: image8 = iio.imread("photo.jpg"), and its disparity by stereo, a depth camera or a network.
HEIGHT, WIDTH = 240, 360
y, x = np.mgrid[:HEIGHT, :WIDTH]
checks = ((x // 24 + y // 24) % 2)[..., None]
image8 = np.where(checks, [70, 90, 140], [40, 50, 80]).astype(np.uint8)
image8[20::44, 30::52] = 255
disparity = (0.15 + 0.15 * y / HEIGHT).astype(np.float32)
pillar = np.abs(x - 130) < 36
image8[pillar] = np.where(((x + y) // 10 % 2)[..., None], [230, 150, 60], [170, 80, 30])[pillar]
disparity[pillar] = 0.9

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
for name, focus in (("near", 0.9), ("far", 0.2)):
    path = folder / f"refocus-{name}.png"
    iio.imwrite(path, tb.refocus(image8, disparity, blur=16, focus=focus))
    print(path)
