"""Cryptomatte: mattes of objects by their names, in OpenEXR files of renderers.

The hash of a name stands, as the bits of a float, in every second channel, and how much of the pixel the object covers in the
channel behind it. A manifest in the header tells the names.
"""

import difflib
import json
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.exr.file import Part, read_parts
from taichi_bokeh.io.exr.frame import Frame, moved
from taichi_bokeh.io.exr.layers import in_short

_KEY = re.compile(r"cryptomatte/([^/]+)/name")
_MASK = 0xFFFFFFFF


def decode_matte(content: bytes, names: str, frame: Frame | None = None) -> NDArray[np.float32]:
    """Read the matte of objects of an EXR file, [H, W] in [0, 1], of what is shown or of the data of a frame.

    Args:
        content: of the file.
        names: of an object, or of several with commas between them.
        frame: of the image that it is for.

    Raises:
        ValueError: the file is damaged, or holds no Cryptomatte or none with these objects.
    """
    parts = read_parts(content)
    found = [
        (part, match[1], str(value)) for part in parts for name, value in part.header.items() if (match := _KEY.fullmatch(name))
    ]
    if not found:
        raise ValueError("it holds no Cryptomatte")
    known = [name for part, key, _ in found for name in _manifest(part.header, key)]
    wanted = [names] if names in known else [name.strip() for name in names.split(",")]
    for part, key, prefix in found:
        manifest = _manifest(part.header, key)
        if manifest and not all(name in manifest for name in wanted):
            continue
        matte = _matte(part, prefix, [manifest.get(name, hash_of(name)) for name in wanted])
        if matte.any() or manifest:
            own = Frame.of(part.header)
            here = own.display if frame is None or frame.display != own.display else frame.data
            return moved(matte, own.data, here, 0)
    raise ValueError(f"its Cryptomatte holds no object {names!r}{_hint(wanted, known)}")


def hash_of(name: str) -> int:
    """Compute MurmurHash3 (32 bits, seed 0) of a name, changed where the bits would be no ordinary float.

    >>> hex(hash_of("hello"))
    '0x248bfa47'
    """
    value = _murmur3(name.encode())
    return value ^ (1 << 23) if (value >> 23) & 255 in (0, 255) else value


def _murmur3(data: bytes) -> int:
    value, whole = 0, len(data) // 4 * 4
    for (block,) in struct.iter_unpack("<I", data[:whole]):
        value = (_rotated(value ^ _mixed(block), 13) * 5 + 0xE6546B64) & _MASK
    value ^= _mixed(int.from_bytes(data[whole:], "little")) ^ len(data)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        value = ((value ^ (value >> shift)) * factor) & _MASK
    return value ^ (value >> 16)


def _mixed(block: int) -> int:
    return (_rotated((block * 0xCC9E2D51) & _MASK, 15) * 0x1B873593) & _MASK


def _rotated(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & _MASK


def _manifest(header: Mapping[str, Any], key: str) -> dict[str, int]:
    """Read the hashes of the names; empty where the file has no manifest, or a damaged one."""
    try:
        listed = json.loads(str(header.get(f"cryptomatte/{key}/manifest", "")))
        return {str(name): int(value, 16) for name, value in listed.items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return {}


def _matte(part: Part, prefix: str, hashes: Sequence[int]) -> NDArray[np.float32]:
    """Sum the coverages of objects [H, W] over the ranks of a Cryptomatte."""
    levels: dict[str, dict[str, NDArray[Any]]] = {}
    for name, plane in part.channels.items():
        before, _, last = name.rpartition(".")
        if re.fullmatch(rf"{re.escape(prefix)}\d+", before):
            levels.setdefault(before, {})[in_short(last)] = plane
    ranks = [(level[i], level[c]) for level in levels.values() for i, c in ("RG", "BA") if i in level and c in level]
    if not ranks or any(ids.dtype != np.float32 for ids, _ in ranks):
        raise ValueError(f"its Cryptomatte {prefix} has no channels of 32 bits, {prefix}00.R and so on")
    total = np.zeros(ranks[0][0].shape, np.float32)
    for ids, coverage in ranks:
        total += np.where(np.isin(ids.view(np.uint32), np.array(hashes, np.uint32)), coverage.astype(np.float32), 0)
    return np.clip(np.nan_to_num(total), 0, 1)


def _hint(wanted: Sequence[str], known: Sequence[str]) -> str:
    close = [other for name in wanted for other in difflib.get_close_matches(name, known, 3, 0.4)] or list(known)[:8]
    return f"; it holds {', '.join(repr(name) for name in close)}{' …' if len(close) < len(known) else ''}" if close else ""
