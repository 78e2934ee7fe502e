"""The trailer of Samsung's photographs: named blocks behind the picture, found from the end of the file (SEFT)."""

import re
import struct
from collections.abc import Mapping

_MAGIC_END, _MAGIC = b"SEFT", b"SEFH"
_ENTRY_BYTES, _LONGEST_DIRECTORY = 12, 1 << 16
_BEFORE_THE_SIZE = re.compile(rb"[\x01-\x09]\0\xff\xff")  # in the block of extra facts, from byte 32 on
_EXTRA, _DEPTH = "DualShot_Extra_Info", "DualShot_DepthMap_1"


def blocks(content: bytes) -> dict[str, bytes]:
    """Read the blocks by their names; what does not lie in the file is left out."""
    if content[-4:] != _MAGIC_END or len(content) < 8:
        return {}
    (length,) = struct.unpack_from("<I", content, len(content) - 8)
    start = len(content) - 8 - length
    if not 12 <= length < _LONGEST_DIRECTORY or start < 0 or content[start : start + 4] != _MAGIC:
        return {}
    (count,) = struct.unpack_from("<I", content, start + 8)
    found = {}
    for at in range(start + 12, start + 12 + min(count, (length - 12) // _ENTRY_BYTES) * _ENTRY_BYTES, _ENTRY_BYTES):
        before, size = struct.unpack_from("<II", content, at + 4)
        begin = start - before
        if begin < 0 or not 8 <= size <= before:
            continue
        (name_length,) = struct.unpack_from("<I", content, begin + 4)
        if name_length <= size - 8:
            name = content[begin + 8 : begin + 8 + name_length].decode("latin-1").strip("\0")
            found[name] = content[begin + 8 + name_length : begin + size]
    return found


def depth_of(found: Mapping[str, bytes]) -> tuple[bytes, int, int] | None:
    """Take the depth map of a portrait by two lenses: its bytes, one a pixel, width and height; None where there is none."""
    data, extra = found.get(_DEPTH), found.get(_EXTRA, b"")
    match = _BEFORE_THE_SIZE.search(extra, 32, 96)
    if data is None or match is None or match.end() + 8 > len(extra):
        return None
    width, height = struct.unpack_from("<II", extra, match.end())
    return (data[: width * height], width, height) if 0 < width * height <= len(data) else None
