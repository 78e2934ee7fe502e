"""Portable float maps: float32, grey or colour, rows from bottom to top (http://www.pauldebevec.com/Research/HDR/PFM/).

The sign of the scale in the header is the order of bytes. Its size is a unit that programs do not agree on; the numbers are
kept as they are.
"""

import re

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.formats.contents import Contents
from taichi_bokeh.io.limits import check_size

_HEADER = re.compile(rb"P([Ff])\s+([0-9]{1,9})\s+([0-9]{1,9})\s+([-+.0-9eE]{1,32})(?:\r\n|\s)")


def is_pfm(content: bytes) -> bool:
    """Tell whether the bytes begin as a PFM file does."""
    return re.match(rb"P[Ff]\s", content) is not None


def decode(content: bytes) -> Contents:
    """Read [H, W] of a grey file, [H, W, 3] of a colour file; row 0 at the top.

    Raises:
        ValueError: the file is damaged, truncated, empty or too large.
    """
    header = _HEADER.match(content)
    if header is None:
        raise ValueError("damaged PFM header")
    width, height = int(header[2]), int(header[3])
    check_size(width, height)
    try:
        scale = float(header[4])
    except ValueError:
        scale = 0.0
    if not abs(scale) > 0:
        raise ValueError(f"damaged PFM header: its scale is {header[4].decode('ascii')}; expected a number other than 0")
    shape = (height, width, 3) if header[1] == b"F" else (height, width)
    count = int(np.prod(shape))
    if len(content) - header.end() < 4 * count:
        raise ValueError("truncated PFM data")
    values = np.frombuffer(content, "<f4" if scale < 0 else ">f4", count, header.end()).reshape(shape)
    return Contents(np.ascontiguousarray(values[::-1], np.float32), "PFM")


def encode(values: NDArray[np.float32]) -> bytes:
    """Make the PFM file of [H, W] or [H, W, 3], little-endian."""
    height, width = values.shape[:2]
    kind = "PF" if values.ndim == 3 else "Pf"
    return f"{kind}\n{width} {height}\n-1.0\n".encode("ascii") + np.ascontiguousarray(values[::-1], "<f4").tobytes()
