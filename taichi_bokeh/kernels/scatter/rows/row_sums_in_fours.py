"""The same equation as in row_sums.py, for discs on a processor: four neighbours at once, and whole rows, many a task.

A task owns `height` rows of results, so that a source is weighed once for two rows, as far above it as below. Neighbours whose
lists are alike are added together (row_fours.py), others one by one. No edge is cut off: rows of sums are wider by what any
source reaches.
"""

from functools import cache

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.rows.layout import CHANNELS, OPAQUE_LANES, channel_of
from taichi_bokeh.kernels.scatter.rows.row_fours import ALIKE, DIFFERENT, FOUR
from taichi_bokeh.kernels.scatter.rows.row_lists import row_lists
from taichi_bokeh.kernels.scatter.rows.row_sums import COLUMNS, TALL_ROW_PARTS, Rows, one_adjoint, row_arrays, scattering

CHUNK = 4  # how many times COLUMNS are added to all their rows before the next


@cache
def wide_rows(lanes: int, dtype: str) -> Rows:
    """Make kernels for discs, of OPAQUE_LANES (not the adjoint) or LANES."""
    real, opaque = REAL[dtype], lanes == OPAQUE_LANES
    vec = ti.types.vector(lanes, real)
    _, add, extent, _, _, fours = row_lists(False, lanes, dtype)
    (give_back, counts, splat_one_adjoint), scattered = one_adjoint(False, lanes, dtype), scattering()
    pixels, coordinates, weights, numbers, planar, flags, list_heads, polynomials = row_arrays(False, lanes, dtype)

    @ti.func
    def add_columns(
        sources: ti.template(),
        node_coordinate: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        edge_sums: ti.template(),
        dense_sums: ti.template(),
        y,
        dy,
        begin,
        end,
        to_above,
        to_below,
        pad,
        edge,
        scratch: ti.template(),
        slot,
    ):
        """Sources begin … end − 1 of row y to the rows `dy` above and below it, or one of them."""
        above, below, width = y - pad - dy, y - pad + dy, dense_sums.shape[1]
        for four in range((end - begin + FOUR - 1) // FOUR):
            k = begin + FOUR * four
            likeness = DIFFERENT
            if k + FOUR <= end:
                likeness = fours.likeness(lists, node_coordinate, y, k, dy)
            if likeness == ALIKE:
                fours.add(
                    edge_sums, dense_sums, lists, entries, sources, node_coordinate, y, k, edge + k - pad, dy, above, below,
                    to_above, to_below, scratch, slot,
                )  # fmt: skip
            elif likeness == DIFFERENT:
                for one in range(k, ti.min(k + FOUR, end)):
                    x, at, source = edge + one - pad, node_coordinate[y, one], sources[y, one]
                    for side in range(2):  # not written twice: it would take twice as long to compile
                        if to_above if side == 0 else to_below:
                            row = ti.select(side == 0, above, below)
                            add(edge_sums, dense_sums, lists, entries, row, x, dy, at, source, 0, width, scratch, slot)

    @ti.kernel
    def splat_tall(
        sources: pixels,  # [rows + 2·pad, W + 2·pad] × lanes: P, or P·τ_k, of a band of padded rows
        node_coordinate: coordinates,  # [rows + 2·pad, W + 2·pad]: radius in nodes of the table
        widest: numbers,  # [rows + 2·pad]: how far, in px, any of a row of sources counts
        reach: coordinates,  # [rows + 2·pad, blocks]: the same of every COLUMNS of it
        lists: list_heads,  # [dy, intervals, parts]: begin, first offset, length, kind (row_lists.py)
        entries: polynomials,  # [total]: powers of t of the entries
        edge_sums: pixels,  # [rows, W + 2·edge] × lanes: all columns that sources reach, so that none are cut off; scratch
        dense_sums: pixels,  # [rows, W + 2·edge] × lanes, scratch
        sums: planar,  # [5, H, W]: s, written
        scratch: weights,  # [tasks, FOUR]
        height: ti.i32,  # rows of a task
        top: ti.i32,
        pad: ti.i32,
        edge: ti.i32,
        stride: ti.i32,
    ):
        """Write the sums of whole rows, `height` of which are one task: it weighs a source once for two rows."""
        ti.loop_config(block_dim=1)
        tasks = (dense_sums.shape[0] + height - 1) // height
        for turn, row_part in ti.ndrange(tasks, TALL_ROW_PARTS):
            if row_part == 0:
                own_turn = scattered(turn, tasks, stride)
                for task in range(own_turn, own_turn + 1):
                    first, last = task * height, ti.min((task + 1) * height, dense_sums.shape[0])
                    for row in range(first, last):
                        for x in range(dense_sums.shape[1]):
                            edge_sums[row, x], dense_sums[row, x] = vec(0.0), vec(0.0)
                    for y in range(first, last + 2 * pad):
                        for chunk in range((reach.shape[1] + CHUNK - 1) // CHUNK):
                            begin, end = CHUNK * chunk, ti.min(CHUNK * (chunk + 1), reach.shape[1])
                            far = real(0.0)
                            for block in range(begin, end):
                                far = ti.max(far, reach[y, block])
                            for dy in range(ti.cast(far, ti.i32) + 1):
                                above, below = y - pad - dy, y - pad + dy
                                to_above = first <= above and above < last
                                to_below = first <= below and below < last and dy > 0
                                if to_above or to_below:
                                    for block in range(begin, end):
                                        if ti.cast(dy, real) < reach[y, block]:
                                            stop = ti.min(COLUMNS * (block + 1), sources.shape[1])
                                            add_columns(
                                                sources, node_coordinate, lists, entries, edge_sums, dense_sums, y, dy,
                                                COLUMNS * block, stop, to_above, to_below, pad, edge, scratch, task,
                                            )  # fmt: skip
                    for row in range(first, last):
                        total = vec(0.0)
                        for before_first in range(edge):
                            total += edge_sums[row, before_first]
                        for x in range(sums.shape[2]):
                            total += edge_sums[row, edge + x]
                            for c in ti.static(range(CHANNELS)):
                                k = ti.static(channel_of(opaque, c))
                                sums[c, top + row, x] = dense_sums[row, edge + x][k] + total[k]

    @ti.func
    def splat_four_adjoint(
        sources: ti.template(),
        node_coordinate: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        d_edge_sums: ti.template(),
        d_dense_sums: ti.template(),
        before: ti.template(),
        d_sources: ti.template(),
        d_node_coordinate: ti.template(),
        y,
        k,
        x,
        dy,
        above,
        below,
        from_above,
        from_below,
        edge,
    ):
        """What sources k … k + FOUR − 1 take back from both rows."""
        width = before.shape[1] - 1
        ends = extent(lists, dy, node_coordinate[y, k])
        first, last = x + ends[0], x + FOUR + ends[1]
        seen = False
        if from_above:
            seen = counts(before, above, first, last, width)
        if from_below and not seen:
            seen = counts(before, below, first, last, width)
        if seen:
            a, b, c, d, a_slope, b_slope, c_slope, d_slope = fours.gather(
                d_edge_sums,
                d_dense_sums,
                lists,
                entries,
                node_coordinate,
                y,
                k,
                edge + x,
                dy,
                above,
                below,
                from_above,
                from_below,
            )
            give_back(sources, a, a_slope, d_sources, d_node_coordinate, y, k)
            give_back(sources, b, b_slope, d_sources, d_node_coordinate, y, k + 1)
            give_back(sources, c, c_slope, d_sources, d_node_coordinate, y, k + 2)
            give_back(sources, d, d_slope, d_sources, d_node_coordinate, y, k + 3)

    @ti.func
    def add_columns_adjoint(
        sources: ti.template(),
        node_coordinate: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        d_edge_sums: ti.template(),
        d_dense_sums: ti.template(),
        before: ti.template(),
        d_sources: ti.template(),
        d_node_coordinate: ti.template(),
        y,
        dy,
        begin,
        end,
        above,
        below,
        from_above,
        from_below,
        pad,
        edge,
    ):
        """What sources begin … end − 1 of row y take back from the rows `dy` above and below it."""
        for four in range((end - begin + FOUR - 1) // FOUR):
            k = begin + FOUR * four
            likeness = DIFFERENT
            if k + FOUR <= end:
                likeness = fours.likeness(lists, node_coordinate, y, k, dy)
            if likeness == ALIKE:
                splat_four_adjoint(
                    sources, node_coordinate, lists, entries, d_edge_sums, d_dense_sums, before, d_sources, d_node_coordinate,
                    y, k, k - pad, dy, above, below, from_above, from_below, edge,
                )  # fmt: skip
            elif likeness == DIFFERENT:
                for one in range(k, ti.min(k + FOUR, end)):
                    for side in range(2):
                        if from_above if side == 0 else from_below:
                            row = ti.select(side == 0, above, below)
                            splat_one_adjoint(
                                sources, node_coordinate, lists, entries, d_edge_sums, d_dense_sums, before, d_sources,
                                d_node_coordinate, y, one, row, one - pad, dy, edge,
                            )  # fmt: skip

    @ti.kernel
    def splat_rows_adjoint(
        sources: pixels,  # [rows, W + 2·pad] × lanes: P, or P·τ_k, of a band of padded rows
        node_coordinate: coordinates,  # [rows, W + 2·pad]: radius in nodes of the table
        widest: numbers,  # [rows]: how far, in px, any of a row of sources counts
        reach: coordinates,  # [rows, blocks]: the same of every COLUMNS of it
        lists: list_heads,  # [dy, intervals, parts]: begin, first offset, length, kind (row_lists.py)
        entries: polynomials,  # [total]: powers of t of the entries
        d_dense_sums: pixels,  # [image rows, W + 2·edge] × lanes: g of a band of the image, from `edge` columns before it on
        d_edge_sums: pixels,  # as d_dense_sums: G
        before: flags,  # [image rows, W + 1]: how many of the columns before each have a g other than 0
        d_sources: pixels,  # as sources, written
        d_node_coordinate: coordinates,  # as node_coordinate, written
        top: ti.i32,  # the first padded source row, counted from the first row of g
        pad: ti.i32,
        edge: ti.i32,
        stride: ti.i32,  # see `scattered`
        row_parts: ti.i32,  # parts of a row that are tasks of their own
    ):
        """Write the gradients of a band of padded sources and of their coordinates."""
        ti.loop_config(block_dim=1)
        for turn, row_part in ti.ndrange(sources.shape[0], row_parts):
            own_turn = scattered(turn, sources.shape[0], stride)
            for y in range(own_turn, own_turn + 1):
                height, width = before.shape[0], before.shape[1] - 1
                begin, end = row_part * sources.shape[1] // row_parts, (row_part + 1) * sources.shape[1] // row_parts
                for k in range(begin, end):
                    d_sources[y, k], d_node_coordinate[y, k] = vec(0.0), 0.0
                far, own = ti.cast(widest[y], ti.i32), y + top - pad
                for dy in range(far + 1):
                    above, below = own - dy, own + dy
                    from_above = above >= 0 and above < height
                    from_below = dy > 0 and below >= 0 and below < height
                    if from_above:
                        from_above = before[above, width] > 0
                    if from_below:
                        from_below = before[below, width] > 0
                    if from_above or from_below:
                        for block in range(begin // COLUMNS, (end + COLUMNS - 1) // COLUMNS):
                            if ti.cast(dy, real) < reach[y, block]:
                                start, stop = ti.max(begin, COLUMNS * block), ti.min(end, COLUMNS * (block + 1))
                                add_columns_adjoint(
                                    sources, node_coordinate, lists, entries, d_edge_sums, d_dense_sums, before,
                                    d_sources, d_node_coordinate, y, dy, start, stop, above, below, from_above, from_below,
                                    pad, edge,
                                )  # fmt: skip

    return Rows(splat_tall, splat_rows_adjoint)
