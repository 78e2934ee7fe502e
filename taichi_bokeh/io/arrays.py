"""Read the numbers of a file, with one clear error for whatever is wrong with it."""

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps, UnidentifiedImageError

from taichi_bokeh.io import exr, pfm, png16
from taichi_bokeh.io.extras import import_tifffile

_UNREADABLE = (
    *(OSError, ValueError, SyntaxError, KeyError, EOFError, struct.error),  # what the readers raise on damaged content
    *(zipfile.BadZipFile, PillowImage.DecompressionBombError),
)

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".exr", ".pfm")


def read_array(path: str | os.PathLike[str], use: exr.Use = "picture") -> NDArray[Any]:
    """The array of a PNG, JPEG, TIFF, OpenEXR, PFM, npy or npz (entry ``data``) file: [H, W] or [H, W, C], in the file's type.

    Args:
        path: the file.
        use: what for: it decides which channels of an OpenEXR file are meant.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read as one of these formats, or holds no picture.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, and must be a file")
    content = path.read_bytes()
    try:
        array = exr.decode(content, use) if exr.is_exr(content) else _reader(path, content)(content)
    except _UNREADABLE as error:
        if isinstance(error, UnidentifiedImageError):
            error = ValueError("not a picture, or of an unknown format")
        raise ValueError(f"{path} cannot be read: {error}; expected {_expected(path)}") from None
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_) or np.iscomplexobj(array):
        raise ValueError(f"{path} holds {array.dtype} values, and must hold real numbers")
    if array.ndim not in (2, 3) or array.size == 0:
        raise ValueError(f"{path} has shape {array.shape}, and must be [H, W] or [H, W, C] and not empty")
    return array


def _reader(path: Path, content: bytes) -> Callable[[bytes], NDArray[Any]]:
    if pfm.is_pfm(content):
        return pfm.decode
    return {".npy": _read_npy, ".npz": _read_npz, ".tif": _read_tiff, ".tiff": _read_tiff}.get(
        path.suffix.lower(), _read_picture
    )


def _expected(path: Path) -> str:
    kinds = {".npy": "a whole .npy file", ".npz": "a whole .npz file with the entry 'data'"}
    kinds |= {".tif": "a whole TIFF file", ".tiff": "a whole TIFF file", ".png": "a whole PNG file"}
    kinds |= {".jpg": "a whole JPEG file", ".jpeg": "a whole JPEG file"}
    kinds |= {".exr": "a whole OpenEXR file", ".pfm": "a whole PFM file"}
    return kinds.get(path.suffix.lower(), "PNG, JPEG, TIFF, OpenEXR, PFM, npy or npz")


def _read_npy(content: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array


def _read_npz(content: bytes) -> NDArray[Any]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        if "data" not in file:
            raise ValueError(f"its entries are {list(file)}")
        array: NDArray[Any] = file["data"]
        return array


def _read_tiff(content: bytes) -> NDArray[Any]:
    tifffile = import_tifffile()
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            page = file.pages[0]
            array: NDArray[Any] = page.asarray()
            return np.moveaxis(array, 0, -1) if page.axes == "SYX" else array
    except Exception as error:  # tifffile raises whatever its parser meets: IndexError, struct.error, zlib.error …
        raise ValueError(str(error) or type(error).__name__) from None


def _read_picture(content: bytes) -> NDArray[Any]:
    if png16.is_deep_colour(content):
        return png16.decode(content)
    with PillowImage.open(io.BytesIO(content)) as file:
        picture = ImageOps.exif_transpose(file)
        if picture.mode in ("P", "PA"):
            picture = picture.convert("RGBA" if "transparency" in picture.info or picture.mode == "PA" else "RGB")
        if picture.mode not in ("1", "L", "LA", "RGB", "RGBA", "F") and not picture.mode.startswith("I"):
            raise ValueError(f"its colours are {picture.mode}, and must be RGB or grey")
        array = np.asarray(picture)
        # Some versions of Pillow give 16-bit grey as 32-bit integers.
        return array.astype(np.uint16) if picture.mode == "I" and array.min() >= 0 and array.max() < 65536 else array


def to_unit(array: NDArray[Any]) -> NDArray[np.float32]:
    """8- and 16-bit integers over the largest of their type, everything else as it is; float32."""
    if array.dtype in (np.uint8, np.uint16):
        return (array / np.float32(np.iinfo(array.dtype).max)).astype(np.float32)
    return array.astype(np.float32)
