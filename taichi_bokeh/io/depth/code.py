"""How the numbers of a map become disparity, larger is nearer."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.arrays import to_unit
from taichi_bokeh.io.depth.calibration import StereoRig
from taichi_bokeh.io.depth.holes import holes_of, is_strewn
from taichi_bokeh.io.exr import Frame
from taichi_bokeh.io.formats.contents import Use

Array = NDArray[np.float32]
Say = Callable[[str], None]

SCALED = (np.bool_, np.uint8, np.uint16)  # types whose numbers are divided by the largest
_METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
_UNIT = re.compile(r"(?P<count>\d*\.?\d+(?:[eE][-+]?\d+)?)?(?P<name>/m|/px|m|cm|mm)")
_UNITS = "'m', 'cm', 'mm', steps a metre as '5000/m', or the length of a step as '0.25mm'"
_TOO_NEAR = 100  # times: depth without a unit that is so much nearer than most is more likely relative


@dataclass(frozen=True)
class MapCode:
    """What the numbers of a map are.

    Attributes:
        depth: depth, so that disparity is one over it; what is infinite has disparity 0.
        unit: of the depth: "m", "cm", "mm", steps a metre as "5000/m", or the length of a step as "0.25mm"; disparity is then
            in 1/m. None: any, integers of 8 and 16 bits scaled to [0, 1]. Of a rig's shift: steps a pixel as "256/px"; None:
            px.
        invert: larger is farther, though it is no depth.
        holes: the numbers that stand for nothing measured; None: those that look as if they did.
        span: the disparities that the smallest sample and the largest stand for, the other way round with `invert`. Samples are
            integers of 8 or 16 bits, or floats in [0, 1].
        rig: the cameras, if it is the shift between two images in px; disparity is then in 1/m.
        focal_length: in widths of the image, if depth is measured along the rays from the lens; None: along its axis.
        relative: depth without a unit is relative, from 0 (near) to 1, so that disparity is 1 − depth; None: if it begins at
            0 and ends at 1.
        is_inverse: what the file calls depth (the channel Z of OpenEXR) is one over it, so disparity.
    """

    depth: bool = False
    unit: str | None = None
    invert: bool = False
    holes: tuple[float, ...] | None = None
    span: tuple[float, float] | None = None
    rig: StereoRig | None = None
    focal_length: float | None = None
    relative: bool | None = None
    is_inverse: bool = False

    def __post_init__(self) -> None:
        if self.unit is not None and _steps(self.unit) and self.unit.endswith("/px") and (self.rig is None or self.span):
            raise ValueError(f"unit is {self.unit!r}, which is one of a rig's shifts; expected a rig, and no span")
        for name in ("unit", "focal_length"):
            given = getattr(self, name)
            if given is not None and not self.depth and not str(given).endswith("/px"):
                raise ValueError(f"{name} is {given!r}, which is one of depth; expected None without depth=True")
        if self.depth and self.invert:
            raise ValueError("invert is True; expected False with depth=True, as larger depth is farther already")
        for name in ("span", "rig", "is_inverse"):
            if getattr(self, name) and self.depth:
                raise ValueError(f"{name} is {getattr(self, name)!r}, which is one of disparity; expected none with depth=True")
        if self.focal_length is not None and not self.focal_length > 0:
            raise ValueError(f"focal_length is {self.focal_length!r}; expected a number above 0")

    @property
    def is_per_metre(self) -> bool:
        """Whether it is known to give disparity in 1/m."""
        return self.unit is not None or self.span is not None or self.rig is not None

    @property
    def use(self) -> Use:
        """What is looked for in a file of several things."""
        return "depth" if self.depth or self.is_inverse else "disparity"

    def disparity(self, raw: NDArray[Any], source: str, say: Say = lambda _: None, frame: Frame | None = None) -> Array:
        """Make disparity of the numbers of a map.

        Args:
            raw: [H, W], in the file's own type.
            source: the name of the file.
            say: is told what was guessed.
            frame: where a map of an OpenEXR file lies, which may go beyond the image.

        Returns:
            float32 [H, W]; NaN at the holes.

        Raises:
            ValueError: every pixel is a hole, or the numbers are none of which this can be.
        """
        hole = self._holes(raw, source, say)
        if not self.depth:
            return as_disparity(np.where(hole, np.float32(np.nan), self._of_disparity(raw, hole, source)), False, source)
        if self.unit is not None:
            values = to_unit(raw.astype(np.float64) / _steps(self.unit))
        else:
            values = to_unit(raw)
            if self._is_relative(np.where(hole, np.float32(np.nan), values), source, say):
                return as_disparity(np.where(hole, np.float32(np.nan), np.maximum(1 - values, 0)), False, source)
        if self.focal_length is not None:
            values = _along_axis(values, self.focal_length, frame)
        return as_disparity(np.where(hole, np.float32(np.nan), values), True, source)

    def unit_range(self, raw: NDArray[Any]) -> tuple[float, float] | None:
        """Find the smallest and largest of a map's numbers that are no holes, integers of 8 and 16 bits scaled to [0, 1]."""
        values = to_unit(raw)[~self._holes(raw, "", lambda _: None)]
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else None

    def _holes(self, raw: NDArray[Any], source: str, say: Say) -> NDArray[np.bool_]:
        """Where nothing was measured, by the numbers that say so; NaN and the like are found later."""
        if self.holes is not None:
            return _is_one_of(raw, self.holes)
        mask = np.zeros(raw.shape, bool)
        for value, share, reason in holes_of(raw, self.depth):
            say(f"{source}: {value:g} ({share:.1%} of the pixels) is taken for a hole: {reason} (--hole none keeps it)")
            mask |= raw == value
        return mask

    def _of_disparity(self, raw: NDArray[Any], hole: NDArray[np.bool_], source: str) -> NDArray[Any]:
        if self.span is None and self.rig is None:
            unit = to_unit(raw)
            with np.errstate(invalid="ignore"):  # NaN may stand as a number that processors do not like
                return (np.float32(1 if raw.dtype in SCALED else 0) - unit) if self.invert else unit
        if self.span is not None:
            values = self._in_span(raw, hole, source)
        else:
            values = raw.astype(np.float64) / (1 if self.unit is None else _steps(self.unit))
        return to_unit(values if self.rig is None else self._per_metre(self.rig, values, hole, source))

    def _in_span(self, raw: NDArray[Any], hole: NDArray[np.bool_], source: str) -> NDArray[np.float64]:
        """Bring samples to the range that is told for them."""
        assert self.span is not None
        values = to_unit(raw).astype(np.float64)
        known = values[~hole & np.isfinite(values)]
        if known.size and not (known.min() >= 0 and known.max() <= 1):
            raise ValueError(
                f"{source} has numbers from {known.min():g} to {known.max():g}; expected integers of 8 or 16 bits, or "
                "floats in [0, 1], for a range of disparity"
            )
        low, high = self.span
        return low + (1 - values if self.invert else values) * (high - low)

    def _per_metre(
        self, rig: StereoRig, shift_px: NDArray[np.float64], hole: NDArray[np.bool_], source: str
    ) -> NDArray[np.float64]:
        """Make disparity in 1/m of the shift between two images."""
        width = shift_px.shape[1]
        if rig.width not in (None, width):
            raise ValueError(f"{source} is {width} pixels wide, and its calibration is one for {rig.width}: expected the same")
        largest = np.abs(shift_px[~hole & np.isfinite(shift_px)]).max(initial=0)
        if largest > width:
            raise ValueError(
                f"{source} would tell of shifts up to {largest:g} px in {width} px; expected px, or a unit of steps a px: "
                "'256/px' as KITTI's, '16/px' as semi-global matching's"
            )
        return rig.per_metre(shift_px)

    def _is_relative(self, values: Array, source: str, say: Say) -> bool:
        """Whether depth without a unit is relative, of which the nearest is 0."""
        finite = values[np.isfinite(values)]
        if self.relative is not None or not finite.size:
            return bool(self.relative)
        if looks_relative(finite) and not is_strewn(values):
            say(
                f"{source}: its depth goes from 0 to 1, so it is taken as relative, 0 is nearest: disparity is 1 - depth "
                "(--hole 0 if 0 is a hole; --depth-unit if it has a unit)"
            )
            return True
        positive = finite[finite > 0]
        if positive.size and finite.max() <= 1 and np.median(positive) > _TOO_NEAR * positive.min():
            say(
                f"{source}: warning: the nearest depth is {positive.min():.3g}, most of it {np.median(positive):.3g}: if it is "
                "relative, --invert-disparity instead of --depth"
            )
        return False


