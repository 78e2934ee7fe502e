"""How a source's list is added to a row of sums, and gathered from a row of cotangents: the inner loop of row_sums.py.

A list is (begin, first, length, kind): its polynomials start at `begin`, and the first belongs to the offset `first`.
At the radius (in nodes of the table) interval + t the entry w_i is its interval's polynomial at t.

    mirrored:  one list for each |dy| and interval, with E(−dx) = E(dx) understood; `length` blocks of TAPS entries, of which
               element k·TAPS + j is the coefficient of t^k of entry j                     (row_table.py)
    shaped:    two lists for each dy and interval, of steps E(dx) − E(dx − 1) or weights E(dx), for a far source, whose
               highlight shows the aperture as it is; a near one's is the point mirror       (ops/scatter/aperture_lists.py)

Steps before the first column of a run are added to it, steps behind its last one to nothing.

Neighbours on a row mostly have lists of one length that begin at one offset. FOUR of them then are added in registers before
they are added to a row: TAPS + FOUR − 1 additions in memory on either side instead of FOUR·TAPS. There, what is added to is
read before the first of it is written, as a compiler computes addresses anew after every store; and the weights are stored on
the way, as it makes vectors of what is stored side by side, and of little else.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

BEGIN, FIRST, LENGTH, KIND = 0, 1, 2, 3  # where they stand in the head of a list
WEIGHTS, EDGES = 0, 1  # kinds of lists
TAPS = 4  # entries of a block of a mirrored list
FOUR = 4  # neighbours that are added together
NOTHING, ALIKE, DIFFERENT = 0, 1, 2  # what their lists hold for a row
_SPAN = TAPS + FOUR - 1  # columns that a block of all of them touches on one side


class RowLists(NamedTuple):
    reaches: Any  # func: whether a source has anything for a row
    add: Any  # func: adds a source to a run of a row
    extent: Any  # func: (first, last) column that a source's lists touch, relative to it
    gather: Any  # func: what a row gives back, and its derivative in nodes of the radius
    at_itself: Any  # func: (E, ∂E/∂r in nodes of the radius) of a source whose lists are weights, at its own pixel
    fours: Any  # Fours; None for shaped lists


class Fours(NamedTuple):
    """Of sources that are neighbours, for rows that hold all that they reach."""

    likeness: Any  # func: whether FOUR have lists of one kind, length and first offset, others, or NOTHING
    add: Any  # func: adds them to two rows, as far above them as below, or to one of them
    gather: Any  # func: what a row gives back to all of them, and its derivatives


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

    return RowLists(reaches, add, extent, gather, at_itself, _fours(lanes, dtype, values, slopes, reach_of, ends_of))


def _fours(lanes: int, dtype: str, values: Any, slopes: Any, reach_of: Any, ends_of: Any) -> Fours:
    real = REAL[dtype]
    vec = ti.types.vector(lanes, real)

    @ti.func
    def share_of_first(kind, block):
        """Of the first entry of a block on the right: the weight of the source's own column counts once, on the left."""
        return ti.select(kind == WEIGHTS and block == 0, real(0.0), real(1.0))

    @ti.func
    def likeness(lists: ti.template(), node_coordinate: ti.template(), y, k, dy):
        """Of sources k … k + FOUR − 1 of row y."""
        at = [ti.cast(node_coordinate[y, k + m], ti.i32) for m in ti.static(range(FOUR))]
        result = NOTHING
        heads = [lists[ti.abs(dy), at[m], 0] for m in ti.static(range(FOUR))]
        if ((at[0] ^ at[1]) | (at[0] ^ at[2]) | (at[0] ^ at[3])) == 0:
            result = ti.select(heads[0][LENGTH] > 0, ALIKE, NOTHING)
        elif ti.max(heads[0][LENGTH], heads[1][LENGTH], heads[2][LENGTH], heads[3][LENGTH]) > 0:
            same = True
            for m in ti.static(range(1, FOUR)):
                for c in ti.static(range(1, 4)):
                    same = same and heads[m][c] == heads[0][c]
            result = ti.select(same, ALIKE, DIFFERENT)
        return result

    @ti.func
    def add_span(target: ti.template(), row, column, parts):
        before = [target[row, column + i] for i in ti.static(range(_SPAN))]
        for i in ti.static(range(_SPAN)):
            target[row, column + i] = before[i] + parts[i]

    @ti.func
    def add(
        edge_sums: ti.template(),
        dense_sums: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        sources: ti.template(),
        node_coordinate: ti.template(),
        y,
        k,
        x,
        dy,
        above,
        below,
        to_above,
        to_below,
        scratch: ti.template(),
        slot,
    ):
        at = [node_coordinate[y, k + m] for m in ti.static(range(FOUR))]
        intervals = [ti.cast(at[m], ti.i32) for m in ti.static(range(FOUR))]
        begins = [lists[dy, intervals[m], 0][BEGIN] for m in ti.static(range(FOUR))]
        source = [sources[y, k + m] for m in ti.static(range(FOUR))]
        head = lists[dy, intervals[0], 0]
        for block in range(head[LENGTH]):
            ends = ends_of(x, head, block)
            left = [vec(0.0) for _ in ti.static(range(_SPAN))]
            right = [vec(0.0) for _ in ti.static(range(_SPAN))]
            share = share_of_first(head[KIND], block)
            for m in ti.static(range(FOUR)):
                scratch[slot, m] = values(entries, begins[m] + block, at[m] - intervals[m])
            for m in ti.static(range(FOUR)):
                weights = scratch[slot, m]
                for j in ti.static(range(TAPS)):
                    part = weights[j] * source[m]
                    left[m + TAPS - 1 - j] += part
                    right[m + j] += part if ti.static(j > 0) else share * part
            if head[KIND] == EDGES:
                for i in ti.static(range(_SPAN)):  # a step up on the left is one down on the right
                    right[i] = -right[i]
            for side in range(2):  # not unrolled, which would take twice as long to compile
                if to_above if side == 0 else to_below:
                    row = ti.select(side == 0, above, below)
                    if head[KIND] == EDGES:
                        add_span(edge_sums, row, ends[0] - TAPS + 1, left)
                        add_span(edge_sums, row, ends[1], right)
                    else:
                        add_span(dense_sums, row, ends[0] - TAPS + 1, left)
                        add_span(dense_sums, row, ends[1], right)

    @ti.func
    def gather(
        d_edge_sums: ti.template(),
        d_dense_sums: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        node_coordinate: ti.template(),
        y,
        k,
        x,
        dy,
        above,
        below,
        from_above,
        from_below,
    ):
        """Totals of all, then their slopes: of both rows, which have the same weights."""
        at = [node_coordinate[y, k + m] for m in ti.static(range(FOUR))]
        intervals = [ti.cast(at[m], ti.i32) for m in ti.static(range(FOUR))]
        begins = [lists[dy, intervals[m], 0][BEGIN] for m in ti.static(range(FOUR))]
        head = lists[dy, intervals[0], 0]
        total = [vec(0.0) for _ in ti.static(range(FOUR))]
        total_slope = [vec(0.0) for _ in ti.static(range(FOUR))]
        for block in range(head[LENGTH]):
            ends = ends_of(x, head, block)
            left = [vec(0.0) for _ in ti.static(range(_SPAN))]
            right = [vec(0.0) for _ in ti.static(range(_SPAN))]
            share = share_of_first(head[KIND], block)
            for side in range(2):
                if from_above if side == 0 else from_below:
                    row = ti.select(side == 0, above, below)
                    if head[KIND] == EDGES:
                        for i in ti.static(range(_SPAN)):
                            left[i] += d_edge_sums[row, ends[0] - TAPS + 1 + i]
                            right[i] -= d_edge_sums[row, ends[1] + i]
                    else:
                        for i in ti.static(range(_SPAN)):
                            left[i] += d_dense_sums[row, ends[0] - TAPS + 1 + i]
                            right[i] += d_dense_sums[row, ends[1] + i]
            for m in ti.static(range(FOUR)):
                weights = values(entries, begins[m] + block, at[m] - intervals[m])
                by_radius = slopes(entries, begins[m] + block, at[m] - intervals[m])
                for j in ti.static(range(TAPS)):
                    both = left[m + TAPS - 1 - j] + (right[m + j] if ti.static(j > 0) else share * right[m + j])
                    total[m] += weights[j] * both
                    total_slope[m] += by_radius[j] * both
        return total[0], total[1], total[2], total[3], total_slope[0], total_slope[1], total_slope[2], total_slope[3]

    return Fours(likeness, add, gather)


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
