"""How a source's list is added to a row of sums, and gathered from a row of cotangents: the inner loop of row_sums.py.

A list is (begin, first, length, kind): its polynomials start at `begin`, and the first belongs to the offset `first`.
At the radius (in nodes of the table) interval + t the entry w_i is its interval's polynomial at t.

    mirrored:  one list for each |dy| and interval, with E(−dx) = E(dx) understood; `length` blocks of TAPS entries, of which
               element k·TAPS + j is the coefficient of t^k of entry j                     (row_table.py)
    shaped:    two lists for each dy and interval, of steps E(dx) − E(dx − 1) or weights E(dx), for a far source, whose
               highlight shows the aperture as it is; a near one's is the point mirror       (ops/scatter/aperture_lists.py)

Steps before the first column of a run are added to it, steps behind its last one to nothing. row_fours.py
adds four neighbours at once, to the same sums.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.rows.list_heads import BEGIN, EDGES, FIRST, KIND, LENGTH, TAPS
from taichi_bokeh.kernels.scatter.rows.row_fours import fours


class RowLists(NamedTuple):
    reaches: Any  # func: whether a source has anything for a row
    add: Any  # func: adds a source to a run of a row
    extent: Any  # func: (first, last) column that a source's lists touch, relative to it
    gather: Any  # func: what a row gives back, and its derivative in nodes of the radius
    at_itself: Any  # func: (E, ∂E/∂r in nodes of the radius) of a source whose lists are weights, at its own pixel
    fours: Any  # Fours; None for shaped lists


def _polynomials() -> tuple[Any, Any]:
    @ti.func
    def value(p, t):
        return ((p[3] * t + p[2]) * t + p[1]) * t + p[0]

    @ti.func
    def slope(p, t):
        return (3 * p[3] * t + 2 * p[2]) * t + p[1]

    return value, slope


@cache
def row_lists(shaped: bool, lanes: int, dtype: str) -> RowLists:
    """Functions for sums of `lanes` channels; `entries` [total] of `entry_size` coefficients each."""
    return _shaped(lanes, dtype) if shaped else _mirrored(lanes, dtype)


def entry_size(shaped: bool) -> int:
    """Coefficients in an element of `entries`: of one polynomial, or of a block of them."""
    return 4 if shaped else 4 * TAPS


def _mirrored(lanes: int, dtype: str) -> RowLists:
    real = REAL[dtype]
    vec, taps, vec2 = (ti.types.vector(size, real) for size in (lanes, TAPS, 2))

    @ti.func
    def values(entries: ti.template(), block, t):
        p = entries[block]
        return taps([((p[3 * TAPS + j] * t + p[2 * TAPS + j]) * t + p[TAPS + j]) * t + p[j] for j in ti.static(range(TAPS))])

    @ti.func
    def slopes(entries: ti.template(), block, t):
        p = entries[block]
        return taps([(3 * p[3 * TAPS + j] * t + 2 * p[2 * TAPS + j]) * t + p[TAPS + j] for j in ti.static(range(TAPS))])

    @ti.func
    def pick(block, j):
        """block[j] for a j that is known at run time only."""
        return ti.select(j < 2, ti.select(j == 0, block[0], block[1]), ti.select(j == 2, block[2], block[3]))

    @ti.func
    def reach_of(head):
        return head[FIRST] + TAPS * head[LENGTH]

    @ti.func
    def ends_of(x, head, block):
        """The columns next to the source that a block touches; its other entries lie farther away."""
        near = head[FIRST] + TAPS * block
        return ti.math.ivec2(x - near, x + near + ti.select(head[KIND] == EDGES, 1, 0))

    @ti.func
    def reaches(lists: ti.template(), dy, at):
        return lists[ti.abs(dy), ti.cast(at, ti.i32), 0][LENGTH] > 0

    @ti.func
    def add(
        edge_sums: ti.template(),
        dense_sums: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        row,
        x,
        dy,
        at,
        source,
        first,
        last,
        scratch: ti.template(),
        slot,
    ):
        """The source at column x, `dy` rows above `row`, of radius `at`, to the columns first … last − 1."""
        interval = ti.cast(at, ti.i32)
        head = lists[ti.abs(dy), interval, 0]
        reach = reach_of(head)
        if head[LENGTH] > 0 and x - reach < last and x + reach >= first:
            for block in range(head[LENGTH]):
                ends = ends_of(x, head, block)
                scratch[slot, 0] = values(entries, head[BEGIN] + block, at - interval)
                weights = scratch[slot, 0]
                for j in range(TAPS):
                    part = pick(weights, j) * source
                    left, right = ends[0] - j, ends[1] + j
                    if head[KIND] == EDGES:
                        left, right = ti.max(left, first), ti.max(right, first)
                        if left < last:
                            edge_sums[row, left] = edge_sums[row, left] + part
                        if right < last:
                            edge_sums[row, right] = edge_sums[row, right] - part
                    else:
                        if first <= left < last:
                            dense_sums[row, left] = dense_sums[row, left] + part
                        if first <= right < last and right > left:
                            dense_sums[row, right] = dense_sums[row, right] + part

    @ti.func
    def extent(lists: ti.template(), dy, at):
        head = lists[ti.abs(dy), ti.cast(at, ti.i32), 0]
        reach = ti.select(head[LENGTH] > 0, reach_of(head), -1)
        return ti.math.ivec2(-reach, reach)

    @ti.func
    def gather(
        d_edge_sums: ti.template(), d_dense_sums: ti.template(), lists: ti.template(), entries: ti.template(), row, x, dy, at
    ):
        """Inverts `add` for a whole row; gradients reach as far as any list."""
        interval = ti.cast(at, ti.i32)
        head, t = lists[ti.abs(dy), interval, 0], at - interval
        total, total_slope = vec(0.0), vec(0.0)
        for block in range(head[LENGTH]):
            ends = ends_of(x, head, block)
            weights, by_radius = values(entries, head[BEGIN] + block, t), slopes(entries, head[BEGIN] + block, t)
            for j in range(TAPS):
                left, right = ends[0] - j, ends[1] + j
                both = vec(0.0)
                if head[KIND] == EDGES:
                    both = d_edge_sums[row, left] - d_edge_sums[row, right]
                else:
                    both = d_dense_sums[row, left]
                    if right > left:
                        both += d_dense_sums[row, right]
                total += pick(weights, j) * both
                total_slope += pick(by_radius, j) * both
        return total, total_slope

    @ti.func
    def at_itself(lists: ti.template(), entries: ti.template(), at):
        interval = ti.cast(at, ti.i32)
        block, t = lists[0, interval, 0][BEGIN], at - interval
        return vec2(values(entries, block, t)[0], slopes(entries, block, t)[0])

    return RowLists(reaches, add, extent, gather, at_itself, fours(lanes, dtype, values, slopes, reach_of, ends_of))


def sides() -> tuple[Any, Any, Any]:
    """Functions for shaped lists: of what side a source is, its list, and the column of an entry."""

    @ti.func
    def side(at):
        """1 for a far source (negative radius), whose lists are the table's; −1 for a near one."""
        return ti.select(at < 0, 1, -1)

    @ti.func
    def head_of(lists: ti.template(), dy, at, part):
        return lists[lists.shape[0] // 2 + side(at) * dy, ti.cast(ti.abs(at), ti.i32), part]

    @ti.func
    def column(x, offset, kind, sign):
        """Where an entry goes: a step of the mirrored row lies one further, as it begins behind its pixel."""
        return x + sign * offset + ti.select(kind == EDGES and sign < 0, 1, 0)

    return side, head_of, column


def _shaped(lanes: int, dtype: str) -> RowLists:
    real = REAL[dtype]
    vec, vec2 = ti.types.vector(lanes, real), ti.types.vector(2, real)
    value, slope = _polynomials()
    side, head_of, column = sides()

    @ti.func
    def reaches(lists: ti.template(), dy, at):
        return head_of(lists, dy, at, 0)[2] > 0

    @ti.func
    def add(
        edge_sums: ti.template(),
        dense_sums: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        row,
        x,
        dy,
        at,
        source,
        first,
        last,
        scratch: ti.template(),
        slot,
    ):
        sign = side(at)
        t = ti.abs(at) - ti.cast(ti.abs(at), ti.i32)
        for part in ti.static(range(2)):
            head = head_of(lists, dy, at, part)
            for i in range(head[LENGTH]):
                at_column = column(x, head[FIRST] + i, head[KIND], sign)
                weighted = value(entries[head[BEGIN] + i], t) * source
                if head[KIND] == EDGES:
                    at_column = ti.max(at_column, first)
                    if at_column < last:
                        edge_sums[row, at_column] = edge_sums[row, at_column] + ti.cast(sign, real) * weighted
                elif first <= at_column < last:
                    dense_sums[row, at_column] = dense_sums[row, at_column] + weighted

    @ti.func
    def extent(lists: ti.template(), dy, at):
        low, high = 1, 0
        for part in ti.static(range(2)):
            head = head_of(lists, dy, at, part)
            if head[LENGTH] > 0:
                begin, end = side(at) * head[FIRST], side(at) * (head[FIRST] + head[LENGTH])
                near, far = ti.min(begin, end), ti.max(begin, end)
                if low > high:
                    low, high = near, far
                low, high = ti.min(low, near), ti.max(high, far)
        return ti.math.ivec2(low, high)

    @ti.func
    def gather(
        d_edge_sums: ti.template(), d_dense_sums: ti.template(), lists: ti.template(), entries: ti.template(), row, x, dy, at
    ):
        """Inverts add."""
        sign = side(at)
        t = ti.abs(at) - ti.cast(ti.abs(at), ti.i32)
        total, total_slope = vec(0.0), vec(0.0)
        for part in ti.static(range(2)):
            head = head_of(lists, dy, at, part)
            for i in range(head[LENGTH]):
                at_column = column(x, head[FIRST] + i, head[KIND], sign)
                p = entries[head[BEGIN] + i]
                if head[KIND] == EDGES:
                    total += ti.cast(sign, real) * value(p, t) * d_edge_sums[row, at_column]
                    total_slope += ti.cast(sign, real) * slope(p, t) * d_edge_sums[row, at_column]
                else:
                    total += value(p, t) * d_dense_sums[row, at_column]
                    total_slope += slope(p, t) * d_dense_sums[row, at_column]
        return total, ti.cast(-sign, real) * total_slope  # at is the signed radius

    @ti.func
    def at_itself(lists: ti.template(), entries: ti.template(), at):
        head = head_of(lists, 0, at, 0)
        weight = vec2(0.0)
        if head[FIRST] <= 0 < head[FIRST] + head[LENGTH]:
            p, t = entries[head[BEGIN] - head[FIRST]], ti.abs(at) - ti.cast(ti.abs(at), ti.i32)
            weight = vec2(value(p, t), ti.cast(-side(at), real) * slope(p, t))
        return weight

    return RowLists(reaches, add, extent, gather, at_itself, None)
