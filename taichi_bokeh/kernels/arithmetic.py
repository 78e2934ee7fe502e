"""Number types and the functions that the inner loops need in a form that vectorises."""

from functools import cache
from typing import Any

from taichi_bokeh._runtime import ti

REAL = {"float32": ti.f32, "float64": ti.f64}

#: exp(x) = 2**n · exp(f·ln 2) with |f| ≤ ½: Taylor coefficients of the second factor, relative error 2e-8 in float32.
_TAYLOR = (1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0)


@cache
def exponential(dtype: str) -> Any:
    """Make exp for one dtype, finite for every argument: in float32 a polynomial (the library call does not vectorise)."""
    if dtype == "float64":

        @ti.func
        def exp64(x):
            return ti.exp(ti.min(ti.max(x, -700.0), 700.0))

        return exp64

    log2_e = 1.4426950408889634
    ln_2 = 0.6931471805599453

    @ti.func
    def exp32(x):
        scaled = ti.min(ti.max(x, -87.0), 87.0) * ti.f32(log2_e)
        whole = ti.floor(scaled + ti.f32(0.5))
        rest = (scaled - whole) * ti.f32(ln_2)
        series = ti.f32(_TAYLOR[0])
        for k in ti.static(range(1, len(_TAYLOR))):
            series = series * rest + ti.f32(_TAYLOR[k])
        return series * ti.bit_cast((ti.cast(whole, ti.i32) + 127) << 23, ti.f32)

    return exp32
