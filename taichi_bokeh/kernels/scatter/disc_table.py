"""The disc profile: a disc of radius r convolved with the bilinear pixel tent, tabulated over the radius for every offset.

    E(o; r) = ∬ [|u| < r]·tent(o_x − u_x)·tent(o_y − u_y) du,      tent(t) = max(0, 1 − |t|),      Σ_o E(o; r) = πr²

For an offset o at distance ρ, E rises from 0 to 1 while r goes from ρ − √2 to ρ + √2. With Q the integral of the tent,
a = |o_x|, b = |o_y| and u_y = r·sin φ, the inner integral is closed and what is left is smooth between the angles at which
the circle crosses the tent's lines x = a − 1, a, a + 1 and y = b − 1, b, b + 1:

    E  = ∫ tent(b − r·sin φ)·(Q(r·cos φ − a) − Q(−r·cos φ − a))·r·cos φ dφ,                    φ in [−π/2, π/2]
    E′ = ∂E/∂r = ∫ r·tent(b − r·sin φ)·(tent(r·cos φ − a) + tent(r·cos φ + a)) dφ

The nodes hold (E, h·E′), h the step in r; in between the kernels use cubic Hermite polynomials (`sample`), whose derivative
is the one that the adjoints use. Error with 16 (64) steps a pixel: below 1e-4 (2e-6) of the plateau.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

SAMPLES_PER_PX = {"float32": 16, "float64": 64}
SPAN_PX = 3  # the nodes of an offset cover this much radius, from max(ρ − LEAD_PX, 0)
LEAD_PX = 1.5
#: Below this radius a source is a mixture of a point on its own pixel and a disc of this radius. A node in either table.
LEAST_RADIUS_PX = 1 / 16
#: Nodes and weights, [8, 2]: an argument of the kernel, as a loop over it compiles sooner than what it unrolls to.
GAUSS = np.stack(np.polynomial.legendre.leggauss(8), 1)
_CUTS = 7


class DiscTable(NamedTuple):
    build: Any  # kernel: (table [size, size, nodes, 2], GAUSS as a tensor)
    sample: Any  # func: (table, row, column, radius, distance) -> vec2(E, E′)
    nodes: int


@cache
def disc_table(dtype: str) -> DiscTable:
    real = REAL[dtype]
    samples_per_px = SAMPLES_PER_PX[dtype]
    nodes = SPAN_PX * samples_per_px + 1
    vec2 = ti.types.vector(2, real)
    cut_list = ti.types.vector(_CUTS, ti.f64)
    tables = ti.types.ndarray(dtype=real, ndim=4)
    rules = ti.types.ndarray(dtype=ti.f64, ndim=2)

    @ti.func
    def tent(t):
        return ti.max(0.0, 1.0 - ti.abs(t))

    @ti.func
    def tent_integral(t):
        c = ti.min(ti.max(t, -1.0), 1.0)
        return 0.5 + c - 0.5 * c * ti.abs(c)

    @ti.func
    def crossing(x):
        """sin φ where the unit circle crosses the line at x; 0 where it does not."""
        return ti.sqrt(ti.max(0.0, 1.0 - x * x))

    @ti.func
    def cut_angles(a, b, r):
        """The angles between which the integrand is smooth, in order, from the lowest to the highest in reach."""
        reach = crossing(ti.max(a - 1.0, 0.0) / r)  # beyond it the circle lies left of the tent
        high = ti.min((b + 1.0) / r, reach)
        low = ti.min(ti.max((b - 1.0) / r, -reach), high)
        cuts = cut_list(0.0)
        cuts[0], cuts[1], cuts[2] = low, high, ti.min(ti.max(b / r, low), high)
        for k in range(2):
            height = crossing((a + k) / r)
            cuts[3 + 2 * k] = ti.min(ti.max(height, low), high)
            cuts[4 + 2 * k] = ti.min(ti.max(-height, low), high)
        for i in range(_CUTS - 1):
            for j in range(_CUTS - 1 - i):
                first, second = ti.min(cuts[j], cuts[j + 1]), ti.max(cuts[j], cuts[j + 1])
                cuts[j], cuts[j + 1] = first, second
        for i in range(_CUTS):
            cuts[i] = ti.asin(cuts[i])
        return cuts

    @ti.func
    def integrate(a, b, r, gauss: ti.template()):
        cuts = cut_angles(a, b, r)
        value, slope = ti.f64(0.0), ti.f64(0.0)
        for s in range(_CUTS - 1):
            half = 0.5 * (cuts[s + 1] - cuts[s])
            if half > 1e-12:
                for k in range(gauss.shape[0]):
                    phi = cuts[s] + half * (1.0 + gauss[k, 0])
                    x, y = r * ti.cos(phi), r * ti.sin(phi)
                    weight = gauss[k, 1] * half * tent(b - y)
                    value += weight * (tent_integral(x - a) - tent_integral(-x - a)) * x
                    slope += weight * r * (tent(x - a) + tent(x + a))
        return value, slope

    @ti.kernel
    def build(
        table: tables,  # [size, size, nodes, 2]: (E, h·E′) for every row, column and radius, written
        gauss: rules,  # [8, 2]: GAUSS
    ):
        for row, column, node in ti.ndrange(table.shape[0], table.shape[1], nodes):
            if column <= row:  # E is symmetric; a table is square
                b, a = ti.cast(column, ti.f64), ti.cast(row, ti.f64)
                node_px = ti.f64(1.0) / samples_per_px
                radius = ti.max(0.0, ti.sqrt(a * a + b * b) - LEAD_PX) + node * node_px
                value, slope = ti.f64(0.0), ti.f64(0.0)
                if radius > 0.0:
                    value, slope = integrate(a, b, radius, gauss)
                for k in ti.static(range(2)):
                    y, x = (row, column) if ti.static(k == 0) else (column, row)
                    table[y, x, node, 0] = ti.cast(value, real)
                    table[y, x, node, 1] = ti.cast(slope * node_px, real)

    @ti.func
    def sample(table: ti.template(), row, column, radius, distance):
        """(E, E′) for the offset (column, row), both clamped to the table, at `distance` px from the source."""
        start = ti.max(real(0.0), distance - real(LEAD_PX))
        position = ti.min(ti.max((radius - start) * samples_per_px, real(0.0)), real(nodes - 1.001))
        node = ti.cast(position, ti.i32)
        t = position - node
        v0, s0 = table[row, column, node, 0], table[row, column, node, 1]
        v1, s1 = table[row, column, node + 1, 0], table[row, column, node + 1, 1]
        rise = v1 - v0
        square = 3 * rise - 2 * s0 - s1
        cube = s0 + s1 - 2 * rise
        return vec2(v0 + t * (s0 + t * (square + t * cube)), (s0 + t * (2 * square + 3 * t * cube)) * samples_per_px)

    return DiscTable(build, sample, nodes)
