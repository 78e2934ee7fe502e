"""A draft of the scatter sums, in which large discs are reduced: its cost hardly depends on the radius.

Sources of radius r belong, with the weights of tents in log₂(r/FINE_PX), to two levels of a pyramid. On level l, whose pixels
are 2^l wide, blocks of sources are reduced to one each. What they scatter there is expanded again
(kernels/scatter/pyramid.py).
Occlusion of what lies in focus is by the nodes of kernels/scatter/rows/separable_occlusion.py, on every level.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from taichi_bokeh import ops
from taichi_bokeh.kernels.scatter.occlusion import OcclusionStep
from taichi_bokeh.kernels.scatter.pyramid import FINE_PX, LEAST_PX
from taichi_bokeh.ops.scatter.occlusion_nodes import occlusion_nodes
from taichi_bokeh.ops.scatter.plan import ScatterPlan, ScatterSources

WORTH_PX = 60.0  # where no disc is larger, reducing saves nothing


def levels_for(largest_px: float, blur: float, occlusion: OcclusionStep, dtype: str) -> int:
    """How many levels a layer of this largest radius and blur is reduced to.

    0 where that saves nothing, or the occlusion of pixels in focus would not separate.
    """
    if not WORTH_PX < largest_px < math.inf or occlusion_nodes(blur, occlusion, dtype) is None:
        return 0
    return math.ceil(math.log2(largest_px / FINE_PX))


class DraftLayer:
    """One layer [1, …] that is reduced to so many levels, and its plan."""

    def __init__(self, sources: ScatterSources, plan: ScatterPlan, levels: int) -> None:
        self.sources, self.plan, self.levels = sources, plan, levels
        # Reduced discs are discs, whatever the profile of the others.
        self.plan_of_reduced = plan._replace(profile="shape" if plan.profile == "shape" else "disc")
        self.radius = sources.radius_px.detach()
        if plan.profile == "soft":  # the disc of the same area and about the same edge
            self.radius = ((self.radius - math.log(10) / 3).square() + math.pi**2 / 27).sqrt()
        some = bool((sources.in_focus > 0).any())
        nodes = occlusion_nodes(float(plan.blur), plan.occlusion, plan.dtype) if some else ()
        self.nodes = [float(plan.focus) + node for node in nodes or ()]


def draft_sums(layer: DraftLayer) -> Tensor:
    """Sums [1, 5, H, W]."""
    if layer.levels == 0:
        return ops.scatter(layer.sources, layer.plan)
    scattered = _scattered(layer, layer.levels)
    for level in range(layer.levels - 1, 0, -1):
        own = _scattered(layer, level)
        scattered = _doubled(scattered, own.shape[-2:]) + own
    return ops.expand(_fine(layer), scattered, layer.sources.disparity, layer.sources.in_focus, layer.nodes)


def _fine(layer: DraftLayer) -> Tensor:
    """The sums of what is not reduced."""
    share = (1 - (layer.radius.abs() / FINE_PX).clamp(min=1).log2()).clamp(min=0)
    radius_px = torch.where(share > 0, layer.sources.radius_px, LEAST_PX)
    return ops.scatter(layer.sources._replace(channels=layer.sources.channels * share, radius_px=radius_px), layer.plan)


def _scattered(layer: DraftLayer, level: int) -> Tensor:
    """What the sources of a level scatter on it: plain, and times τ_k of every node; [1 + T, 5, h, w]."""
    # Near and far highlights of other apertures than the disc mirror each other and are not averaged.
    lowest, highest = (float(end) for end in layer.radius.aminmax())
    sides = [side for side, some in ((1, highest >= 0), (-1, lowest < 0)) if some]
    parts = [_one_side(layer, level, side) for side in sides]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _one_side(layer: DraftLayer, level: int, side: int) -> Tensor:
    arrays = layer.sources.channels, layer.radius, layer.sources.disparity
    channels, radius_px, _ = ops.reduce(*arrays, layer.nodes, layer.plan.occlusion, level, side)
    radius_px = radius_px.expand(len(channels), -1, -1)
    nothing = torch.zeros_like(radius_px)
    plan = layer.plan_of_reduced.of_layer(0, len(channels))
    return ops.scatter(ScatterSources(channels, radius_px, nothing, nothing), plan)


def _doubled(values: Tensor, size: torch.Size) -> Tensor:
    """Blocks of the next finer level, of which there are [h, w], with a ring as well."""
    height, width = size
    twice = interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
    return twice[..., 1 : 1 + height, 1 : 1 + width]