def _is_one_of(raw: NDArray[Any], numbers: tuple[float, ...]) -> NDArray[np.bool_]:
    """Where a map has one of these numbers; -16 is also what it becomes in unsigned integers, 65520."""
    if np.issubdtype(raw.dtype, np.floating):
        with np.errstate(over="ignore"):
            return np.isin(raw, np.array(numbers, np.float64).astype(raw.dtype))
    wanted = set(numbers)
    if np.issubdtype(raw.dtype, np.unsignedinteger):
        wanted |= {number + np.iinfo(raw.dtype).max + 1 for number in numbers if number < 0}
    return np.isin(raw.astype(np.float64), sorted(wanted))


def _steps(unit: str) -> float:
    """Find how many steps of a unit are a metre, or a pixel.

    >>> [_steps(unit) for unit in ("m", "mm", "5000/m", "0.25mm", "16/px")]
    [1.0, 1000.0, 5000.0, 4000.0, 16.0]

    Raises:
        ValueError: it is none.
    """
    found = _UNIT.fullmatch(unit)
    count = float(found["count"] or 1) if found else 0.0
    if found is None or not 0 < count < float("inf") or (found["name"] in ("/m", "/px") and found["count"] is None):
        raise ValueError(f"unit is {unit!r}; expected {_UNITS} or None")
    return count if found["name"] in ("/m", "/px") else round(1 / (count * _METRES[found["name"]]), 12)


