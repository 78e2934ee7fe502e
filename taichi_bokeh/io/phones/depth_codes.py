"""What the samples of a phone's depth map mean, by the code that its file names. All become disparity, larger is nearer.

With s the sample over the largest one:

    Google's RangeInverse   1/z = 1/near + s·(1/far − 1/near)
    Google's RangeLinear      z = near + s·(far − near)
    disparity (Apple, HEVC)   d = low + s·(high − low)
    HEVC's inverse Z        1/z = 1/far + s·(1/near − 1/far)
    HEVC's Z                  z = near + s·(far − near)
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.arrays import to_unit

Array = NDArray[np.float32]

_METRES = {"m": 1.0, "meters": 1.0, "metres": 1.0, "mm": 1000.0, "millimeters": 1000.0}  # of an attribute of Google's, a metre
_INVERSE_Z, _DISPARITY, _Z = 0, 1, 2  # depth_representation_type of H.265


@dataclass(frozen=True)
class DepthCode:
    """How samples in [0, 1] become disparity.

    Attributes:
        kind: samples grow evenly in "disparity", or "linear", evenly in depth.
        at_0: what a sample of 0 means: a disparity, or a depth.
        at_1: the largest sample.
        is_per_metre: the disparity is in 1/m; else it has a unit of its own.
    """

    kind: Literal["disparity", "linear"]
    at_0: float
    at_1: float
    is_per_metre: bool = False

    def disparity(self, samples: NDArray[Any]) -> Array:
        """Decode samples [h, w], integers of 8 or 16 bits; depth of 0 or less is a hole, NaN."""
        values = self.at_0 + to_unit(samples) * np.float32(self.at_1 - self.at_0)
        if self.kind == "linear":
            with np.errstate(divide="ignore"):
                values = np.where(values > 0, 1 / values, np.nan)
        return values.astype(np.float32)

    def __str__(self) -> str:
        ends = sorted((self.at_0, self.at_1))
        if self.kind == "linear":
            return f"depth {ends[0]:.4g} to {ends[1]:.4g}{' m' if self.is_per_metre else ' of its own unit'}"
        return f"disparity {ends[0]:.4g} to {ends[1]:.4g}{' 1/m' if self.is_per_metre else ' of its own unit'}"


#: Of a file that tells no range: larger is nearer, as all disparity.
UNKNOWN = DepthCode("disparity", 0.0, 1.0)


def google(facts: Mapping[str, str]) -> DepthCode:
    """Read Format, Near, Far and Units of GDepth or Dynamic Depth; a range that cannot be is left out, black staying near.

    Raises:
        ValueError: the format is another.
    """
    form = facts.get("Format", "RangeInverse")
    if form not in ("RangeInverse", "RangeLinear"):
        raise ValueError(f"its depth is in the format {form[:40]!r}; expected RangeInverse or RangeLinear")
    near, far = number(facts, "Near"), number(facts, "Far")
    per_metre = _METRES.get(facts.get("Units", "").strip().lower())
    scale = per_metre or 1.0
    if not (0 < near < far):
        return DepthCode("disparity", 1.0, 0.0)
    if form == "RangeLinear":
        return _linear(near / scale, far / scale, per_metre is not None)
    return DepthCode("disparity", scale / near, scale / far, per_metre is not None)


def apple(facts: Mapping[str, str]) -> DepthCode:
    """Read the type and the range of an auxiliary image of Apple's; relative accuracy is not taken for 1/m."""
    low, high = number(facts, "FloatMinValue"), number(facts, "FloatMaxValue")
    if not (math.isfinite(high - low) and low < high):
        return UNKNOWN
    is_per_metre = facts.get("Accuracy", "").lower() == "absolute"
    if facts.get("AuxiliaryImageType", "disparity").lower() == "depth":
        return _linear(low, high, is_per_metre)
    return DepthCode("disparity", low, high, is_per_metre)


def hevc(facts: Mapping[str, Any]) -> DepthCode:
    """Read the depth representation of a HEVC picture, as pillow-heif gives it."""
    kind = facts.get("representation_type")
    low, high = (float(facts.get(name) or 0) for name in ("d_min", "d_max"))
    near, far = (float(facts.get(name) or 0) for name in ("z_near", "z_far"))
    if kind == _DISPARITY and low < high:
        return DepthCode("disparity", low, high)
    if 0 < near < far and kind == _Z:
        return _linear(near, far, False)
    if 0 < near < far and kind == _INVERSE_Z:
        return DepthCode("disparity", 1 / far, 1 / near)
    return DepthCode("disparity", 1.0, 0.0) if kind == _Z else UNKNOWN


def number(facts: Mapping[str, str], name: str) -> float:
    """Read a number; NaN where there is none that is finite."""
    try:
        value = float(facts.get(name, "nan"))
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _linear(near: float, far: float, is_per_metre: bool) -> DepthCode:
    """Depth evenly between two depths; where 0 is one of them, only the order is known: its disparity would be infinite."""
    return DepthCode("linear", near, far, is_per_metre) if near > 0 else DepthCode("disparity", 1.0, 0.0)
