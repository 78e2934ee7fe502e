"""A draft of the scatter sums, in which large discs are merged: its cost hardly depends on the radius.

Sources of radius r belong, with the weights of tents in log₂(r/FINE_PX), to two levels of a pyramid. On level l, whose pixels
are f = 2^l wide, the planes of f × f sources are added up and take the mean of their radii, weighted by their planes; what they
scatter there is interpolated back. Merging, the coarser tent and the interpolation widen a disc; its radius is lessened so that
its second moment stays:

    r_l² = (r/f)² − 4·(1/12 + 1/6 + 1/6) + (4/6)/f²         (a disc has the variance r²/4 along an axis, a tent of width f f²/6)

Occlusion of what lies in focus is by the nodes of kernels/separable_occlusion.py, on every level.
"""

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from taichi_bokeh.kernels.separable_occlusion import focus_nodes
from taichi_bokeh.ops._common import dtype_name

FINE_PX = 12.0  # discs up to this radius are not merged; on each level discs have about this radius
WORTH_PX = 60.0  # where no disc is larger, merging saves nothing
_LEAST_PX = 1 / 16  # radius of sources that weigh nothing
_WIDENING = 4 * (1 / 12 + 1 / 6 + 1 / 6)


class Scatter(Protocol):
    """The scatter sums [N, 5, H, W] of planes, spread, disparity and in-focus weight, as of the operator."""

    def __call__(self, planes: Tensor, spread: Tensor, disparity: Tensor, in_focus: Tensor) -> Tensor: ...


class Picture:
    """One layer [1, …], what the operator takes of it, with its blur and focus.

    Nothing is merged where that saves nothing, or the occlusion of its pixels in focus does not separate.
    """

    def __init__(self, sources: tuple[Tensor, ...], blur: float, focus: float, profile: str) -> None:
        self.planes, self.spread, self.disparity, self.in_focus = sources
        self.radius = self.spread
        if profile == "soft":  # the disc of the same area and about the same edge
            self.radius = ((self.spread - math.log(10) / 3).square() + math.pi**2 / 27).sqrt()
        nodes = focus_nodes(blur, dtype_name(self.planes)) if bool((self.in_focus > 0).any()) else ()
        self.nodes = tuple(focus + node for node in nodes or ())
        merge = nodes is not None and float(self.radius.detach().abs().max()) > WORTH_PX
        self.level = (self.radius.abs() / FINE_PX).clamp(min=1).log2() * merge
        self.levels = math.ceil(float(self.level.detach().max()))


class _Sources:
    """The sources of a picture and their copies beyond its border, on a size that halves as often as there are levels."""

    def __init__(self, picture: Picture, extent: float) -> None:
        self.nodes, self.levels = picture.nodes, picture.levels
        whole = 2**picture.levels
        self.halo = whole * math.ceil((extent * float(picture.radius.detach().abs().max()) + 2) / whole)
        height, width = picture.spread.shape[-2:]
        around = (self.halo, self.halo + -width % whole, self.halo, self.halo + -height % whole)
        maps = torch.stack([picture.radius, picture.disparity, picture.level], 1)
        every = pad(torch.cat([picture.planes, maps], 1), around, mode="replicate")
        self.planes, (self.radius, self.disparity, self.level) = every[:, :5], every[:, 5:].unbind(1)


def draft_sums(picture: Picture, extent: float, scatter: Scatter, scatter_merged: Scatter) -> Tensor:
    """Sums [1, 5, H, W]; merged discs are discs, whatever the profile of the others.

    extent: that of the aperture.
    """
    height, width = picture.spread.shape[-2:]
    share = (1 - picture.level).clamp(min=0)
    spread = torch.where(share > 0, picture.spread, _LEAST_PX)
    sums = scatter(picture.planes * share, spread, picture.disparity, picture.in_focus)
    if picture.levels == 0:
        return sums
    sources = _Sources(picture, extent)
    merged = _merged(sources, picture.levels, scatter_merged)
    for level in range(picture.levels - 1, 0, -1):
        merged = _doubled(merged) + _merged(sources, level, scatter_merged)
    top = sources.halo
    plain, *hidden = _doubled(merged)[..., top : top + height, top : top + width].split(1)
    for node, hidden_by_node in enumerate(hidden):
        plain = plain - picture.in_focus * _basis(picture, node) * hidden_by_node
    return sums + plain


def _merged(sources: _Sources, level: int, scatter: Scatter) -> Tensor:
    """What the sources of a level scatter on it: plain, and for every node what is hidden; [1 + T, 5, H/f, W/f]."""
    share = (1 - (sources.level - level).abs()).clamp(min=0)
    near = sources.radius >= 0  # of discs all; near and far highlights of other openings mirror each other and are not averaged
    parts = [_one_side(sources, sources.planes * share * side, 2**level, scatter) for side in (near, ~near) if bool(side.any())]
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _one_side(sources: _Sources, planes: Tensor, factor: int, scatter: Scatter) -> Tensor:
    """The same of planes whose radii have one sign, with the pixels of the level's pictures `factor` wide."""
    hidden = [torch.sigmoid(-20 * (sources.disparity - node - 0.1)) for node in sources.nodes]
    everything = torch.cat([planes, *(planes * value for value in hidden)])
    pooled = _pooled(everything, factor)
    weight = pooled[:1, 4]
    size = sources.radius / factor
    square = (size.square() - _WIDENING + 4 / 6 / factor**2).clamp(min=_LEAST_PX**2)
    radius = torch.where(sources.radius < 0, -1.0, 1.0) * square.sqrt()
    mean = _pooled((planes[:, 4] * radius)[:, None], factor)[:, 0] / weight.clamp(min=torch.finfo(weight.dtype).tiny)
    spread = torch.where(weight > 0, mean, _LEAST_PX).expand(len(pooled), -1, -1).contiguous()
    # The area by which planes are divided is that of the disc before it was lessened.
    area = torch.where(weight > 0, (spread[:1] * factor).square() / _mean_square(sources, planes, factor, weight), 1.0)
    nothing = torch.zeros_like(spread)
    return scatter(pooled / area[:, None], spread, nothing, nothing)


def _mean_square(sources: _Sources, planes: Tensor, factor: int, weight: Tensor) -> Tensor:
    total = _pooled((planes[:, 4] * sources.radius.square())[:, None], factor)[:, 0]
    return (total / weight.clamp(min=torch.finfo(weight.dtype).tiny)).clamp(min=_LEAST_PX**2)


def _pooled(values: Tensor, factor: int) -> Tensor:
    """Sums over blocks."""
    return avg_pool2d(values, factor) * factor**2


def _doubled(values: Tensor) -> Tensor:
    return interpolate(values, scale_factor=2, mode="bilinear", align_corners=False)


def _basis(picture: Picture, node: int) -> Tensor:
    """u_k, [1, 1, H, W]."""
    own = picture.nodes[node]
    value = torch.ones_like(picture.disparity)
    for other in picture.nodes:
        if other != own:
            value = value * (picture.disparity - other) / (own - other)
    return torch.where(picture.in_focus > 0, value, 0.0)[:, None]
