"""The scatter sums in time linear in the radius: sources add the steps of their discs to rows, which are then summed up.

The same sums as in kernels/scatter/gather.py, with the planes P of a source, over its lists w_i (row_table.py):

    step(x)  = Σ_y P(y)·[w_i at x = y_x − i] − Σ_y P(y)·[w_i at x = y_x + i + 1]           lists of steps
    whole(x) = Σ_y P(y)·[w_i at x = y_x ± i]                                              lists of weights (small discs)
    s(x)     = whole(x) + Σ_{x′ ≤ x} step(x′)

Adjoint, with g = ∂loss/∂s and G(x) = Σ_{x′ ≥ x} g(x′), which is 0 beyond the row and constant before it:

    ∂/∂P(y) = Σ_rows Σ_i w_i·[G(y_x − i) − G(y_x + i + 1)],   for weights Σ_i w_i·[g(y_x − i) + g(y_x + i)]
    ∂/∂r_y  = ⟨P(y), the same with w_i′⟩

The planes are P itself or, of HIDDEN_LANES, what is hidden: P·τ_k for the nodes k of separable_occlusion.py.

One thread owns a row of results (`spread`: of the picture; `pull`: of the sources), so nothing is atomic and the result does
not depend on the number of threads. A row is cut into runs of columns that are rendered on their own, those with `wanted`
segments only. Sources are padded by `pad` px on every side. Other openings than the disc have lists of their own
(row_lists.py). On a GPU gpu_tiles.py takes the place of `spread`, and in `pull` a thread owns a source.
"""

import math
from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.rows.layout import BLOCK_THREADS, HIDDEN_LANES, OPAQUE_LANES, PLANES, plane_of
from taichi_bokeh.kernels.scatter.rows.row_lists import ALIKE, DIFFERENT, FOUR, TAPS, entry_size, row_lists

SEGMENT = 64  # px: the unit in which columns of a row are wanted or not
TALL_WAYS = 512  # as WAYS, for as few tasks as there are threads
COLUMNS = 32  # sources of a row whose farthest reach is known
CHUNK = 4  # how many times COLUMNS are added to all their rows before the next
BLOCK = 8  # rows that are near one another in memory and in time


def stride_of(count: int) -> int:
    """The step of `scattered`: prime to `count`, and near the golden section of it."""
    return next(step for step in range(max(1, round(0.618 * count)), 2 * count) if math.gcd(step, count) == 1)


class Rows(NamedTuple):
    spread: Any  # kernel: sums of one band of rows, on a processor
    spread_tall: Any  # kernel: the same for whole rows of discs, many rows a task; None for other openings and HIDDEN_LANES
    pull: Any  # kernel: its adjoint, for one band of source rows


