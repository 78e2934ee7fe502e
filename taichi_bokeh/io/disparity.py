"""Disparity, depth and mattes: one number a pixel, no colour curve."""

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.arrays import read_array, read_bytes, refusal, to_unit
from taichi_bokeh.io.exr import Frame, decode_matte, is_exr

Array = NDArray[np.float32]
DepthUnit = Literal["m", "mm"]

_PER_METRE = {"m": 1.0, "mm": 1000.0}
_SCALED = (np.bool_, np.uint8, np.uint16)


def read_disparity(
    path: str | os.PathLike[str],
    depth: bool = False,
    unit: DepthUnit | None = None,
    invert: bool = False,
    *,
    layer: str | None = None,
    frame: Frame | None = None,
) -> Array:
    """Read a disparity map, larger is nearer, from npy, npz (entry ``data``), OpenEXR, PFM, TIFF or PNG.

    8- and 16-bit integers are divided by 255 and 65535, unless `unit` says what they are; other numbers are kept. NaN and
    infinite values are holes.

    Args:
        path: the file.
        depth: it holds depth: the disparity is one over it. There, 0 and less are holes too.
        unit: of the depth, "m" or "mm", integers as well as floats: the disparity is then in 1/m. By default any, so that
            integers are scaled to [0, 1].
        invert: larger is farther, though it is no depth: the disparity is 1 − value for 8- and 16-bit integers and truth
            values, and −value for other numbers.
        layer: of an OpenEXR file: the name of the layer, or of one beside which it lies; None: the only one that is fit.
        frame: that of the image, if the map of an OpenEXR file is to reach beyond what is shown, as the image does.

    Returns:
        float32 [H, W]; NaN at the holes.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the system refuses to read it.
        ValueError: it cannot be read, has more than one (distinct) channel, or not one valid pixel; ``unit`` is unknown or
            given without ``depth``, or ``invert`` with it.
    """
    _check_use(depth, unit, invert)
    raw = single_channel(read_array(path, "depth" if depth else "disparity", layer, frame), path)
    values = to_unit(raw) if unit is None else (raw / _PER_METRE[unit]).astype(np.float32)
    if invert:
        values = (1 if raw.dtype in _SCALED else 0) - values
    return as_disparity(values, depth, os.fspath(path))


def as_disparity(values: Array, depth: bool, source: str) -> Array:
    """Make disparity of values [H, W], NaN at the holes; with `depth` they are depth, whose zeros and less are holes, too.

    Raises:
        ValueError: every pixel is a hole; the message names the source.
    """
    hole = ~np.isfinite(values)
    if depth:
        hole |= values <= 0
        with np.errstate(divide="ignore", over="ignore"):
            values = np.float32(1) / values
        hole |= ~np.isfinite(values)
    if hole.all():
        raise ValueError(f"{source} holds no valid {'depth' if depth else 'disparity'}: every pixel is a hole")
    return np.where(hole, np.float32(np.nan), values)


def _check_use(depth: bool, unit: DepthUnit | None, invert: bool) -> None:
    if unit is not None and unit not in _PER_METRE:
        raise ValueError(f"unit is {unit!r}; expected 'm', 'mm' or None")
    if unit is not None and not depth:
        raise ValueError(f"unit is {unit!r}, which is one of depth; expected None without depth=True")
    if invert and depth:
        raise ValueError("invert is True; expected False with depth=True, as larger depth is farther already")


def read_alpha(path: str | os.PathLike[str], *, object: str | None = None, frame: Frame | None = None) -> Array:
    """Read a matte from a file of any format that `read_image` reads: its alpha channel where it has one, else its grey values.

    Args:
        path: the file.
        object: the name of an object, or several with commas between them, whose matte a Cryptomatte in an OpenEXR file holds.
        frame: of the image, if the matte of an OpenEXR file is to reach beyond what is shown, as the image does.

    Returns:
        float32 [H, W] in [0, 1].

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the system refuses to read it.
        ValueError: it cannot be read, has colours, or a value is outside [0, 1].
    """
    if object is not None:
        return _read_matte(Path(path), object, frame)
    array = read_array(path, frame=frame)
    has_alpha = array.ndim == 3 and array.shape[2] in (2, 4)
    alpha = to_unit(array[..., -1] if has_alpha else single_channel(array, path))
    if not (alpha.min() >= 0 and alpha.max() <= 1):
        raise ValueError(f"{path} has values from {alpha.min()} to {alpha.max()}, and a matte must lie in [0, 1]")
    return alpha


def _read_matte(path: Path, name: str, frame: Frame | None) -> Array:
    content = read_bytes(path)
    try:
        if not is_exr(content):
            raise ValueError(f"it is no OpenEXR file, and so has no object {name!r}")
        return decode_matte(content, name, frame)
    except ValueError as error:
        raise refusal(path, error) from None


def single_channel(array: NDArray[Any], path: str | os.PathLike[str]) -> NDArray[Any]:
    """Take [H, W], also of a file that repeats it in three channels; an alpha channel beside it is left out.

    Raises:
        ValueError: the channels differ.
    """
    if not is_one_channel(array):
        raise ValueError(f"{path} has {array.shape[2]} channels, and must have one number a pixel (grey)")
    return array if array.ndim == 2 else array[..., 0]


def is_one_channel(array: NDArray[Any]) -> bool:
    """Tell whether [H, W] or [H, W, C] holds one number a pixel, perhaps three times, perhaps with alpha."""
    if array.ndim == 2:
        return True
    channels = array.shape[2]
    colours = array[..., : channels - 1] if channels in (2, 4) else array
    first = colours[..., :1]
    same = (colours == first) | ((colours != colours) & (first != first))  # NaN is no number's equal
    return channels <= 4 and bool(same.all())
