"""PNG with 16 bits a channel and more than one channel, which Pillow reduces to 8 bits.

Only what that takes: no interlacing, no palette. (PNG specification, third edition: §5 chunks, §9 filters.)
"""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # colour type → channels
_COLOUR_TYPE = {channels: colour_type for colour_type, channels in _CHANNELS.items()}
_UP = 2


def is_deep_colour(content: bytes) -> bool:
    """Whether the bytes are a PNG of 16 bits a channel and several channels."""
    return content[:8] == _SIGNATURE and len(content) > 26 and content[24] == 16 and content[25] in (2, 4, 6)


def decode(content: bytes) -> NDArray[np.uint16]:
    """[H, W, C] of a PNG with 16 bits a channel; a colour that stands for transparency becomes alpha 0.

    Raises:
        ValueError: the file is damaged, truncated or interlaced.
    """
    chunks = list(_chunks(content))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise ValueError("damaged PNG header")
    width, height, depth, colour_type, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if depth != 16 or colour_type not in _CHANNELS or interlaced:
        raise ValueError("interlaced 16-bit PNG, which is not supported; save it without interlacing")
    channels = _CHANNELS[colour_type]
    row_bytes = 1 + width * channels * 2
    try:
        packed = b"".join(body for name, body in chunks if name == b"IDAT")
        data = zlib.decompressobj().decompress(packed, height * row_bytes + 1)  # no more than one byte too many
    except zlib.error as error:
        raise ValueError(f"damaged PNG data ({error})") from None
    if len(data) != height * row_bytes:
        raise ValueError("truncated PNG data" if len(data) < height * row_bytes else "damaged PNG data (too long)")
    rows = np.frombuffer(data, np.uint8).reshape(height, row_bytes)
    samples = _unfilter(rows[:, 0], rows[:, 1:].reshape(height, width, channels * 2))
    values = np.ascontiguousarray(samples).view(">u2").astype(np.uint16)
    transparent = next((body for name, body in chunks if name == b"tRNS"), None)
    if transparent is None or colour_type != 2:
        return values
    if len(transparent) != 6:
        raise ValueError("damaged PNG data (transparent colour)")
    shown = (values != np.frombuffer(transparent, ">u2")).any(axis=-1, keepdims=True)
    return np.concatenate([values, shown * np.uint16(65535)], axis=-1)


def coding(content: bytes) -> bytes | None:
    """The four numbers of the chunk cICP (ITU-T H.273: primaries, curve, matrix, range) of a PNG; None where it has none."""
    if content[:8] != _SIGNATURE:
        return None
    for name, body in _chunks(content):
        if name == b"cICP":
            return body
        if name == b"IDAT":
            break
    return None


def encode(samples: NDArray[np.uint16], exif: bytes = b"") -> bytes:
    """The PNG file of [H, W] or [H, W, C], C ≤ 4; `exif` is a block of EXIF, without the word before it."""
    image = np.ascontiguousarray(np.atleast_3d(samples), ">u2")
    height, width, channels = image.shape
    rows = image.view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[:, 1:] = np.diff(rows, axis=0, prepend=np.zeros((1, rows.shape[1]), np.uint8))
    header = struct.pack(">IIBBBBB", width, height, 16, _COLOUR_TYPE[channels], 0, 0, 0)
    data = zlib.compress(filtered.tobytes(), 6)
    parts = [(b"IHDR", header), (b"sRGB", b"\0"), (b"eXIf", exif), (b"IDAT", data), (b"IEND", b"")]
    return _SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
        if body or name != b"eXIf"
    )


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position, name = len(_SIGNATURE), b""
    while name != b"IEND":
        if position + 12 > len(content):
            raise ValueError("truncated PNG file")
        (length,) = struct.unpack_from(">I", content, position)
        name, body = content[position + 4 : position + 8], content[position + 8 : position + 8 + length]
        checksum = content[position + 8 + length : position + 12 + length]
        if len(checksum) < 4:
            raise ValueError("truncated PNG file")
        if struct.unpack(">I", checksum)[0] != zlib.crc32(name + body):
            raise ValueError("damaged PNG file (wrong checksum)")
        yield name, body
        position += 12 + length


def _unfilter(kinds: NDArray[np.uint8], filtered: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo the row filters: [H, W, bytes a pixel] → the same.

    A byte needs those of the pixels to its left, above, and above left. So all pixels of one diagonal, where column is
    step − row, can be done at once; the picture is stored slanted, [step, row], to keep each diagonal in one piece.
    """
    height, width, size = filtered.shape
    if kinds.max(initial=0) > 4:
        raise ValueError("damaged PNG data (unknown filter)")
    slanted = np.zeros((height + width + 1, height + 1, size), np.int16)  # step + 2, row + 1: zeros lie outside
    row, column = np.mgrid[:height, :width]
    slanted[row + column + 2, row + 1] = filtered
    kind = kinds[:, None]
    for step in range(height + width - 1):
        first, last = max(0, step - width + 1), min(height, step + 1)
        at = slice(first + 1, last + 1)
        above = slice(first, last)
        left, up, corner = slanted[step + 1, at], slanted[step + 1, above], slanted[step, above]
        base = left + up - corner
        to_left, to_up, to_corner = np.abs(base - left), np.abs(base - up), np.abs(base - corner)
        paeth = np.where((to_left <= to_up) & (to_left <= to_corner), left, np.where(to_up <= to_corner, up, corner))
        predictions = (np.zeros_like(left), left, up, (left + up) >> 1, paeth)
        prediction = np.select([kind[first:last] == number for number in range(5)], predictions)
        slanted[step + 2, at] = (slanted[step + 2, at] + prediction) & 255
    return slanted[row + column + 2, row + 1].astype(np.uint8)
