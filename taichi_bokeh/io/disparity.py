"""Disparity, depth and mattes: one number a pixel, no colour curve."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.arrays import placed, read_array, read_bytes, read_contents, refusal, to_unit
from taichi_bokeh.io.depth.code import MapCode, Say
from taichi_bokeh.io.exr import Frame, decode_matte, is_exr

Array = NDArray[np.float32]


class MapPlace(NamedTuple):
    """Which map of a file is meant.

    Attributes:
        layer: the name of a layer of an OpenEXR file, or of one beside which it lies, or of an array of an npz file; None: the
            only one that is fit.
        number: the frame of a stack, from 0; None: there is only one.
        frame: that of the image, if the map of an OpenEXR file is to reach beyond what is shown, as the image does.
    """

    layer: str | None = None
    number: int | None = None
    frame: Frame | None = None


def read_disparity(
    path: str | os.PathLike[str],
    depth: bool = False,
    unit: str | None = None,
    invert: bool = False,
    *,
    layer: str | None = None,
    frame: Frame | None = None,
    index: int | None = None,
    code: MapCode | None = None,
) -> Array:
    """Read a disparity map, larger is nearer, from npy, npz, OpenEXR, PFM, TIFF or PNG.

    8- and 16-bit integers are divided by 255 and 65535, unless something says what they are; other numbers are kept. NaN and
    infinite values are holes. Of depth, 0 and less are holes, and what is infinite has disparity 0. Depth without a unit that
    begins at 0 and ends at 1 is relative, and becomes 1 − depth. What else stands for nothing measured, `depth.holes` says.

    Args:
        path: the file.
        depth: it holds depth: the disparity is one over it.
        unit: of the depth, "m", "cm", "mm", "5000/m" or "0.25mm", integers as well as floats: the disparity is then in 1/m. By
            default any, so that integers are scaled to [0, 1].
        invert: larger is farther, though it is no depth: the disparity is 1 − value for 8- and 16-bit integers and truth
            values, and −value for other numbers.
        layer: as of `MapPlace`.
        frame: likewise.
        index: likewise.
        code: all that can be said of the numbers, instead of depth, unit and invert.

    Returns:
        float32 [H, W]; NaN at the holes.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the system refuses to read it.
        TypeError: ``path`` is no path.
        ValueError: it cannot be read, has more than one (distinct) channel, or not one valid pixel; ``unit`` is unknown or
            given without ``depth``, or ``invert`` with it.
    """
    if code is not None and (depth or unit is not None or invert):
        raise ValueError("code is given with depth, unit or invert, which it says itself; expected one or the other")
    return read_map(path, code or MapCode(depth, unit, invert), MapPlace(layer, index, frame))


def read_map(path: str | os.PathLike[str], code: MapCode, place: MapPlace, say: Say = lambda _: None) -> Array:
    """Read a disparity map as `read_disparity`; `say` is called with what was guessed, in words."""
    contents = read_contents(path, code.use, place.layer, place.number)
    raw = single_channel(placed(contents, path, code.use, place.frame), path)
    if code.use == "disparity" and "depth" in contents.name.lower():
        say(f"{os.fspath(path)}: its array {contents.name!r} is read as disparity, larger is nearer (--depth if it is depth)")
    return code.disparity(raw, os.fspath(path), say, place.frame)


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
