"""Two cameras side by side, as the ``calib.txt`` of Middlebury's stereo photographs describes them."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.arrays import read_bytes

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_LINE = re.compile(rf"^\s*(\w+)\s*=\s*\[?\s*({_NUMBER})", re.MULTILINE)
_LONGEST = 1 << 16  # bytes


@dataclass(frozen=True)
class StereoRig:
    """Two equal cameras, one beside the other.

    Attributes:
        focal_length_px: in pixels.
        baseline_m: how far they are apart.
        offset_px: by how much the principal point of the right one lies farther to the right (doffs).
        width: of their images in pixels; None: any.
    """

    focal_length_px: float
    baseline_m: float
    offset_px: float = 0.0
    width: int | None = None

    def per_metre(self, shift_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Make disparity in 1/m of the shift between both images in pixels: (shift + offset) / (focal length · baseline)."""
        return (shift_px + self.offset_px) / (self.focal_length_px * self.baseline_m)


def read_calibration(path: str | os.PathLike[str]) -> StereoRig:
    """Read ``cam0``, ``baseline`` (in mm), ``doffs`` (in px; 0 where it is not told) and ``width`` of a calib.txt.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the system refuses to read it.
        ValueError: it does not tell them, or not as numbers above 0.
    """
    content = read_bytes(Path(path))
    text = content[:_LONGEST].decode("utf-8", errors="replace")
    found = {name: float(number) for name, number in _LINE.findall(text)}
    if missing := [name for name in ("cam0", "baseline") if name not in found]:
        raise ValueError(f"{path} tells no {' and no '.join(missing)}; expected lines as cam0=[f 0 cx; …] and baseline=193.001")
    focal_length_px, baseline_mm = found["cam0"], found["baseline"]
    for name, value in (("cam0", focal_length_px), ("baseline", baseline_mm)):
        if not 0 < value < float("inf"):
            raise ValueError(f"{path} tells {name}={value:g}; expected a number above 0")
    width = found.get("width", 0.0)
    return StereoRig(focal_length_px, baseline_mm / 1000, found.get("doffs", 0.0), int(width) if 0 < width < 1e9 else None)
