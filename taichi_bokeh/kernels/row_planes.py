"""How planes get into the layout of kernels/rows.py and back: interleaved, padded by replicating the border, a band at a time.

`top` is the first row of a band: of the padded sources in `pack` and `fold` (row v of them is the picture's row v − pad, or the
nearest there is), of the picture in `cotangent`. `fold` inverts `pack`.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

PLANES = 5
LANES = 8  # planes are rounded up to a whole vector
OPAQUE_LANES = 4
#: Taichi runs a parallel loop of up to 512 iterations on one thread; rows are counted this many times so that all threads work.
WAYS = 16


class RowPlanes(NamedTuple):
    pack: Any
    cotangent: Any
    fold: Any


def plane_of(opaque: bool, c: int) -> int:
    """Where plane c of a source is kept: alpha and 1, the last two, are one and the same of what is opaque throughout."""
    return min(c, OPAQUE_LANES - 1) if opaque else c


@cache
def row_planes(opaque: bool, dtype: str) -> RowPlanes:
    """Kernels for sources of LANES or, if `opaque`, of OPAQUE_LANES planes; adjoints have all planes."""
    real = REAL[dtype]
    vec, packed = ti.types.vector(LANES, real), ti.types.vector(OPAQUE_LANES if opaque else LANES, real)
    pixels, interleaved = (ti.types.ndarray(dtype=kind, ndim=2) for kind in (vec, packed))
    planar = ti.types.ndarray(dtype=real, ndim=3)  # [planes, H, W]
    maps = ti.types.ndarray(dtype=real, ndim=2)
    numbers = ti.types.ndarray(dtype=real, ndim=1)
    counts = ti.types.ndarray(dtype=ti.i32, ndim=2)

    @ti.kernel
    def pack(
        planes: planar,
        spread: maps,
        sources: interleaved,
        place: maps,
        widest: numbers,
        top: ti.i32,
        pad: ti.i32,
        steps: real,
        extent: real,
        margin: real,
    ):
        """sources, place [rows, W + 2·pad]: place: the radius, `steps` a pixel; widest [rows]: how far any may count.

        extent, margin: a source of radius r counts for less than extent·|r| + margin px.
        """
        for row, way in ti.ndrange(sources.shape[0], WAYS):
            if way == 0:
                y = ti.math.clamp(top + row - pad, 0, planes.shape[1] - 1)
                largest = real(0.0)
                for k in range(sources.shape[1]):
                    x = ti.math.clamp(k - pad, 0, planes.shape[2] - 1)
                    source = packed(0.0)
                    for c in ti.static(range(PLANES)):
                        source[ti.static(plane_of(opaque, c))] = planes[c, y, x]
                    sources[row, k] = source
                    place[row, k] = spread[y, x] * steps
                    largest = ti.max(largest, ti.abs(spread[y, x]))
                widest[row] = extent * largest + margin

    @ti.kernel
    def cotangent(d_sums: planar, d_whole: pixels, d_step: pixels, before: counts, top: ti.i32, edge: ti.i32):
        """g and G = Σ_{x′ ≥ x} g(x′), `edge` columns before and behind the picture included, and how many g are not 0."""
        for row, way in ti.ndrange(before.shape[0], WAYS):
            if way == 0:
                width = before.shape[1] - 1
                before[row, 0] = 0
                for k in range(d_whole.shape[1]):
                    g = vec(0.0)
                    if 0 <= k - edge < width:
                        some = 0
                        for c in ti.static(range(PLANES)):
                            g[c] = d_sums[c, top + row, k - edge]
                            some |= ti.cast(g[c] != 0, ti.i32)
                        before[row, k - edge + 1] = before[row, k - edge] + some
                    d_whole[row, k] = g
                total = vec(0.0)
                for back in range(d_whole.shape[1]):
                    k = d_whole.shape[1] - 1 - back
                    total += d_whole[row, k]
                    d_step[row, k] = total

    @ti.kernel
    def fold(
        d_sources: pixels,
        d_place: maps,
        d_nearer: maps,
        d_planes: planar,
        d_spread: maps,
        d_disparity: maps,
        top: ti.i32,
        pad: ti.i32,
        steps: real,
    ):
        """Adds the gradients of a band of padded sources to those of the pixels that they are copies of."""
        for y, way in ti.ndrange(d_spread.shape[0], WAYS):
            if way == 0:
                height, width = d_spread.shape[0], d_spread.shape[1]
                first = ti.select(y == 0, 0, y + pad) - top
                last = ti.select(y == height - 1, height + 2 * pad, y + pad + 1) - top
                for row in range(ti.max(first, 0), ti.min(last, d_sources.shape[0])):
                    for k in range(d_sources.shape[1]):
                        x = ti.math.clamp(k - pad, 0, width - 1)
                        for c in ti.static(range(PLANES)):
                            d_planes[c, y, x] = d_planes[c, y, x] + d_sources[row, k][c]
                        d_spread[y, x] = d_spread[y, x] + steps * d_place[row, k]
                        d_disparity[y, x] = d_disparity[y, x] + d_nearer[row, k]

    return RowPlanes(pack, cotangent, fold)
