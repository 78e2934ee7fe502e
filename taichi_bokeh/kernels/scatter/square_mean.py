"""The released code's coverage: the mean of alpha over a square round each pixel, whose size follows the pixel's own blur.

    V(x) = Σ_{|y − x|∞ ≤ h(x)} a(y)/(2h(x) + 1)²,      h = min(⌊r/2⌋, R),  r = K·|d| + 1
    ∂loss/∂a(y) = Σ_{x: |y − x|∞ ≤ h(x)} g(x)/(2h(x) + 1)²

V is piecewise constant in the disparity; that is the released code's, not ours (docs/mathematics.md).
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL


class SquareMean(NamedTuple):
    forward: Any
    adjoint: Any


@cache
def square_mean(dtype: str) -> SquareMean:
    real = REAL[dtype]
    arrays3 = ti.types.ndarray(dtype=real, ndim=3)
    sizes = ti.types.ndarray(dtype=ti.i32, ndim=3)

    @ti.kernel
    def forward(
        padded: arrays3,  # [N, H + 2·pad, W + 2·pad]: a
        half: sizes,  # [N, H, W]: h, px
        mean: arrays3,  # [N, H, W]: V, written
        pad: ti.i32,
    ):
        for n, y, x in ti.ndrange(mean.shape[0], mean.shape[1], mean.shape[2]):
            h = half[n, y, x]
            total = real(0.0)
            for row in range(y + pad - h, y + pad + h + 1):
                for column in range(x + pad - h, x + pad + h + 1):
                    total += padded[n, row, column]
            mean[n, y, x] = total / ti.cast((2 * h + 1) * (2 * h + 1), real)

    @ti.kernel
    def adjoint(
        scaled: arrays3,  # [N, H, W]: g/(2h + 1)²
        half: sizes,  # [N, H, W]: h, px
        d_padded: arrays3,  # [N, H + 2·pad, W + 2·pad], written
        pad: ti.i32,
        largest: ti.i32,  # of h
    ):
        """Inverts: total += padded[n, row, column]."""
        for n, py, px in ti.ndrange(d_padded.shape[0], d_padded.shape[1], d_padded.shape[2]):
            y, x = py - pad, px - pad
            total = real(0.0)
            for row in range(ti.max(0, y - largest), ti.min(scaled.shape[1], y + largest + 1)):
                for column in range(ti.max(0, x - largest), ti.min(scaled.shape[2], x + largest + 1)):
                    away = ti.max(ti.abs(row - y), ti.abs(column - x))
                    total += ti.select(away <= half[n, row, column], scaled[n, row, column], real(0.0))
            d_padded[n, py, px] = total

    return SquareMean(forward, adjoint)
