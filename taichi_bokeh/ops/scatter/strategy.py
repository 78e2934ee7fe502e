"""Which way the scatter sums of a picture are evaluated, by facts that are read from its device in one go."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from taichi_bokeh.kernels.scatter.gather import NEGLIGIBLE_FOCUS
from taichi_bokeh.kernels.scatter.occlusion import OcclusionStep
from taichi_bokeh.kernels.scatter.profile import profile as profile_of
from taichi_bokeh.ops.scatter.occlusion_nodes import occlusion_nodes
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.psf import kernel_reach

_MOST_ROWS_PX = 1024
LEAST_ROWS_PX = 8.0  # largest radius up to which the gather is at least as fast as rows (benchmarks/scatter.py)
_NO_LIMIT_PX = 1e9


class Way(NamedTuple):
    """How the sums of one picture are evaluated, and why.

    Attributes:
        name: "rows" (kernels/scatter/rows/row_sums.py), "correlation" (kernels/subaperture/cells.py, for flat layers), "gather"
            (kernels/scatter/gather.py), or for other apertures than the disc "direct" (kernels/scatter/any_aperture.py).
        reason: half a sentence.
        nodes: relative to the focus, for the occlusion in rows; empty where nothing is in focus.
    """

    name: str
    reason: str
    nodes: tuple[float, ...] = ()


class Plan(NamedTuple):
    """By what the ways are chosen; profile, max_radius, algorithm and occlusion as of the operator."""

    profile: str
    max_radius: float
    algorithm: str
    dtype: str
    occlusion: OcclusionStep
    aperture: Aperture = Aperture()

    @property
    def limit_px(self) -> float:
        """Only sources nearer than this contribute."""
        return self.max_radius if self.max_radius > 0 else _NO_LIMIT_PX

    def reach_px(self, largest_px: float, limit_px: float | None = None) -> float:
        """How far a source of this radius may count; `limit_px` in place of the plan's."""
        if self.profile == "shape":
            return kernel_reach(largest_px, self.aperture.extent)
        farthest = largest_px + profile_of(self.profile, self.dtype).margin_px
        return min(farthest, self.limit_px if limit_px is None else limit_px)


class Facts(NamedTuple):
    """What is known of a picture before it is rendered: least and largest values, and for what it is planned."""

    spread_px: tuple[float, float]
    density: tuple[float, float]
    disparity: tuple[float, float]
    in_focus: tuple[float, float]
    opaque: bool  # throughout: alpha need not be summed up beside 1
    blur: float
    focus: float

    @property
    def largest_px(self) -> float:
        """The largest radius."""
        return max(abs(self.spread_px[0]), abs(self.spread_px[1]))

    @property
    def same_everywhere(self) -> bool:
        """Whether all pixels have one radius, density, disparity and in-focus weight."""
        return all(low == high for low, high in self[:4])


def facts_of(inputs: tuple[Tensor, ...], blur: Tensor, focus: Tensor) -> list[Facts]:
    """Of N pictures; inputs as the operator's first four, blur and focus [N]. The device is waited for once.

    Raises:
        ValueError: a radius is not finite.
    """
    planes, spread, disparity, in_focus = inputs
    limits = [limit for value in (spread, planes[:, 4], disparity, in_focus) for limit in value.flatten(1).aminmax(dim=1)]
    opaque = (planes[:, 3] == planes[:, 4]).flatten(1).all(1)
    table = torch.stack([value.to(planes.device, torch.float64) for value in (*limits, opaque, blur, focus)], 1)
    facts = [_named(row) for row in table.tolist()]
    if not all(math.isfinite(one.largest_px) for one in facts):
        raise ValueError("the blur radius is not finite: blur, focus or disparity hold NaN or infinity")
    return facts


def _named(row: list[float]) -> Facts:
    spread, density, disparity, in_focus = zip(row[:8:2], row[1:8:2], strict=True)
    return Facts(spread, density, disparity, in_focus, bool(row[8]), *row[9:])


def way_of(facts: Facts, pixels: int, plan: Plan, adjoint: bool = False) -> Way:
    """The way of a picture of so many pixels, or that of its adjoint.

    Raises:
        ValueError: algorithm is "fast", and the picture has no fast way; the message says why.
    """
    is_flat = _is_flat(facts, pixels, plan)
    if is_flat and not adjoint:  # a correlation has no adjoint of its own
        return Way("correlation", "the layer is flat: all its pixels have one blur kernel")
    way = _uneven(facts, plan)
    if plan.algorithm == "fast" and way.name in ("gather", "direct") and not is_flat:
        raise ValueError(f"algorithm is 'fast', but {way.reason}; expected 'auto' or 'exact' then")
    return way


def _is_flat(facts: Facts, pixels: int, plan: Plan) -> bool:
    """Whether a picture has one blur kernel, and is not small beside its blur."""
    if plan.aperture.cat_eye != 0 or not facts.same_everywhere:
        return False
    return plan.reach_px(facts.largest_px) ** 2 < pixels


def _uneven(facts: Facts, plan: Plan) -> Way:
    exact = "direct" if plan.profile == "shape" else "gather"
    reason = _obstacle(facts, plan)
    if reason is not None:
        return Way(exact, reason)
    if facts.in_focus[1] <= NEGLIGIBLE_FOCUS[plan.dtype]:
        return Way("rows", "nothing is in focus, so that there is no occlusion")
    nodes = occlusion_nodes(facts.blur, plan.occlusion, plan.dtype)
    if nodes is None:
        per_px = plan.occlusion.steepness / max(facts.blur, 1e-30)
        return Way(exact, f"the occlusion, of a steepness of {per_px:.3g} for a px of the radius, is too steep to be separated")
    return Way("rows", f"the occlusion is separated by {len(nodes)} nodes of disparity", nodes)


def _obstacle(facts: Facts, plan: Plan) -> str | None:
    """Why a picture is not rendered by rows, whatever its occlusion; None where nothing is in the way."""
    farthest = plan.reach_px(facts.largest_px, _NO_LIMIT_PX)
    if plan.algorithm == "exact":
        return "algorithm 'exact' was asked for"
    if plan.profile == "official":
        return "the released code's model has only the gather"
    if plan.aperture.cat_eye != 0:
        return "with cat_eye the opening changes from pixel to pixel"
    if plan.aperture.ring != 0:
        return "with ring a highlight's brightness changes throughout, and its rows have no few steps"
    if farthest > _MOST_ROWS_PX:
        return f"the table for radii beyond {_MOST_ROWS_PX} px would take gigabytes"
    if 0 < plan.max_radius < farthest:
        return f"max_radius, {plan.max_radius:g} px, cuts off discs, which reach {farthest:.1f} px"
    if plan.algorithm == "auto" and plan.profile != "shape" and facts.spread_px[1] <= LEAST_ROWS_PX:
        return f"no radius is more than {LEAST_ROWS_PX:g} px"
    return None
