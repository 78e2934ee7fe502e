"""How channels get into the layout of row_sums.py and back: interleaved, padded by replicating the border, a band at a time.

`top` is the first row of a band: of the padded sources in `pack` and `pack_adjoint` (row v of them is the image's row v − pad,
or the nearest there is), of the image in `sum_rows_adjoint`. A row is cut into `row_parts` parts: on a GPU each thread has a
pixel; a processor's has a row, all of which is the first part's.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

CHANNELS = 5
LANES = 8  # channels are rounded up to a whole vector
OPAQUE_LANES = 4
GROUP = 3  # nodes of separable_occlusion.py at a time
OCCLUDED_LANES = 16  # of their channels
#: Taichi runs a parallel loop of up to 512 iterations on one thread; rows are counted this many times so that all threads work.
ROW_PARTS = 16
BLOCK_THREADS = 64  # of a GPU, where a kernel does not say


class BandLayout(NamedTuple):
    pack: Any
    sum_rows_adjoint: Any
    pack_adjoint: Any


def channel_of(opaque: bool, c: int) -> int:
    """Where channel c of a source stands: alpha and 1, the last two, are one and the same of what is opaque throughout."""
    return min(c, OPAQUE_LANES - 1) if opaque else c


@cache
def part_of_row(on_gpu: bool) -> Any:
    """Make the function of (row_part, row_parts, count): first and last + 1 of a part's columns among `count` of a row."""

    @ti.func
    def part(row_part, row_parts, count):
        result = ti.math.ivec2(0, ti.select(row_part == 0, count, 0))
        if ti.static(on_gpu):
            result = ti.math.ivec2(row_part * count // row_parts, (row_part + 1) * count // row_parts)
        return result

    return part


@cache
def band_layout(opaque: bool, dtype: str, on_gpu: bool) -> BandLayout:
    """Kernels for sources of LANES or, if `opaque`, of OPAQUE_LANES channels; adjoints have all channels."""
    real = REAL[dtype]
    vec, packed = ti.types.vector(LANES, real), ti.types.vector(OPAQUE_LANES if opaque else LANES, real)
    pixels, interleaved = (ti.types.ndarray(dtype=kind, ndim=2) for kind in (vec, packed))
    planar = ti.types.ndarray(dtype=real, ndim=3)  # [channels, H, W]
    maps = ti.types.ndarray(dtype=real, ndim=2)
    counts = ti.types.ndarray(dtype=ti.i32, ndim=2)
    part = part_of_row(on_gpu)

    @ti.func
    def copies(index, count, pad):
        """The first and last + 1 of the padded indices that hold the same as one of `count`."""
        return ti.math.ivec2(
            ti.select(index == 0, 0, index + pad), ti.select(index == count - 1, count + 2 * pad, index + pad + 1)
        )

    @ti.kernel
    def pack(
        channels: planar,  # [5, H, W]: P
        radius_px: maps,  # [H, W]: radius in px
        sources: interleaved,  # [rows, W + 2·pad]: P of a band of padded rows, written
        node_coordinate: maps,  # [rows, W + 2·pad]: radius in nodes of the lists, written
        top: ti.i32,
        pad: ti.i32,
        samples_per_px: real,  # nodes of the lists in a px of the radius
        row_parts: ti.i32,
    ):
        for row, row_part in ti.ndrange(sources.shape[0], row_parts):
            y = ti.math.clamp(top + row - pad, 0, channels.shape[1] - 1)
            columns = part(row_part, row_parts, sources.shape[1])
            for k in range(columns[0], columns[1]):
                x = ti.math.clamp(k - pad, 0, channels.shape[2] - 1)
                source = packed(0.0)
                for c in ti.static(range(CHANNELS)):
                    source[ti.static(channel_of(opaque, c))] = channels[c, y, x]
                sources[row, k] = source
                node_coordinate[row, k] = radius_px[y, x] * samples_per_px

    @ti.kernel
    def sum_rows_adjoint(
        d_sums: planar,  # [5, H, W]: g
        d_dense_sums: pixels,  # [rows, W + 2·edge]: g, `edge` columns before and behind the image included, written
        d_edge_sums: pixels,  # as d_dense_sums: G, written; on a GPU left alone: there scans over rows are torch's
        before: counts,  # [rows, W + 1]: how many g before a column are not 0, written; on a GPU it marks the columns
        top: ti.i32,
        edge: ti.i32,
        row_parts: ti.i32,
    ):
        """Lay out the gradients g of the sums of a band, and G = Σ_{x′ ≥ x} g(x′)."""
        for row, row_part in ti.ndrange(before.shape[0], row_parts):
            width = before.shape[1] - 1
            columns = part(row_part, row_parts, d_dense_sums.shape[1])
            for k in range(columns[0], columns[1]):
                g = vec(0.0)
                x = k - edge
                if k == 0:
                    before[row, 0] = 0
                if 0 <= x < width:
                    some = 0
                    for c in ti.static(range(CHANNELS)):
                        g[c] = d_sums[c, top + row, x]
                        some |= ti.cast(g[c] != 0, ti.i32)
                    before[row, x + 1] = some
                    if ti.static(not on_gpu):
                        before[row, x + 1] = before[row, x] + some
                d_dense_sums[row, k] = g
            if ti.static(not on_gpu):
                total = vec(0.0)
                for back in range(columns[1]):
                    k = columns[1] - 1 - back
                    total += d_dense_sums[row, k]
                    d_edge_sums[row, k] = total

    @ti.kernel
    def pack_adjoint(
        d_sources: pixels,  # [rows, W + 2·pad]: ∂loss/∂P of a band
        d_node_coordinate: maps,  # [rows, W + 2·pad]
        d_source_disparity: maps,  # [rows, W + 2·pad]: of what the occlusion compares
        d_channels: planar,  # [5, H, W], added to
        d_radius_px: maps,  # [H, W], added to
        d_disparity: maps,  # [H, W], added to
        top: ti.i32,
        pad: ti.i32,
        samples_per_px: real,  # nodes of the lists in a px of the radius
        row_parts: ti.i32,
    ):
        """Adds the gradients of a band of padded sources to those of the pixels that they are copies of."""
        for y, row_part in ti.ndrange(d_radius_px.shape[0], row_parts):
            columns = part(row_part, row_parts, d_radius_px.shape[1])
            rows = copies(y, d_radius_px.shape[0], pad)
            for row in range(ti.max(rows[0] - top, 0), ti.min(rows[1] - top, d_sources.shape[0])):
                for x in range(columns[0], columns[1]):
                    across = copies(x, d_radius_px.shape[1], pad)
                    for k in range(across[0], across[1]):
                        for c in ti.static(range(CHANNELS)):
                            d_channels[c, y, x] = d_channels[c, y, x] + d_sources[row, k][c]
                        d_radius_px[y, x] = d_radius_px[y, x] + samples_per_px * d_node_coordinate[row, k]
                        d_disparity[y, x] = d_disparity[y, x] + d_source_disparity[row, k]

    return BandLayout(pack, sum_rows_adjoint, pack_adjoint)
