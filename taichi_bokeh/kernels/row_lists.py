"""How a source's list is added to a row of sums, and gathered from a row of cotangents: the inner loop of kernels/rows.py.

A list is (begin, first, length, kind): its polynomials start at `begin`, and the first belongs to the offset `first`.
At the radius (in steps of the table) interval + t the entry w_i is its interval's polynomial at t.

    mirrored:  one list for each |dy| and interval, with E(−dx) = E(dx) understood      (kernels/row_table.py)
    shaped:    two lists for each dy and interval, of steps E(dx) − E(dx − 1) or weights E(dx), for a far source, whose
               highlight shows the opening as it is; a near one's is the point mirror       (ops/_shape_lists.py)

Steps before the first column of a run are added to it, steps behind its last one to nothing.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

WEIGHTS, STEPS = 0, 1  # kinds of lists


class RowLists(NamedTuple):
    reaches: Any  # func: whether a source has anything for a row
    add: Any  # func: adds a source to a run of a row
    add_twice: Any  # func: adds it to two whole rows, as far above it as below; None where they differ
    extent: Any  # func: (first, last) column that a source's lists touch, relative to it
    gather: Any  # func: what a row gives back, and its derivative in steps of the radius


def _polynomials(dtype: str) -> tuple[Any, Any]:
    @ti.func
    def value(p, t):
        return ((p[3] * t + p[2]) * t + p[1]) * t + p[0]

    @ti.func
    def slope(p, t):
        return (3 * p[3] * t + 2 * p[2]) * t + p[1]

    return value, slope


@cache
def row_lists(shaped: bool, lanes: int, dtype: str) -> RowLists:
    """Functions for sums of `lanes` planes."""
    return _shaped(lanes, dtype) if shaped else _mirrored(lanes, dtype)


def _mirrored(lanes: int, dtype: str) -> RowLists:
    real = REAL[dtype]
    vec = ti.types.vector(lanes, real)
    value, slope = _polynomials(dtype)

    @ti.func
    def reaches(lists: ti.template(), dy, at):
        return lists[ti.abs(dy), ti.cast(at, ti.i32), 0][2] > 0

    @ti.func
    def add_inside(step: ti.template(), whole: ti.template(), entries: ti.template(), row, x, head, t, source):
        """All of a list, where it lies inside the run."""
        if head[3] == STEPS:
            left, right = x - head[1], x + head[1] + 1
            for i in range(head[2]):
                part = value(entries[head[0] + i], t) * source
                step[row, left - i] = step[row, left - i] + part
                step[row, right + i] = step[row, right + i] - part
        else:
            whole[row, x] = whole[row, x] + value(entries[head[0]], t) * source
            for i in range(1, head[2]):
                part = value(entries[head[0] + i], t) * source
                whole[row, x - i] = whole[row, x - i] + part
                whole[row, x + i] = whole[row, x + i] + part

    @ti.func
    def add_clipped(step: ti.template(), whole: ti.template(), entries: ti.template(), row, x, head, t, source, first, last):
        for i in range(head[2]):
            part = value(entries[head[0] + i], t) * source
            left, right = x - head[1] - i, x + head[1] + i
            if head[3] == STEPS:
                left, right = ti.max(left, first), ti.max(right + 1, first)
                if left < last:
                    step[row, left] = step[row, left] + part
                if right < last:
                    step[row, right] = step[row, right] - part
            else:
                if first <= left < last:
                    whole[row, left] = whole[row, left] + part
                if first <= right < last and i > 0:
                    whole[row, right] = whole[row, right] + part

    @ti.func
    def add(
        step: ti.template(),
        whole: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        row,
        x,
        dy,
        at,
        source,
        first,
        last,
    ):
        """The source at column x, `dy` rows above `row`, of radius `at`, to the columns first … last − 1."""
        interval = ti.cast(at, ti.i32)
        head = lists[ti.abs(dy), interval, 0]
        reach = head[1] + head[2]
        if head[2] > 0:
            if x - reach >= first and x + reach < last:
                add_inside(step, whole, entries, row, x, head, at - interval, source)
            elif x - reach < last and x + reach >= first:
                add_clipped(step, whole, entries, row, x, head, at - interval, source, first, last)

    @ti.func
    def add_twice(
        step: ti.template(),
        whole: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        above,
        below,
        x,
        dy,
        at,
        source,
        last,
    ):
        """As `add`, to the columns from 0 on of the rows `above` and `below`, whose weights are the same."""
        interval = ti.cast(at, ti.i32)
        head = lists[dy, interval, 0]
        t = at - interval
        reach = head[1] + head[2]
        if x - reach >= 0 and x + reach < last:
            if head[3] == STEPS:
                left, right = x - head[1], x + head[1] + 1
                for i in range(head[2]):
                    part = value(entries[head[0] + i], t) * source
                    step[above, left - i] = step[above, left - i] + part
                    step[above, right + i] = step[above, right + i] - part
                    step[below, left - i] = step[below, left - i] + part
                    step[below, right + i] = step[below, right + i] - part
            else:
                own = value(entries[head[0]], t) * source
                whole[above, x] = whole[above, x] + own
                whole[below, x] = whole[below, x] + own
                for i in range(1, head[2]):
                    part = value(entries[head[0] + i], t) * source
                    whole[above, x - i] = whole[above, x - i] + part
                    whole[above, x + i] = whole[above, x + i] + part
                    whole[below, x - i] = whole[below, x - i] + part
                    whole[below, x + i] = whole[below, x + i] + part
        elif x - reach < last and x + reach >= 0:
            add_clipped(step, whole, entries, above, x, head, t, source, 0, last)
            add_clipped(step, whole, entries, below, x, head, t, source, 0, last)

    @ti.func
    def extent(lists: ti.template(), dy, at):
        head = lists[ti.abs(dy), ti.cast(at, ti.i32), 0]
        reach = ti.select(head[2] > 0, head[1] + head[2], -1)
        return ti.math.ivec2(-reach, reach)

    @ti.func
    def gather(d_step: ti.template(), d_whole: ti.template(), lists: ti.template(), entries: ti.template(), row, x, dy, at):
        """Inverts add_inside; cotangents reach as far as any list."""
        interval = ti.cast(at, ti.i32)
        head, t = lists[ti.abs(dy), interval, 0], at - interval
        total, total_slope = vec(0.0), vec(0.0)
        if head[3] == STEPS:
            left, right = x - head[1], x + head[1] + 1
            for i in range(head[2]):
                p = entries[head[0] + i]
                both = d_step[row, left - i] - d_step[row, right + i]
                total += value(p, t) * both
                total_slope += slope(p, t) * both
        elif head[2] > 0:
            p = entries[head[0]]
            total = value(p, t) * d_whole[row, x]
            total_slope = slope(p, t) * d_whole[row, x]
            for i in range(1, head[2]):
                p = entries[head[0] + i]
                both = d_whole[row, x - i] + d_whole[row, x + i]
                total += value(p, t) * both
                total_slope += slope(p, t) * both
        return total, total_slope

    return RowLists(reaches, add, add_twice, extent, gather)


def _shaped(lanes: int, dtype: str) -> RowLists:
    real = REAL[dtype]
    vec = ti.types.vector(lanes, real)
    value, slope = _polynomials(dtype)

    @ti.func
    def side(at):
        """1 for a far source (negative radius), whose lists are the table's; −1 for a near one."""
        return ti.select(at < 0, 1, -1)

    @ti.func
    def head_of(lists: ti.template(), dy, at, part):
        return lists[lists.shape[0] // 2 + side(at) * dy, ti.cast(ti.abs(at), ti.i32), part]

    @ti.func
    def reaches(lists: ti.template(), dy, at):
        return head_of(lists, dy, at, 0)[2] > 0

    @ti.func
    def column(x, offset, kind, sign):
        """Where an entry goes: a step of the mirrored row lies one further, as it begins behind its pixel."""
        return x + sign * offset + ti.select(kind == STEPS and sign < 0, 1, 0)

    @ti.func
    def add(
        step: ti.template(),
        whole: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        row,
        x,
        dy,
        at,
        source,
        first,
        last,
    ):
        sign = side(at)
        t = ti.abs(at) - ti.cast(ti.abs(at), ti.i32)
        for part in ti.static(range(2)):
            head = head_of(lists, dy, at, part)
            for i in range(head[2]):
                place = column(x, head[1] + i, head[3], sign)
                weighted = value(entries[head[0] + i], t) * source
                if head[3] == STEPS:
                    place = ti.max(place, first)
                    if place < last:
                        step[row, place] = step[row, place] + ti.cast(sign, real) * weighted
                elif first <= place < last:
                    whole[row, place] = whole[row, place] + weighted

    @ti.func
    def extent(lists: ti.template(), dy, at):
        low, high = 1, 0
        for part in ti.static(range(2)):
            head = head_of(lists, dy, at, part)
            if head[2] > 0:
                begin, end = side(at) * head[1], side(at) * (head[1] + head[2])
                near, far = ti.min(begin, end), ti.max(begin, end)
                if low > high:
                    low, high = near, far
                low, high = ti.min(low, near), ti.max(high, far)
        return ti.math.ivec2(low, high)

    @ti.func
    def gather(d_step: ti.template(), d_whole: ti.template(), lists: ti.template(), entries: ti.template(), row, x, dy, at):
        """Inverts add."""
        sign = side(at)
        t = ti.abs(at) - ti.cast(ti.abs(at), ti.i32)
        total, total_slope = vec(0.0), vec(0.0)
        for part in ti.static(range(2)):
            head = head_of(lists, dy, at, part)
            for i in range(head[2]):
                place = column(x, head[1] + i, head[3], sign)
                p = entries[head[0] + i]
                if head[3] == STEPS:
                    total += ti.cast(sign, real) * value(p, t) * d_step[row, place]
                    total_slope += ti.cast(sign, real) * slope(p, t) * d_step[row, place]
                else:
                    total += value(p, t) * d_whole[row, place]
                    total_slope += slope(p, t) * d_whole[row, place]
        return total, ti.cast(-sign, real) * total_slope  # at is the signed radius

    return RowLists(reaches, add, None, extent, gather)
