"""The segments of a JPEG, where it ends, and what several pictures in one file say of each other."""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

_APP1, _APP2 = 0xE1, 0xE2
_STANDARD, _EXTENDED = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_EXTENDED_HEAD = len(_EXTENDED) + 32 + 4 + 4  # a hash, the full length, the offset
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in coded data, where 0 follows 0xff otherwise, or a restart
_ALONE = {0x01, *range(0xD0, 0xD9)}
_START_OF_SCAN, _END = 0xDA, 0xD9
_ENTRIES, _ENTRY_BYTES = 0xB002, 16  # of the index of pictures
_MOST_PICTURES = 64

#: The kind of a picture of a stereo pair.
STEREO = 0x020002


class Picture(NamedTuple):
    """A picture of a file of several (MPF).

    Attributes:
        start: where it begins in the file.
        end: where it ends.
        kind: what it is by its number, as `STEREO`.
    """

    start: int
    end: int
    kind: int


def is_jpeg(content: bytes) -> bool:
    """Tell whether the bytes begin as a JPEG does."""
    return content[:3] == b"\xff\xd8\xff"


def xmp_packets(jpeg: bytes) -> list[bytes]:
    """Collect the standard packet, and the extended one put together of its parts: no more than the file holds."""
    standard: list[bytes] = []
    extended: dict[bytes, dict[int, bytes]] = {}
    for marker, start, end in _segments(jpeg):
        if marker != _APP1:
            continue
        if jpeg.startswith(_STANDARD, start):
            standard.append(jpeg[start + len(_STANDARD) : end])
        elif jpeg.startswith(_EXTENDED, start) and end - start >= _EXTENDED_HEAD:
            digest = jpeg[start + len(_EXTENDED) : start + len(_EXTENDED) + 32]
            (offset,) = struct.unpack_from(">I", jpeg, start + len(_EXTENDED) + 36)
            extended.setdefault(digest, {})[offset] = jpeg[start + _EXTENDED_HEAD : end]
    return [*standard[:1], *(b"".join(parts[at] for at in sorted(parts)) for parts in extended.values())]


def jpeg_end(content: bytes, start: int = 0) -> int:
    """Find where the JPEG ends that begins at `start`: behind its end marker, or at the end of the file."""
    for marker, _, end in _segments(content, start):
        if marker == _END:
            return end
    return len(content)


def pictures(content: bytes) -> list[Picture]:
    """Read the index of several pictures in a file (MPF), the first one among them; those that lie outside are left out."""
    start = next((at + 4 for marker, at, _ in _segments(content) if marker == _APP2 and content.startswith(b"MPF\0", at)), None)
    if start is None:
        return []
    try:
        entries = _index(content, start)
    except struct.error:  # it says that it is longer than it is
        return []
    places = [(start + offset if offset else 0, size, attributes & 0xFFFFFF) for attributes, size, offset, _, _ in entries]
    found = [Picture(at, at + size, kind) for at, size, kind in places if size and at + size <= len(content)]
    return [one for one in found if is_jpeg(content[one.start : one.start + 3])]


def _index(content: bytes, start: int) -> list[tuple[int, int, int, int, int]]:
    """Read the entries of an index, which is laid out as a TIFF directory."""
    order = ">" if content.startswith(b"MM", start) else "<"
    (at,) = struct.unpack_from(f"{order}I", content, start + 4)
    (count,) = struct.unpack_from(f"{order}H", content, start + at)
    for i in range(count):
        tag, _, size, value = struct.unpack_from(f"{order}HHII", content, start + at + 2 + 12 * i)
        if tag == _ENTRIES:
            places = range(start + value, start + value + min(size, _MOST_PICTURES * _ENTRY_BYTES), _ENTRY_BYTES)
            return [struct.unpack_from(f"{order}IIIHH", content, place) for place in places]
    return []


def _segments(content: bytes, start: int = 0) -> Iterator[tuple[int, int, int]]:
    """Marker, and where its body begins and ends, from the one behind the start of the image to its end."""
    position = start + 2
    while position + 2 <= len(content):
        if content[position] != 0xFF:
            return
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        position += 2
        if marker in _ALONE or marker == _END:
            yield marker, position, position
            if marker == _END:
                return
            continue
        if position + 2 > len(content):
            return
        (length,) = struct.unpack_from(">H", content, position)
        end = position + length
        if length < 2 or end > len(content):
            return
        yield marker, position + 2, end
        position = end
        if marker == _START_OF_SCAN:
            following = _MARKER.search(content, end)
            if following is None:
                return
            position = following.start()
