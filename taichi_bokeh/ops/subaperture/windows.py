"""Windows of the image that are rendered one after the other, and the parts of grids that they take their sums from."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh.kernels.subaperture.cells import PIXELS
from taichi_bokeh.kernels.subaperture.visibility import TILE

_WINDOW_BYTES = 256 << 20  # what a window's sums may take


class Window(NamedTuple):
    """Rows top … bottom − 1 and columns left … right − 1 of the image."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, these rounded up to PIXELS."""
        return self.bottom - self.top, blocks(self.right - self.left) * PIXELS

    def inside(self, whole: "Window") -> tuple[slice, slice]:
        """Slice its rows and columns out of a larger one."""
        top, left = self.top - whole.top, self.left - whole.left
        return slice(top, top + self.bottom - self.top), slice(left, left + self.right - self.left)

    def padded_inside(self, whole: "Window") -> tuple[slice, slice]:
        """Slice the same, its width rounded up to PIXELS."""
        rows, columns = self.inside(whole)
        return rows, slice(columns.start, columns.start + self.shape[1])


class Grid(NamedTuple):
    """Part of a grid: its cells of rows top … and columns left …; of columns a multiple of PIXELS."""

    cell_px: int
    top: int
    left: int
    rows: int
    columns: int

    @classmethod
    def around(cls, window: Window, cell_px: int) -> "Grid":
        """Take all grid cells from which the pixels of a window, its width rounded up to PIXELS, are interpolated."""
        height, width = window.shape
        if cell_px == 1:
            return cls(1, window.top, window.left, height, width)
        top, left = ((2 * first + 1 - cell_px) // (2 * cell_px) for first in (window.top, window.left))
        bottom, right = ((2 * last - 1 - cell_px) // (2 * cell_px) + 2 for last in (window.bottom, window.left + width))
        return cls(cell_px, top, left, bottom - top, blocks(right - left) * PIXELS)

    def pixels(self, plane: Tensor, pad: int, extra: int) -> tuple[Tensor, Tensor]:
        """List the rows and columns of a plane [H, W] in and `pad` grid cells round the part, `extra` more at the right."""
        height, width = plane.shape
        ends = ((height, self.top, self.rows, 0), (width, self.left, self.columns, extra))
        rows, columns = (
            _clamped(size, (first - pad) * self.cell_px, (count + 2 * pad + more) * self.cell_px, plane.device)
            for size, first, count, more in ends
        )
        return rows, columns

    def offset(self, window: Window) -> tuple[int, int]:
        """Count rows and columns from the grid's first pixel to the window's."""
        return window.top - self.top * self.cell_px, window.left - self.left * self.cell_px

    def reached(self, tiles: NDArray[np.bool_], plane: Tensor, pad: int) -> "Grid | None":
        """Cut off what sources in these tiles of a plane [H, W] do not reach, `pad` grid cells away; None: all.

        Beyond the plane stand copies of its edge.
        """
        down = _Run(self.top, self.rows, self.cell_px, plane.shape[0], pad)
        across = _Run(self.left, self.columns, self.cell_px, plane.shape[1], pad)
        rows, columns = tiles[down.tiles, across.tiles].nonzero()
        if not len(rows):
            return None
        top, bottom = down.reached(int(rows.min()), int(rows.max()))
        left, right = across.reached(int(columns.min()), int(columns.max()))
        if top >= bottom or left >= right:
            return None
        left = self.left + (left - self.left) // PIXELS * PIXELS
        return Grid(self.cell_px, top, left, bottom - top, blocks(right - left) * PIXELS)


class _Run(NamedTuple):
    """Grid cells along one axis of a plane of `size` pixels, and `pad` more on both sides that reach them."""

    first: int
    cells: int
    cell_px: int
    size: int
    pad: int

    @property
    def tiles(self) -> slice:
        """Which tiles of the plane hold their pixels."""
        ends = self.first - self.pad, self.first + self.cells + self.pad
        low, high = (min(max(end * self.cell_px, 0), self.size - 1) // TILE for end in ends)
        return slice(low, high + 1)

    def reached(self, least: int, most: int) -> tuple[int, int]:
        """Give the first, and the last + 1, of the cells that these of `tiles` reach, in order."""
        low, high = (self.tiles.start + least) * TILE, (self.tiles.start + most + 1) * TILE
        last = self.first + self.cells
        return (
            self.first if low == 0 else max(self.first, low // self.cell_px - self.pad),
            last if high >= self.size else min(last, -(-high // self.cell_px) + self.pad),
        )


def windows(view: Window, bytes_per_pixel: int) -> Iterator[Window]:
    """Cut the view into windows, about square, whose sums fit in memory; they begin where a tile begins."""
    pixels = _WINDOW_BYTES // bytes_per_pixel
    side = max(TILE, math.isqrt(pixels))
    width, height = view.right - view.left, view.bottom - view.top
    across = _equal_part(width, side)
    down = _equal_part(height, max(side, pixels // across))
    for top in range(view.top, view.bottom, down):
        for left in range(view.left, view.right, across):
            yield Window(top, min(view.bottom, top + down), left, min(view.right, left + across))


def tile_maxima(planes: Tensor) -> Tensor:
    """Take the largest values in tiles, [N, H, W] -> [N, h, w]."""
    return torch.nn.functional.max_pool2d(planes[None], TILE, ceil_mode=True)[0]


def blocks(width: int) -> int:
    """Count the blocks of PIXELS that a width takes."""
    return -(-width // PIXELS)


def _clamped(size: int, first: int, count: int, device: torch.device) -> Tensor:
    """List first, first + 1, … with the edge replicated."""
    return torch.arange(first, first + count, device=device).clamp_(0, size - 1)


def _equal_part(size: int, most: int) -> int:
    """Divide by as few parts as are not larger than `most` and about equal, rounded up to whole tiles."""
    parts = -(-size // most)
    return -(-size // (parts * TILE)) * TILE
