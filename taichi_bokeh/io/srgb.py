"""The sRGB curve (IEC 61966-2-1), piecewise and exact."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_INTEGERS = (np.uint8, np.uint16)


def srgb_decode(encoded: ArrayLike) -> NDArray[np.float32]:
    """Decode values of an sRGB file to linear light, [0, 1]; any shape, float32.

    Args:
        encoded: in [0, 1], or an array of uint8 or uint16, which are divided by 255 or 65535.
    """
    raw = np.asarray(encoded)
    value = raw.astype(np.float32, copy=False)
    if raw.dtype in _INTEGERS:
        value /= np.iinfo(raw.dtype).max
    return np.where(value <= 0.04045, value / 12.92, ((np.maximum(value, 0) + 0.055) / 1.055) ** 2.4).astype(np.float32)


def srgb_encode(linear: ArrayLike) -> NDArray[np.float32]:
    """Encode linear light to sRGB values in [0, 1], the inverse of ``srgb_decode``; nothing is clipped.

    Raises:
        TypeError: it is an array of uint8 or uint16, which hold sRGB already.
    """
    raw = np.asarray(linear)
    if raw.dtype in _INTEGERS:
        raise TypeError(f"linear has dtype {raw.dtype}; expected floats in linear light")
    value = raw.astype(np.float32, copy=False)
    bright = 1.055 * np.maximum(value, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(value <= 0.0031308, value * 12.92, bright).astype(np.float32)


def to_srgb8(linear: ArrayLike) -> NDArray[np.uint8]:
    """Encode linear light as sRGB of 8 bits, clipped to [0, 1] and rounded, as image files hold it; any shape.

    Raises:
        TypeError: it is an array of uint8 or uint16, which hold sRGB already.
    """
    return (np.clip(srgb_encode(linear), 0, 1) * 255 + 0.5).astype(np.uint8)
