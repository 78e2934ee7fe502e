"""Files of NumPy: npy, and npz with the entry ``data``."""

import io
import math
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.formats.contents import Contents, DamagedFileError
from taichi_bokeh.io.limits import MAX_PIXELS, check_size

_ENTRY = "data"
_LARGEST_ENTRY = 32 * MAX_PIXELS  # bytes: four channels of float64
_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def is_npy(content: bytes) -> bool:
    """Tell whether the bytes begin as an npy file does."""
    return content[:6] == np.lib.format.MAGIC_PREFIX


def is_npz(content: bytes) -> bool:
    """Tell whether the bytes begin as an npz file, a ZIP archive, does."""
    return content[:4] == b"PK\x03\x04"


def decode_npy(content: bytes) -> Contents:
    """Read the array of an npy file.

    Raises:
        ValueError: the file is damaged, too large, or holds objects.
    """
    file = io.BytesIO(content)
    try:
        read_header = _READ_HEADER.get(np.lib.format.read_magic(file))
        if read_header is None:
            raise ValueError("an npy file of an unknown version")
        shape, _, dtype = read_header(file)
        if len(shape) in (2, 3) and 0 not in shape:
            check_size(shape[1], shape[0])
        if not dtype.hasobject and len(content) - file.tell() < dtype.itemsize * math.prod(shape):
            raise ValueError("truncated npy data")
        file.seek(0)
        return Contents(np.lib.format.read_array(file, allow_pickle=False), "npy")
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # of a damaged header: SyntaxError, TypeError, EOFError, tokenize.TokenError …
        raise DamagedFileError(f"damaged npy header ({type(error).__name__})") from None


def decode_npz(content: bytes) -> Contents:
    """Read the entry ``data`` of an npz file.

    Raises:
        ValueError: the file is damaged, too large, or has no such entry.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            entry = next((info for info in file.infolist() if info.filename.removesuffix(".npy") == _ENTRY), None)
            if entry is None:
                names = [name.removesuffix(".npy") for name in file.namelist()]
                raise ValueError(f"its entries are {names}, and one must be {_ENTRY!r}")
            if entry.file_size > _LARGEST_ENTRY:
                raise ValueError(f"its entry {_ENTRY!r} has {entry.file_size} bytes, more than {_LARGEST_ENTRY}")
            return decode_npy(file.read(entry))._replace(format="npz")
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # BadZipFile, zlib.error, EOFError, NotImplementedError …
        raise DamagedFileError(str(error) or type(error).__name__) from None


def encode(values: NDArray[Any]) -> bytes:
    """Make the npy file of an array."""
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()
