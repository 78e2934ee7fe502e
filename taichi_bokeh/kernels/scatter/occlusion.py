"""On-focal occlusion: by how much a source is hidden behind a pixel in focus.

With Δ = d_y − d_x, how much nearer the source y is than the pixel x, in disparity or in px of the signed radius, the
occlusion weight is a step from 1 (far behind) to 0 (in front), at `gap` and as steep as `steepness` says:

    τ(Δ) = 1/(1 + exp(steepness·(Δ − gap)))          τ′(Δ) = −steepness·τ·(1 − τ)

Dr.Bokeh, Eq. (5), has ½ − ½·tanh(10·(Δ − 0.1)), which is the same at PAPER. docs/mathematics.md says what other steps give.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL, exponential


class OcclusionStep(NamedTuple):
    """Where τ is ½, in units of Δ, and how steep it is there, in inverse units of Δ; kernels take it as a vector of two."""

    gap: float
    steepness: float

    def weight(self, disparity_gap: ArrayLike) -> NDArray[np.float64]:
        """Return τ of Δ, of any shape."""
        return 0.5 - 0.5 * np.tanh(self.steepness / 2 * (np.asarray(disparity_gap, np.float64) - self.gap))


PAPER = OcclusionStep(gap=0.1, steepness=20.0)  # in units of disparity


@cache
def occlusion_weight(dtype: str) -> Any:
    """Make the function (Δ, step) -> vec2(τ, τ′); step: (gap, steepness)."""
    real = REAL[dtype]
    exp = exponential(dtype)
    vec2 = ti.types.vector(2, real)

    @ti.func
    def weight(disparity_gap, step):
        tau = 1 / (1 + exp(step[1] * (disparity_gap - step[0])))
        return vec2(tau, -step[1] * tau * (1 - tau))

    return weight
