"""Which tiles of the image see which layers (kernels/subaperture/visibility.py), and what that spares the scatter sums."""

import torch
from torch import Tensor

from taichi_bokeh.kernels.scatter.profile import profile as profile_of
from taichi_bokeh.kernels.scatter.rows.row_sums import COLUMNS
from taichi_bokeh.kernels.subaperture.visibility import TILE
from taichi_bokeh.ops._common import dtype_name
from taichi_bokeh.ops._registration import operator
from taichi_bokeh.ops.scatter.bands import RowPlan
from taichi_bokeh.ops.scatter.plan import ScatterSources
from taichi_bokeh.ops.subaperture.visibility import mark_seen
from taichi_bokeh.ops.subaperture.windows import tile_maxima
from taichi_bokeh.optics.aperture import Aperture, aperture_of, shape_of

_MORE_PX = 2.0  # than its radius and the margin of its profile a source reaches less: radii are widened by up to 1


def seen_tiles(alpha: Tensor, radius: Tensor, profile: str, aperture: Aperture, hidden_behind: int) -> Tensor:
    """Mark with 1 the tiles in which something of a layer may be seen, [B·L, h, w] int32.

    Args:
        alpha: coverage of L layers of each of B scenes, nearest first, [B, L, H, W].
        radius: of the circles of confusion in px, signed, [B, L, H, W].
        profile: of `ScatterPlan`, not "official", whose coverage is another.
        aperture: counts for the profile "shape".
        hidden_behind: behind so many layers whose coverage is 1 nothing is seen: 1, or 2 if coverages have a gradient.
    """
    return tiles_seen(alpha.detach(), radius.detach(), profile, aperture.image, shape_of(aperture), hidden_behind)


@operator
def tiles_seen(
    alpha: Tensor, radius: Tensor, profile: str, image: Tensor | None, shape: list[float], hidden_behind: int
) -> Tensor:
    """Mark the same; the aperture is told by its image and its shape."""
    extent, margin_px = aperture_of(shape, image).extent, _MORE_PX
    if profile != "shape":
        extent, margin_px = 1.0, profile_of(profile, dtype_name(radius)).margin_px + _MORE_PX
    seen = _tiles_of(radius)
    for scene, own, size in zip(seen, alpha, radius, strict=True):
        mark_seen(scene, own.contiguous(), extent * tile_maxima(size.abs()) + margin_px, (0, 0), hidden_behind)
    return seen.flatten(0, 1)


def _tiles_of(like: Tensor) -> Tensor:
    return like.new_empty(*like.shape[:2], *(-(-size // TILE) for size in like.shape[-2:]), dtype=torch.int32)


torch.library.register_fake(tiles_seen, lambda alpha, radius, *rest: _tiles_of(radius).flatten(0, 1))


def pixels_seen(tiles: Tensor, height: int, width: int) -> Tensor:
    """Spread tiles [..., h, w] over their pixels, bool [..., H, W]."""
    return tiles.bool().repeat_interleave(TILE, -2)[..., :height, :].repeat_interleave(TILE, -1)[..., :width]


def without_hidden_focus(sources: ScatterSources, tiles: Tensor | None) -> ScatterSources:
    """Let pixels that nobody sees be out of focus: nothing need be kept from them."""
    if tiles is None:
        return sources
    height, width = sources.in_focus.shape[-2:]
    return sources._replace(in_focus=sources.in_focus * pixels_seen(tiles, height, width))


def without_hidden_sources(plan: RowPlan, tiles: Tensor | None) -> RowPlan:
    """Let the sources of a layer that reach no tile [h, w] which is seen reach nothing."""
    if tiles is None:
        return plan
    counts = torch.nn.functional.pad(tiles.cumsum(0).cumsum(1), (1, 0, 1, 0))
    rows, columns = (torch.arange(size, device=tiles.device) for size in plan.reach.shape)
    y, x = rows[:, None] - plan.pad, columns * COLUMNS - plan.pad
    above, below = (_tile(px, tiles.shape[0]) for px in (y - plan.reach, y + plan.reach))
    left, right = (_tile(px, tiles.shape[1]) for px in (x - plan.reach, x + COLUMNS - 1 + plan.reach))
    under, over = counts[below + 1, right + 1] - counts[below + 1, left], counts[above, right + 1] - counts[above, left]
    reach = torch.where(under > over, plan.reach, -1)
    return plan._replace(reach=reach, widest=reach.amax(1))


def leave_out(sums: Tensor, tiles: Tensor) -> None:
    """Write the sums [N, 5, H, W] of a layer without coverage where nothing is seen: 0, and the weight 1."""
    hidden = ~pixels_seen(tiles, *sums.shape[-2:])
    for channel in range(sums.shape[1]):
        sums[:, channel].masked_fill_(hidden, float(channel == sums.shape[1] - 1))


def _tile(px: Tensor, count: int) -> Tensor:
    """Tell in which of `count` tiles pixels are, or which is nearest to them."""
    return (px / TILE).floor().clamp_(0, count - 1).long()
