"""Which files of a folder are pictures or maps, and which only lie beside them: side-cars, thumbnails' databases, notes."""

import io
from pathlib import Path

from PIL import Image as PillowImage
from PIL import ImageFile

from taichi_bokeh.io.arrays import PICTURE_SUFFIXES
from taichi_bokeh.io.formats import exr, numpy_files, pfm, tiff
from taichi_bokeh.io.formats.quiet import quiet_pillow

_KNOWN = (*PICTURE_SUFFIXES, ".npz")
_HEAD_BYTES = 1 << 16  # in which Pillow tells what it knows


def is_candidate(path: Path) -> bool:
    """Whether a file is one that `read_image` and `read_disparity` are for, whole or damaged.

    Its name says so, or else how it begins. Files whose names begin with a dot are not, whatever they hold.
    """
    if path.name.startswith(".") or not path.is_file():
        return False
    return path.suffix.lower() in _KNOWN or _begins_as_picture(path)


def _begins_as_picture(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    if exr.is_exr(head) or pfm.is_pfm(head) or tiff.is_tiff(head) or numpy_files.is_npy(head):
        return True
    try:
        with quiet_pillow(), PillowImage.open(io.BytesIO(head)) as picture:
            return not isinstance(picture, ImageFile.StubImageFile)  # known by name only, as HDF5 is
    except Exception:  # whatever its parsers meet in a file that is none
        return False
