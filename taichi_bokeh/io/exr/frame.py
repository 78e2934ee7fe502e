"""Where the pixels of an OpenEXR image lie on its display, and what its colours are."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.colours import REC709, Chromaticities, are_rec709, to_rec709
from taichi_bokeh.io.limits import check_size


class Window(NamedTuple):
    """A rectangle of pixels; right and bottom lie outside.

    Attributes:
        left, top, right, bottom: in pixels of the display.
    """

    left: int
    top: int
    right: int
    bottom: int

    @property
    def shape(self) -> tuple[int, int]:
        """Give (height, width)."""
        return self.bottom - self.top, self.right - self.left


class Frame(NamedTuple):
    """An image among its surroundings.

    Attributes:
        data: the pixels that there are, which may go beyond the display (overscan) or leave parts of it empty.
        display: what is shown.
        pixel_aspect: width of a pixel over its height.
        primaries: of its colours.
        lift: what was added to its light so that none is negative, to be taken off again.
    """

    data: Window
    display: Window
    pixel_aspect: float = 1.0
    primaries: Chromaticities = REC709
    lift: float = 0.0

    @classmethod
    def of(cls, header: Mapping[str, Any]) -> "Frame":
        """Read the frame of a part.

        Raises:
            ValueError: nothing of it would be seen.
        """
        data, display = (_window(header[name]) for name in ("dataWindow", "displayWindow"))
        if display.left >= display.right or display.top >= display.bottom:
            display = data
        check_size(display.right - display.left, display.bottom - display.top)
        if min(_overlap(data, display)) <= 0:
            raise ValueError("nothing of it lies in the image that it shows (data and display windows are apart)")
        points = header.get("chromaticities")
        try:
            aspect = float(header.get("pixelAspectRatio", 1.0))
            primaries = REC709 if points is None else tuple(float(value) for value in np.ravel(points))
        except (TypeError, ValueError):
            raise ValueError("its header says pixelAspectRatio or chromaticities in no numbers: it is damaged") from None
        usable = np.isfinite(aspect) and _NARROWEST <= aspect <= 1 / _NARROWEST
        return cls(data, display, aspect if usable else 1.0, REC709 if len(primaries) != 8 else primaries)

    @classmethod
    def of_parts(cls, data: Any, display: Any, pixel_aspect: float, primaries: Any, lift: float) -> "Frame":
        """Make it of its parts as plain numbers and sequences."""
        return cls(Window(*data), Window(*display), pixel_aspect, tuple(primaries), lift)

    @property
    def is_plain(self) -> bool:
        """Tell whether it says nothing that an image of this size does not have anyway."""
        same = self.data == self.display and self.data[:2] == (0, 0) and self.lift == 0
        return same and self.pixel_aspect == 1 and are_rec709(self.primaries)

    def shown(self, values: NDArray[Any], empty: float = 0.0) -> NDArray[Any]:
        """Cut values [H, W, ...] of the data to the display; what they leave empty gets this number."""
        return moved(values, self.data, self.display, empty)

    def surrounded(self, values: NDArray[Any]) -> NDArray[Any]:
        """Bring values [H, W] of the display to the data, the nearest ones beyond the display; others are left as they are."""
        if values.shape == self.data.shape or values.shape != self.display.shape:
            return values
        rows, columns = (
            np.clip(np.arange(low, high), first, last - 1) - first
            for low, high, first, last in (
                (self.data.top, self.data.bottom, self.display.top, self.display.bottom),
                (self.data.left, self.data.right, self.display.left, self.display.right),
            )
        )
        return values[np.ix_(rows, columns)]

    def shown_light(self, rgb: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cut light [H, W, 3] to the display, in the primaries of Rec. 709; the rest is black."""
        light: NDArray[np.float32] = self.shown(to_rec709(rgb - np.float32(self.lift), self.primaries))
        return np.ascontiguousarray(light)


_NARROWEST = 0.1  # a pixel; what is beyond is no ratio that anybody meant


def moved(values: NDArray[Any], there: Window, here: Window, empty: float) -> NDArray[Any]:
    """Bring values [H, W, ...] of a window to another; where they do not reach, they get this number."""
    if there == here:
        return values
    result = np.full((*here.shape, *values.shape[2:]), empty, values.dtype)
    left, top, right, bottom = max(there[0], here[0]), max(there[1], here[1]), min(there[2], here[2]), min(there[3], here[3])
    if left < right and top < bottom:
        part = values[top - there.top : bottom - there.top, left - there.left : right - there.left]
        result[top - here.top : bottom - here.top, left - here.left : right - here.left] = part
    return result


def _window(corners: Any) -> Window:
    (left, top), (right, bottom) = (np.asarray(corner).tolist() for corner in corners)
    return Window(left, top, right + 1, bottom + 1)


def _overlap(one: Window, other: Window) -> tuple[int, int]:
    return min(one.right, other.right) - max(one.left, other.left), min(one.bottom, other.bottom) - max(one.top, other.top)
