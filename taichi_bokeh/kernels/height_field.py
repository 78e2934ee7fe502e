"""Where a ray meets a layer: the disparity map is a height field, D(p), bilinear between pixels and replicated outside.

A ray p(d) = base + slope·d comes from the lens, where d is large, and meets the layer at the largest d with

    D(base + slope·d) = d

Walking down in d, pieces of at most TILE px are skipped where the bounds of the tiles round them rule a crossing out; in the
others the first change of sign between steps of at most one pixel brackets the crossing, and regula falsi (Illinois) closes in.
D is continuous, so there is no gap at steep slopes; only the first crossing counts, so nothing is counted twice.

Its derivative is implicit. With n = 1 − ∇D·slope (positive at a first crossing) and v = δbase + d·δslope:

    δd = (δD + ∇D·v)/n,      δp = v + slope·δd
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

TILE = 16
_REFINEMENTS = 40
_CLOSE_ENOUGH_PX = {"float32": 5e-5, "float64": 1e-12}  # how far along the texture a crossing may be off


class HeightField(NamedTuple):
    bounds: Any  # kernel: (disparity [B, L, H, W], tiles [B, L, H tiles, W tiles, 2], ranges [B, L, 2])
    meet: Any  # func: (disparity, tiles, ranges, scene, layer, base, slope) -> d
    taps: Any  # func: (position, width, height) -> the bilinear cell: column, row, fractions, whether each axis is inside


@cache
def height_field(dtype: str) -> HeightField:
    real = REAL[dtype]
    vec4 = ti.types.vector(4, real)
    maps = ti.types.ndarray(dtype=real, ndim=4)
    tile_bounds, layer_ranges = ti.types.ndarray(dtype=real, ndim=5), ti.types.ndarray(dtype=real, ndim=3)
    close_enough = _CLOSE_ENOUGH_PX[dtype]

    @ti.kernel
    def bounds(disparity: maps, tiles: tile_bounds, ranges: layer_ranges):
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
        """[column, row, fraction x, fraction y] of the cell that holds a position; outside, the nearest cell of the border."""
        x = ti.min(ti.max(position[0], real(0.0)), ti.cast(width - 1, real))
        y = ti.min(ti.max(position[1], real(0.0)), ti.cast(height - 1, real))
        column = ti.max(0, ti.min(ti.cast(ti.floor(x), ti.i32), width - 2))
        row = ti.max(0, ti.min(ti.cast(ti.floor(y), ti.i32), height - 2))
        return vec4(ti.cast(column, real), ti.cast(row, real), x - column, y - row)

    @ti.func
    def height(disparity: ti.template(), b, layer, position):
        width, rows = disparity.shape[3], disparity.shape[2]
        cell = taps(position, width, rows)
        x, y = ti.cast(cell[0], ti.i32), ti.cast(cell[1], ti.i32)
        right, below = ti.min(x + 1, width - 1), ti.min(y + 1, rows - 1)
        top = disparity[b, layer, y, x] * (1 - cell[2]) + disparity[b, layer, y, right] * cell[2]
        bottom = disparity[b, layer, below, x] * (1 - cell[2]) + disparity[b, layer, below, right] * cell[2]
        return top * (1 - cell[3]) + bottom * cell[3]

    @ti.func
    def close_in(disparity: ti.template(), b, layer, base, slope, above, below, over, under, tolerance):
        """The crossing between `above`, where the layer lies `over` ≤ 0 nearer than the ray, and `below`, `under` ≥ 0."""
        high, low, at_high, at_low = above, below, over, under
        found, side = low, 0
        for _ in range(_REFINEMENTS):
            if high <= low or at_low <= at_high:
                break
            found = low + (high - low) * at_low / (at_low - at_high)
            value = height(disparity, b, layer, base + slope * found) - found
            if ti.abs(value) <= tolerance:
                break
            if value > 0:
                low, at_low = found, value
                at_high *= ti.select(side == 1, real(0.5), real(1.0))
                side = 1
            else:
                high, at_high = found, value
                at_low *= ti.select(side == -1, real(0.5), real(1.0))
                side = -1
        return found

    @ti.func
    def meet(disparity: ti.template(), tiles: ti.template(), ranges: ti.template(), b, layer, base, slope):
        low, high = ranges[b, layer, 0], ranges[b, layer, 1]
        result = high
        if high > low:
            speed = ti.max(ti.abs(slope[0]), ti.abs(slope[1]))
            tolerance = real(close_enough) / ti.max(speed, real(1e-3))
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
                    steps = ti.max(1, ti.cast(ti.ceil(speed * (above - last)), ti.i32))
                    fine = (above - last) / steps
                    if above <= last:  # flat there, or behind the layer already
                        result = above
                        found = True
                        steps = 0
                    over = real(0.0)
                    if steps > 0:
                        over = height(disparity, b, layer, base + slope * above) - above
                    for j in range(steps):
                        below = ti.max(last, above - fine)
                        if j == steps - 1:
                            below = last
                        under = height(disparity, b, layer, base + slope * below) - below
                        if under >= 0:
                            result = close_in(disparity, b, layer, base, slope, above, below, over, under, tolerance)
                            found = True
                            break
                        above, over = below, under
                if found:
                    break
        return result

    return HeightField(bounds, meet, taps)
