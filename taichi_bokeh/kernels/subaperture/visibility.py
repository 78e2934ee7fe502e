"""Which layers are seen at all, tile by tile of the image: for the sub-aperture and the scatter models.

A pixel sees of a layer what its sources in reach cover. Where the coverage of all of them is 0, nothing; where that of all of
them is 1, nothing of the layers behind. Both are told for tiles: of a tile of sources the least and the largest coverage and
the largest reach are known, and it counts for a tile of the image if its reach is not less than the gap between the two.

The gradient of the coverages wants more. That of a layer which hides all behind it is of what lies behind, so its layers are
hidden only behind a second such layer; and that of a layer without coverage is of its colour, unless another hides it.
"""

from functools import cache
from typing import Any

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

TILE = 16  # px


@cache
def visibility(dtype: str) -> Any:
    real = REAL[dtype]
    tiles_of_sources = ti.types.ndarray(dtype=ti.types.vector(3, real), ndim=3)
    tiles_of_image = ti.types.ndarray(dtype=ti.i32, ndim=3)
    numbers = ti.types.ndarray(dtype=real, ndim=1)

    @ti.func
    def gap(first_a, first_b):
        """Return the least distance in px between pixels of two tiles along one axis."""
        apart = ti.abs(first_a - first_b)
        return ti.cast(ti.select(apart < TILE, 0, apart - TILE + 1), real)

    @ti.kernel
    def forward(
        sources: tiles_of_sources,  # [L, h, w] of least and largest coverage and the largest reach in px
        seen: tiles_of_image,  # [L, h', w'], written: 1 or 0
        top: ti.i32,  # the image's first row among the sources'
        left: ti.i32,
        farthest: numbers,  # [1]: the largest reach of all in px, finite
        hidden_behind: ti.i32,  # this many layers whose coverage is 1
    ):
        for row, column in ti.ndrange(seen.shape[1], seen.shape[2]):
            y, x, farthest_px = top + row * TILE, left + column * TILE, ti.cast(ti.ceil(farthest[0]), ti.i32)
            first_row, last_row = (
                ti.max(0, y - farthest_px) // TILE,
                ti.min(sources.shape[1] - 1, (y + TILE + farthest_px) // TILE),
            )
            first, last = ti.max(0, x - farthest_px) // TILE, ti.min(sources.shape[2] - 1, (x + TILE + farthest_px) // TILE)
            opaque = 0
            for layer in range(seen.shape[0]):
                covered, full = 0, 1
                if opaque < hidden_behind:
                    for source_row in range(first_row, last_row + 1):
                        for source_column in range(first, last + 1):
                            source = sources[layer, source_row, source_column]
                            if ti.max(gap(y, source_row * TILE), gap(x, source_column * TILE)) <= source[2]:
                                covered |= ti.cast(source[0] != 0 or source[1] != 0, ti.i32)
                                full &= ti.cast(source[0] == 1 and source[1] == 1, ti.i32)
                    wanted = opaque < hidden_behind - 1  # what has no coverage in reach may have a gradient
                    seen[layer, row, column] = ti.cast(wanted or covered != 0, ti.i32)
                    opaque += full
                else:
                    seen[layer, row, column] = 0

    return forward
