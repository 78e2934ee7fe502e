"""Fill the holes of a measured disparity.

A stereo camera leaves a hole where one of its eyes sees a surface and the other does not: beside a nearer object, on
the surface behind it. So a hole continues its farther side, up to the edge of the nearer object that the image shows.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from taichi_bokeh.io.require import require_light, require_plane
from taichi_bokeh.photo.fill.push_pull import push_pull
from taichi_bokeh.photo.reach import within

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Reals = NDArray[np.float64]

_FLAT = 0.02  # a hole's two sides count as one surface when they differ by less than this part of the disparity range
_STEEPEST = 0.01  # … or by what a slope explains; a slope is steeper by a pixel than this part of the range nowhere
_NEAR_REACH_PX = 6  # how far a nearer object may reach into a hole when the hole's pixels have its colour
_COLOUR_SCALE = 0.08  # the step between two pixels' colours (square root of linear light) that halves their coupling
_RESIDUAL, _MOST_STEPS = 1e-5, 400


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
    threshold = ndimage.minimum_filter(middle, size=2 * _NEAR_REACH_PX + 1)
    near = _owned_by_the_nearer_side(disparity, colour, hole, hole & np.isfinite(middle), threshold)
    result[near] = _nearest_value(disparity, ~hole & (disparity > threshold), near)
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


def _owned_by_the_nearer_side(disparity: Array, colour: Array, hole: Mask, parted: Mask, threshold: Array) -> Mask:
    """Hole pixels with two sides, ``parted``, that clearly look like the nearer, and are joined to it."""
    near, far = ~hole & (disparity > threshold), ~hole & (disparity <= threshold) & np.isfinite(threshold)
    in_reach = parted & within(near, _NEAR_REACH_PX)
    own = colour[in_reach]
    distance = [np.linalg.norm(own - _nearest_colour(colour, side, hole, in_reach), axis=1) for side in (near, far)]
    alike = in_reach.copy()
    alike[in_reach] = distance[0] < 0.5 * distance[1]
    seeds = ndimage.binary_dilation(near) & alike
    labels, count = ndimage.label(alike)
    joined = np.zeros(count + 1, bool)
    joined[labels[seeds]] = True
    return joined[labels]


def _nearest_colour(colour: Array, side: Mask, hole: Mask, where: Mask) -> Array:
    """Colour [n, 3] of the ``side`` pixel nearest to each pixel of ``where``, averaged over its neighbours of the same side.

    The pixels that touch a hole are left out where others are in reach: they are mixtures.
    """
    pure = side & ~ndimage.binary_dilation(hole)
    side = pure | (side & ~ndimage.binary_dilation(pure, iterations=2))
    weight = ndimage.uniform_filter(side.astype(np.float32), 3)
    mean = np.stack([ndimage.uniform_filter(np.where(side, c, 0), 3) for c in np.moveaxis(colour, 2, 0)], axis=2)
    mean /= np.maximum(weight, 1e-6)[..., None]
    return _nearest_value(mean, side, where)


def _nearest_value(values: Array, known: Mask, where: Mask) -> Array:
    """The nearest known pixel's ``values`` [H, W(, C)] for each of the n pixels of ``where``, [n(, C)]."""
    if not known.any():
        return np.full((int(where.sum()), *values.shape[2:]), np.inf, np.float32)
    rows, columns = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return values[rows[where], columns[where]]


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
        i, j = number[here][inside], number[there][inside]
        step = np.linalg.norm(colour[here][inside] - colour[there][inside], axis=1)
        weight = np.exp2(-((step / _COLOUR_SCALE) ** 2)) + 1e-3
        beside = disparity[there][inside]
        unknown = j >= 0
        measured = ~unknown & (beside <= middle[here][inside])
        coupled = unknown | measured
        diagonal[i[coupled]] += weight[coupled]  # no pixel has two neighbours on the same side
        right[i[measured]] += weight[measured] * beside[measured]
        couplings.append((weight[unknown], i[unknown], j[unknown]))
    values, rows, columns = (np.concatenate(part) for part in zip(*couplings, strict=True))
    matrix = sparse.diags_array(diagonal).tocsr() - sparse.csr_array((values, (rows, columns)), shape=(count, count))
    result = disparity.copy()
    measured_range = float(np.nanmin(disparity)), float(np.nanmax(disparity))
    result[hole] = np.clip(_solved(matrix, right, farthest[hole].astype(np.float64), 1 / diagonal), *measured_range)
    return result


def _solved(matrix: sparse.csr_array, right: Reals, start: Reals, preconditioner: Reals) -> Reals:
    """Solve a positive definite system by conjugate gradients, to a residual of 1e-5 of the right side, in 400 steps at most.

    It does what scipy's does, whose inner products wait for the threads of BLAS: eight times as long as all the rest takes.
    """
    x, rest = start, right - matrix @ start
    least = _RESIDUAL * np.sqrt(_dot(right, right))
    direction, last = np.zeros_like(rest), np.inf
    for _ in range(_MOST_STEPS):
        if np.sqrt(_dot(rest, rest)) < least:
            break
        scaled = preconditioner * rest
        product = _dot(rest, scaled)
        direction *= product / last
        direction += scaled
        image = matrix @ direction
        length = product / _dot(direction, image)
        x += length * direction
        rest -= length * image
        last = product
    return x


def _dot(a: Reals, b: Reals) -> float:
    return float(np.einsum("i,i", a, b))


def _neighbour_slices() -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Slices (here, there) that pair each pixel with its right, left, lower and upper neighbour."""
    everything, but_last, but_first = slice(None), slice(None, -1), slice(1, None)
    return [
        ((everything, but_last), (everything, but_first)),
        ((everything, but_first), (everything, but_last)),
        ((but_last, everything), (but_first, everything)),
        ((but_first, everything), (but_last, everything)),
    ]
