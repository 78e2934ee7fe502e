"""The scatter sums of kernels/rows.py on a GPU: a block of threads owns a stretch of a row of sums, in shared memory.

    step(x), whole(x) as in kernels/rows.py for the columns x of the stretch,      carry = Σ steps before its first column
    s(x) = whole(x) + carry + Σ_{x′ ≤ x} step(x′)

A thread is one of ENTRIES entries of a list and one of four planes. Sources come a block at a time: every thread looks one
of them up, then all add them to the stretch one after the other, every entry to a column of its own, so that nothing is
atomic and a sum is always added up in the same order. Blocks of other planes do the same with theirs. The adjoint is `pull` of
kernels/rows.py.
"""

from functools import cache
from typing import Any

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.row_lists import STEPS, row_lanes, row_lists
from taichi_bokeh.kernels.row_planes import LANES, OPAQUE_LANES, PLANES, plane_of
from taichi_bokeh.kernels.rows import GROUP, HIDDEN_LANES, SEGMENT

THREADS = 32  # of a block
QUARTET = 4  # planes that a block adds up
ENTRIES = THREADS // QUARTET  # of a list, at a time
COLUMNS = 2 * SEGMENT  # px: the stretch
_RUN = COLUMNS // ENTRIES  # columns that a thread adds up at the end


