"""Write maps: one number a pixel, kept to the last bit."""

import os
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io import exr
from taichi_bokeh.io.extras import check_package
from taichi_bokeh.io.formats import numpy_files, pfm, tiff
from taichi_bokeh.storage.atomic_files import check_output, write_atomically

MapChannel = Literal["Z", "Y"]

MAP_SUFFIXES = (".exr", ".pfm", ".npy", ".tif", ".tiff")


def write_map(
    path: str | os.PathLike[str], values: NDArray[np.floating[Any]], *, channel: MapChannel = "Y", overwrite: bool = False
) -> None:
    """Write disparity, depth, confidence or the like as OpenEXR, PFM, npy or TIFF, by the suffix of ``path``.

    The file holds float32 and appears whole or not at all. ``read_disparity`` reads its finite numbers back bit for bit.

    Args:
        path: the file to write.
        values: [H, W]. NaN (a hole) and infinite values are kept.
        channel: what an EXR file calls the numbers: "Z" for depth, which is then read with ``depth=True`` only; "Y" for all
            else. Other formats have no names.
        overwrite: replace a file of that name.

    Raises:
        FileExistsError: the file exists and ``overwrite`` is false.
        FileNotFoundError: its folder does not exist.
        TypeError: ``values`` is no array of floats.
        ValueError: its shape, the suffix or ``channel`` do not fit, or a number is too large for float32.
    """
    check_map_format(path, channel)
    check_output(path, overwrite)
    if not isinstance(values, np.ndarray) or not np.issubdtype(values.dtype, np.floating):
        found = f"dtype {values.dtype}" if isinstance(values, np.ndarray) else f"type {type(values).__name__}"
        raise TypeError(f"values is of {found}; expected a NumPy array of floats")
    if values.ndim != 2 or values.size == 0:
        raise ValueError(f"values has shape {list(values.shape)}; expected [H, W]")
    with np.errstate(over="ignore"):
        plane = np.ascontiguousarray(values, np.float32)
    if (np.isinf(plane) & np.isfinite(values)).any():
        raise ValueError(f"values has numbers up to {np.nanmax(np.abs(values)):g}; expected what float32 can hold")
    write_atomically(path, _encode(Path(path).suffix.lower(), plane, channel), overwrite)


def check_map_format(path: str | os.PathLike[str], channel: MapChannel = "Y") -> None:
    """Raise ValueError unless ``write_map`` can write a file of this name."""
    suffix = Path(path).suffix.lower()
    if suffix not in MAP_SUFFIXES:
        raise ValueError(f"{path} has the suffix {suffix!r}; expected one of {', '.join(MAP_SUFFIXES)}")
    if channel not in get_args(MapChannel):
        raise ValueError(f"channel is {channel!r}; expected 'Z' or 'Y'")
    check_package(suffix)


def _encode(suffix: str, plane: NDArray[np.float32], channel: MapChannel) -> bytes:
    if suffix == ".exr":
        return exr.encode({channel: plane})
    if suffix == ".pfm":
        return pfm.encode(plane)
    return numpy_files.encode(plane) if suffix == ".npy" else tiff.encode(plane)
