"""Where to cut a disparity map into layers, and how each cut meets the surfaces of the scene.

A cut is a disparity; what is nearer belongs to the front layer. Along most of its outline the cut should run where the
disparity jumps: there the front layer ends at an object's edge. Where it has to cross a surface that goes on
(the floor), the front layer instead fades in over some pixels, and the layer behind goes on under the fade.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.require import require_plane
from taichi_bokeh.photo.fill.holes import _neighbour_slices
from taichi_bokeh.photo.reach import distance_within, within

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

JUMP = 0.03  # two neighbours this part of the disparity range apart belong to two surfaces
_BINS = 128
_ROUNDING = 1e-5  # a range this small beside the numbers themselves is none
MOST_CUTS, _WORTH_A_CUT = 4, 0.04  # of cuts that nobody counts: how many, and what each adds at least
_NOTHING = 1e-3
_CROSSING_COST = 1e-3  # of a neighbour pair of one surface that a cut parts, against the jump of a pair of two surfaces
_CROSSING_DEPTH = 0.2  # a surface is followed under the front layer over this part of the disparity range at most


@dataclass(frozen=True)
class Cut:
    """One cut of a disparity map. Each field is [H, W].

    Attributes:
        near: the pixels in front of the cut.
        edge_px: distance to the outline where the disparity jumps across the cut, px; inf where there is none, or none
            so near as was asked for.
        crossing_px: of a pixel in front of the cut, its distance to the far side along one surface that goes on across
            the cut; inf where there is no such way within reach.
    """

    near: Mask
    edge_px: Array
    crossing_px: Array


def disparity_span(disparity: Array) -> float:
    """The range of a disparity map, less its outliers."""
    low, high = np.percentile(disparity, [0.2, 99.8])
    return float(high - low)


def choose_cuts(disparity: Array, count: int | None = None) -> list[float]:
    """Disparities of up to ``count`` cuts, largest first: those that lie in the greatest jumps of the map.

    Every pair of neighbours of two surfaces is an interval of disparity, and wants a cut in it; the cuts that together
    hit intervals of the greatest total length are found exactly, by dynamic programming over the cuts' positions.

    Args:
        disparity: [H, W], finite, with steps at the edges of objects (see ``sharpen_edges``).
        count: how many; fewer are returned where one more would gain nothing. None: as long as one more adds at least
            4 % to what is hit, up to 4.

    Returns:
        The cuts; none where the map is constant.
    """
    disparity = require_plane("disparity", disparity)
    span = disparity_span(disparity)
    if span <= _ROUNDING * float(np.abs(disparity).max()):
        return []
    low_edge = float(disparity.min())
    scale = (_BINS - 1) / (float(disparity.max()) - low_edge)
    weight = np.zeros((_BINS + 1, _BINS + 1))  # [first bin that parts the pair, last bin that does]
    crossed = np.zeros(_BINS + 2)
    for here, there in _neighbour_slices()[::2]:
        low = np.minimum(disparity[here], disparity[there])
        high = np.maximum(disparity[here], disparity[there])
        jump = high - low > JUMP * span
        inset = 0.15 * (high - low)[jump]  # a cut close to either surface would leave some of it on the wrong side
        first = np.ceil((low[jump] + inset - low_edge) * scale).astype(int)
        last = np.floor((high[jump] - inset - low_edge) * scale).astype(int)
        fits = last >= first
        np.add.at(weight, (first[fits], last[fits]), (high - low)[jump][fits] / span)
        smooth_low = np.ceil((low[~jump] - low_edge) * scale).astype(int)
        smooth_high = np.ceil((high[~jump] - low_edge) * scale).astype(int)
        np.add.at(crossed, smooth_low, 1.0)
        np.add.at(crossed, smooth_high, -1.0)
    cost = _CROSSING_COST * np.cumsum(crossed)[:_BINS]
    most, gain = (MOST_CUTS, _WORTH_A_CUT) if count is None else (count, _NOTHING)
    return [low_edge + b / scale for b in sorted(_best_stabs(weight, cost, most, gain), reverse=True)]


def _best_stabs(weight: NDArray[np.float64], cost: NDArray[np.float64], count: int, least_gain: float) -> list[int]:
    """Up to ``count`` bins whose hit intervals weigh the most; ``weight[a, b]`` is that of the intervals [a, b].

    Each must add ``least_gain`` of what the ones before have hit.
    """
    # A cut at t, after one at s, gains the intervals with s < a ≤ t ≤ b: those that t hits and s has not.
    # starts[a, t]: weight of the intervals that start at a or before and end at t or later.
    starts = np.cumsum(np.cumsum(weight[:, ::-1], axis=1)[:, ::-1], axis=0)
    gain = np.full((_BINS + 1, _BINS), -np.inf)  # row s + 1; row 0: no cut before
    for t in range(_BINS):
        gain[0, t] = starts[t, t]
        gain[1 : t + 1, t] = starts[t, t] - starts[:t, t]
    best = gain[0] - cost
    came_from: list[NDArray[np.int64]] = []
    chosen: list[int] = []
    total = 0.0
    for used in range(1, count + 1):
        end = int(np.argmax(best))
        if best[end] <= total * (1 + least_gain) + 1e-9:
            break
        total, chosen = float(best[end]), [end]
        for previous in reversed(came_from):
            chosen.append(int(previous[chosen[-1]]))
        if used < count:
            step = best[:, None] + gain[1:]
            came_from.append(np.argmax(step, axis=0))
            best = np.max(step, axis=0) - cost
    return chosen


def cut_at(disparity: Array, level: float, span: float, reach_px: int, edge_reach_px: float = math.inf) -> Cut:
    """Describe the cut of a (sharpened) disparity map at ``level``.

    Surfaces are followed for ``reach_px``. Distances to the outline are found up to ``edge_reach_px``, at least 2.5.
    """
    near = disparity > level
    outline = np.zeros(near.shape, bool)
    joined: list[Mask] = []
    for here, there in _neighbour_slices():
        same_surface = np.abs(disparity[here] - disparity[there]) <= JUMP * span
        parted = near[here] != near[there]
        outline[here] |= parted & ~same_surface
        joined.append(same_surface)
    followed = near & (disparity < level + _CROSSING_DEPTH * span)
    # The outline's own pixels lie half a pixel from it.
    edge = distance_within(outline, edge_reach_px - 0.5) + np.float32(0.5)
    return Cut(near, edge, _walk(near, followed & (edge > 2), joined, reach_px))


def _walk(near: Mask, allowed: Mask, joined: list[Mask], reach_px: int) -> Array:
    """Steps from the far side to each ``allowed`` pixel, over pairs of one surface only, up to ``reach_px``."""
    steps = np.full(near.shape, np.inf, np.float32)
    waiting = (near & allowed).ravel()
    links = []  # from each pixel to that on one of its sides: how far on it lies, and whether both are of one surface
    for (_, there), same, by in zip(_neighbour_slices(), joined, (-1, 1, -near.shape[1], near.shape[1]), strict=True):
        link = np.zeros(near.shape, bool)
        link[there] = same
        links.append((by, link.ravel()))
    last = np.flatnonzero(~near & within(near, 1))
    for step in range(1, reach_px + 1):
        grown = np.concatenate([last[link[last]] + by for by, link in links])
        last = np.unique(grown[waiting[grown]])
        if not last.size:
            break
        steps.ravel()[last] = step
        waiting[last] = False
    return steps
