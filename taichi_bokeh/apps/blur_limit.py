"""A blur that is too large for the memory or for the image is refused before any work, with the largest that is not.

The tables and the borders of the renderers grow with the radius r. Bytes for each, as measured at radii of 60 to 1400 px with
float32, in the worst part of the work:

    subaperture      40·M·(2r)²            the kernels of M cells, or 200·(w + 2r)·(h + 2r) for the sources of a tile w × h
    scatter          2000·r²               lists of row ends; of other apertures than the disc 20000·r²
    … tap by tap     400·r²                a table of the disc, and 60·n·(W + 2r)·(H + 2r) for n layers at a time
    … other aperture 1400·r³               a list of all weights for every radius
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from taichi_bokeh.apps.memory import available_bytes
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.apps.options.model import ModelRequest, device_of
from taichi_bokeh.models import Model, OfficialScatter, Scatter, SubAperture
from taichi_bokeh.optics.aperture import Aperture

_FARTHEST = 4  # a radius may be so many times the longer side of the image …
_ALWAYS_PX = 1024.0  # … and this in any case
_MOST_PADDED_PX = 1 << 15  # width + height + 4·radius, by which the kernels count
_MOST_WEIGHTS = 1 << 27  # of all cells
_ROWS_PX = 1024  # the largest radius that is rendered by row ends
_MOST_CELLS_OF_AUTO = 64
_TILE_WEIGHTS = 256 << 20  # bytes of the sums of a tile
_LAYERS = 6  # no more are rendered at a time that are made of a photograph
_LITTLE = 1 << 28  # bytes that are no reason to refuse anything
_PART = 0.9  # of the free memory that may be taken


class Work(NamedTuple):
    """What the memory depends on, beside the radius."""

    model: Model | None  # None for the ray tracer
    width: int
    height: int
    aperture: Aperture
    device: torch.device = torch.device("cpu")

    @classmethod
    def of(cls, request: ModelRequest, aperture: Aperture, width: int, height: int) -> "Work":
        """That of rendering an image of this size with a model."""
        return cls(request.build(), width, height, aperture, device_of(request.device))

    @property
    def farthest_px(self) -> float:
        """The largest radius that there may be, however much memory there is."""
        side = max(_ALWAYS_PX, _FARTHEST * max(self.width, self.height))
        return min(side, (_MOST_PADDED_PX - self.width - self.height) / 4 - 8)

    def bytes_at(self, radius_px: float) -> float:
        """About how much memory a largest radius takes that is no larger than `farthest_px`; infinite where it is refused."""
        model, extent = self.model, self.aperture.extent
        if isinstance(model, SubAperture):
            return self._of_cells(radius_px * extent + 2, _MOST_CELLS_OF_AUTO if isinstance(model.cells, str) else model.cells)
        if isinstance(model, Scatter) and model.quality == "full":
            return self._of_scatter(model, min(radius_px, model.max_radius or math.inf) * extent + 2)
        if isinstance(model, OfficialScatter):
            return self._tap_by_tap(min(radius_px, model.max_radius or math.inf) * extent + 2)
        return 0.0

    def _of_cells(self, reach_px: float, cells: int) -> float:
        weights = cells * (2 * reach_px + 1) ** 2
        if weights > _MOST_WEIGHTS:
            return math.inf
        tile = max(16.0, math.sqrt(_TILE_WEIGHTS / (20 * cells)))
        sources = math.prod(min(size, tile) + 2 * reach_px for size in (self.width, self.height))
        return max(40 * weights, 200 * sources)

    def _of_scatter(self, model: Scatter, reach_px: float) -> float:
        aperture = self.aperture
        is_tap_by_tap = (
            reach_px > _ROWS_PX
            or model.algorithm == "exact"
            or aperture.cat_eye != 0
            or aperture.ring != 0
            or model.max_radius is not None
        )
        if reach_px > _ROWS_PX and model.algorithm == "fast":
            return math.inf
        if not aperture.is_disc:
            return 1400 * reach_px**3 if is_tap_by_tap else 20000 * reach_px**2
        if not is_tap_by_tap:
            return 2000 * reach_px**2
        table = 400 * reach_px**2 if model.profile == "disc" else 0.0
        return table + self._tap_by_tap(reach_px)

    def _tap_by_tap(self, reach_px: float) -> float:
        at_once = min(_LAYERS, max(1, (1 << 20) // (self.width * self.height)))
        return 60 * at_once * (self.width + 2 * reach_px) * (self.height + 2 * reach_px)


def check_blur(lens: LensRequest, work: Work, blur: float, span: float) -> None:
    """Refuse a blur that is too large for an image.

    Args:
        lens: that was asked for.
        work: what is to be done with it.
        blur: px per unit of disparity.
        span: largest distance of a disparity from the focus.

    Raises:
        ValueError: with the largest blur that is not, as the option that was given has it.
    """
    radius_px = blur * span
    free = available_bytes(work.device)
    most = math.inf if free is None else max(_LITTLE, _PART * free)
    needed = work.bytes_at(radius_px) if radius_px <= work.farthest_px else math.inf
    if needed <= most and math.isfinite(needed):
        return
    fits_px = _largest(work, most)
    how = "trace" if work.model is None else f"--model {work.model.name}"
    too_much = f"{how} has for an image of {work.width}×{work.height} px"
    if math.isfinite(needed):
        too_much = f"fits into memory: it takes some {needed / 2**30:.1f} GiB, and {(free or 0) / 2**30:.1f} GiB are free"
    raise ValueError(
        f"the largest blur radius would be {radius_px:.5g} px, more than {too_much}; at most {math.floor(fits_px)} px do, "
        f"which is {_advice(lens, fits_px, radius_px, span)}"
    )


def _largest(work: Work, most: float) -> float:
    """The largest radius that fits into so many bytes, in px."""
    low, high = 0.0, work.farthest_px
    if work.bytes_at(high) <= most:
        return high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if work.bytes_at(middle) <= most else (low, middle)
    return low


def _advice(lens: LensRequest, fits_px: float, radius_px: float, span: float) -> str:
    """What to give instead."""
    if isinstance(lens.blur, float):
        return f"--blur {_three_digits(fits_px / span, math.floor)} or less"
    if isinstance(lens.f_number, float) and radius_px < math.inf:
        return f"--f-number {_three_digits(lens.f_number * (radius_px / fits_px), math.ceil)} or more"
    return "a smaller blur"


def _three_digits(value: float, rounded: Callable[[float], int]) -> str:
    step = 10.0 ** (math.floor(math.log10(value)) - 2)
    return f"{rounded(value / step) * step:.10g}"
