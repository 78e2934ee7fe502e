"""Files of NumPy: npy, and the arrays of npz."""

import io
import math
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.formats.contents import ANYTHING, Contents, DamagedFileError, Wanted
from taichi_bokeh.io.limits import MAX_PIXELS, check_size

_LARGEST_ENTRY = 32 * MAX_PIXELS  # bytes: four channels of float64
_READ_HEADER = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_LONGEST_HEADER = 1 << 16
_MOST_ARRAYS = 1000
_LEAST_PART = 1 / 16  # of the largest array's pixels: what is smaller is a matrix or a list
_LEAST_SIDE = 16  # of the frames of a stack; what is narrower are channels

#: What networks and their scripts call the map, the best first.
_DISPARITIES = ("disparity", "disp", "disparities", "disps", "inverse_depth", "inv_depth")
_DEPTHS = ("depth", "depths", "metric_depth", "depth_map", "predicted_depth", "depth_pred", "depth_metric", "z")
_MAPS = ("data", "pred", "prediction", "map", "arr_0")
_IMAGES = ("data", "rgb", "image", "img", "arr_0")


T = TypeVar("T")


class _Array(NamedTuple):
    """An array of an npz file, by its header.

    Attributes:
        name: without its suffix.
        info: its entry.
        shape: of the numbers.
        dtype: of the numbers.
    """

    name: str
    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.name} {list(self.shape)} {self.dtype}"

    @property
    def is_map(self) -> bool:
        """Whether it has one number a pixel, and no truth values, which tell rather where a map is to be trusted."""
        return self.dtype != np.bool_ and not _has_channels(self.shape)

    @property
    def pixels(self) -> int:
        """How many of each frame; 0: it holds neither an image nor a map."""
        is_real = self.dtype.kind in "biuf" and math.prod(self.shape) > 1
        return math.prod(as_stack(self.shape)[1:]) if is_real else 0


def is_npy(content: bytes) -> bool:
    """Tell whether the bytes begin as an npy file does."""
    return content[:6] == np.lib.format.MAGIC_PREFIX


def is_npz(content: bytes) -> bool:
    """Tell whether the bytes begin as an npz file, a ZIP archive, does."""
    return content[:4] == b"PK\x03\x04"


def decode_npy(content: bytes, wanted: Wanted = ANYTHING) -> Contents:
    """Read the array of an npy file, without axes of 1 round an image; of a stack one frame.

    Raises:
        ValueError: the file is damaged, too large, holds objects, or a stack of which no frame is named.
    """
    values, count = _frame(_array(content), wanted.number)
    return Contents(values, "npy", frames=count)


def decode_npz(content: bytes, wanted: Wanted = ANYTHING) -> Contents:
    """Read one array of an npz file: that of the name that is wanted, or the only one that may be an image or a map.

    Of several, one that is called as networks call it is taken.

    Raises:
        ValueError: the file is damaged, too large, or has no such array, or several.
    """
    name, entry = _entry(content, wanted)
    return decode_npy(entry, wanted)._replace(format="npz", name=name)


def decode_stack(content: bytes, wanted: Wanted = ANYTHING) -> NDArray[Any]:
    """Read all frames of an npy or npz file, [N, H, W] or [N, H, W, C].

    Raises:
        ValueError: as `decode_npy` and `decode_npz`.
    """
    array = _array(_entry(content, wanted)[1] if is_npz(content) else content)
    values = array.reshape(_without_ones(array.shape))
    return values if as_stack(array.shape)[0] > 1 else values[None]


def _array(content: bytes) -> NDArray[Any]:
    """Read an npy file.

    Raises:
        ValueError: the file is damaged, too large, or holds objects.
    """
    file = io.BytesIO(content)
    try:
        shape, dtype = _header(file)
        _, rows, columns = as_stack(shape)
        if rows and columns:
            check_size(columns, rows)
        if not dtype.hasobject and len(content) - file.tell() < dtype.itemsize * math.prod(shape):
            raise ValueError("truncated npy data")
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # of a damaged header: SyntaxError, TypeError, EOFError, tokenize.TokenError …
        raise DamagedFileError(f"damaged npy header ({type(error).__name__})") from None


def _entry(content: bytes, wanted: Wanted) -> tuple[str, bytes]:
    """Unpack the array of an npz file that is wanted: its name, and its npy file.

    Raises:
        ValueError: the file is damaged, too large, or has no such array, or several.
    """

    def unpack(file: zipfile.ZipFile) -> tuple[str, bytes]:
        chosen = _chosen(_arrays(file), wanted)
        if chosen.info.file_size > _LARGEST_ENTRY:
            raise ValueError(f"its array {chosen.name!r} has {chosen.info.file_size} bytes, more than {_LARGEST_ENTRY}")
        return chosen.name, file.read(chosen.info)

    return _opened(content, unpack)


def _opened(content: bytes, look: Callable[[zipfile.ZipFile], T]) -> T:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            return look(file)
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError of encryption …
        raise DamagedFileError(str(error) or type(error).__name__) from None