@cache
def rows(shaped: bool, lanes: int, dtype: str, on_gpu: bool) -> Rows:
    """Kernels for discs or for `shaped` openings, with sources of OPAQUE_LANES (not their adjoint), LANES or HIDDEN_LANES."""
    real = REAL[dtype]
    hidden, opaque = lanes == HIDDEN_LANES, lanes == OPAQUE_LANES
    vec = ti.types.vector(lanes, real)
    reaches, add, extent, gather, _, fours = row_lists(shaped, lanes, dtype)
    in_fours = not (shaped or hidden or on_gpu)  # the others' code would take long to compile, and a GPU's thread has one
    pixels = ti.types.ndarray(dtype=vec, ndim=2)  # [rows, columns] of sources or sums
    places = ti.types.ndarray(dtype=real, ndim=2)
    weights = ti.types.ndarray(dtype=ti.types.vector(TAPS, real), ndim=2)  # [tasks, FOUR], of no use afterwards
    numbers = ti.types.ndarray(dtype=real, ndim=1)
    planar = ti.types.ndarray(dtype=real, ndim=3)
    flags = ti.types.ndarray(dtype=ti.i32, ndim=2)
    list_heads = ti.types.ndarray(dtype=ti.types.vector(4, ti.i32), ndim=3)
    polynomials = ti.types.ndarray(dtype=ti.types.vector(entry_size(shaped), real), ndim=1)

    @ti.func
    def scattered(turn, count, stride):
        """The turns of a thread are one stretch of all; what it does then is spread over the picture.

        Make the result the index of a loop: a variable of that value would be computed anew wherever it is used.
        """
        return turn * stride % count  # both are less than 2¹⁵

    @ti.func
    def spread_row(
        sources: ti.template(),
        place: ti.template(),
        widest: ti.template(),
        reach: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        wanted: ti.template(),
        step: ti.template(),
        whole: ti.template(),
        sums: ti.template(),
        row,
        top,
        pad,
        scratch: ti.template(),
    ):
        width = whole.shape[1]
        for segment in range(wanted.shape[1]):
            begins = wanted[row, segment] != 0
            if segment > 0:
                begins = begins and wanted[row, segment - 1] == 0
            if begins:
                end = segment + 1
                while end < wanted.shape[1] and wanted[row, end] != 0:
                    end += 1
                first, last = segment * SEGMENT, ti.min(end * SEGMENT, width)
                for x in range(first, last):
                    step[row, x], whole[row, x] = vec(0.0), vec(0.0)
                for y in range(row, row + 2 * pad + 1):
                    dy, far = row + pad - y, widest[y]
                    if ti.cast(ti.abs(dy), real) < far:
                        half = ti.cast(ti.sqrt(far * far - dy * dy), ti.i32) + 1
                        begin, stop = ti.max(0, first - half + pad), ti.min(sources.shape[1], last + half + pad)
                        for block in range(begin // COLUMNS, (stop + COLUMNS - 1) // COLUMNS):
                            if ti.cast(ti.abs(dy), real) < reach[y, block]:
                                for k in range(ti.max(begin, COLUMNS * block), ti.min(stop, COLUMNS * (block + 1))):
                                    if reaches(lists, dy, place[y, k]):
                                        add(
                                            step, whole, lists, entries, row, k - pad, dy, place[y, k], sources[y, k], first,
                                            last, scratch, row,
                                        )  # fmt: skip
                total = vec(0.0)
                for x in range(first, last):
                    total += step[row, x]
                    if ti.static(hidden):
                        whole[row, x] = whole[row, x] + total
                    else:
                        for c in ti.static(range(PLANES)):
                            k = ti.static(plane_of(opaque, c))
                            sums[c, top + row, x] = whole[row, x][k] + total[k]

    @ti.kernel
    def spread(
        sources: pixels,
        place: places,
        widest: numbers,
        reach: places,
        lists: list_heads,
        entries: polynomials,
        wanted: flags,
        step: pixels,
        whole: pixels,
        sums: planar,
        scratch: weights,
        top: ti.i32,
        pad: ti.i32,
        stride: ti.i32,
    ):
        """Writes s to `sums` [5, H, W] from row `top` on, of HIDDEN_LANES to `whole` [rows, W]; in the wanted segments.

        sources, place [rows + 2·pad, W + 2·pad]: place is the radius in steps of the table; widest: how far, in px, any of a
        row of sources may count, and reach: any of COLUMNS of it; wanted [rows, segments].
        """
        ti.loop_config(block_dim=1)
        blocks = (whole.shape[0] + BLOCK - 1) // BLOCK
        for turn, way in ti.ndrange(blocks, TALL_WAYS):
            if way == 0:
                begin = BLOCK * scattered(turn, blocks, stride)
                for row in range(begin, ti.min(begin + BLOCK, whole.shape[0])):
                    spread_row(sources, place, widest, reach, lists, entries, wanted, step, whole, sums, row, top, pad, scratch)

    @ti.func
    def add_columns(
        sources: ti.template(),
        place: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        step: ti.template(),
        whole: ti.template(),
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
        above, below, width = y - pad - dy, y - pad + dy, whole.shape[1]
        for four in range((end - begin + FOUR - 1) // FOUR):
            k = begin + FOUR * four
            likeness = DIFFERENT
            if k + FOUR <= end:
                likeness = fours.likeness(lists, place, y, k, dy)
            if likeness == ALIKE:
                fours.add(
                    step, whole, lists, entries, sources, place, y, k, edge + k - pad, dy, above, below, to_above, to_below,
                    scratch, slot,
                )  # fmt: skip
            elif likeness == DIFFERENT:
                for one in range(k, ti.min(k + FOUR, end)):
                    x, at, source = edge + one - pad, place[y, one], sources[y, one]
                    if to_above:
                        add(step, whole, lists, entries, above, x, dy, at, source, 0, width, scratch, slot)
                    if to_below:
                        add(step, whole, lists, entries, below, x, dy, at, source, 0, width, scratch, slot)

    @ti.kernel
    def tall(
        sources: pixels,
        place: places,
        widest: numbers,
        reach: places,
        lists: list_heads,
        entries: polynomials,
        step: pixels,
        whole: pixels,
        sums: planar,
        scratch: weights,
        height: ti.i32,
        top: ti.i32,
        pad: ti.i32,
        edge: ti.i32,
        stride: ti.i32,
    ):
        """As `spread`, for whole rows, `height` of which are one task: it weighs a source once for two rows.

        step, whole [rows, W + 2·edge]: all columns that sources reach, so that none are cut off.
        """
        ti.loop_config(block_dim=1)
        tasks = (whole.shape[0] + height - 1) // height
        for turn, way in ti.ndrange(tasks, TALL_WAYS):
            if way == 0:
                own_turn = scattered(turn, tasks, stride)
                for task in range(own_turn, own_turn + 1):
                    first, last = task * height, ti.min((task + 1) * height, whole.shape[0])
                    for row in range(first, last):
                        for x in range(whole.shape[1]):
                            step[row, x], whole[row, x] = vec(0.0), vec(0.0)
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
                                                sources, place, lists, entries, step, whole, y, dy, COLUMNS * block, stop,
                                                to_above, to_below, pad, edge, scratch, task,
                                            )  # fmt: skip
                    for row in range(first, last):
                        total = vec(0.0)
                        for before_first in range(edge):
                            total += step[row, before_first]
                        for x in range(sums.shape[2]):
                            total += step[row, edge + x]
                            for c in ti.static(range(PLANES)):
                                k = ti.static(plane_of(opaque, c))
                                sums[c, top + row, x] = whole[row, edge + x][k] + total[k]

    @ti.func
    def give_back(sources: ti.template(), total, total_slope, d_sources: ti.template(), d_place: ti.template(), y, k):
        """Adds what one row, or two, give to a source."""
        d_sources[y, k] = d_sources[y, k] + total
        d_place[y, k] = d_place[y, k] + total_slope.dot(sources[y, k])

    @ti.func
    def counts(before: ti.template(), row, first, last, width):
        """Whether any g of the columns first … last − 1 is not 0."""
        return before[row, ti.math.clamp(last, 0, width)] > before[row, ti.math.clamp(first, 0, width)]

    @ti.func
    def pull_one(
        sources: ti.template(),
        place: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        d_step: ti.template(),
        d_whole: ti.template(),
        before: ti.template(),
        d_sources: ti.template(),
        d_place: ti.template(),
        y,
        k,
        row,
        x,
        dy,
        edge,
    ):
        """What source k of row y, at column x, takes back from one row."""
        width = before.shape[1] - 1
        ends = extent(lists, dy, place[y, k])
        if ends[1] >= ends[0] and counts(before, row, x + ends[0], x + ends[1] + 1, width):
            total, total_slope = gather(d_step, d_whole, lists, entries, row, edge + x, dy, place[y, k])
            give_back(sources, total, total_slope, d_sources, d_place, y, k)

    @ti.func
    def pull_four(
        sources: ti.template(),
        place: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        d_step: ti.template(),
        d_whole: ti.template(),
        before: ti.template(),
        d_sources: ti.template(),
        d_place: ti.template(),
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
        ends = extent(lists, dy, place[y, k])
        first, last = x + ends[0], x + FOUR + ends[1]
        seen = False
        if from_above:
            seen = counts(before, above, first, last, width)
        if from_below and not seen:
            seen = counts(before, below, first, last, width)
        if seen:
            a, b, c, d, a_slope, b_slope, c_slope, d_slope = fours.gather(
                d_step, d_whole, lists, entries, place, y, k, edge + x, dy, above, below, from_above, from_below
            )
            give_back(sources, a, a_slope, d_sources, d_place, y, k)
            give_back(sources, b, b_slope, d_sources, d_place, y, k + 1)
            give_back(sources, c, c_slope, d_sources, d_place, y, k + 2)
            give_back(sources, d, d_slope, d_sources, d_place, y, k + 3)

    @ti.func
    def pull_columns(
        sources: ti.template(),
        place: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        d_step: ti.template(),
        d_whole: ti.template(),
        before: ti.template(),
        d_sources: ti.template(),
        d_place: ti.template(),
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
                likeness = fours.likeness(lists, place, y, k, dy)
            if likeness == ALIKE:
                pull_four(
                    sources, place, lists, entries, d_step, d_whole, before, d_sources, d_place,
                    y, k, k - pad, dy, above, below, from_above, from_below, edge,
                )  # fmt: skip
            elif likeness == DIFFERENT:
                for one in range(k, ti.min(k + FOUR, end)):
                    for side in range(2):
                        if from_above if side == 0 else from_below:
                            row = ti.select(side == 0, above, below)
                            pull_one(
                                sources, place, lists, entries, d_step, d_whole, before, d_sources, d_place,
                                y, one, row, one - pad, dy, edge,
                            )  # fmt: skip

    @ti.kernel
    def pull(
        sources: pixels,
        place: places,
        widest: numbers,
        reach: places,
        lists: list_heads,
        entries: polynomials,
        d_whole: pixels,
        d_step: pixels,
        before: flags,
        d_sources: pixels,
        d_place: places,
        top: ti.i32,
        pad: ti.i32,
        edge: ti.i32,
        stride: ti.i32,
        ways: ti.i32,
    ):
        """Writes the gradients of a band of padded sources and of their place.

        d_whole, d_step [rows, W + 2·edge]: g, and G, of a band of the picture, from `edge` columns before it on;
        before [rows, W + 1]: how many of the columns before each have a g other than 0; top: the first padded source row,
        counted from the first row of g; ways: parts of a row that are tasks of their own.
        """
        ti.loop_config(block_dim=BLOCK_THREADS if on_gpu else 1)
        for turn, way in ti.ndrange(sources.shape[0], ways):
            own_turn = scattered(turn, sources.shape[0], stride)
            for y in range(own_turn, own_turn + 1):
                height, width = before.shape[0], before.shape[1] - 1
                begin, end = way * sources.shape[1] // ways, (way + 1) * sources.shape[1] // ways
                for k in range(begin, end):
                    d_sources[y, k], d_place[y, k] = vec(0.0), 0.0
                far, own = ti.cast(widest[y], ti.i32), y + top - pad
                if ti.static(not in_fours):
                    for row in range(ti.max(0, own - far), ti.min(height, own + far + 1)):
                        if before[row, width] > 0:
                            for block in range(begin // COLUMNS, (end + COLUMNS - 1) // COLUMNS):
                                if ti.cast(ti.abs(row - own), real) < reach[y, block]:
                                    for k in range(ti.max(begin, COLUMNS * block), ti.min(end, COLUMNS * (block + 1))):
                                        pull_one(
                                            sources, place, lists, entries, d_step, d_whole, before, d_sources, d_place,
                                            y, k, row, k - pad, row - own, edge,
                                        )  # fmt: skip
                else:
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
                                    pull_columns(
                                        sources, place, lists, entries, d_step, d_whole, before, d_sources, d_place,
                                        y, dy, start, stop, above, below, from_above, from_below, pad, edge,
                                    )  # fmt: skip

    return Rows(spread, tall if in_fours else None, pull)
