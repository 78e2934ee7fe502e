"""The scatter sums of row_sums.py on a GPU: a thread owns a row of a tile of sums, in shared memory.

    edges(x), dense(x) as in row_sums.py for the columns x of the tile,         carry = Σ edges before its first column
    s(x) = dense(x) + carry + Σ_{x′ ≤ x} edges(x′)

A block of threads takes a tile of four channels, and for it every source that reaches it, all threads the same one at a time:
each adds to its row what the source has for that row, so that nothing is atomic, no thread waits for another but where
sources are fetched, and a sum is always added up in the same order. Threads keep the list that they looked up last, as
neighbouring sources mostly have the same. The adjoint is `splat_rows_adjoint` of row_sums.py.
"""

from functools import cache
from typing import Any

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.rows.gpu_lists import list_blocks
from taichi_bokeh.kernels.scatter.rows.layout import CHANNELS, OCCLUDED_LANES, OPAQUE_LANES, channel_of
from taichi_bokeh.kernels.scatter.rows.list_heads import EDGES, KIND, LENGTH, TAPS
from taichi_bokeh.kernels.scatter.rows.row_sums import SEGMENT

ROWS = 32  # of a tile, and threads of a block
COLUMNS = {"float32": 32, "float64": 16}  # px, of a tile: it takes 33 KiB of the 48 that a block may have
QUARTET = 4  # channels of a tile


