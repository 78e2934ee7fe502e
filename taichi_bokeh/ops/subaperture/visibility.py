"""Which tiles of a view see which layers (kernels/subaperture/visibility.py), and the windows and grids of what is seen."""

from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.subaperture.cells import PIXELS
from taichi_bokeh.kernels.subaperture.visibility import TILE, visibility
from taichi_bokeh.ops._common import dtype_name, on_gpu, plain
from taichi_bokeh.ops.subaperture.windows import Grid, Window, tile_maxima
from taichi_bokeh.optics.radius_nodes import FINE_PX, node_coordinate, node_radius_px


class Visibility(NamedTuple):
    """Of all layers.

    Attributes:
        view: that the tiles begin with.
        tiles: [L, rows, columns] int32: 1 where something of the layer may be seen, else 0.
        on_host: the same; None on a GPU, which is not waited for.
    """

    view: Window
    tiles: Tensor
    on_host: NDArray[Any] | None

    def box(self, layer: int, window: Window) -> Window | None:
        """Cut off the rows and columns of tiles in which nothing of a layer is seen; None: nothing is in the window."""
        if self.on_host is None:
            return window
        rows, columns = self._tiles_of(window)
        seen = self.on_host[layer, rows, columns]
        if not seen.any():
            return None
        (top, bottom), (left, right) = (_ends(axis) for axis in seen.nonzero())
        return Window(
            window.top + top * TILE,
            min(window.bottom, window.top + bottom * TILE),
            window.left + left * TILE,
            min(window.right, window.left + right * TILE),
        )

    def of(self, window: Window) -> Tensor:
        """List the tiles of a window, [L, rows, columns]."""
        rows, columns = self._tiles_of(window)
        return self.tiles[:, rows, columns].contiguous()

    def blocks(self, layer: int, grid: Grid) -> Tensor:
        """Mark with 1 the blocks of PIXELS grid cells of which something is seen, [rows, columns/PIXELS] int32."""
        counts = torch.nn.functional.pad(self.tiles[layer].cumsum(0).cumsum(1), (1, 0, 1, 0))
        _, height, width = self.tiles.shape
        above, below = self._reached(grid.top, grid.rows, 1, grid.cell_px, self.view.top, height)
        left, right = self._reached(grid.left, grid.columns // PIXELS, PIXELS, grid.cell_px, self.view.left, width)
        under, over = counts[below], counts[above]
        found = under[:, right] - under[:, left] - over[:, right] + over[:, left]
        return (found > 0).to(torch.int32)

    def _reached(self, first: int, count: int, step: int, cell_px: int, origin: int, size: int) -> tuple[Tensor, Tensor]:
        """List the first tile, and the last + 1, whose pixels are interpolated from each run of `step` grid cells."""
        cells = torch.arange(first, first + count * step, step, device=self.tiles.device)
        margin = cell_px // 2
        ends = cells * cell_px - margin - origin, (cells + step) * cell_px - 1 + margin - origin
        above, below = (px.div(TILE, rounding_mode="floor").clamp(0, size - 1) for px in ends)
        return above, below + 1

    def _tiles_of(self, window: Window) -> tuple[slice, slice]:
        top, left = (window.top - self.view.top) // TILE, (window.left - self.view.left) // TILE
        return (
            slice(top, top + -(-(window.bottom - window.top) // TILE)),
            slice(left, left + -(-(window.right - window.left) // TILE)),
        )


def visible(alpha: Tensor, radius: Tensor, view: Window, extent: float, of_alpha: bool) -> Visibility:
    """Find the tiles of a view that see each layer, of coverages and signed radii [L, H, W].

    Args:
        alpha: coverage.
        radius: in px.
        view: part of the image.
        extent: of the aperture.
        of_alpha: count as seen what the gradient of the coverages wants.
    """
    rows, columns = (-(-(last - first) // TILE) for first, last in (view[:2], view[2:]))
    tiles = torch.empty(len(radius), rows, columns, dtype=torch.int32, device=radius.device)
    size = torch.maximum(tile_maxima(plain(radius)), tile_maxima(-plain(radius)))
    mark_seen(tiles, plain(alpha), _reach_px(size, extent), (view.top, view.left), 2 if of_alpha else 1)
    return Visibility(view, tiles, None if on_gpu(tiles) else tiles.numpy())


def mark_seen(tiles: Tensor, alpha: Tensor, reach_px: Tensor, begin: tuple[int, int], hidden_behind: int) -> None:
    """Write 1 where something of a layer may be seen, else 0, to tiles [L, rows, columns] of the image.

    Args:
        tiles: int32, contiguous.
        alpha: coverage of all sources, [L, H, W].
        reach_px: how far sources are seen at most, of tiles, [L, h, w].
        begin: row and column of the image's first pixel among the sources.
        hidden_behind: nothing is seen behind so many layers whose coverage is 1.
    """
    largest, negative = (tile_maxima(plane) for plane in (alpha, -alpha))
    sources = torch.stack([-negative, largest, reach_px], -1).contiguous()
    farthest = reach_px.amax().nan_to_num().clamp(max=max(alpha.shape[1:])).reshape(1)
    _runtime.launch(visibility(dtype_name(sources)), sources, tiles, *begin, farthest, hidden_behind)


def _reach_px(size_px: Tensor, extent: float) -> Tensor:
    """Bound how far, in px, sources of these radii are seen."""
    node_px = node_radius_px(node_coordinate(size_px)[0].floor() + 1)
    cell_px = torch.where(node_px < FINE_PX, 1.0, 2 ** ((node_px / FINE_PX).log2().floor() + 1))
    # A pixel is interpolated from the grid cells round it, and these have their sources as means over their squares.
    return node_px * extent + 2.5 * cell_px + 1


def _ends(numbers: NDArray[Any]) -> tuple[int, int]:
    """Give the least, and the largest + 1."""
    return int(numbers.min()), int(numbers.max()) + 1
