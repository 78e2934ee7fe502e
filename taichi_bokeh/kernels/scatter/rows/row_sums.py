"""The scatter sums in O(R) a source: each adds the edges of its disc to every row, and a prefix sum of the row fills it.

The same sums as in kernels/scatter/gather.py, with the channels P of a source, over its lists w_i (row_table.py):

    edges(x)  = Σ_y P(y)·[w_i at x = y_x − i] − Σ_y P(y)·[w_i at x = y_x + i + 1]           lists of edges
    dense(x)  = Σ_y P(y)·[w_i at x = y_x ± i]                                             lists of weights (small discs)
    s(x)      = dense(x) + Σ_{x′ ≤ x} edges(x′)

Adjoint, with g = ∂loss/∂s and G(x) = Σ_{x′ ≥ x} g(x′), which is 0 beyond the row and constant before it:

    ∂/∂P(y) = Σ_rows Σ_i w_i·[G(y_x − i) − G(y_x + i + 1)],   for weights Σ_i w_i·[g(y_x − i) + g(y_x + i)]
    ∂/∂r_y  = ⟨P(y), the same with w_i′⟩

The channels are P itself or, of OCCLUDED_LANES, P·τ_k for the nodes k of separable_occlusion.py.

One thread owns a row of results (`splat_rows`: of the image; `splat_rows_adjoint`: of the sources), so nothing is atomic and
the result does not depend on the number of threads. A row is cut into runs of columns that are rendered on their own, those
with `wanted` segments only. Sources are padded by `pad` px on every side. Other apertures than the disc have lists of their own
(row_lists.py). Discs on a processor are summed by row_sums_in_fours.py, to the same sums. On a GPU gpu_tiles.py takes the place
of `splat_rows`, and in `splat_rows_adjoint` a thread owns a source.
"""

import math
from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.rows.layout import BLOCK_THREADS, CHANNELS, OCCLUDED_LANES, OPAQUE_LANES, channel_of
from taichi_bokeh.kernels.scatter.rows.list_heads import TAPS
from taichi_bokeh.kernels.scatter.rows.row_lists import entry_size, row_lists

SEGMENT = 64  # px: the unit in which columns of a row are wanted or not
TALL_ROW_PARTS = 512  # as ROW_PARTS, for as few tasks as there are threads
COLUMNS = 32  # sources of a row whose farthest reach is known
BLOCK = 8  # rows that are near one another in memory and in time


def stride_of(count: int) -> int:
    """The step of `scattered`: prime to `count`, and near the golden section of it."""
    return next(step for step in range(max(1, round(0.618 * count)), 2 * count) if math.gcd(step, count) == 1)


class RowArrays(NamedTuple):
    """Types of arrays that the kernels take."""

    pixels: Any  # [rows, columns] × lanes: of sources or sums
    coordinates: Any
    weights: Any  # [tasks, FOUR] × TAPS, of no use afterwards
    numbers: Any
    planar: Any
    flags: Any
    list_heads: Any
    polynomials: Any


def row_arrays(shaped: bool, lanes: int, dtype: str) -> RowArrays:
    """Make them for the lists of a `shaped` aperture, or of a disc."""
    real, array = REAL[dtype], ti.types.ndarray
    return RowArrays(
        array(dtype=ti.types.vector(lanes, real), ndim=2),
        array(dtype=real, ndim=2),
        array(dtype=ti.types.vector(TAPS, real), ndim=2),
        array(dtype=real, ndim=1),
        array(dtype=real, ndim=3),
        array(dtype=ti.i32, ndim=2),
        array(dtype=ti.types.vector(4, ti.i32), ndim=3),
        array(dtype=ti.types.vector(entry_size(shaped), real), ndim=1),
    )


@cache
def scattering() -> Any:
    """Make the function that mixes the rows of an image."""

    @ti.func
    def scattered(turn, count, stride):
        """The turns of a thread are one stretch of all; what it does then is all over the image.

        Make the result the index of a loop: a variable of that value would be computed anew wherever it is used.
        """
        return turn * stride % count  # both are less than 2¹⁵

    return scattered


