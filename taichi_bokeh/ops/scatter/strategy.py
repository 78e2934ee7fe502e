"""By which strategy the scatter sums of each layer are evaluated, by facts that are read from the device in one go."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from taichi_bokeh.kernels.scatter.gather import NEGLIGIBLE_FOCUS
from taichi_bokeh.ops.scatter.occlusion_nodes import occlusion_nodes
from taichi_bokeh.ops.scatter.plan import ScatterPlan, ScatterSources

_MOST_ROWS_PX = 1024
LEAST_ROWS_PX = 8.0  # largest radius up to which the gather is at least as fast as rows (benchmarks/scatter.py)
FACTS = 11  # numbers that are read of a layer


class Strategy(NamedTuple):
    """How the sums of one layer are evaluated, and why.

    Attributes:
        name: "rows" (kernels/scatter/rows/row_sums.py), "correlation" (kernels/subaperture/cells.py, for flat layers), "gather"
            (kernels/scatter/gather.py), or for other apertures than the disc "direct" (kernels/scatter/any_aperture.py).
        reason: half a sentence.
        nodes: relative to the focus, for the occlusion in rows; empty where nothing is in focus.
    """

    name: str
    reason: str
    nodes: tuple[float, ...] = ()


class Facts(NamedTuple):
    """What is known of a layer before it is rendered: least and largest values, and for what it is planned."""

    radius_px: tuple[float, float]
    density: tuple[float, float]
    disparity: tuple[float, float]
    in_focus: tuple[float, float]
    opaque: bool  # throughout: alpha need not be summed up beside 1
    blur: float
    focus: float

    @property
    def largest_px(self) -> float:
        """The largest radius."""
        return max(abs(self.radius_px[0]), abs(self.radius_px[1]))

    @property
    def same_everywhere(self) -> bool:
        """Whether all pixels have one radius, density, disparity and in-focus weight."""
        return all(low == high for low, high in self[:4])


def read_facts(sources: ScatterSources, plan: ScatterPlan) -> Tensor:
    """Read the facts of N layers from the device, which is waited for once: [N, FACTS], float64 on the CPU.

    Raises:
        ValueError: a radius is not finite.
    """
    channels, radius_px, disparity, in_focus = sources
    limits = [limit for value in (radius_px, channels[:, 4], disparity, in_focus) for limit in value.flatten(1).aminmax(dim=1)]
    opaque = (channels[:, 3] == channels[:, 4]).flatten(1).all(1)
    table = [value.to(channels.device, torch.float64) for value in (*limits, opaque, plan.blur, plan.focus)]
    facts = torch.stack(table, 1).to("cpu")
    if not all(math.isfinite(one.largest_px) for one in facts_of(facts)):
        raise ValueError("the blur radius is not finite: blur, focus or disparity hold NaN or infinity")
    return facts


def facts_of(table: Tensor) -> list[Facts]:
    """Name what `read_facts` returned; nothing is read from the device."""
    return [_named(row) for row in table.tolist()]


def _named(row: list[float]) -> Facts:
    radius_px, density, disparity, in_focus = zip(row[:8:2], row[1:8:2], strict=True)
    return Facts(radius_px, density, disparity, in_focus, bool(row[8]), *row[9:])


def strategy_of(facts: Facts, pixels: int, plan: ScatterPlan, adjoint: bool = False) -> Strategy:
    """Choose the strategy of a layer of so many pixels, or that of its adjoint.

    Raises:
        ValueError: algorithm is "fast", and the layer has no fast strategy; the message says why.
    """
    is_flat = _is_flat(facts, pixels, plan)
    if is_flat and not adjoint:  # a correlation has no adjoint of its own
        return Strategy("correlation", "the layer is flat: all its pixels have one blur kernel")
    strategy = _uneven(facts, plan)
    if plan.algorithm == "fast" and strategy.name in ("gather", "direct") and not is_flat:
        raise ValueError(f"algorithm is 'fast', but {strategy.reason}; expected 'auto' or 'exact' then")
    return strategy


def _is_flat(facts: Facts, pixels: int, plan: ScatterPlan) -> bool:
    """Whether a layer has one blur kernel, and is not small beside its blur."""
    if plan.aperture.cat_eye != 0 or not facts.same_everywhere:
        return False
    return plan.reach_px(facts.largest_px) ** 2 < pixels


def _uneven(facts: Facts, plan: ScatterPlan) -> Strategy:
    exact = "direct" if plan.profile == "shape" else "gather"
    reason = _obstacle(facts, plan)
    if reason is not None:
        return Strategy(exact, reason)
    if facts.in_focus[1] <= NEGLIGIBLE_FOCUS[plan.dtype]:
        return Strategy("rows", "nothing is in focus, so that there is no occlusion")
    nodes = occlusion_nodes(facts.blur, plan.occlusion, plan.dtype)
    if nodes is None:
        per_px = plan.occlusion.steepness / max(facts.blur, 1e-30)
        return Strategy(
            exact, f"the occlusion, of a steepness of {per_px:.3g} for a px of the radius, is too steep to be separated"
        )
    return Strategy("rows", f"the occlusion is separated by {len(nodes)} nodes of disparity", nodes)


def _obstacle(facts: Facts, plan: ScatterPlan) -> str | None:
    """Why a layer is not rendered by rows, whatever its occlusion; None where nothing speaks against it."""
    farthest = plan.uncut_reach_px(facts.largest_px)
    if plan.algorithm == "exact":
        return "algorithm 'exact' was asked for"
    if plan.profile == "official":
        return "the released code's model has only the gather"
    if plan.aperture.cat_eye != 0:
        return "with cat_eye the aperture changes from pixel to pixel"
    if plan.aperture.ring != 0:
        return "with ring a highlight's brightness changes throughout, and its rows have no few steps"
    if farthest > _MOST_ROWS_PX:
        return f"the table for radii beyond {_MOST_ROWS_PX} px would take gigabytes"
    if 0 < plan.max_radius < farthest:
        return f"max_radius, {plan.max_radius:g} px, cuts off discs, which reach {farthest:.1f} px"
    if plan.algorithm == "auto" and plan.profile != "shape" and facts.radius_px[1] <= LEAST_ROWS_PX:
        return f"no radius is more than {LEAST_ROWS_PX:g} px"
    return None
