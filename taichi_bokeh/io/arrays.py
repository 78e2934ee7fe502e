"""Read the numbers of a file, with one clear error for whatever is wrong with it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io import exr
from taichi_bokeh.io.formats import heif, numpy_files, pfm, raster, tiff
from taichi_bokeh.io.formats.contents import Contents, DamagedFileError

_EXPECTED = {
    ".npy": "a whole .npy file",
    ".npz": "a whole .npz file with the entry 'data'",
    ".tif": "a whole TIFF file",
    ".tiff": "a whole TIFF file",
    ".png": "a whole PNG file",
    ".jpg": "a whole JPEG file",
    ".jpeg": "a whole JPEG file",
    ".exr": "a whole OpenEXR file",
    ".pfm": "a whole PFM file",
    ".avif": "a whole AVIF file",
    **dict.fromkeys(heif.SUFFIXES, "a whole HEIC file"),
}

_DECODERS = (
    (pfm.is_pfm, pfm.decode),
    (tiff.is_tiff, tiff.decode),
    (numpy_files.is_npy, numpy_files.decode_npy),
    (numpy_files.is_npz, numpy_files.decode_npz),
    (heif.is_heif, heif.decode),
)

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".exr", ".pfm", ".avif", *heif.SUFFIXES)


def read_array(
    path: str | os.PathLike[str], use: exr.Use = "image", layer: str | None = None, frame: exr.Frame | None = None
) -> NDArray[Any]:
    """Read the array of a PNG, JPEG, TIFF, OpenEXR, PFM, npy or npz (entry ``data``) file, in the file's own type.

    Args:
        path: the file.
        use: what for: it decides which channels of an OpenEXR file are meant.
        layer: the name of their layer; None: the only one that is fit.
        frame: of the image that an OpenEXR file is for; None: what is shown is given. Where it holds nothing, maps of floats
            are NaN, all else is 0.

    Returns:
        [H, W] or [H, W, C]; no colour profile is obeyed.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the system refuses to read it.
        ValueError: it cannot be read as one of these formats, or holds no image.
    """
    contents = read_contents(path, use, layer)
    if contents.is_cmyk:
        raise ValueError(f"{path} holds inks (CMYK), and must be grey or RGB")
    if contents.frame is None:
        return contents.values
    here = contents.frame.display if frame is None or frame.display != contents.frame.display else frame.data
    is_map = use != "image" and np.issubdtype(contents.values.dtype, np.floating)
    return exr.moved(contents.values, contents.frame.data, here, np.nan if is_map else 0)


def read_contents(path: str | os.PathLike[str], use: exr.Use = "image", layer: str | None = None) -> Contents:
    """Read what a file holds; its format follows from its content.

    Args:
        path: the file.
        use: as of `read_array`.
        layer: likewise.

    Raises:
        FileNotFoundError, OSError, ValueError: as `read_array`.
    """
    path = Path(path)
    content = read_bytes(path)
    try:
        contents = _decode(content, use, layer)
    except ValueError as error:
        raise refusal(path, error) from None
    values = contents.values
    if not (np.issubdtype(values.dtype, np.number) or values.dtype == np.bool_) or np.iscomplexobj(values):
        raise ValueError(f"{path} holds {values.dtype} values, and must hold real numbers")
    if values.ndim not in (2, 3) or values.size == 0:
        raise ValueError(f"{path} has shape {values.shape}, and must be [H, W] or [H, W, C] and not empty")
    return contents._replace(values=values.astype(values.dtype.newbyteorder("="), copy=False))  # some are big-endian


def read_bytes(path: Path) -> bytes:
    """Read all of a file.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the system refuses to read it.
        ValueError: it is a folder.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, and must be a file")
    return path.read_bytes()


def refusal(path: str | os.PathLike[str], error: ValueError) -> ValueError:
    """Make the error that says what is wrong with a file, with its name."""
    expected = ""
    if isinstance(error, DamagedFileError):
        expected = "; expected " + _EXPECTED.get(Path(path).suffix.lower(), "PNG, JPEG, HEIC, TIFF, OpenEXR, PFM, npy or npz")
    return ValueError(f"{path} cannot be read: {error}{expected}")


def to_unit(array: NDArray[Any]) -> NDArray[np.float32]:
    """Divide 8- and 16-bit integers by the largest of their type, everything else as it is; float32."""
    if array.dtype in (np.uint8, np.uint16):
        return (array / np.float32(np.iinfo(array.dtype).max)).astype(np.float32)
    return array.astype(np.float32)


def _decode(content: bytes, use: exr.Use, layer: str | None) -> Contents:
    if not content:
        raise ValueError("it is empty")
    if exr.is_exr(content):
        return exr.decode(content, use, layer)
    if layer is not None:
        raise ValueError(f"it is no OpenEXR file, and so has no layer {layer!r}")
    return next((decode for begins, decode in _DECODERS if begins(content)), raster.decode)(content)
