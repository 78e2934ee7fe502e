"""What Pillow does not tell of AVIF: samples of more than 8 bits, and colours that are coded by numbers of ITU-T H.273."""

import struct

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.extras import import_package
from taichi_bokeh.io.formats.heif import profile_of_numbers

_HEADER = b"av1C\x81"  # the box that says how the first image is coded, of version 1
_HIGH_BIT_DEPTH, _TWELVE_BIT = 0x40, 0x20
_NUMBERS = b"colrnclx"


def bits(content: bytes) -> int:
    """Tell how many bits a sample of an AVIF file has: 8, 10 or 12."""
    at = content.find(_HEADER) + len(_HEADER) + 1
    flags = content[at] if at > len(_HEADER) and at < len(content) else 0
    return (12 if flags & _TWELVE_BIT else 10) if flags & _HIGH_BIT_DEPTH else 8


def decode_deep(content: bytes) -> NDArray[np.uint16]:
    """Read samples of 10 or 12 bits, not turned: [H, W, C], whose largest number is 65535.

    Raises:
        ValueError: the file is damaged, or imagecodecs is not installed.
    """
    samples = import_package("imagecodecs").avif_decode(content)
    return np.rint(samples * (65535 / (2 ** bits(content) - 1))).astype(np.uint16)


def profile(content: bytes) -> bytes | None:
    """Make the ICC profile of colours that are told by numbers; None for sRGB, and where none are.

    Raises:
        ValueError: they have an HDR curve.
    """
    at = content.find(_NUMBERS) + len(_NUMBERS)
    if at < len(_NUMBERS) or at + 4 > len(content):
        return None
    return profile_of_numbers(*struct.unpack_from(">HH", content, at))
