"""Fill the holes of a measured disparity.

A stereo camera leaves a hole where one of its eyes sees a surface and the other does not: beside a nearer object, on
the surface behind it. So a hole continues its farther side, up to the edge of the nearer object that the image shows.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.linalg import cg

from taichi_bokeh.io.require import require_light, require_plane
from taichi_bokeh.photo.fill.push_pull import push_pull

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

_FLAT = 0.02  # a hole's two sides count as one surface when they differ by less than this part of the disparity range
_STEEPEST = 0.01  # … or by what a slope explains; a slope is steeper by a pixel than this part of the range nowhere
_NEAR_REACH_PX = 6  # how far a nearer object may reach into a hole when the hole's pixels have its colour
_COLOUR_SCALE = 0.08  # the step between two pixels' colours (square root of linear light) that halves their coupling


def fill_holes(disparity: Array, rgb: Array) -> Array:
    """Fill the NaN of a disparity map.

    Every hole takes up the disparity of its farther side, smoothly, and follows the image: pixels that have the
    colour of the nearer side, and touch it, are given to it.

    Args:
        disparity: [H, W], any unit, larger is nearer; NaN marks a hole.
        rgb: [H, W, 3], linear light.

    Returns:
        float32 [H, W], finite; the measured pixels are unchanged.

    Raises:
        TypeError: ``rgb`` is not of floats, or ``disparity`` not of real numbers.
        ValueError: the shapes do not fit, a value is infinite, or there is not one measured pixel.
    """
    rgb = require_light("rgb", rgb)
    disparity = require_plane("disparity", disparity, rgb)
    if np.isinf(disparity).any():
        raise ValueError("fill_holes: disparity holds infinite values; mark holes with NaN")
    hole = np.isnan(disparity)
    if hole.all():
        raise ValueError("fill_holes: disparity has no measured pixel: every one is NaN")
    if not hole.any():
        return disparity.copy()
    colour = np.sqrt(np.maximum(rgb, 0)).astype(np.float32)
    nearest, farthest, width_px = _sides(disparity, hole)
    span = float(np.nanmax(disparity) - np.nanmin(disparity))
    one_surface = np.maximum(_FLAT * span, 2 * width_px * _slope(disparity, _STEEPEST * span))
    middle = np.where(nearest - farthest > one_surface, (nearest + farthest) / 2, np.inf).astype(np.float32)
    result = disparity.copy()
    near = _owned_by_the_nearer_side(disparity, colour, hole, middle)
    nearer_measured = ~hole & (disparity > ndimage.minimum_filter(middle, size=2 * _NEAR_REACH_PX + 1))
    result[near] = _nearest_value(disparity, nearer_measured)[near]
    return _filled(result, colour, hole & ~near, middle, farthest)


def _sides(disparity: Array, hole: Mask) -> tuple[Array, Array, Array]:
    """The nearest and the farthest measured disparity round each hole pixel, and the width of the window searched, px.

    The window is as wide as the hole is there, on either side. Outside the holes: NaN.
    """
    depth_in_hole = ndimage.distance_transform_cdt(hole, "chessboard").astype(np.float32)
    low = np.where(hole, np.float32(np.inf), disparity)
    high = np.where(hole, np.float32(-np.inf), disparity)
    nearest = np.full(disparity.shape, np.nan, np.float32)
    farthest, width_px = nearest.copy(), nearest.copy()
    pending = hole.copy()
    reach = 2
    while pending.any():
        # A hole that is nowhere deeper than reach/2 within reach is a band no wider than reach: both sides are in view.
        both_seen = ndimage.maximum_filter(depth_in_hole, size=2 * reach + 1) <= reach / 2
        both_seen |= reach > max(disparity.shape)
        now = pending & both_seen
        if now.any():
            size = 2 * reach + 3
            farthest[now] = ndimage.minimum_filter(low, size=size)[now]
            nearest[now] = ndimage.maximum_filter(high, size=size)[now]
            width_px[now] = size
        pending &= ~both_seen
        reach *= 2
    return nearest, farthest, width_px


def _slope(disparity: Array, steepest: float) -> Array:
    """How fast the measured disparity changes, per px; in the holes, as round them. Steps count as ``steepest``."""
    rows, columns = (np.abs(np.diff(disparity, axis=axis, append=np.nan)) for axis in (0, 1))
    slope = np.fmax(rows, columns)
    known = np.isfinite(slope)
    if not known.any():
        return np.zeros_like(disparity)
    return push_pull(np.minimum(slope, steepest), known.astype(np.float32))


def _owned_by_the_nearer_side(disparity: Array, colour: Array, hole: Mask, middle: Array) -> Mask:
    """Hole pixels that look clearly more like the nearer side than like the farther, and are joined to it."""
    size = 2 * _NEAR_REACH_PX + 1
    threshold = ndimage.minimum_filter(middle, size=size)
    near, far = ~hole & (disparity > threshold), ~hole & (disparity <= threshold) & np.isfinite(threshold)
    distance = [np.linalg.norm(colour - _nearest_colour(colour, side, hole), axis=2) for side in (near, far)]
    alike = hole & (distance[0] < 0.5 * distance[1]) & np.isfinite(middle)
    alike &= ndimage.distance_transform_edt(~near) <= _NEAR_REACH_PX
    seeds = ndimage.binary_dilation(near) & alike
    return ndimage.binary_propagation(seeds, mask=alike)


def _nearest_colour(colour: Array, side: Mask, hole: Mask) -> Array:
    """Colour of the ``side`` pixel nearest to each pixel, averaged over a few of its neighbours of the same side.

    The pixels that touch a hole are left out where others are in reach: they are mixtures.
    """
    pure = side & ~ndimage.binary_dilation(hole)
    side = pure | (side & ~ndimage.binary_dilation(pure, iterations=2))
    weight = ndimage.uniform_filter(side.astype(np.float32), 3)
    mean = np.stack([ndimage.uniform_filter(np.where(side, c, 0), 3) for c in np.moveaxis(colour, 2, 0)], axis=2)
    mean /= np.maximum(weight, 1e-6)[..., None]
    return _nearest_value(mean, side)


def _nearest_value(values: Array, known: Mask) -> Array:
    """``values`` [H, W(, C)] with every pixel replaced by the nearest known one's."""
    if not known.any():
        return np.full_like(values, np.inf)
    rows, columns = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return values[rows, columns]


