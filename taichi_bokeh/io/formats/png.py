"""What Pillow, and so imageio, leaves out of PNG: 16 bits in several channels, by imagecodecs, and how colours are coded."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.colours import REC709, Chromaticities, Coding, are_rec709
from taichi_bokeh.io.extras import import_package
from taichi_bokeh.io.formats.contents import DamagedFileError
from taichi_bokeh.io.formats.quiet import silent

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CODING_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")
_USUAL_GAMMA, _SAME_GAMMA = 1 / 2.2, 0.005  # what writers say when they mean sRGB

_SRGB = bytes((1, 13, 0, 1))
_NTSC, _P3 = (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, 0.3127, 0.3290), (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
_PRIMARIES: dict[int, Chromaticities] = {  # by the numbers of ITU-T H.273
    1: REC709,
    2: REC709,  # not said
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, 0.3127, 0.3290),
    6: _NTSC,
    7: _NTSC,
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290),
    11: (*_P3, 0.314, 0.351),
    12: (*_P3, 0.3127, 0.3290),
}
_EXPONENTS = {**dict.fromkeys((1, 2, 6, 13, 14, 15)), 4: 2.2, 5: 2.8, 8: 1.0}  # None: as sRGB, as which video is shown, too


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


def coding(content: bytes) -> Coding | None:
    """Read how a PNG says that its colours are coded, in the order of its specification: cICP, iCCP, sRGB, gAMA and cHRM.

    Returns:
        None for sRGB, for what says nothing, and where there is an ICC profile, which counts.

    Raises:
        ValueError: by cICP they are HDR or in primaries that are not known.
    """
    chunks = _chunks(content)
    if b"cICP" in chunks:
        return _by_numbers(chunks[b"cICP"])
    if b"iCCP" in chunks or b"sRGB" in chunks:
        return None
    gamma = _numbers(chunks.get(b"gAMA", b""), 1)
    points = _numbers(chunks.get(b"cHRM", b""), 8)
    primaries: Chromaticities = REC709
    if points is not None and all(value > 0 for value in points):
        primaries = (*points[2:], *points[:2])  # type: ignore[assignment] # in the file white is the first
    exponent = None if gamma is None or not gamma[0] or abs(gamma[0] - _USUAL_GAMMA) < _SAME_GAMMA else 1 / gamma[0]
    if exponent is None and are_rec709(primaries):
        return None
    curve = "the curve of sRGB" if exponent is None else f"gamma {1 / exponent:.4g}"
    return Coding(f"{curve}{'' if are_rec709(primaries) else ' and primaries of its own'} (gAMA, cHRM)", exponent, primaries)


def _by_numbers(body: bytes) -> Coding | None:
    numbers = ", ".join(map(str, body))
    if body == _SRGB:
        return None
    if len(body) != 4 or body[0] not in _PRIMARIES or body[1] not in _EXPONENTS or body[2] != 0:
        raise ValueError(f"its colours are coded as {numbers} (ITU-T H.273), and must be SDR, as sRGB (1, 13, 0, 1) is")
    return Coding(f"coded as {numbers} (cICP)", _EXPONENTS[body[1]], _PRIMARIES[body[0]], is_limited=body[3] == 0)


def _numbers(body: bytes, count: int) -> tuple[float, ...] | None:
    return tuple(value / 100_000 for value in struct.unpack(f">{count}I", body)) if len(body) == 4 * count else None


def _chunks(content: bytes) -> dict[bytes, bytes]:
    """Read the chunks that say how colours are coded, the first of each name."""
    found: dict[bytes, bytes] = {}
    position = len(_SIGNATURE)
    while content[:8] == _SIGNATURE and position + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, position)
        if name == b"IDAT":
            break
        if name in _CODING_CHUNKS:
            found.setdefault(name, content[position + 8 : position + 8 + min(length, 64)])
        position += 12 + length
    return found


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
