"""OpenEXR files of images and maps."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.colours import are_rec709
from taichi_bokeh.io.exr.frame import Frame
from taichi_bokeh.io.extras import import_package

_LARGEST_HALF = float(np.finfo(np.float16).max)


def encode(channels: Mapping[str, NDArray[Any]], frame: Frame | None = None) -> bytes:
    """Make the EXR file of channels [H, W], each float16 or float32; compressed without loss, in this frame."""
    openexr = import_package("OpenEXR")
    header: dict[str, Any] = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    if frame is not None:
        for name, (left, top, right, bottom) in (("dataWindow", frame.data), ("displayWindow", frame.display)):
            header[name] = (np.array([left, top], np.int32), np.array([right - 1, bottom - 1], np.int32))
        header["pixelAspectRatio"] = frame.pixel_aspect
        if not are_rec709(frame.primaries):
            header["chromaticities"] = frame.primaries
    buffer = io.BytesIO()
    planes = {name: np.ascontiguousarray(plane) for name, plane in channels.items()}
    openexr.File(header, planes, num_threads=0).write(buffer)
    return buffer.getvalue()


def encode_image(rgb: NDArray[np.float32], alpha: NDArray[np.float32] | None, bits: int, frame: Frame | None = None) -> bytes:
    """Make the EXR file of straight colours [H, W, 3] and alpha [H, W]; 16 bits are half, 32 float.

    The frame is that of the image which it was made of; its lift is not taken off.

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
    return encode(dict(zip("RGBA", np.moveaxis(planes, -1, 0), strict=False)), frame)