def _filled(disparity: Array, colour: Array, hole: Mask, middle: Array, farthest: Array) -> Array:
    """Solve Σ_j w_ij (d_i − d_j) = 0 in the hole; w_ij falls with the colour step, and is 0 to the nearer side."""
    if not hole.any():
        return disparity
    count = int(hole.sum())
    number = np.full(hole.shape, -1, np.int64)
    number[hole] = np.arange(count)
    anchor = 1e-5  # keeps a hole that touches nothing farther defined
    diagonal = np.full(count, anchor)
    right = anchor * farthest[hole].astype(np.float64)
    couplings = []
    for here, there in _neighbour_slices():
        inside = hole[here]
        step = np.linalg.norm(colour[here] - colour[there], axis=2)
        weight = np.exp2(-((step / _COLOUR_SCALE) ** 2)) + 1e-3
        unknown = inside & hole[there]
        measured = inside & ~hole[there] & (disparity[there] <= middle[here])
        i = number[here]
        np.add.at(diagonal, i[unknown | measured], weight[unknown | measured])
        np.add.at(right, i[measured], weight[measured] * disparity[there][measured])
        couplings.append((weight[unknown], i[unknown], number[there][unknown]))
    values, rows, columns = (np.concatenate(part) for part in zip(*couplings, strict=True))
    matrix = sparse.diags_array(diagonal).tocsr() - sparse.csr_array((values, (rows, columns)), shape=(count, count))
    start = farthest[hole].astype(np.float64)
    solution, _ = cg(matrix, right, x0=start, rtol=1e-5, maxiter=400, M=sparse.diags_array(1 / diagonal))
    result = disparity.copy()
    measured_range = float(np.nanmin(disparity)), float(np.nanmax(disparity))
    result[hole] = np.clip(solution, *measured_range)
    return result


def _neighbour_slices() -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Slices (here, there) that pair each pixel with its right, left, lower and upper neighbour."""
    everything, but_last, but_first = slice(None), slice(None, -1), slice(1, None)
    return [
        ((everything, but_last), (everything, but_first)),
        ((everything, but_first), (everything, but_last)),
        ((but_last, everything), (but_first, everything)),
        ((but_first, everything), (but_last, everything)),
    ]
