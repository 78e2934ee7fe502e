"""How planes get into the layout of row_sums.py and back: interleaved, padded by replicating the border, a band at a time.

`top` is the first row of a band: of the padded sources in `pack` and `fold` (row v of them is the picture's row v − pad, or the
nearest there is), of the picture in `cotangent`. `fold` inverts `pack`. A row is cut into `ways` parts: on a GPU each thread
has a pixel; a processor's has a row, all of which is the first way's.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

PLANES = 5
LANES = 8  # planes are rounded up to a whole vector
OPAQUE_LANES = 4
GROUP = 3  # nodes of separable_occlusion.py at a time
HIDDEN_LANES = 16  # of their planes
#: Taichi runs a parallel loop of up to 512 iterations on one thread; rows are counted this many times so that all threads work.
WAYS = 16
BLOCK_THREADS = 64  # of a GPU, where a kernel does not say


class RowPlanes(NamedTuple):
    pack: Any
    cotangent: Any
    fold: Any


def plane_of(opaque: bool, c: int) -> int:
    """Where plane c of a source is kept: alpha and 1, the last two, are one and the same of what is opaque throughout."""
    return min(c, OPAQUE_LANES - 1) if opaque else c


@cache
def part_of_row(on_gpu: bool) -> Any:
    """A function of (way, ways, count): the first and last + 1 of the `count` columns of a row that are a way's."""

    @ti.func
    def part(way, ways, count):
        result = ti.math.ivec2(0, ti.select(way == 0, count, 0))
        if ti.static(on_gpu):
            result = ti.math.ivec2(way * count // ways, (way + 1) * count // ways)
        return result

    return part


@cache
def row_planes(opaque: bool, dtype: str, on_gpu: bool) -> RowPlanes:
    """Kernels for sources of LANES or, if `opaque`, of OPAQUE_LANES planes; adjoints have all planes."""
    real = REAL[dtype]
    vec, packed = ti.types.vector(LANES, real), ti.types.vector(OPAQUE_LANES if opaque else LANES, real)
    pixels, interleaved = (ti.types.ndarray(dtype=kind, ndim=2) for kind in (vec, packed))
    planar = ti.types.ndarray(dtype=real, ndim=3)  # [planes, H, W]
    maps = ti.types.ndarray(dtype=real, ndim=2)
    counts = ti.types.ndarray(dtype=ti.i32, ndim=2)
    part = part_of_row(on_gpu)

    @ti.func
    def copies(place, count, pad):
        """The first and last + 1 of the padded places that hold the same as one of `count`."""
        return ti.math.ivec2(
            ti.select(place == 0, 0, place + pad), ti.select(place == count - 1, count + 2 * pad, place + pad + 1)
        )

    @ti.kernel
    def pack(
        planes: planar,  # [5, H, W]: P
        spread: maps,  # [H, W]: radius in px
        sources: interleaved,  # [rows, W + 2·pad]: P of a band of padded rows, written
        place: maps,  # [rows, W + 2·pad]: radius in steps of the lists, written
        top: ti.i32,
        pad: ti.i32,
        steps: real,  # steps of the lists in a px of the radius
        ways: ti.i32,
    ):
        """sources, place [rows, W + 2·pad]; place: the radius, `steps` a pixel."""
        for row, way in ti.ndrange(sources.shape[0], ways):
            y = ti.math.clamp(top + row - pad, 0, planes.shape[1] - 1)
            columns = part(way, ways, sources.shape[1])
            for k in range(columns[0], columns[1]):
                x = ti.math.clamp(k - pad, 0, planes.shape[2] - 1)
                source = packed(0.0)
                for c in ti.static(range(PLANES)):
                    source[ti.static(plane_of(opaque, c))] = planes[c, y, x]
                sources[row, k] = source
                place[row, k] = spread[y, x] * steps

    @ti.kernel
    def cotangent(d_sums: planar, d_whole: pixels, d_step: pixels, before: counts, top: ti.i32, edge: ti.i32, ways: ti.i32):
        """g and G = Σ_{x′ ≥ x} g(x′), `edge` columns before and behind the picture included, and how many g are not 0.

        On a GPU `before` marks the columns, and d_step is left alone: there scans over rows are torch's.
        """
        for row, way in ti.ndrange(before.shape[0], ways):
            width = before.shape[1] - 1
            columns = part(way, ways, d_whole.shape[1])
            for k in range(columns[0], columns[1]):
                g = vec(0.0)
                x = k - edge
                if k == 0:
                    before[row, 0] = 0
                if 0 <= x < width:
                    some = 0
                    for c in ti.static(range(PLANES)):
                        g[c] = d_sums[c, top + row, x]
                        some |= ti.cast(g[c] != 0, ti.i32)
                    before[row, x + 1] = some
                    if ti.static(not on_gpu):
                        before[row, x + 1] = before[row, x] + some
                d_whole[row, k] = g
            if ti.static(not on_gpu):
                total = vec(0.0)
                for back in range(columns[1]):
                    k = columns[1] - 1 - back
                    total += d_whole[row, k]
                    d_step[row, k] = total

    @ti.kernel
    def fold(
        d_sources: pixels,  # [rows, W + 2·pad]: ∂loss/∂P of a band
        d_place: maps,  # [rows, W + 2·pad]
        d_nearer: maps,  # [rows, W + 2·pad]: of what the occlusion compares
        d_planes: planar,  # [5, H, W], added to
        d_spread: maps,  # [H, W], added to
        d_disparity: maps,  # [H, W], added to
        top: ti.i32,
        pad: ti.i32,
        steps: real,  # steps of the lists in a px of the radius
        ways: ti.i32,
    ):
        """Adds the gradients of a band of padded sources to those of the pixels that they are copies of."""
        for y, way in ti.ndrange(d_spread.shape[0], ways):
            columns = part(way, ways, d_spread.shape[1])
            rows = copies(y, d_spread.shape[0], pad)
            for row in range(ti.max(rows[0] - top, 0), ti.min(rows[1] - top, d_sources.shape[0])):
                for x in range(columns[0], columns[1]):
                    across = copies(x, d_spread.shape[1], pad)
                    for k in range(across[0], across[1]):
                        for c in ti.static(range(PLANES)):
                            d_planes[c, y, x] = d_planes[c, y, x] + d_sources[row, k][c]
                        d_spread[y, x] = d_spread[y, x] + steps * d_place[row, k]
                        d_disparity[y, x] = d_disparity[y, x] + d_nearer[row, k]

    return RowPlanes(pack, cotangent, fold)