@cache
def row_tiles(shaped: bool, lanes: int, dtype: str) -> Any:
    """A kernel for discs or for `shaped` apertures, with sources of LANES, OPAQUE_LANES or OCCLUDED_LANES."""
    real = REAL[dtype]
    occluded, opaque = lanes == OCCLUDED_LANES, lanes == OPAQUE_LANES
    columns = COLUMNS[dtype]
    nowhere = columns  # the cell of what falls beside the tile; behind it those of `dense_sums`
    quartets = lanes // QUARTET
    parts, sides, head_of, length, load, columns_of = list_blocks(shaped, dtype)
    array = ti.simt.block.SharedArray
    vec, coefficients = ti.types.vector(QUARTET, real), ti.types.vector(4 * TAPS, real)
    head_type, sided = ti.types.vector(4, ti.i32), ti.types.vector(TAPS, real)
    volumes = ti.types.ndarray(dtype=real, ndim=3)
    coordinates = ti.types.ndarray(dtype=real, ndim=2)
    numbers = ti.types.ndarray(dtype=real, ndim=1)
    flags = ti.types.ndarray(dtype=ti.i32, ndim=2)
    list_heads = ti.types.ndarray(dtype=head_type, ndim=3)
    polynomials = ti.types.ndarray(dtype=real, ndim=2)

    @ti.func
    def cell_of(column, kind):
        """Where a column of the tile is added up; `column` counted from its first."""
        inside = column >= 0 and column < columns
        return ti.select(inside, column + ti.select(kind == EDGES, 0, columns + 1), nowhere)

    @ti.func
    def add_block(cells: ti.template(), thread, p, at, head, block, x, source):
        """Adds a block of a list to a thread's row of the tile, whose columns x counts; returns what comes before it."""
        t = ti.abs(at) - ti.cast(ti.abs(at), ti.i32)
        weights = sided(
            [((p[3 * TAPS + j] * t + p[2 * TAPS + j]) * t + p[TAPS + j]) * t + p[j] for j in ti.static(range(TAPS))]
        )
        targets = columns_of(head, block, at, x)
        before, touched = vec(0.0), False
        added = [[vec(0.0) for _ in ti.static(range(TAPS))] for _ in ti.static(range(sides))]
        where = [[0 for _ in ti.static(range(TAPS))] for _ in ti.static(range(sides))]
        for side in ti.static(range(sides)):
            start, stop = targets[side][0], targets[side][0] + (TAPS - 1) * targets[side][1]
            touched = touched or (ti.max(start, stop) >= 0 and ti.min(start, stop) < columns)
            for j in ti.static(range(TAPS)):
                column = start + targets[side][1] * j
                # The source's own column counts once, on the left.
                twice = ti.static(side == 1 and j == 0) and head[KIND] != EDGES and column == x
                added[side][j] = weights[j] * targets[side][2] * source
                where[side][j] = ti.select(twice, nowhere, cell_of(column, head[KIND]))
                if head[KIND] == EDGES and column < 0:
                    before += added[side][j]
        if touched:
            held = [
                [[cells[where[side][j], c, thread] for c in ti.static(range(QUARTET))] for j in ti.static(range(TAPS))]
                for side in ti.static(range(sides))
            ]
            for side in ti.static(range(sides)):
                for j in ti.static(range(TAPS)):
                    for c in ti.static(range(QUARTET)):
                        cells[where[side][j], c, thread] = held[side][j][c] + added[side][j][c]
        return before

    @ti.kernel
    def splat_tiles(
        sources: volumes,  # [rows + 2·pad, W + 2·pad, lanes]: P, or P·τ_k, of a band of padded rows
        node_coordinate: coordinates,  # [rows + 2·pad, W + 2·pad]: radius in nodes of the table
        widest: numbers,  # [rows + 2·pad]: how far, in px, any of a row of sources counts
        lists: list_heads,  # [dy, intervals, parts]: begin, first offset, length, kind (row_lists.py)
        entries: polynomials,  # [blocks, coefficients]
        wanted: flags,  # [rows, segments]: 1 where sums are wanted
        dense_sums: volumes,  # [rows, W, lanes]: S_k, written; used of OCCLUDED_LANES only
        sums: volumes,  # [5, H, W]: s, written; of OCCLUDED_LANES not used
        height: ti.i32,  # rows of the band
        width: ti.i32,
        top: ti.i32,  # row of the image that is the band's first
        pad: ti.i32,
    ):
        """Write the sums of a band of rows, where wanted."""
        ti.loop_config(block_dim=ROWS)
        across, down = (width + columns - 1) // columns, (height + ROWS - 1) // ROWS
        for turn in range(down * quartets * across * ROWS):
            thread, tile = turn % ROWS, turn // ROWS
            first, quartet, top_row = tile % across * columns, tile // across % quartets, tile // across // quartets * ROWS
            row = top_row + thread
            some = 0
            for other in range(top_row, ti.min(top_row + ROWS, height)):
                some |= wanted[other, first // SEGMENT]
            if some != 0:
                cells, values, at = (
                    array((2 * columns + 1, QUARTET, ROWS), real),
                    array((ROWS, QUARTET), real),
                    array((ROWS,), real),
                )
                for cell in range(2 * columns + 1):
                    for c in ti.static(range(QUARTET)):
                        cells[cell, c, thread] = 0.0
                total = vec(0.0)
                for y in range(top_row, ti.min(top_row + ROWS + 2 * pad, node_coordinate.shape[0])):
                    dy, far = row + pad - y, widest[y]
                    nearest = ti.cast(ti.max(0, top_row + pad - y, y - top_row - pad - ROWS + 1), real)
                    if nearest < far:
                        here = row < height and ti.cast(ti.abs(dy), real) < far
                        half = ti.cast(ti.sqrt(far * far - nearest * nearest), ti.i32) + 1
                        begin, end = (
                            ti.max(0, first - half + pad),
                            ti.min(node_coordinate.shape[1], first + columns + half + pad),
                        )
                        last_at = real(-1e9)
                        heads = [head_type(0) for _ in ti.static(range(parts))]
                        blocks = [coefficients(0.0) for _ in ti.static(range(parts))]
                        for chunk in range((end - begin + ROWS - 1) // ROWS):
                            own = begin + ROWS * chunk + thread
                            if own < end:
                                at[thread] = node_coordinate[y, own]
                                for c in ti.static(range(QUARTET)):
                                    values[thread, c] = sources[y, own, QUARTET * quartet + c]
                            ti.simt.block.sync()
                            for k in range(begin + ROWS * chunk, ti.min(begin + ROWS * (chunk + 1), end)):
                                n = k - begin - ROWS * chunk
                                radius, x = at[n], k - pad - first
                                if ti.floor(radius) != last_at:
                                    last_at = ti.floor(radius)
                                    for part in ti.static(range(parts)):
                                        heads[part] = head_type(0)
                                        if here:
                                            heads[part] = head_of(lists, dy, radius, part)
                                            if heads[part][LENGTH] > 0:
                                                blocks[part] = load(entries, heads[part], 0)
                                for part in ti.static(range(parts)):
                                    source = vec([values[n, c] for c in ti.static(range(QUARTET))])
                                    count = length(heads[part])
                                    if count > 0:
                                        total += add_block(cells, thread, blocks[part], radius, heads[part], 0, x, source)
                                    for block in range(1, count):
                                        p = load(entries, heads[part], block)
                                        total += add_block(cells, thread, p, radius, heads[part], block, x, source)
                            ti.simt.block.sync()
                for i in range(ti.select(row < height, ti.min(columns, width - first), 0)):
                    for c in ti.static(range(QUARTET)):
                        total[c] += cells[i, c, thread]
                        value = total[c] + cells[columns + 1 + i, c, thread]
                        if ti.static(occluded):
                            dense_sums[row, first + i, QUARTET * quartet + c] = value
                        else:
                            for k in ti.static(range(CHANNELS)):
                                if QUARTET * quartet + c == ti.static(channel_of(opaque, k)):
                                    sums[k, top + row, first + i] = value
                ti.simt.block.sync()  # before the next tile begins in the same memory

    return splat_tiles
