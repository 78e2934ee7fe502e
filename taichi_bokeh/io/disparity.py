"""Disparity, depth and mattes: one number a pixel, no colour curve."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.arrays import read_array, read_contents, to_unit

Array = NDArray[np.float32]


def read_disparity(path: str | os.PathLike[str], depth: bool = False) -> Array:
    """Read a disparity map, larger is nearer, from npy, npz (entry ``data``), OpenEXR, PFM, TIFF or PNG.

    8- and 16-bit integers are divided by 255 and 65535; other numbers are kept. NaN and infinite values are holes.

    Args:
        path: the file.
        depth: it holds depth: the disparity is one over it. There, 0 and less are holes too.

    Returns:
        float32 [H, W]; NaN at the holes.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, has more than one (distinct) channel, or not one valid pixel.
    """
    values = to_unit(_single_channel(read_contents(path, "depth" if depth else "disparity").values, path))
    hole = ~np.isfinite(values)
    if depth:
        hole |= values <= 0
        with np.errstate(divide="ignore", over="ignore"):
            values = np.float32(1) / values
        hole |= ~np.isfinite(values)
    if hole.all():
        raise ValueError(f"{path} holds no valid {'depth' if depth else 'disparity'}: every pixel is a hole")
    return np.where(hole, np.float32(np.nan), values)


def read_alpha(path: str | os.PathLike[str]) -> Array:
    """Read a matte from PNG, JPEG, TIFF, npy or npz: the alpha channel where the file has one, else its grey values.

    Returns:
        float32 [H, W] in [0, 1].

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, has colours, or a value is outside [0, 1].
    """
    array = read_array(path)
    has_alpha = array.ndim == 3 and array.shape[2] in (2, 4)
    alpha = to_unit(array[..., -1] if has_alpha else _single_channel(array, path))
    if not (alpha.min() >= 0 and alpha.max() <= 1):
        raise ValueError(f"{path} has values from {alpha.min()} to {alpha.max()}, and a matte must lie in [0, 1]")
    return alpha


def _single_channel(array: NDArray[Any], path: str | os.PathLike[str]) -> NDArray[Any]:
    """[H, W], also of a file that repeats it in three channels; an alpha channel beside it is left out."""
    if array.ndim == 2:
        return array
    channels = array.shape[2]
    colours = array[..., : channels - 1] if channels in (2, 4) else array
    first = colours[..., 0]
    same = (colours == first[..., None]) | ((colours != colours) & (first != first)[..., None])  # NaN is no number's equal
    if channels > 4 or not same.all():
        raise ValueError(f"{path} has {channels} channels, and must have one number a pixel (grey)")
    return first
