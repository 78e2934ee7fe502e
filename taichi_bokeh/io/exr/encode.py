"""OpenEXR files of images and maps."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.extras import import_package

_LARGEST_HALF = float(np.finfo(np.float16).max)


def encode(channels: Mapping[str, NDArray[Any]]) -> bytes:
    """Make the EXR file of channels [H, W], each float16 or float32; compressed without loss."""
    openexr = import_package("OpenEXR")
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    buffer = io.BytesIO()
    planes = {name: np.ascontiguousarray(plane) for name, plane in channels.items()}
    openexr.File(header, planes, num_threads=0).write(buffer)
    return buffer.getvalue()


def encode_image(rgb: NDArray[np.float32], alpha: NDArray[np.float32] | None, bits: int) -> bytes:
    """Make the EXR file of straight colours [H, W, 3] and alpha [H, W]; 16 bits are half, 32 float.

    Raises:
        ValueError: a colour is too large for half.
    """
    planes = rgb if alpha is None else np.dstack([rgb * alpha[..., None], alpha]).astype(np.float32)
    if bits == 16:
        largest = float(np.abs(planes).max())
        if largest > _LARGEST_HALF:
            raise ValueError(
                f"rgb has values up to {largest:g}; expected at most {_LARGEST_HALF:g}, the largest half (bits=16)"
            )
        planes = planes.astype(np.float16)
    return encode(dict(zip("RGBA", np.moveaxis(planes, -1, 0), strict=False)))
