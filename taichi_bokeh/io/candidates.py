"""Which files of a folder are images or maps, and which only lie beside them: side-cars, thumbnails' databases, notes."""

from pathlib import Path

from taichi_bokeh.io import exr
from taichi_bokeh.io.arrays import IMAGE_SUFFIXES
from taichi_bokeh.io.formats import heif, numpy_files, pfm, raster, tiff

_KNOWN = (*IMAGE_SUFFIXES, ".npz")
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
    known = (exr.is_exr, pfm.is_pfm, tiff.is_tiff, numpy_files.is_npy, heif.is_heif, raster.is_raster)
    return any(begins(head) for begins in known)