def looks_relative(values: NDArray[Any]) -> bool:
    """Tell whether finite numbers fill [0, 1], as relative depth and disparity do."""
    return bool(values.size and values.min() == 0 and abs(float(values.max()) - 1) < 1e-3)


def as_disparity(values: Array, depth: bool, source: str) -> Array:
    """Make disparity of values [H, W], NaN at the holes; with `depth` they are depth, 0 and less are holes, infinity is far.

    Raises:
        ValueError: every pixel is a hole; the message names the source.
    """
    if depth:
        hole = ~(values > 0)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            values = np.float32(1) / values
        hole |= ~np.isfinite(values)
    else:
        hole = ~np.isfinite(values)
    if hole.all():
        raise ValueError(f"{source} holds no valid {'depth' if depth else 'disparity'}: every pixel is a hole")
    return np.where(hole, np.float32(np.nan), values).astype(np.float32)


def _along_axis(values: Array, focal_length: float, frame: Frame | None) -> Array:
    """Make depth along the axis of depth along the rays through the centre of a lens, [H, W]."""
    (height, width), left, top = values.shape, 0, 0
    if frame is not None and frame.data != frame.display and values.shape == frame.data.shape:
        left, top = frame.data.left - frame.display.left, frame.data.top - frame.display.top
        height, width = frame.display.shape
    scale = 1 / (focal_length * width)
    x = (np.arange(values.shape[1]) + 0.5 + left - width / 2) * scale
    y = (np.arange(values.shape[0]) + 0.5 + top - height / 2) * scale
    return (values / np.sqrt(1 + x**2 + y[:, None] ** 2)).astype(np.float32)