class OneAdjoint(NamedTuple):
    """What a source takes back from a row."""

    give_back: Any  # func: adds to its gradients
    counts: Any  # func: whether anything is there to be taken
    splat: Any  # func: does both for one source


@cache
def one_adjoint(shaped: bool, lanes: int, dtype: str) -> OneAdjoint:
    """Make the functions."""
    _, _, extent, gather, _, _ = row_lists(shaped, lanes, dtype)

    @ti.func
    def give_back(sources: ti.template(), total, total_slope, d_sources: ti.template(), d_node_coordinate: ti.template(), y, k):
        """Adds what one row, or two, give to a source."""
        d_sources[y, k] = d_sources[y, k] + total
        d_node_coordinate[y, k] = d_node_coordinate[y, k] + total_slope.dot(sources[y, k])

    @ti.func
    def counts(before: ti.template(), row, first, last, width):
        """Whether any g of the columns first … last − 1 is not 0."""
        return before[row, ti.math.clamp(last, 0, width)] > before[row, ti.math.clamp(first, 0, width)]

    @ti.func
    def splat_one_adjoint(
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
        row,
        x,
        dy,
        edge,
    ):
        """What source k of row y, at column x, takes back from one row."""
        width = before.shape[1] - 1
        ends = extent(lists, dy, node_coordinate[y, k])
        if ends[1] >= ends[0] and counts(before, row, x + ends[0], x + ends[1] + 1, width):
            total, total_slope = gather(d_edge_sums, d_dense_sums, lists, entries, row, edge + x, dy, node_coordinate[y, k])
            give_back(sources, total, total_slope, d_sources, d_node_coordinate, y, k)

    return OneAdjoint(give_back, counts, splat_one_adjoint)


class Rows(NamedTuple):
    """Kernels of one band."""

    splat: Any  # its sums, on a processor
    adjoint: Any  # the gradients of its sources


