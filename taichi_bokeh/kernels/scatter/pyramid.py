"""A level of a draft: sources reduced in blocks, and what these scatter expanded to the pixels.

Sources of radius r belong, with the weights of tents, to two levels; on level l a block is f = 2^l pixels wide:

    share(y) = max(0, 1 − |l − log₂ max(|r_y|/FINE_PX, 1)|)
    Q_k(b)   = A(b)·Σ_{y ∈ b} share·τ_k·P(y),     τ_0 = 1, τ_k that of node k (rows/separable_occlusion.py)
    r(b)     = Σ share·P_4·r_l(y) / Σ share·P_4,  A(b) = (Σ share·P_4·r_y² / Σ share·P_4)/(f·r(b))²

The reduction, the coarser tent and the interpolation widen a disc, so its radius is lessened until its second moment is what it
was (a disc has the variance r²/4 along an axis, a tent of width f f²/6), and A keeps the area that P is divided by:

    r_l² = (r/f)² − 4·(1/12 + 1/6 + 1/6) + (4/6)/f²

One ring of blocks lies outside the image and holds copies of its border, so that blocks beyond are copies of the ring. With
M_k what level 1 and those above it scatter, interpolated bilinearly,

    s(x) = fine(x) + M_0(x) − e(x)·Σ_k u_k(d_x)·M_k(x)

Adjoint, with g = ∂loss/∂s and g_k that of Q_k; P_4 depends on the radius only, which gets no gradient:

    ∂/∂P(y) = share·Σ_k τ_k·Σ_{b ∋ y} A(b)·g_k(b)          b once for every copy of y
    ∂/∂M_k(b) = Σ_x bilinear(x, b)·(g(x) for k = 0, else −e·u_k·g(x)),     ∂/∂fine = g
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.gather import NEGLIGIBLE_FOCUS
from taichi_bokeh.kernels.scatter.occlusion import occlusion_weight
from taichi_bokeh.kernels.scatter.rows.layout import CHANNELS, part_of_row
from taichi_bokeh.kernels.scatter.rows.separable_occlusion import lagrange_basis

FINE_PX = 12.0  # discs up to this radius are not reduced; on each level discs have about this radius
LEAST_PX = 1 / 16  # radius of sources that weigh nothing
_WIDENING = 4 * (1 / 12 + 1 / 6 + 1 / 6)
_LOG2_E = 1.4426950408889634


class Pyramid(NamedTuple):
    reduce: Any
    reduce_adjoint: Any
    expand: Any
    expand_adjoint: Any


@cache
def pyramid(count: int, dtype: str, on_gpu: bool) -> Pyramid:
    """Kernels for `count` nodes."""
    real = REAL[dtype]
    negligible = NEGLIGIBLE_FOCUS[dtype]
    tau, basis = occlusion_weight(dtype), lagrange_basis(dtype)
    part = part_of_row(on_gpu)
    vec2, vec5, shares = (ti.types.vector(length, real) for length in (2, CHANNELS, 1 + count))
    stacks = ti.types.ndarray(dtype=real, ndim=4)  # [1 + T, 5, h, w]
    planar = ti.types.ndarray(dtype=real, ndim=3)  # [5, H, W]
    maps = ti.types.ndarray(dtype=real, ndim=2)
    numbers = ti.types.ndarray(dtype=real, ndim=1)

    @ti.func
    def share_of(radius, level, side):
        """Of a source on a level; side: 1 for radii of 0 and more, −1 for the others."""
        share = real(0.0)
        size = ti.abs(radius) / real(FINE_PX)
        if (radius < 0) == (side < 0) and size < 2 << level and 2 * size > 1 << level:
            share = 1 - ti.abs(ti.log(size) * real(_LOG2_E) - level)
        return ti.max(share, real(0.0))

    @ti.func
    def shares_of(share, disparity, nodes: ti.template(), occlusion):
        """share·τ_k."""
        result = shares(share)
        for k in ti.static(range(count)):
            result[1 + k] = share * tau(disparity - nodes[k], occlusion)[0]
        return result

    @ti.kernel
    def reduce(
        channels: planar,  # [5, H, W]: P
        radius: maps,  # [H, W]: signed, px
        disparity: maps,  # [H, W]: what the occlusion compares
        nodes: numbers,  # [T]: n_k
        reduced: stacks,  # [1 + T, 5, h, w]: Q_k, written
        radius_px: maps,  # [h, w]: r(b) with the sign of the side, written
        area: maps,  # [h, w]: A(b)
        occlusion: vec2,  # (gap, steepness) of τ
        level: ti.i32,
        side: ti.i32,
    ):
        for row, column in radius_px:
            factor = 1 << level
            scale = 1 / ti.cast(factor, real)
            totals = ti.Matrix.zero(real, 1 + count, CHANNELS)
            sizes, squares = real(0.0), real(0.0)
            for v in range((row - 1) * factor, row * factor):
                y = ti.math.clamp(v, 0, radius.shape[0] - 1)
                for u in range((column - 1) * factor, column * factor):
                    x = ti.math.clamp(u, 0, radius.shape[1] - 1)
                    own = radius[y, x]
                    share = share_of(own, level, side)
                    if share > 0:
                        source = vec5(0.0)
                        for c in ti.static(range(CHANNELS)):
                            source[c] = channels[c, y, x]
                        totals += shares_of(share, disparity[y, x], nodes, occlusion).outer_product(source)
                        weight = share * source[CHANNELS - 1]
                        square = own * own * scale * scale - real(_WIDENING) + real(4 / 6) * scale * scale
                        sizes += weight * ti.sqrt(ti.max(square, real(LEAST_PX**2)))
                        squares += weight * own * own
            weight = totals[0, CHANNELS - 1]
            radius_px[row, column], area[row, column] = real(LEAST_PX), real(1.0)
            if weight > 0:
                size = sizes / weight
                radius_px[row, column] = side * size
                area[row, column] = squares * scale * scale / (weight * size * size)
            for k in ti.static(range(1 + count)):
                for c in ti.static(range(CHANNELS)):
                    reduced[k, c, row, column] = area[row, column] * totals[k, c]

    @ti.func
    def copies(at, size, block, factor):
        """How many of the pixels of a block are this one, or its copies beyond the border."""
        first, last = ti.max(at, block * factor), ti.min(at, block * factor + factor - 1)
        if at == 0:
            first = block * factor
        if at == size - 1:
            last = block * factor + factor - 1
        return ti.max(last - first + 1, 0)

    @ti.kernel
    def reduce_adjoint(
        d_reduced: stacks,  # [1 + T, 5, h, w]: g_k
        area: maps,  # [h, w]: A(b)
        radius: maps,  # [H, W]: signed, px
        disparity: maps,  # [H, W]: what the occlusion compares
        nodes: numbers,  # [T]: n_k
        d_channels: planar,  # [5, H, W], written
        occlusion: vec2,  # (gap, steepness) of τ
        level: ti.i32,
        side: ti.i32,
    ):
        """Inverts the totals of `reduce`."""
        for y, x in radius:
            factor = 1 << level
            share = share_of(radius[y, x], level, side)
            total = vec5(0.0)
            if share > 0:
                each = shares_of(share, disparity[y, x], nodes, occlusion)
                top, left = y // factor, x // factor
                bottom = ti.select(y == radius.shape[0] - 1, area.shape[0] - 2, top)
                right = ti.select(x == radius.shape[1] - 1, area.shape[1] - 2, left)
                top, left = ti.select(y == 0, -1, top), ti.select(x == 0, -1, left)
                for row, column in ti.ndrange((top, bottom + 1), (left, right + 1)):
                    number = copies(y, radius.shape[0], row, factor) * copies(x, radius.shape[1], column, factor)
                    for k in ti.static(range(1 + count)):
                        for c in ti.static(range(CHANNELS)):
                            total[c] += number * area[row + 1, column + 1] * each[k] * d_reduced[k, c, row + 1, column + 1]
            for c in ti.static(range(CHANNELS)):
                d_channels[c, y, x] = total[c]

    @ti.func
    def between(values: ti.template(), k, c, y, x):
        """Bilinear, of blocks of two pixels."""
        row, column = (y + 1) // 2, (x + 1) // 2
        down, right = ti.select(y % 2 == 0, real(0.75), real(0.25)), ti.select(x % 2 == 0, real(0.75), real(0.25))
        above = values[k, c, row, column] + right * (values[k, c, row, column + 1] - values[k, c, row, column])
        row += 1
        below = values[k, c, row, column] + right * (values[k, c, row, column + 1] - values[k, c, row, column])
        return above + down * (below - above)

    @ti.kernel
    def expand(
        fine: planar,  # [5, H, W]
        scattered: stacks,  # [1 + T, 5, h, w]: M_k
        disparity: maps,  # [H, W]: what the occlusion compares
        in_focus: maps,  # [H, W]: e
        nodes: numbers,  # [T]: n_k
        sums: planar,  # [5, H, W]: s, written
        row_parts: ti.i32,
    ):
        for y, row_part in ti.ndrange(disparity.shape[0], row_parts):
            columns = part(row_part, row_parts, disparity.shape[1])
            if columns[1] > columns[0]:
                for c in ti.static(range(CHANNELS)):
                    for x in range(columns[0], columns[1]):
                        sums[c, y, x] = fine[c, y, x] + between(scattered, 0, c, y, x)
                if ti.static(count > 0):
                    for x in range(columns[0], columns[1]):
                        e = in_focus[y, x]
                        if e > negligible:
                            for k in ti.static(range(count)):
                                u = e * basis(nodes, k, disparity[y, x])[0]
                                for c in ti.static(range(CHANNELS)):
                                    sums[c, y, x] = sums[c, y, x] - u * between(scattered, 1 + k, c, y, x)

    @ti.kernel
    def expand_adjoint(
        d_sums: planar,  # [5, H, W]: g
        disparity: maps,  # [H, W]: what the occlusion compares
        in_focus: maps,  # [H, W]: e
        nodes: numbers,  # [T]: n_k
        d_scattered: stacks,  # [1 + T, 5, h, w], written
    ):
        """Inverts `between` in both lines of `expand`."""
        for row, column in ti.ndrange(d_scattered.shape[2], d_scattered.shape[3]):
            totals = ti.Matrix.zero(real, 1 + count, CHANNELS)
            for v in range(ti.max(2 * row - 3, 0), ti.min(2 * row + 1, disparity.shape[0])):
                for u in range(ti.max(2 * column - 3, 0), ti.min(2 * column + 1, disparity.shape[1])):
                    near_row, near_column = v // 2 + 1 == row, u // 2 + 1 == column
                    weight = ti.select(near_row, real(0.75), real(0.25)) * ti.select(near_column, real(0.75), real(0.25))
                    each, e = shares(0.0), in_focus[v, u]
                    each[0] = weight
                    if e > negligible:
                        for k in ti.static(range(count)):
                            each[1 + k] = -weight * e * basis(nodes, k, disparity[v, u])[0]
                    g = vec5(0.0)
                    for c in ti.static(range(CHANNELS)):
                        g[c] = d_sums[c, v, u]
                    totals += each.outer_product(g)
            for k in ti.static(range(1 + count)):
                for c in ti.static(range(CHANNELS)):
                    d_scattered[k, c, row, column] = totals[k, c]

    return Pyramid(reduce, reduce_adjoint, expand, expand_adjoint)
