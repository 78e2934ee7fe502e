"""What a map would mean, read in one way or another: files seldom say it, so a person has to choose."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.depth.calibration import read_calibration
from taichi_bokeh.io.depth.code import SCALED, MapCode

_MILLIMETRES_FROM = 100  # in the median: depth in metres is hardly as far
_FARTHEST = 1e-6  # in 1/m: renderers write 1e10 where there is nothing
_CALIBRATION = "calib.txt"

#: Of depth in integers of 16 bits: the unit, and who writes it.
_UNITS = {
    "mm": "millimetres",
    "0.25mm": "quarters of a millimetre",
    "5000/m": "5000 steps a metre",
    "256/m": "256 steps a metre",
}

_Way = tuple[str, str, MapCode]  # options, meaning, code


@dataclass(frozen=True)
class Reading:
    """One way to read a map.

    Attributes:
        options: of the command line, which choose it; empty: none.
        meaning: what its numbers then are.
        nearest: of what it holds, "0.31 m" or "disparity 0.8".
        farthest: likewise.
        hole_share: part of the pixels that are then holes.
    """

    options: str
    meaning: str
    nearest: str
    farthest: str
    hole_share: float


def readings_of(plane: NDArray[Any], is_named_depth: bool, path: Path) -> tuple[Reading, ...]:
    """List the ways to read a map [H, W], the default first.

    Args:
        plane: in the file's own type.
        is_named_depth: the file calls it depth.
        path: of the file, beside which a calib.txt may lie.
    """
    found = []
    for options, meaning, code in _ways(plane, is_named_depth, path):
        try:
            disparity = code.disparity(plane, str(path))
        except ValueError:  # nothing would be left of it
            continue
        near, far = float(np.nanmax(disparity)), float(np.nanmin(disparity))
        is_metric = code.is_per_metre or (code.depth and plane.dtype not in SCALED)
        nearest, farthest = (_metres(value) if is_metric else f"disparity {value:.4g}" for value in (near, far))
        found.append(Reading(options, meaning, nearest, farthest, float(np.isnan(disparity).mean())))
    return tuple(found)


def _ways(plane: NDArray[Any], is_named_depth: bool, path: Path) -> Iterator[_Way]:
    scaled = plane.dtype in SCALED
    if is_named_depth:
        yield "--inverse-depth", "one over depth, so disparity", MapCode(is_inverse=True)
    else:
        yield "", "disparity scaled to [0, 1]" if scaled else "disparity as it is", MapCode()
        yield "--invert-disparity", "the same turned round: larger is farther", MapCode(invert=True)
    if not is_named_depth and (path.parent / _CALIBRATION).is_file():
        yield from _by_calibration(path.parent / _CALIBRATION)
    yield "--depth", "depth of no known unit" if scaled else "depth, if it has a unit in metres", MapCode(depth=True)
    if plane.dtype == np.uint16 or (plane.dtype.itemsize > 2 and plane.dtype.kind in "iu"):
        for unit, name in _UNITS.items():
            yield f"--depth --depth-unit {unit}", f"depth in {name}", MapCode(depth=True, unit=unit)
    elif plane.dtype.kind == "f" and (plane >= _MILLIMETRES_FROM).sum() * 2 >= max(1, (plane > 0).sum()):
        yield "--depth --depth-unit mm", "depth in millimetres", MapCode(depth=True, unit="mm")


def _by_calibration(path: Path) -> Iterator[_Way]:
    try:
        rig = read_calibration(path)
    except (ValueError, OSError):
        return
    yield f"--calib {path}", "the shift between two images in px, by the cameras' calibration", MapCode(rig=rig)


def _metres(disparity: float) -> str:
    return f"{1 / disparity:.4g} m" if disparity > _FARTHEST else "infinitely far" if disparity >= 0 else "behind the lens"
