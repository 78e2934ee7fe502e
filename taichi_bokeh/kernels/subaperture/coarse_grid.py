"""Planes from a grid whose cells are s × s pixels, s even, to the pixels.

Grid cell X has its middle between the pixels s·X … s·X + s − 1. Between middles, planes are interpolated linearly along both
axes, Λ the tent:

    v(x, y) = Σ_X Σ_Y Λ(ξ − X)·Λ(η − Y)·V(X, Y),      ξ = (x + ½)/s − ½,      η = (y + ½)/s − ½

Adjoint: a grid cell takes from the 2s × 2s pixels round its middle,

    ∂loss/∂V(X, Y) = Σ_x Σ_y Λ(ξ − X)·Λ(η − Y)·∂loss/∂v(x, y)
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.subaperture.visibility import TILE


class Interpolation(NamedTuple):
    forward: Any
    adjoint: Any


@cache
def interpolation(channels: int, dtype: str) -> Interpolation:
    """Make both kernels for planes of vectors; both add to what they write."""
    real = REAL[dtype]
    planes = ti.types.ndarray(dtype=ti.types.vector(channels, real), ndim=3)
    tiles = ti.types.ndarray(dtype=ti.i32, ndim=2)

    @ti.func
    def on_grid(pixel, cell_px):
        return (ti.cast(pixel, real) + real(0.5)) / cell_px - real(0.5)

    @ti.func
    def tent(s):
        return ti.max(real(0.0), 1 - ti.abs(s))

    @ti.kernel
    def forward(
        coarse: planes,  # [M, h, w]
        fine: planes,  # [M, H, W]
        seen: tiles,  # [H/TILE, W/TILE]: where the sums are wanted
        cell_px: ti.i32,
        top: ti.i32,  # pixels from the grid's first to that of `fine`
        left: ti.i32,
    ):
        for m, y, x in ti.ndrange(fine.shape[0], fine.shape[1], fine.shape[2]):
            if seen[y // TILE, x // TILE] != 0:
                eta, xi = on_grid(top + y, cell_px), on_grid(left + x, cell_px)
                row, column = ti.floor(eta, ti.i32), ti.floor(xi, ti.i32)
                down, along = eta - row, xi - column
                above = (1 - along) * coarse[m, row, column] + along * coarse[m, row, column + 1]
                below = (1 - along) * coarse[m, row + 1, column] + along * coarse[m, row + 1, column + 1]
                fine[m, y, x] = fine[m, y, x] + (1 - down) * above + down * below

    @ti.kernel
    def adjoint(
        d_coarse: planes,  # [M, h, w]
        d_fine: planes,  # [M, H, W]
        cell_px: ti.i32,
        top: ti.i32,
        left: ti.i32,
    ):
        """Invert: fine += (1 − down)·above + down·below."""
        for m, row, column in ti.ndrange(d_coarse.shape[0], d_coarse.shape[1], d_coarse.shape[2]):
            middle_y, middle_x = cell_px * row + cell_px // 2 - top, cell_px * column + cell_px // 2 - left
            total = ti.types.vector(channels, real)(0.0)
            for y in range(ti.max(0, middle_y - cell_px), ti.min(d_fine.shape[1], middle_y + cell_px)):
                down = tent(on_grid(top + y, cell_px) - row)
                for x in range(ti.max(0, middle_x - cell_px), ti.min(d_fine.shape[2], middle_x + cell_px)):
                    total += down * tent(on_grid(left + x, cell_px) - column) * d_fine[m, y, x]
            d_coarse[m, row, column] = d_coarse[m, row, column] + total

    return Interpolation(forward, adjoint)
