"""How a source of radius r weighs a pixel at distance ρ: the profiles of the scatter model, as functions for the kernels.

    disc:      E(o; r), the exact disc convolved with the pixel tent (disc_table.py)
    soft:      S(ρ; r) = 1 / (1 + 10·exp(3(ρ − r)))                    Dr.Bokeh, Eq. (4) with the distance in pixels
    official:  S(ρ; r) = 0.1 / (0.1 + exp(3(ρ − r)) + 1e-6)            the released code
    ∂S/∂r = 3·S·exp(3(ρ − r)) / (0.1 + exp(3(ρ − r)) [+ 1e-6])

Each is flat to rounding farther than a margin inside r, and zero to rounding farther than one outside: loops cull by it.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL, exponential
from taichi_bokeh.kernels.scatter.disc_table import disc_table

#: exp(−3·6) = 1.5e-8, exp(−3·13) = 1e-17. The released code divides by Σ a·w + 1e-8, beside which sums of tails count.
_LOGISTIC_MARGIN_PX = {
    ("soft", "float32"): 6.0,
    ("soft", "float64"): 13.0,
    ("official", "float32"): 11.0,
    ("official", "float64"): 13.0,
}
_TENT_REACH_PX = 1.4143  # √2, rounded up
_FLOOR = {"soft": 0.0, "official": 1e-6}

PROFILES = ("disc", "soft", "official")


class Profile(NamedTuple):
    sample: Any  # func: (table, row, column, radius, distance) -> vec2(weight, ∂weight/∂radius)
    margin_px: float  # weight is its plateau for ρ < r − margin, 0 for ρ > r + margin
    plateau: float


@cache
def profile(name: str, dtype: str) -> Profile:
    if name == "disc":
        return Profile(disc_table(dtype).sample, _TENT_REACH_PX, 1.0)
    real = REAL[dtype]
    exp = exponential(dtype)
    vec2 = ti.types.vector(2, real)
    offset = 0.1 + _FLOOR[name]

    @ti.func
    def sample(table: ti.template(), row, column, radius, distance):
        growth = exp(3 * (distance - radius))
        inverse = 1 / (real(offset) + growth)
        value = real(0.1) * inverse
        return vec2(value, 3 * value * growth * inverse)

    return Profile(sample, _LOGISTIC_MARGIN_PX[name, dtype], 0.1 / offset)