@cache
def row_blocks(shaped: bool, hidden: bool, opaque: bool, dtype: str) -> Any:
    """A kernel for discs or for `shaped` openings; for the planes P or, if `hidden`, for P·τ_k of a group of nodes.

    opaque: as of kernels/rows.py.
    """
    real = REAL[dtype]
    lanes = HIDDEN_LANES if hidden else OPAQUE_LANES if opaque else LANES
    quartets = lanes // QUARTET
    extent = row_lists(shaped, lanes, dtype).extent
    parts, head_of, turns, entry = row_lanes(shaped, ENTRIES, dtype)
    array = ti.simt.block.SharedArray
    volumes = ti.types.ndarray(dtype=real, ndim=3)
    places = ti.types.ndarray(dtype=real, ndim=2)
    numbers = ti.types.ndarray(dtype=real, ndim=1)
    flags = ti.types.ndarray(dtype=ti.i32, ndim=2)
    list_heads = ti.types.ndarray(dtype=ti.types.vector(4, ti.i32), ndim=3)
    coefficients = ti.types.ndarray(dtype=real, ndim=2)

    @ti.func
    def plane(sources: ti.template(), shares: ti.template(), y, k, lane):
        """One of the planes P, or of P·τ_k; 0 for lanes that only fill up."""
        value = real(0.0)
        if ti.static(hidden):
            if lane < GROUP * PLANES:
                value = sources[y, k, plane_at(lane % PLANES)] * shares[y, k, lane // PLANES]
        elif lane < PLANES:
            value = sources[y, k, lane]
        return value

    @ti.func
    def plane_at(c):
        return ti.min(c, ti.static(plane_of(opaque, PLANES - 1)))

    @ti.kernel
    def spread(
        sources: volumes,
        shares: volumes,
        place: places,
        widest: numbers,
        lists: list_heads,
        entries: coefficients,
        wanted: flags,
        whole_of_all: volumes,
        sums: volumes,
        rows: ti.i32,
        width: ti.i32,
        top: ti.i32,
        pad: ti.i32,
    ):
        """Writes s to `sums` [5, H, W] from row `top` on, or if hidden to `whole_of_all` [rows, W, lanes]; where wanted.

        sources [rows + 2·pad, W + 2·pad, lanes], shares, place, widest and wanted: as of kernels/rows.py; entries
        [blocks, coefficients].
        """
        ti.loop_config(block_dim=THREADS)
        stretches = (width + COLUMNS - 1) // COLUMNS
        for turn in range(rows * quartets * stretches * THREADS):
            thread, block = turn % THREADS, turn // THREADS
            first = block % stretches * COLUMNS
            quartet = block // stretches % quartets
            row = block // stretches // quartets
            last = ti.min(first + COLUMNS, width)
            some = 0
            for segment in range(first // SEGMENT, (last + SEGMENT - 1) // SEGMENT):
                some |= wanted[row, segment]
            if some != 0:
                which, c = thread // QUARTET, thread % QUARTET
                step, whole = array((COLUMNS, QUARTET), real), array((COLUMNS, QUARTET), real)
                values, at = array((THREADS, QUARTET), real), array((THREADS,), real)
                heads = array((THREADS, 4 * parts), ti.i32)
                totals, carries = array((ENTRIES, QUARTET), real), array((ENTRIES, QUARTET), real)
                for i in range(_RUN):
                    step[_RUN * which + i, c], whole[_RUN * which + i, c] = 0.0, 0.0
                carry = real(0.0)
                for y in range(row, row + 2 * pad + 1):
                    dy, far = row + pad - y, widest[y]
                    if ti.cast(ti.abs(dy), real) < far:
                        half = ti.cast(ti.sqrt(far * far - dy * dy), ti.i32) + 1
                        begin, end = ti.max(0, first - half + pad), ti.min(place.shape[1], last + half + pad)
                        for chunk in range((end - begin + THREADS - 1) // THREADS):
                            k = begin + THREADS * chunk + thread
                            touches = False
                            if k < end:
                                at[thread] = place[y, k]
                                ends = extent(lists, dy, place[y, k])
                                x = k - pad
                                touches = ends[0] <= ends[1] and x + ends[0] < last and x + ends[1] >= first
                            for part in ti.static(range(parts)):
                                head = ti.math.ivec4(0)
                                if touches:
                                    head = head_of(lists, dy, place[y, k], part)
                                for m in ti.static(range(4)):
                                    heads[thread, 4 * part + m] = head[m]
                            for m in ti.static(range(QUARTET)):
                                values[thread, m] = 0.0
                                if touches:
                                    values[thread, m] = plane(sources, shares, y, k, QUARTET * quartet + m)
                            ti.simt.block.sync()
                            for source in range(THREADS):
                                for part in ti.static(range(parts)):
                                    head = ti.math.ivec4([heads[source, 4 * part + m] for m in ti.static(range(4))])
                                    for n in range(turns(head)):
                                        x = begin + THREADS * chunk + source - pad
                                        column, weight = entry(entries, head, n, which, at[source], x)
                                        added = weight * values[source, c]
                                        if column >= first and column < last:
                                            i = column - first
                                            if head[3] == STEPS:
                                                step[i, c] = step[i, c] + added
                                            else:
                                                whole[i, c] = whole[i, c] + added
                                        elif column < first and head[3] == STEPS:
                                            carry += added
                                    if head[2] > 0:  # what is added next may be added to the same columns
                                        ti.simt.block.sync()
                            ti.simt.block.sync()
                carries[which, c] = carry
                total = real(0.0)
                for i in range(_RUN):
                    total += step[_RUN * which + i, c]
                totals[which, c] = total
                ti.simt.block.sync()
                total = real(0.0)
                for other in ti.static(range(ENTRIES)):
                    total += carries[other, c]
                    if other < which:
                        total += totals[other, c]
                for i in range(_RUN):
                    total += step[_RUN * which + i, c]
                    step[_RUN * which + i, c] = total + whole[_RUN * which + i, c]
                ti.simt.block.sync()
                for i in range(COLUMNS * QUARTET // THREADS):
                    if ti.static(hidden):
                        x = first + (i * THREADS + thread) // QUARTET
                        if x < last:
                            whole_of_all[row, x, QUARTET * quartet + c] = step[x - first, c]
                    else:
                        x, lane = first + (i * THREADS + thread) % COLUMNS, (i * THREADS + thread) // COLUMNS
                        if x < last:
                            for k in ti.static(range(PLANES)):
                                if ti.static(plane_of(opaque, k)) == QUARTET * quartet + lane:
                                    sums[k, top + row, x] = step[x - first, lane]
                ti.simt.block.sync()  # before the next stretch begins in the same memory

    return spread
