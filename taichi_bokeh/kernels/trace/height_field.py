"""Where a ray meets a layer: the disparity map is a height field, D(p), bilinear between pixels and replicated outside.

A ray p(d) = base + slope·d comes from the lens, where d is large, and meets the layer at the largest d with

    D(base + slope·d) = d

Walking down in d, pieces of at most TILE px are skipped where the bounds of the tiles round them rule a crossing out. In the
others the walk goes from texel line to texel line. Inside a cell D is bilinear, so that along the ray f = D − d is a quadratic,

    f(t) = α·t² + β·t + γ, 0 ≤ t ≤ 1,    γ < 0:    first root  t = −2γ/(β + √(β² − 4αγ))

which three values give, and whose first root is the crossing. D is continuous, so there is no gap, however steep the slope;
only the first crossing counts, so nothing is counted twice.

Its derivative is implicit. With n = 1 − ∇D·slope (positive at a first crossing) and v = δbase + d·δslope:

    δd = (δD + ∇D·v)/n,      δp = v + slope·δd
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

TILE = 16
_LEAST_ADVANCE_PX = 1e-4  # so that rounding cannot stop the walk on a texel line
_LEAST_ADVANCE = {
    "float32": 2.0**-23,
    "float64": 2.0**-52,
}  # of the largest d: its last digit, which counts where the blur is large


class HeightField(NamedTuple):
    bounds: Any  # kernel: (disparity [B, L, H, W], tiles [B, L, H tiles, W tiles, 2], ranges [B, L, 2])
    meet: Any  # func: (disparity, tiles, ranges, scene, layer, base, slope) -> d
    taps: Any  # func: (position, width, height) -> the bilinear cell: column, row, fractions, whether each axis is inside


@cache
def height_field(dtype: str) -> HeightField:
    real = REAL[dtype]
    vec2, vec3, vec4 = (ti.types.vector(n, real) for n in (2, 3, 4))
    maps = ti.types.ndarray(dtype=real, ndim=4)
    tile_bounds, layer_ranges = ti.types.ndarray(dtype=real, ndim=5), ti.types.ndarray(dtype=real, ndim=3)

    @ti.kernel
    def bounds(
        disparity: maps,  # [B, L, H, W]
        tiles: tile_bounds,  # [B, L, H tiles, W tiles, 2]: least and largest in a tile and its neighbours
        ranges: layer_ranges,  # [B, L, 2]: least and largest in a layer
    ):
        for b, layer, row, column in ti.ndrange(tiles.shape[0], tiles.shape[1], tiles.shape[2], tiles.shape[3]):
            low, high = real(1e30), real(-1e30)
            for y in range(ti.max(0, (row - 1) * TILE), ti.min(disparity.shape[2], (row + 2) * TILE)):
                for x in range(ti.max(0, (column - 1) * TILE), ti.min(disparity.shape[3], (column + 2) * TILE)):
                    low, high = ti.min(low, disparity[b, layer, y, x]), ti.max(high, disparity[b, layer, y, x])
            tiles[b, layer, row, column, 0], tiles[b, layer, row, column, 1] = low, high
        for b, layer in ti.ndrange(ranges.shape[0], ranges.shape[1]):
            low, high = real(1e30), real(-1e30)
            for row, column in ti.ndrange(tiles.shape[2], tiles.shape[3]):
                low, high = ti.min(low, tiles[b, layer, row, column, 0]), ti.max(high, tiles[b, layer, row, column, 1])
            ranges[b, layer, 0], ranges[b, layer, 1] = low, high

    @ti.func
    def taps(position, width, height):
        """Find [column, row, fraction x, fraction y] of the cell that holds a position; outside, the nearest of the border."""
        x = ti.min(ti.max(position[0], real(0.0)), ti.cast(width - 1, real))
        y = ti.min(ti.max(position[1], real(0.0)), ti.cast(height - 1, real))
        column = ti.max(0, ti.min(ti.cast(ti.floor(x), ti.i32), width - 2))
        row = ti.max(0, ti.min(ti.cast(ti.floor(y), ti.i32), height - 2))
        return vec4(ti.cast(column, real), ti.cast(row, real), x - column, y - row)

    @ti.func
    def next_line(position, base, slope, d):
        """Find the d, below this one, at which the ray comes to the next texel line of one axis; far below if it never does."""
        found = real(-1e30)
        if slope > 0:
            found = (ti.ceil(position) - 1 - base) / slope
        elif slope < 0:
            found = (ti.floor(position) + 1 - base) / slope
        return ti.min(found, d)

    @ti.func
    def crossing(disparity: ti.template(), b, layer, base, slope, start, end):
        """Find where, between two d of one cell, the ray meets the layer first: [t, 1], or [·, 0] where it does not."""
        width, rows = disparity.shape[3], disparity.shape[2]
        cell = taps(base + slope * (0.5 * (start + end)), width, rows)
        x, y = ti.cast(cell[0], ti.i32), ti.cast(cell[1], ti.i32)
        right, below = ti.min(x + 1, width - 1), ti.min(y + 1, rows - 1)
        corners = vec4(
            disparity[b, layer, y, x],
            disparity[b, layer, y, right],
            disparity[b, layer, below, x],
            disparity[b, layer, below, right],
        )
        f = vec3(0.0)
        for k in ti.static(range(3)):
            d = start + (0.5 * k) * (end - start)
            fx = ti.min(ti.max(base[0] + slope[0] * d, real(0.0)), ti.cast(width - 1, real)) - cell[0]
            fy = ti.min(ti.max(base[1] + slope[1] * d, real(0.0)), ti.cast(rows - 1, real)) - cell[1]
            top = corners[0] + fx * (corners[1] - corners[0])
            bottom = corners[2] + fx * (corners[3] - corners[2])
            f[k] = top + fy * (bottom - top) - d
        result = vec2(0.0, 0.0)
        if f[0] >= 0:
            result = vec2(0.0, 1.0)
        else:
            square = 2 * (f[0] - 2 * f[1] + f[2])
            rise = 4 * f[1] - 3 * f[0] - f[2]
            under_root = rise * rise - 4 * square * f[0]
            if under_root >= 0:
                divisor = rise + ti.sqrt(under_root)
                if divisor > 0 and -2 * f[0] <= divisor:
                    result = vec2(-2 * f[0] / divisor, 1.0)
        return result

    @ti.func
    def meet(disparity: ti.template(), tiles: ti.template(), ranges: ti.template(), b, layer, base, slope):
        low, high = ranges[b, layer, 0], ranges[b, layer, 1]
        result = high
        if high > low:
            speed = ti.max(ti.abs(slope[0]), ti.abs(slope[1]))
            largest = ti.max(ti.abs(low), ti.abs(high))
            least_step = ti.max(real(_LEAST_ADVANCE_PX) / ti.max(speed, real(1e-6)), real(_LEAST_ADVANCE[dtype]) * largest)
            pieces = ti.max(1, ti.cast(ti.ceil(speed * (high - low) / TILE), ti.i32))
            step = (high - low) / pieces
            result = low
            found = False
            for i in range(pieces):
                start, end = high - i * step, ti.max(low, high - (i + 1) * step)
                middle = base + slope * (0.5 * (start + end))
                column = ti.max(0, ti.min(ti.cast(ti.floor(middle[0] / TILE), ti.i32), tiles.shape[3] - 1))
                row = ti.max(0, ti.min(ti.cast(ti.floor(middle[1] / TILE), ti.i32), tiles.shape[2] - 1))
                nearest, farthest = tiles[b, layer, row, column, 1], tiles[b, layer, row, column, 0]
                if nearest >= end:
                    above, last = ti.min(start, nearest), ti.min(ti.max(end, farthest), ti.min(start, nearest))
                    if above <= last:  # flat there, or behind the layer already
                        result = above
                        found = True
                    while not found:
                        position = base + slope * above
                        line_x = next_line(position[0], base[0], slope[0], above)
                        line_y = next_line(position[1], base[1], slope[1], above)
                        below = ti.max(last, ti.min(ti.max(line_x, line_y), above - least_step))
                        met = crossing(disparity, b, layer, base, slope, above, below)
                        if met[1] > 0:
                            result = above + met[0] * (below - above)
                            found = True
                            break
                        if below <= last:
                            break
                        above = below
                if found:
                    break
        return result

    return HeightField(bounds, meet, taps)
