"""What Pillow, and so imageio, leaves out of PNG: 16 bits in several channels, by imagecodecs, and the chunk cICP."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.extras import import_package
from taichi_bokeh.io.formats.contents import DamagedFileError
from taichi_bokeh.io.formats.quiet import silent

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def is_deep_colour(content: bytes) -> bool:
    """Tell whether the bytes are a PNG of 16 bits a channel and several channels, which Pillow reduces to 8 bits."""
    return content[:8] == _SIGNATURE and len(content) > 26 and content[24] == 16 and content[25] in (2, 4, 6)


def decode(content: bytes) -> NDArray[np.uint16]:
    """Read [H, W, C] of a PNG with 16 bits a channel; a colour that stands for transparency becomes alpha 0.

    Raises:
        ValueError: the file is damaged or truncated, or imagecodecs is not installed.
    """
    imagecodecs = import_package("imagecodecs")
    try:
        with silent():
            values: NDArray[np.uint16] = imagecodecs.png_decode(content)
    except (imagecodecs.PngError, UnicodeDecodeError):  # its words are C's, and not always text
        raise DamagedFileError("damaged or truncated PNG data") from None
    return values


def encode(samples: NDArray[np.uint16], exif: bytes = b"") -> bytes:
    """Make the PNG file of sRGB samples [H, W, C], C = 3 or 4; `exif` is a block of EXIF, without the word before it."""
    content: bytes = import_package("imagecodecs").png_encode(samples, level=6)
    at = content.index(b"IDAT") - 4
    chunks = _chunk(b"sRGB", b"\0") + (_chunk(b"eXIf", exif) if exif else b"")
    return content[:at] + chunks + content[at:]


def coding(content: bytes) -> bytes | None:
    """Read the chunk cICP of a PNG (ITU-T H.273: primaries, curve, matrix, range); None where it has none."""
    position = len(_SIGNATURE)
    while content[:8] == _SIGNATURE and position + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, position)
        if name in (b"cICP", b"IDAT"):
            return content[position + 8 : position + 8 + length] if name == b"cICP" else None
        position += 12 + length
    return None


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
