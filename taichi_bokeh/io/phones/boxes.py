"""What pillow-heif does not tell of a HEIC: which items are turned, what their XMP says, which two are a stereo pair.

Boxes are read within the bytes that are there, whatever they say of their lengths.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Boxes with boxes in them, by the bytes before the first, for each version.
_CONTAINERS = {b"iprp": (0,), b"ipco": (0,), b"iref": (4, 4), b"grpl": (0,), b"iinf": (6, 8)}
_TURNS = (b"irot", b"imir")
_MOST_ITEMS = 10_000


@dataclass
class Items:
    """The items of a HEIC file by their numbers.

    Attributes:
        primary: the photograph.
        auxiliary: the type (a URN) of those that are auxiliary images.
        turns: how each is turned, in order: "irot" by so many quarters anticlockwise, "imir" upside down (0) or sideways (1).
        xmp: for each item the XMP packets that describe it.
        stereo: the left and the right image of a pair.
    """

    primary: int = 0
    auxiliary: dict[int, str] = field(default_factory=dict)
    turns: dict[int, list[tuple[bytes, int]]] = field(default_factory=lambda: defaultdict(list))
    xmp: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    stereo: tuple[int, int] | None = None


def turned(values: NDArray[Any], turns: list[tuple[bytes, int]]) -> NDArray[Any]:
    """Turn an image [h, w, ...] as `Items.turns` says."""
    for kind, how in turns:
        values = np.rot90(values, how) if kind == b"irot" else np.flip(values, how & 1)
    return np.ascontiguousarray(values)


def read_items(content: bytes) -> Items:
    """Read the box "meta" of a HEIC file.

    Raises:
        ValueError: a box is not whole.
    """
    try:
        return _items(content)
    except (struct.error, IndexError):
        raise ValueError("its boxes are not whole") from None


def _items(content: bytes) -> Items:
    boxes: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    properties: list[tuple[bytes, int, int]] = []
    for kind, start, end, parent in _boxes(content, 0, len(content), b""):
        boxes[kind].append((start, end))
        if parent == b"ipco":
            properties.append((kind, start, end))
    items = Items()
    for start, _ in boxes[b"pitm"][:1]:
        items.primary = _number(content, start + 4, 4 if content[start] else 2)
    for start, end in boxes[b"ipma"]:
        _read_properties(content, start, end, properties, items)
    for start, end in boxes[b"ster"]:
        _, count = struct.unpack_from(">II", content, start + 4)
        if count == 2 and end - start >= 20:
            items.stereo = struct.unpack_from(">II", content, start + 12)
    _read_xmp(content, boxes, items)
    return items


def _boxes(content: bytes, start: int, end: int, parent: bytes) -> Iterator[tuple[bytes, int, int, bytes]]:
    """Type, and where the body begins and ends, of the boxes in a range and of those within the ones that are known."""
    while start + 8 <= end:
        length, kind = struct.unpack_from(">I4s", content, start)
        head = 8
        if length == 1:
            length, head = struct.unpack_from(">Q", content, start + 8)[0], 16
        stop = end if length == 0 else start + length
        if stop > end or length in range(1, head):
            return
        yield kind, start + head, stop, parent
        if kind == b"meta" and not parent:
            yield from _boxes(content, start + head + 4, stop, kind)
        elif kind in _CONTAINERS and parent in (b"meta", b"iprp"):
            before = _CONTAINERS[kind]
            yield from _boxes(content, start + head + before[min(content[start + head], len(before) - 1)], stop, kind)
        start = stop


def _read_properties(content: bytes, at: int, end: int, properties: list[tuple[bytes, int, int]], items: Items) -> None:
    """Read which item has which properties."""
    version, flags = content[at], content[at + 3]
    wide_id, wide_index = (4 if version else 2), (2 if flags & 1 else 1)
    entries = _number(content, at + 4, 4)
    at += 8
    for _ in range(min(entries, _MOST_ITEMS)):
        item, count = _number(content, at, wide_id), content[at + wide_id]
        at += wide_id + 1
        for index in (_number(content, at + i * wide_index, wide_index) for i in range(count)):
            index &= 0x7FFF if wide_index == 2 else 0x7F  # the highest bit says that it is essential
            if not 0 < index <= len(properties):
                continue
            kind, start, stop = properties[index - 1]
            if kind == b"auxC":
                items.auxiliary[item] = content[start + 4 : stop].partition(b"\0")[0].decode("latin-1")
            elif kind in _TURNS:
                items.turns[item].append((kind, content[start] & 3))
        at += count * wide_index
        if at > end:
            return


def _read_xmp(content: bytes, boxes: dict[bytes, list[tuple[int, int]]], items: Items) -> None:
    """Read the items of type "mime" that describe others, where they lie in the file or in the box "idat"."""
    texts = {
        _number(content, s + 4, 4 if content[s] > 2 else 2) for s, e in boxes[b"infe"] if b"application/rdf+xml" in content[s:e]
    }
    data = boxes[b"idat"][0][0] if boxes[b"idat"] else 0
    places = {item: place for start, _ in boxes[b"iloc"][:1] for item, place in _locations(content, start, data)}
    wide = 4 if boxes[b"iref"] and content[boxes[b"iref"][0][0]] else 2
    for start, end in boxes[b"cdsc"]:
        source, count = _number(content, start, wide), _number(content, start + wide, 2)
        if source in texts and source in places:
            first, length = places[source]
            for i in range(min(count, (end - start) // wide)):
                items.xmp[_number(content, start + wide + 2 + i * wide, wide)].append(content[first : first + length])


def _locations(content: bytes, at: int, data: int) -> Iterator[tuple[int, tuple[int, int]]]:
    """Where the first extent of each item lies."""
    version = content[at]
    offset_bytes, length_bytes, base_bytes = content[at + 4] >> 4, content[at + 4] & 15, content[at + 5] >> 4
    index_bytes = content[at + 5] & 15 if version else 0
    wide = 4 if version == 2 else 2
    count = _number(content, at + 6, wide)
    at += 6 + wide
    for _ in range(min(count, _MOST_ITEMS)):
        item = _number(content, at, wide)
        at += wide
        method = _number(content, at, 2) & 15 if version else 0
        at += (2 if version else 0) + 2
        base, extents = _number(content, at, base_bytes), _number(content, at + base_bytes, 2)
        at += base_bytes + 2
        if extents and method in (0, 1):
            offset = _number(content, at + index_bytes, offset_bytes)
            length = _number(content, at + index_bytes + offset_bytes, length_bytes)
            yield item, (base + offset + (data if method else 0), length)
        at += extents * (index_bytes + offset_bytes + length_bytes)


def _number(content: bytes, at: int, length: int) -> int:
    if at + length > len(content):
        raise IndexError(at)
    return int.from_bytes(content[at : at + length], "big")
