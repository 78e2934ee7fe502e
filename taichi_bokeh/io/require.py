"""What public functions on arrays refuse, in one wording: the argument's name, what came, what was expected."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]


def require_light(name: str, values: ArrayLike) -> Array:
    """Require an image in linear light, [H, W, 3], as float32.

    Raises:
        TypeError: it is not of floats: integers are most often sRGB, which is not light.
        ValueError: its shape is another, or a size is 0.
    """
    array = _real(name, values)
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(
            f"{name} has dtype {array.dtype}; expected floats in linear light, "
            "as taichi_bokeh.io.srgb_decode makes of sRGB with 8 or 16 bits"
        )
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}; expected [H, W, 3]")
    return array.astype(np.float32, copy=False)


def require_plane(name: str, values: ArrayLike, of: Array | None = None) -> Array:
    """Require one number a pixel, [H, W], of any unit, as float32.

    Args:
        name: of the argument.
        values: integers and truth values as well.
        of: rgb [H, W, 3], whose size it must have.

    Raises:
        TypeError: it is not of real numbers.
        ValueError: its shape is another, or a size is 0.
    """
    array = _real(name, values)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}; expected [H, W]")
    if of is not None and array.shape != of.shape[:2]:
        raise ValueError(f"{name} has shape {array.shape}; expected {of.shape[:2]} as rgb")
    return array.astype(np.float32, copy=False)


def require_coverage(name: str, values: ArrayLike, of: Array | None = None, tolerance: float = 0.0) -> Array:
    """Require a matte or an alpha channel, [H, W] in [0, 1], as float32.

    Args:
        name: of the argument.
        values: floats, truth values, or integers that are 0 and 1.
        of: rgb [H, W, 3], whose size it must have.
        tolerance: how far out of range a value may lie by rounding.

    Raises:
        TypeError: it is not of floats, and not of 0 and 1.
        ValueError: its shape is another, or a value is out of range or NaN.
    """
    array = _real(name, values)
    plane = require_plane(name, array, of)
    low, high = float(plane.min()), float(plane.max())
    if np.isnan(low):
        raise ValueError(f"{name} holds NaN; expected values in [0, 1]")
    if np.issubdtype(array.dtype, np.integer) and high > 1:
        raise TypeError(
            f"{name} has dtype {array.dtype} and values up to {high:g}; expected floats in [0, 1], "
            "as division by 255 makes of 8 bits, by 65535 of 16"
        )
    if not (low >= -tolerance and high <= 1 + tolerance):
        raise ValueError(f"{name} has values from {low:g} to {high:g}; expected values in [0, 1]")
    return plane


def require_mask(name: str, values: ArrayLike, of: Array) -> NDArray[np.bool_]:
    """Require truth values, [H, W] of rgb [H, W, 3]; numbers are true but for 0.

    Raises:
        TypeError: it is not of real numbers.
        ValueError: its shape is another.
    """
    return require_plane(name, values, of).astype(bool)


def _real(name: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating) or array.dtype == np.bool_):
        raise TypeError(f"{name} has dtype {array.dtype}; expected real numbers")
    return array
