"""Read the numbers of a file, with one clear error for whatever is wrong with it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io import exr
from taichi_bokeh.io.formats import heif, numpy_files
from taichi_bokeh.io.formats.contents import Contents, DamagedFileError, Use, Wanted
from taichi_bokeh.io.registry import expected_of, format_of

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".exr", ".pfm", ".avif", *heif.SUFFIXES)


def read_array(
    path: str | os.PathLike[str],
    use: Use = "image",
    layer: str | None = None,
    frame: exr.Frame | None = None,
    index: int | None = None,
) -> NDArray[Any]:
    """Read the array of a file of any format in `registry.FORMATS`, in the file's own type.

    Args:
        path: the file.
        use: what for: it decides which channels of an OpenEXR file, or which array of an npz file, are meant.
        layer: the name of the layer, or array; None: the only one that is fit.
        frame: of the image that an OpenEXR file is for; None: what is shown is given. Where it holds nothing, maps of floats
            are NaN, all else is 0.
        index: which frame of a stack, from 0; None: there is only one.

    Returns:
        [H, W] or [H, W, C]; no colour profile is obeyed.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the system refuses to read it.
        ValueError: it cannot be read as one of these formats, or holds no image.
    """
    return placed(read_contents(path, use, layer, index), path, use, frame)


def placed(contents: Contents, path: str | os.PathLike[str], use: Use, frame: exr.Frame | None) -> NDArray[Any]:
    """Give the values of a file as `read_array` does.

    Raises:
        ValueError: they are inks.
    """
    if contents.is_cmyk:
        raise ValueError(f"{path} holds inks (CMYK), and must be grey or RGB")
    if contents.frame is None:
        return contents.values
    here = contents.frame.display if frame is None or frame.display != contents.frame.display else frame.data
    is_map = use != "image" and np.issubdtype(contents.values.dtype, np.floating)
    return exr.moved(contents.values, contents.frame.data, here, np.nan if is_map else 0)


def read_contents(
    path: str | os.PathLike[str], use: Use = "image", layer: str | None = None, index: int | None = None
) -> Contents:
    """Read what a file holds; its format follows from its content.

    Args:
        path: the file.
        use: as of `read_array`.
        layer: likewise.
        index: likewise.

    Raises:
        FileNotFoundError, OSError, ValueError: as `read_array`.
    """
    path = Path(path)
    content = read_bytes(path)
    try:
        contents = _decode(content, Wanted(use, layer, index))
    except ValueError as error:
        raise refusal(path, error) from None
    values = contents.values
    if not (np.issubdtype(values.dtype, np.number) or values.dtype == np.bool_) or np.iscomplexobj(values):
        raise ValueError(f"{path} holds {values.dtype} values, and must hold real numbers")
    if values.ndim not in (2, 3) or values.size == 0:
        raise ValueError(f"{path} has shape {values.shape}, and must be [H, W] or [H, W, C] and not empty")
    return contents._replace(values=values.astype(values.dtype.newbyteorder("="), copy=False))  # some are big-endian


def read_stack(path: str | os.PathLike[str], use: Use = "image", layer: str | None = None) -> Iterator[NDArray[Any]]:
    """Read all frames of a file that may hold several, one after the other.

    Raises:
        FileNotFoundError, OSError, ValueError: as `read_array`.
    """
    content = read_bytes(Path(path))
    if numpy_files.is_npy(content) or numpy_files.is_npz(content):
        try:
            yield from numpy_files.decode_stack(content, Wanted(use, layer))
        except ValueError as error:
            raise refusal(path, error) from None
        return
    for index in range(read_contents(path, use, layer, 0).frames):
        yield read_contents(path, use, layer, index).values


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
        expected = f"; expected {expected_of(Path(path).suffix.lower())}"
    return ValueError(f"{path} cannot be read: {error}{expected}")


def to_unit(array: NDArray[Any]) -> NDArray[np.float32]:
    """Divide 8- and 16-bit integers by the largest of their type, everything else as it is; float32."""
    if array.dtype in (np.uint8, np.uint16):
        return (array / np.float32(np.iinfo(array.dtype).max)).astype(np.float32)
    with np.errstate(over="ignore"):  # what float32 does not hold is infinite
        return array.astype(np.float32)


def _decode(content: bytes, wanted: Wanted) -> Contents:
    if not content:
        raise ValueError("it is empty")
    found = format_of(content)
    if wanted.layer is not None and not found.has_layers:
        raise ValueError(f"it is no OpenEXR or npz file, and so has no layer {wanted.layer!r}")
    if wanted.number and not found.has_frames:
        raise ValueError(f"it is no stack, and so has no frame {wanted.number}")
    return found.decode(content, wanted)
