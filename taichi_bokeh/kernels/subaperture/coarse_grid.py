"""Planes from a grid that is coarser than the pixels by an even number s, to the pixels.

Place X of the grid is the middle of the pixels s·X … s·X + s − 1. Between places, planes are interpolated linearly along both
axes, Λ the tent:

    v(x, y) = Σ_X Σ_Y Λ(ξ − X)·Λ(η − Y)·V(X, Y),      ξ = (x + ½)/s − ½,      η = (y + ½)/s − ½

Adjoint: a place of the grid takes from the 2s × 2s pixels round it,

    ∂loss/∂V(X, Y) = Σ_x Σ_y Λ(ξ − X)·Λ(η − Y)·∂loss/∂v(x, y)
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL


class Interpolation(NamedTuple):
    forward: Any
    adjoint: Any


@cache
def interpolation(channels: int, dtype: str) -> Interpolation:
    """Both add: from coarse [M, h, w] to fine [M, H, W] of vectors, whose first pixel is `top`, `left` pixels into the grid."""
    real = REAL[dtype]
    planes = ti.types.ndarray(dtype=ti.types.vector(channels, real), ndim=3)

    @ti.func
    def on_grid(pixel, step):
        return (ti.cast(pixel, real) + real(0.5)) / step - real(0.5)

    @ti.func
    def tent(s):
        return ti.max(real(0.0), 1 - ti.abs(s))

    @ti.kernel
    def forward(coarse: planes, fine: planes, step: ti.i32, top: ti.i32, left: ti.i32):
        for m, y, x in ti.ndrange(fine.shape[0], fine.shape[1], fine.shape[2]):
            eta, xi = on_grid(top + y, step), on_grid(left + x, step)
            row, column = ti.floor(eta, ti.i32), ti.floor(xi, ti.i32)
            down, along = eta - row, xi - column
            above = (1 - along) * coarse[m, row, column] + along * coarse[m, row, column + 1]
            below = (1 - along) * coarse[m, row + 1, column] + along * coarse[m, row + 1, column + 1]
            fine[m, y, x] = fine[m, y, x] + (1 - down) * above + down * below

    @ti.kernel
    def adjoint(d_coarse: planes, d_fine: planes, step: ti.i32, top: ti.i32, left: ti.i32):
        """Inverts: fine += (1 − down)·above + down·below."""
        for m, row, column in ti.ndrange(d_coarse.shape[0], d_coarse.shape[1], d_coarse.shape[2]):
            middle_y, middle_x = step * row + step // 2 - top, step * column + step // 2 - left
            total = ti.types.vector(channels, real)(0.0)
            for y in range(ti.max(0, middle_y - step), ti.min(d_fine.shape[1], middle_y + step)):
                down = tent(on_grid(top + y, step) - row)
                for x in range(ti.max(0, middle_x - step), ti.min(d_fine.shape[2], middle_x + step)):
                    total += down * tent(on_grid(left + x, step) - column) * d_fine[m, y, x]
            d_coarse[m, row, column] = d_coarse[m, row, column] + total

    return Interpolation(forward, adjoint)
