"""Blur kernels as lists of steps along their rows: what one source adds to a row, tabulated over its radius.

A source of radius r has on the row dy, at the column dx, the weight E(dx, dy; r) (../profile.py). Inside the disc E is
flat, so that along the row only its steps differ from 0:

    w_i(r) = E(i, dy; r) − E(i + 1, dy; r),      i ≥ 0,      E(−dx) = E(dx)

Added at −i and taken away at i + 1, they give E back once the row is summed up from the left. A list holds the w_i that are not
0, O(1) of them where the rim is steep and O(r²) divided among the 2r rows, so about 20·r in all against π·r² weights. Small
discs are listed as their weights E(i, dy; r), i ≥ 0, themselves: there are as few, and a bright point in focus is then no
difference of large numbers.

Between nodes of the radius, `SAMPLES_PER_PX` a pixel, an entry is the cubic Hermite polynomial through the profile's values
and slopes, and its slope the polynomial's. So a sum over lists is the sum of the gather (../gather.py) but for the error
of an interpolation that is as fine as the gather's own.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.disc_table import SAMPLES_PER_PX
from taichi_bokeh.kernels.scatter.profile import profile
from taichi_bokeh.kernels.scatter.rows.list_heads import BEGIN, EDGES, FIRST, KIND, LENGTH, TAPS, WEIGHTS

#: Below this radius (px) a list holds weights, from it on steps. Above the radius of whatever counts as in focus.
LEAST_EDGES_RADIUS_PX = 5.0
_NEGLIGIBLE = {"float32": 1e-6, "float64": 1e-16}  # weights below this, at both nodes, are not listed


class RowTable(NamedTuple):
    count: Any  # kernel: (table, lists [rows, intervals, 1, 4]): writes length in blocks, first offset and kind of each list
    fill: Any  # kernel: (table, lists, entries [blocks, 4·TAPS]): the polynomials, once lists hold where each begins


@cache
def row_table(name: str, dtype: str) -> RowTable:
    """Lists of one profile: `table` is that of kernels/scatter/disc_table.py; lists are (begin, first offset, length, kind)."""
    real = REAL[dtype]
    samples_per_px = SAMPLES_PER_PX[dtype]
    sample, margin, _ = profile(name, dtype)
    negligible = _NEGLIGIBLE[dtype]
    vec2 = ti.types.vector(2, real)
    list_heads = ti.types.ndarray(dtype=ti.types.vector(4, ti.i32), ndim=3)
    coefficients = ti.types.ndarray(dtype=real, ndim=2)
    tables = ti.types.ndarray(dtype=real, ndim=4)

    @ti.func
    def weight(table: ti.template(), dy, dx, radius):
        """(E, E′) at the offset (dx, dy)."""
        distance = ti.sqrt(ti.cast(dy * dy + dx * dx, real))
        row, column = ti.min(dy, table.shape[0] - 1), ti.math.clamp(dx, 0, table.shape[1] - 1)
        value = sample(table, row, column, radius, distance)
        return ti.select(distance < radius + real(margin), value, vec2(0.0))

    @ti.func
    def entry(table: ti.template(), dy, i, radius, kind):
        value = vec2(0.0)
        for k in range(1 + (kind == EDGES)):
            value += (1 - 2 * k) * weight(table, dy, i + k, radius)
        return value

    @ti.func
    def is_listed(table: ti.template(), dy, i, interval, kind):
        size = real(0.0)
        for k in range(2):
            size += ti.abs(entry(table, dy, i, ti.cast(interval + k, real) / samples_per_px, kind)[0])
        return size > real(negligible)

    @ti.kernel
    def count(
        table: tables,  # [size, size, nodes, 2]: (E, h·E′) of the disc; of other profiles not used
        lists: list_heads,  # [rows, intervals, 1]: (0, first offset, length in blocks, kind), written
    ):
        for dy, interval, part in lists:
            low, high = ti.cast(interval, real) / samples_per_px, ti.cast(interval + 1, real) / samples_per_px
            kind = ti.select(low < real(LEAST_EDGES_RADIUS_PX), WEIGHTS, EDGES)
            outer = high + real(margin)
            first, last = 0, -1
            if ti.cast(dy, real) < outer:
                last = ti.cast(ti.sqrt(outer * outer - dy * dy), ti.i32) + 1
                inner = low - real(margin)
                if kind == EDGES and inner > dy:
                    first = ti.max(0, ti.cast(ti.sqrt(inner * inner - dy * dy), ti.i32) - 2)
                while last >= first and not is_listed(table, dy, last, interval, kind):
                    last -= 1
                if kind == EDGES:
                    while first < last and not is_listed(table, dy, first, interval, kind):
                        first += 1
            lists[dy, interval, part] = ti.Vector([0, first, (last - first + TAPS) // TAPS, kind])

    @ti.kernel
    def fill(
        table: tables,  # [size, size, nodes, 2]
        lists: list_heads,  # [rows, intervals, 1]: (begin, first offset, length in blocks, kind)
        entries: coefficients,  # [blocks, 4·TAPS]: element k·TAPS + j is the coefficient of t^k of entry j, written
    ):
        for dy, interval, part in lists:
            head = lists[dy, interval, part]
            for k in range(TAPS * head[LENGTH]):
                low, high = ti.cast(interval, real) / samples_per_px, ti.cast(interval + 1, real) / samples_per_px
                start = entry(table, dy, head[FIRST] + k, low, head[KIND])
                stop = entry(table, dy, head[FIRST] + k, high, head[KIND])
                rise, s0, s1 = stop[0] - start[0], start[1] / samples_per_px, stop[1] / samples_per_px
                block, j = head[BEGIN] + k // TAPS, k % TAPS
                entries[block, j], entries[block, TAPS + j] = start[0], s0
                entries[block, 2 * TAPS + j], entries[block, 3 * TAPS + j] = 3 * rise - 2 * s0 - s1, s0 + s1 - 2 * rise

    return RowTable(count, fill)
