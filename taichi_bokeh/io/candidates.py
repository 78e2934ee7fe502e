"""Which files of a folder are images or maps, and which only lie beside them: side-cars, thumbnails' databases, notes."""

from pathlib import Path

from taichi_bokeh.io.registry import FORMATS

_KNOWN = tuple(suffix for one in FORMATS for suffix in one.suffixes)
_HEAD_BYTES = 1 << 16  # in which Pillow tells what it knows


def is_candidate(path: Path) -> bool:
    """Tell whether a file is one that `read_image` and `read_disparity` are for, whole or damaged.

    Its name says so, or else how it begins. Files whose names begin with a dot are not, whatever they hold.
    """
    if path.name.startswith(".") or not path.is_file():
        return False
    return path.suffix.lower() in _KNOWN or _begins_as_image(path)


def _begins_as_image(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return any(one.begins(head) for one in FORMATS if one.name != "npz")  # which begins as all archives do
