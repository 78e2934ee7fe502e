"""Disparity of two views by semi-global matching: census costs, both ways, and only what both views agree on is kept.

    C(x, d) = |{n : c_n(left, x) ≠ c_n(right, x − d)}| / N,   c_n(I, x) whether the neighbour n of x is darker than x

The right view's disparity is found from the same costs, C'(x, d) = C(x + d, d). A pixel passes where the two differ by at
most one pixel.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from taichi_bokeh.io import srgb_encode
from taichi_bokeh.io.require import require_light
from taichi_bokeh.ops.dfd.semi_global import semi_global
from taichi_bokeh.photo.resize import stretch_disparity

Array = NDArray[np.float32]

_COARSE_PX, _FINE_PX = 160, 560  # longest sides of the views as they are matched: over all disparities, over those found
_REACH = 0.12  # of the width: the largest disparity that is looked for, either way
_CENSUS = [(y, x) for y in range(-3, 4) for x in range(-4, 5) if (y, x) > (0, 0)]  # half of the window: the rest is its mirror
_SMALL, _LARGE, _EDGE = 0.08, 0.4, 4.0  # penalties, as of `semi_global`
_AGREE_PX = 1.0
_SPECKLE = 3e-4  # of the pixels: smaller islands of one disparity are taken for errors
_MARGIN = 0.15  # of the range of disparities, by which it is widened
_SHIFTS = range(-6, 7)  # rows by which a view may be higher than the other


class Matched(NamedTuple):
    """What two views tell.

    Attributes:
        disparity: [H, W] of the left view, in px of its width, larger is nearer; NaN where the views do not agree.
        sure: the share of the pixels that pass the left–right check.
        rows_px: by how much the right view was higher, in px of the full size.
    """

    disparity: Array
    sure: float
    rows_px: float


def match_views(left: Array, right: Array) -> Matched:
    """Find the disparity of two views of one scene, taken side by side.

    Args:
        left: [H, W, 3], linear light.
        right: of the same size.

    Raises:
        ValueError: the sizes differ or are below 16 px, or the views have nothing in common.
    """
    left, right = require_light("left", left), require_light("right", right)
    if left.shape != right.shape:
        raise ValueError(f"right has shape {right.shape}; expected {left.shape} as left")
    height, width = left.shape[:2]
    if min(height, width) < 16:
        raise ValueError(f"left has shape {left.shape}; expected at least 16×16 pixels")
    coarse, fine = (_size(height, width, longest) for longest in (_COARSE_PX, _FINE_PX))
    views = [_grey(view, fine) for view in (left, right)]
    shift = _row_shift(*views)
    views[1] = views[1].roll(shift, 0)
    small = [functional.interpolate(view[None, None], coarse, mode="area")[0, 0] for view in views]
    reach = max(4, round(_REACH * coarse[1]))
    labels = _range_of(_matched(small[0], small[1], range(-reach, reach + 1)), fine[1] / coarse[1])
    disparity = _matched(views[0], views[1], labels)
    full = stretch_disparity((disparity * (width / fine[1])).numpy().astype(np.float32), left)
    return Matched(full, float(disparity.isfinite().float().mean()), shift * height / fine[0])


def _size(height: int, width: int, longest: int) -> tuple[int, int]:
    scale = min(1.0, longest / max(height, width))
    return max(16, round(height * scale)), max(16, round(width * scale))


def _range_of(disparity: Tensor, scale: float) -> range:
    """The disparities to look for in views that are larger by `scale`: those that were found, and some more."""
    found = disparity[disparity.isfinite()]
    if not len(found):
        raise ValueError("the two views have nothing in common: they are not of one scene, taken side by side")
    low, high = (float(found.quantile(q)) * scale for q in (0.005, 0.995))
    margin = max(2.0, _MARGIN * (high - low))
    return range(math.floor(low - margin), math.ceil(high + margin) + 1)


def _grey(view: Array, size: tuple[int, int]) -> Tensor:
    """The brightness [h, w] as it is seen."""
    shown = torch.from_numpy(srgb_encode(np.clip(view, 0, 1)).mean(axis=2, dtype=np.float32))
    return functional.interpolate(shown[None, None], size, mode="area")[0, 0]


def _row_shift(left: Tensor, right: Tensor) -> int:
    """Rows by which the right view must be moved down so that the means of the rows fit best."""
    rows = [(view - functional.avg_pool2d(view[None, None], (9, 1), 1, (4, 0))[0, 0]).mean(1) for view in (left, right)]
    core = slice(len(_SHIFTS), max(len(_SHIFTS) + 1, len(rows[0]) - len(_SHIFTS)))
    fits = {shift: float((rows[0] * rows[1].roll(shift))[core].sum()) for shift in _SHIFTS}
    best = max(fits, key=lambda shift: fits[shift])
    return best if fits[best] > 1.05 * fits[0] else 0


def _matched(left: Tensor, right: Tensor, labels: range) -> Tensor:
    """Disparity [h, w] of the left view; NaN where the right one does not agree, and on islands."""
    costs = _costs(_census(left), _census(right), labels)
    of_left = _decided(costs, left) + labels[0]
    of_right = _decided(_seen_from_right(costs, labels), right) + labels[0]
    columns = torch.arange(left.shape[1], device=of_left.device) - of_left.round().long()
    is_inside = (columns >= 0) & (columns < left.shape[1])
    there = of_right.gather(1, columns.clamp(0, left.shape[1] - 1))
    agrees = is_inside & ((there - of_left).abs() <= _AGREE_PX)
    of_left[~(agrees & ~_islands(of_left, agrees))] = torch.nan
    return of_left


def _islands(disparity: Tensor, agrees: Tensor) -> Tensor:
    """Where a disparity is shared by few neighbours only, [h, w]."""
    least = max(4, round(_SPECKLE * disparity.numel()))
    planes, among = disparity.numpy(), agrees.numpy()
    islands = np.ones(planes.shape, bool)
    for offset in (0.0, 1.0):  # two ways to cut them in steps of 2 px, as a surface may lie across the one
        steps = np.where(among, np.floor((planes - offset) / 2), np.inf)
        for step in np.unique(steps[among]):
            regions, _ = ndimage.label(steps == step)
            islands &= (np.bincount(regions.ravel()) < least)[regions] | (regions == 0)
    return torch.from_numpy(islands)


def _census(view: Tensor) -> Tensor:
    """Which neighbours are darker, [N, h, w], truth values."""
    padded = functional.pad(view[None, None], (4, 4, 3, 3), mode="replicate")[0, 0]
    height, width = view.shape
    return torch.stack([padded[3 + y : 3 + y + height, 4 + x : 4 + x + width] < view for y, x in _CENSUS])


def _costs(left: Tensor, right: Tensor, labels: range) -> Tensor:
    """Costs [h, w, labels]; beyond the border what is half wrong."""
    _, height, width = left.shape
    costs = torch.full((height, width, len(labels)), 0.5, dtype=torch.float32, device="cpu")
    for i, d in enumerate(labels):
        here, there = slice(max(0, d), width + min(0, d)), slice(max(0, -d), width + min(0, -d))
        costs[:, here, i] = (left[:, :, here] != right[:, :, there]).float().mean(0)
    return costs


def _seen_from_right(costs: Tensor, labels: range) -> Tensor:
    width, seen = costs.shape[1], torch.full_like(costs, 0.5)
    for i, d in enumerate(labels):
        here, there = slice(max(0, d), width + min(0, d)), slice(max(0, -d), width + min(0, -d))
        seen[:, there, i] = costs[:, here, i]
    return seen


def _decided(costs: Tensor, guide: Tensor) -> Tensor:
    """The best label [h, w], to a part of one, as the parabola through its cost and its neighbours' has its vertex."""
    total = semi_global(costs, guide, _SMALL, _LARGE, _EDGE)
    best = total.argmin(-1, keepdim=True)
    middle = best.clamp(1, total.shape[-1] - 2)
    before, here, after = (total.gather(-1, middle + k) for k in (-1, 0, 1))
    bend = (before - 2 * here + after).clamp(min=1e-9)
    offset = (0.5 * (before - after) / bend).clamp(-0.5, 0.5)
    return torch.where(best == middle, middle + offset, best.float())[..., 0]
