"""The sRGB curve (IEC 61966-2-1), piecewise and exact."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def srgb_decode(encoded: ArrayLike) -> NDArray[np.float32]:
    """Values of an sRGB file, [0, 1], to linear light, [0, 1]; any shape, float32."""
    value = np.asarray(encoded, np.float32)
    return np.where(value <= 0.04045, value / 12.92, ((np.maximum(value, 0) + 0.055) / 1.055) ** 2.4).astype(np.float32)


def srgb_encode(linear: ArrayLike) -> NDArray[np.float32]:
    """Linear light to sRGB values, the inverse of ``srgb_decode``; nothing is clipped."""
    value = np.asarray(linear, np.float32)
    bright = 1.055 * np.maximum(value, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(value <= 0.0031308, value * 12.92, bright).astype(np.float32)
