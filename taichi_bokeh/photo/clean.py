"""Clean a disparity map: no holes, and a step where one object ends before another."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taichi_bokeh.io.require import require_plane
from taichi_bokeh.photo.fill.holes import fill_holes
from taichi_bokeh.photo.split import JUMP, disparity_span

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

_FLOATING = JUMP / 4  # a pixel that differs this much, of the range, from both its neighbours in a row lies on a ramp


def clean_disparity(disparity: Array, rgb: Array) -> Array:
    """Fill the holes of a disparity map (`fill_holes`) and sharpen its edges (`sharpen_edges`).

    Args:
        disparity: [H, W], any unit, larger is nearer; NaN marks a hole.
        rgb: [H, W, 3], linear light.

    Returns:
        float32 [H, W], finite.

    Raises:
        TypeError: ``rgb`` is not of floats, or ``disparity`` not of real numbers.
        ValueError: the shapes do not fit, a value is infinite, or there is not one measured pixel.
    """
    return sharpen_edges(fill_holes(disparity, rgb))


def sharpen_edges(disparity: Array) -> Array:
    """Turn each ramp between two surfaces into a step: a pixel on it takes the side it is closer to.

    Resampled and estimated disparities blur their edges; a pixel on such a ramp floats between object and background.
    A surface that lies between two others, however narrow, is no ramp and stays.

    Args:
        disparity: [H, W], finite, any unit.

    Returns:
        float32 [H, W].
    """
    disparity = require_plane("disparity", disparity)
    span = disparity_span(disparity)
    radius = max(2, round(min(disparity.shape) / 250))
    size = 2 * radius + 1
    for _ in range(2):
        low = ndimage.minimum_filter(disparity, size=size)
        high = ndimage.maximum_filter(disparity, size=size)
        ramp = (high - low > 2 * JUMP * span) & _floating(disparity, _FLOATING * span)
        disparity = np.where(ramp, np.where(disparity - low < high - disparity, low, high), disparity).astype(np.float32)
    return disparity


def _floating(disparity: Array, least: float) -> Mask:
    """Pixels between which and both neighbours of their row, or of their column, the disparity rises or falls by `least`."""
    result = np.zeros(disparity.shape, bool)
    for axis in (0, 1):
        step = np.moveaxis(np.diff(disparity, axis=axis), axis, 0)
        before, after = step[:-1], step[1:]
        on_the_way = (before * after > 0) & (np.minimum(np.abs(before), np.abs(after)) > least)
        np.moveaxis(result, axis, 0)[1:-1] |= on_the_way
    return result
