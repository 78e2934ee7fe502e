"""Which sources can reach a tile of pixels: bounds on the radius for tiles of the output and bands of source rows.

For an output tile and a band of TILE rows of (padded) sources, `reach` holds
    [0] the largest distance at which any source tile of the band still touches the output tile, −1 if none does,
    [1] a distance within which every source of the band is on its plateau.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.profile import profile

TILE = 16


class Culling(NamedTuple):
    extent: Any  # kernel: (source [N, 7, Hp, Wp], extent [N, tile rows, tile columns, 2])
    reach: Any  # kernel: (extent, reach [N, H tiles, W tiles, bands, 2], pad, limit)


@cache
def culling(name: str, dtype: str) -> Culling:
    real = REAL[dtype]
    margin = profile(name, dtype).margin_px
    arrays4 = ti.types.ndarray(dtype=real, ndim=4)
    arrays5 = ti.types.ndarray(dtype=real, ndim=5)

    @ti.kernel
    def extent(
        source: arrays4,  # [N, 7, Hp, Wp]: channels, radius in px, disparity; padded
        out: arrays4,  # [N, tile rows, tile columns, 2]: largest and least radius, written
    ):
        for n, row, column in ti.ndrange(out.shape[0], out.shape[1], out.shape[2]):
            largest, least = real(-1.0), real(1e30)
            for y in range(row * TILE, ti.min((row + 1) * TILE, source.shape[2])):
                for x in range(column * TILE, ti.min((column + 1) * TILE, source.shape[3])):
                    radius = source[n, 5, y, x]
                    largest, least = ti.max(largest, radius), ti.min(least, radius)
            out[n, row, column, 0], out[n, row, column, 1] = largest, least

    @ti.func
    def gap(a, b):
        """Least distance in px between pixels of tiles a and b of one axis."""
        return ti.cast(ti.max(0, (ti.abs(a - b) - 1) * TILE + 1), real)

    @ti.kernel
    def reach(
        extents: arrays4,  # [N, tile rows, tile columns, 2] of padded tiles
        out: arrays5,  # [N, H tiles, W tiles, bands, 2], written
        pad: ti.i32,
        limit: real,  # px: sources at this distance and beyond weigh nothing
    ):
        pad_tiles = pad // TILE
        for n, row, column, band in ti.ndrange(out.shape[0], out.shape[1], out.shape[2], out.shape[3]):
            source_row = row + band
            rows_apart = gap(source_row, row + pad_tiles)
            farthest, plateau = real(-1.0), real(1e30)
            if source_row < extents.shape[1]:
                last = ti.min(column + 2 * pad_tiles + 1, extents.shape[2])
                for source_column in range(column, last):
                    columns_apart = gap(source_column, column + pad_tiles)
                    radius = extents[n, source_row, source_column, 0] + margin
                    if rows_apart * rows_apart + columns_apart * columns_apart <= radius * radius:
                        farthest = ti.max(farthest, ti.min(radius, limit))
                for source_column in range(column, last):
                    if gap(source_column, column + pad_tiles) <= farthest:
                        plateau = ti.min(plateau, extents[n, source_row, source_column, 1] - margin)
            out[n, row, column, band, 0], out[n, row, column, band, 1] = farthest, ti.min(plateau, limit - 1)

    return Culling(extent, reach)
