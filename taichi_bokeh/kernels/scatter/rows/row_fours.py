"""Four neighbours of a row at once: the same sums as `add` and `gather` of row_lists.py, in the shape that a processor wants.

Neighbours on a row mostly have lists of one length that begin at one offset. FOUR of them then are added in registers before
they are added to a row: TAPS + FOUR − 1 additions in memory on either side instead of FOUR·TAPS. Two facts of the machine:

- After every store to an array the next access loads base and strides anew and multiplies them out, as they might have been
  what was stored to. So what is added to is read before the first of it is written. Elements of 4, 8 or 16 numbers in an array
  of two dimensions are seen to be neighbours in memory, those of 12, or of flat arrays of numbers, are not.
- Vectors begin at what is stored side by side. Four weights that are evaluated and then used one by one come out as 24
  operations on numbers; stored as one element of `scratch` on the way, of which nobody reads anything later, as six on vectors,
  which saved 14 % of the sums. In the adjoint it gained nothing.
"""

from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.rows.list_heads import BEGIN, EDGES, KIND, LENGTH, TAPS, WEIGHTS

FOUR = 4  # neighbours that are added together
NOTHING, ALIKE, DIFFERENT = 0, 1, 2  # what their lists hold for a row
_SPAN = TAPS + FOUR - 1  # columns that a block of all of them touches on one side


class Fours(NamedTuple):
    """Of sources that are neighbours, for rows that hold all that they reach."""

    likeness: Any  # func: whether FOUR have lists of one kind, length and first offset, others, or NOTHING
    add: Any  # func: adds them to two rows, as far above them as below, or to one of them
    gather: Any  # func: what a row gives back to all of them, and its derivatives


def fours(lanes: int, dtype: str, values: Any, slopes: Any, reach_of: Any, ends_of: Any) -> Fours:
    """Make the functions, of those of row_lists.py for one source."""
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