def arrays_of(content: bytes) -> list[str]:
    """List the arrays of an npz file, with their shapes.

    Raises:
        ValueError: the file is damaged, or has too many.
    """
    return _opened(content, lambda file: [str(one) for one in _arrays(file)])


def as_stack(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Give the frames of an array, and the height and width of each; zeros for what has no image.

    Axes of 1 before the height and behind the width do not count. [N, H, W] and [N, H, W, C] are stacks where H and W are 16
    or more; [H, W, C] has at most 4 channels, or few columns.

    >>> [as_stack(shape) for shape in ((1, 40, 60), (40, 60, 3), (7, 40, 60), (2, 1, 40, 60), (7, 40, 60, 1), (5,))]
    [(1, 40, 60), (1, 40, 60), (7, 40, 60), (2, 40, 60), (7, 40, 60), (0, 0, 0)]
    """
    kept = _without_ones(shape)
    if len(kept) == 2 or (len(kept) == 3 and not _is_stack(kept)):
        return 1, kept[0], kept[1]
    if len(kept) == 3 or (len(kept) == 4 and kept[3] <= 4):
        return kept[0], kept[1], kept[2]
    return 0, 0, 0


def encode(values: NDArray[Any]) -> bytes:
    """Make the npy file of an array."""
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the shape and the type of an npy file, up to where its numbers begin."""
    read_header = _READ_HEADER.get(np.lib.format.read_magic(file))
    if read_header is None:
        raise ValueError("an npy file of an unknown version")
    shape, _, dtype = read_header(file)
    return shape, dtype


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Leave out axes of 1 before the height, and behind the width."""
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    while len(shape) > 2 and shape[0] == 1 and (len(shape) > 3 or shape[2] > 4):
        shape = shape[1:]
    return shape[:1] + shape[2:] if len(shape) == 4 and shape[1] == 1 and shape[3] > 4 else shape


def _has_channels(shape: tuple[int, ...]) -> bool:
    kept = _without_ones(shape)
    return len(kept) > 3 or (len(kept) == 3 and not _is_stack(kept))


def _is_stack(shape: tuple[int, ...]) -> bool:
    return min(shape[1:]) >= _LEAST_SIDE


def _frame(array: NDArray[Any], index: int | None) -> tuple[NDArray[Any], int]:
    """Give an image or map, and of how many it is one.

    Raises:
        ValueError: it is a stack, and none of them is named; or there is none of that number.
    """
    values = array.reshape(_without_ones(array.shape))
    count, height, width = as_stack(array.shape)
    if index is not None and not 0 <= index < max(count, 1):
        raise ValueError(f"it has no frame {index}: its shape is {list(array.shape)}, frames 0 to {max(count, 1) - 1}")
    if count <= 1 and values.ndim < 4:
        return values, 1
    if index is None and count:
        raise ValueError(
            f"it is a stack of {count} frames of {width}×{height} pixels, {list(array.shape)}: name one, from 0 to {count - 1} "
            "(--depth-frame), or take it for a sequence of as many images"
        )
    return (values[index], count) if count else (values, 1)


def _arrays(file: zipfile.ZipFile) -> list[_Array]:
    """Read the headers of the arrays of an npz file."""
    found: list[_Array] = []
    entries = file.infolist()
    if len(entries) > _MOST_ARRAYS:
        raise ValueError(f"it has {len(entries)} arrays, more than {_MOST_ARRAYS}")
    for info in entries:
        if not info.filename.endswith(".npy"):
            continue
        with file.open(info) as entry:
            shape, dtype = _header(io.BytesIO(entry.read(_LONGEST_HEADER)))
        found.append(_Array(info.filename.removesuffix(".npy"), info, shape, dtype))
    return found


def _chosen(arrays: list[_Array], wanted: Wanted) -> _Array:
    """Choose the array for a use.

    Raises:
        ValueError: there is none, or none of several is called as the map is usually.
    """
    listed = ", ".join(map(str, arrays)) or "none"
    if wanted.layer is not None:
        named = [one for one in arrays if one.name == wanted.layer]
        if not named:
            raise ValueError(f"it has no array {wanted.layer!r}; its arrays are {listed}")
        return named[0]
    most = max((one.pixels for one in arrays), default=0)
    if most == 0:
        raise ValueError(f"none of its arrays is an image or a map: {listed}")
    fit = [one for one in arrays if one.pixels >= _LEAST_PART * most]
    if wanted.use != "image":
        fit = [one for one in fit if one.is_map] or fit
    names = {"image": _IMAGES, "depth": (*_DEPTHS, *_MAPS), "disparity": (*_DISPARITIES, *_MAPS, *_DEPTHS)}[wanted.use]
    known = {one.name.lower(): one for one in reversed(fit)}
    best = next((known[name] for name in names if name in known), None)
    if best is None and len(fit) > 1:
        raise ValueError(f"several of its arrays may be the {wanted.use}: {listed}; --depth-layer NAME says which")
    return best or fit[0]
