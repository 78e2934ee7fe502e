"""Photographs in layers, and as one layer
=======================================

Left in layers, right as one layer. The motorcycle's disparity is measured; that of the others is drawn by rule.
"""

import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from scipy import ndimage
from skimage import data, draw

import taichi_bokeh as tb
from taichi_bokeh.io import srgb_decode, to_srgb8
from taichi_bokeh.photo import Stages, refine_matte, to_layers

HAIR = Stages(matte=refine_matte)
PERSON = [(20, 512), (40, 285), (60, 250), (118, 212), (122, 165), (150, 150), (182, 148), (175, 115), (155, 95), (158, 60)]
PERSON += [(185, 28), (225, 15), (270, 22), (298, 55), (300, 90), (285, 125), (268, 150), (290, 175), (304, 210), (300, 238)]
PERSON += [(345, 265), (360, 300), (364, 350), (405, 346), (450, 365), (485, 405), (500, 460), (512, 470), (512, 512)]
CUP = [(175, 110), (182, 60), (220, 28), (295, 17), (370, 35), (405, 80), (408, 115), (390, 185), (345, 235), (290, 240)]
CUP += [(225, 225), (190, 175)]
CAT = [(42, 0), (32, 80), (0, 128), (0, 300), (290, 300), (335, 215), (362, 120), (365, 70), (392, 10), (395, 0)]


def drawn(picture: np.ndarray, polygon: list[tuple[int, int]], near: float, slope: float = 0.0) -> np.ndarray:
    """A polygon before what rises from disparity 0 at the upper edge to `slope` at the lower one."""
    height, width = picture.shape[:2]
    mask = draw.polygon2mask((height, width), np.array(polygon)[:, ::-1])
    behind = np.broadcast_to(np.linspace(0, slope, height)[:, None], (height, width))
    return np.where(mask, near, behind).astype(np.float32)


def towers(picture: np.ndarray) -> np.ndarray:
    """What stands out from the sky is near."""
    grey = picture.mean(axis=2)
    return (np.abs(grey - ndimage.median_filter(grey, 41)) > 12).astype(np.float32)


folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
bike, _, measured = data.stereo_motorcycle()
measured = np.where(np.isfinite(measured), measured / measured[np.isfinite(measured)].max(), np.nan)  # NaN: not measured
face, cup, cat, rocket = data.astronaut(), data.coffee(), data.chelsea(), data.rocket()
scenes = [
    ("motorcycle", bike, measured, Stages(), 0.35, 40),  # …, disparity in focus, blur in px
    ("astronaut", face, drawn(face, PERSON, 1), HAIR, 1, 14),
    ("coffee", cup, drawn(cup, CUP, 1, slope=0.7), Stages(), 0.3, 16),
    ("chelsea", cat, drawn(cat, CAT, 1), HAIR, 1, 12),
    ("rocket", rocket, towers(rocket), Stages(), 0, 8),
]
for name, picture, disparity, stages, focus, blur in scenes:
    rgb = srgb_decode(picture / np.float32(255))
    halves = [to_layers(rgb, disparity, layers=layers, stages=stages) for layers in ("auto", 1)]
    rendered = [tb.render(half, tb.ThinLens(blur, focus), model="subaperture")[0].permute(1, 2, 0) for half in halves]
    iio.imwrite(folder / f"gallery-{name}.png", to_srgb8(np.concatenate(rendered, axis=1)))
    print(folder / f"gallery-{name}.png")
