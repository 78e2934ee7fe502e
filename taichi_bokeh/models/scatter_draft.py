"""A draft of the scatter sums, in which large discs are merged: its cost hardly depends on the radius.

Sources of radius r belong, with the weights of tents in log₂(r/FINE_PX), to two levels of a pyramid. On level l, whose pixels
are 2^l wide, blocks of sources are merged to one each. What they scatter there is interpolated back
(kernels/scatter/pyramid.py).
Occlusion of what lies in focus is by the nodes of kernels/scatter/rows/separable_occlusion.py, on every level.
"""

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from taichi_bokeh import ops
from taichi_bokeh.kernels.scatter.occlusion import OcclusionStep
from taichi_bokeh.kernels.scatter.pyramid import FINE_PX, LEAST_PX
from taichi_bokeh.ops._common import dtype_name
from taichi_bokeh.ops.scatter.occlusion_nodes import occlusion_nodes

WORTH_PX = 60.0  # where no disc is larger, merging saves nothing


class Scatter(Protocol):
    """What computes scatter sums, as the operator does."""

    def __call__(self, planes: Tensor, spread: Tensor, disparity: Tensor, in_focus: Tensor) -> Tensor:
        """The scatter sums [N, 5, H, W] of planes, spread, disparity and in-focus weight."""


def levels_for(largest_px: float, blur: float, occlusion: OcclusionStep, dtype: str) -> int:
    """How many levels a layer of this largest radius and blur is merged to.

    None where that saves nothing, or the occlusion of pixels in focus would not separate.
    """
    if not WORTH_PX < largest_px < math.inf or occlusion_nodes(blur, occlusion, dtype) is None:
        return 0
    return math.ceil(math.log2(largest_px / FINE_PX))


class Picture:
    """One layer [1, …], what the operator takes of it, with its blur and focus, merged to so many levels."""

    def __init__(
        self,
        sources: tuple[Tensor, ...],
        blur: float,
        focus: float,
        profile: str,
        occlusion: OcclusionStep,
        levels: int,
    ) -> None:
        self.planes, self.spread, self.disparity, self.in_focus = sources
        self.radius = self.spread.detach()
        if profile == "soft":  # the disc of the same area and about the same edge
            self.radius = ((self.radius - math.log(10) / 3).square() + math.pi**2 / 27).sqrt()
        some = bool((self.in_focus > 0).any())
        nodes = occlusion_nodes(blur, occlusion, dtype_name(self.planes)) if some else ()
        self.nodes = [focus + node for node in nodes or ()]
        self.occlusion, self.levels = occlusion, levels


def draft_sums(picture: Picture, scatter: Scatter, scatter_merged: Scatter) -> Tensor:
    """Sums [1, 5, H, W]; merged discs are discs, whatever the profile of the others."""
    if picture.levels == 0:
        return scatter(picture.planes, picture.spread, picture.disparity, picture.in_focus)
    scattered = _scattered(picture, picture.levels, scatter_merged)
    for level in range(picture.levels - 1, 0, -1):
        own = _scattered(picture, level, scatter_merged)
        scattered = _doubled(scattered, own.shape[-2:]) + own
    return ops.bring_back(_fine(picture, scatter), scattered, picture.disparity, picture.in_focus, picture.nodes)


def _fine(picture: Picture, scatter: Scatter) -> Tensor:
    """The sums of what is not merged."""
    share = (1 - (picture.radius.abs() / FINE_PX).clamp(min=1).log2()).clamp(min=0)
    spread = torch.where(share > 0, picture.spread, LEAST_PX)
    return scatter(picture.planes * share, spread, picture.disparity, picture.in_focus)


def _scattered(picture: Picture, level: int, scatter: Scatter) -> Tensor:
    """What the sources of a level scatter on it: plain, and for every node what is hidden; [1 + T, 5, h, w]."""
    # Near and far highlights of other openings than the disc mirror each other and are not averaged.
    lowest, highest = (float(end) for end in picture.radius.aminmax())
    sides = [side for side, some in ((1, highest >= 0), (-1, lowest < 0)) if some]
    parts = [_one_side(picture, level, side, scatter) for side in sides]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _one_side(picture: Picture, level: int, side: int, scatter: Scatter) -> Tensor:
    arrays = picture.planes, picture.radius, picture.disparity
    planes, spread, _ = ops.merge(*arrays, picture.nodes, picture.occlusion, level, side)
    spread = spread.expand(len(planes), -1, -1)
    nothing = torch.zeros_like(spread)
    return scatter(planes, spread, nothing, nothing)


def _doubled(values: Tensor, size: torch.Size) -> Tensor:
    """Blocks of the next finer level, of which there are [h, w], with a ring as well."""
    height, width = size
    twice = interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)
    return twice[..., 1 : 1 + height, 1 : 1 + width]