@cache
def rows(shaped: bool, lanes: int, dtype: str, on_gpu: bool) -> Rows:
    """Make kernels for discs or `shaped` apertures, of OPAQUE_LANES (not the adjoint), LANES or OCCLUDED_LANES."""
    real = REAL[dtype]
    occluded, opaque = lanes == OCCLUDED_LANES, lanes == OPAQUE_LANES
    vec = ti.types.vector(lanes, real)
    reaches, add, *_ = row_lists(shaped, lanes, dtype)
    splat_one_adjoint, scattered = one_adjoint(shaped, lanes, dtype).splat, scattering()
    pixels, coordinates, weights, numbers, planar, flags, list_heads, polynomials = row_arrays(shaped, lanes, dtype)

    @ti.func
    def splat_row(
        sources: ti.template(),
        node_coordinate: ti.template(),
        widest: ti.template(),
        reach: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        wanted: ti.template(),
        edge_sums: ti.template(),
        dense_sums: ti.template(),
        sums: ti.template(),
        row,
        top,
        pad,
        scratch: ti.template(),
    ):
        width = dense_sums.shape[1]
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
                    edge_sums[row, x], dense_sums[row, x] = vec(0.0), vec(0.0)
                for y in range(row, row + 2 * pad + 1):
                    dy, far = row + pad - y, widest[y]
                    if ti.cast(ti.abs(dy), real) < far:
                        half = ti.cast(ti.sqrt(far * far - dy * dy), ti.i32) + 1
                        begin, stop = ti.max(0, first - half + pad), ti.min(sources.shape[1], last + half + pad)
                        for block in range(begin // COLUMNS, (stop + COLUMNS - 1) // COLUMNS):
                            if ti.cast(ti.abs(dy), real) < reach[y, block]:
                                for k in range(ti.max(begin, COLUMNS * block), ti.min(stop, COLUMNS * (block + 1))):
                                    if reaches(lists, dy, node_coordinate[y, k]):
                                        add(
                                            edge_sums, dense_sums, lists, entries, row, k - pad, dy, node_coordinate[y, k],
                                            sources[y, k], first, last, scratch, row,
                                        )  # fmt: skip
                total = vec(0.0)
                for x in range(first, last):
                    total += edge_sums[row, x]
                    if ti.static(occluded):
                        dense_sums[row, x] = dense_sums[row, x] + total
                    else:
                        for c in ti.static(range(CHANNELS)):
                            k = ti.static(channel_of(opaque, c))
                            sums[c, top + row, x] = dense_sums[row, x][k] + total[k]

    @ti.kernel
    def splat_rows(
        sources: pixels,  # [rows + 2·pad, W + 2·pad] × lanes: P, or P·τ_k, of a band of padded rows
        node_coordinate: coordinates,  # [rows + 2·pad, W + 2·pad]: radius in nodes of the table
        widest: numbers,  # [rows + 2·pad]: how far, in px, any of a row of sources counts
        reach: coordinates,  # [rows + 2·pad, blocks]: the same of every COLUMNS of it
        lists: list_heads,  # [dy, intervals, parts]: begin, first offset, length, kind (row_lists.py)
        entries: polynomials,  # [total]: powers of t of the entries
        wanted: flags,  # [rows, segments]: 1 where sums are wanted
        edge_sums: pixels,  # [rows, W] × lanes, scratch
        dense_sums: pixels,  # [rows, W] × lanes: scratch, or, of OCCLUDED_LANES, S_k, written
        sums: planar,  # [5, H, W]: s, written; of OCCLUDED_LANES not used
        scratch: weights,  # [rows, FOUR]
        top: ti.i32,  # row of the image that is the band's first
        pad: ti.i32,
        stride: ti.i32,  # see `scattered`
    ):
        """Write the sums of a band of rows, in the wanted segments."""
        ti.loop_config(block_dim=1)
        blocks = (dense_sums.shape[0] + BLOCK - 1) // BLOCK
        for turn, row_part in ti.ndrange(blocks, TALL_ROW_PARTS):
            if row_part == 0:
                begin = BLOCK * scattered(turn, blocks, stride)
                for row in range(begin, ti.min(begin + BLOCK, dense_sums.shape[0])):
                    splat_row(
                        sources,
                        node_coordinate,
                        widest,
                        reach,
                        lists,
                        entries,
                        wanted,
                        edge_sums,
                        dense_sums,
                        sums,
                        row,
                        top,
                        pad,
                        scratch,
                    )

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
        ti.loop_config(block_dim=BLOCK_THREADS if on_gpu else 1)
        for turn, row_part in ti.ndrange(sources.shape[0], row_parts):
            own_turn = scattered(turn, sources.shape[0], stride)
            for y in range(own_turn, own_turn + 1):
                height, width = before.shape[0], before.shape[1] - 1
                begin, end = row_part * sources.shape[1] // row_parts, (row_part + 1) * sources.shape[1] // row_parts
                for k in range(begin, end):
                    d_sources[y, k], d_node_coordinate[y, k] = vec(0.0), 0.0
                far, own = ti.cast(widest[y], ti.i32), y + top - pad
                for row in range(ti.max(0, own - far), ti.min(height, own + far + 1)):
                    if before[row, width] > 0:
                        for block in range(begin // COLUMNS, (end + COLUMNS - 1) // COLUMNS):
                            if ti.cast(ti.abs(row - own), real) < reach[y, block]:
                                for k in range(ti.max(begin, COLUMNS * block), ti.min(end, COLUMNS * (block + 1))):
                                    splat_one_adjoint(
                                        sources, node_coordinate, lists, entries, d_edge_sums, d_dense_sums, before,
                                        d_sources, d_node_coordinate, y, k, row, k - pad, row - own, edge,
                                    )  # fmt: skip

    return Rows(splat_rows, splat_rows_adjoint)
