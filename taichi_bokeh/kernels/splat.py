"""Defocus that knows what hides what: every source pixel is thrown through M points of the lens onto soft z-buffers.

Through the lens point u a source y of radius r lands at y − u·r, on the four pixels round it with bilinear weights b. With
its colour I, coverage α and order q (larger is nearer), over the sources y of all surfaces of a picture:

    e(y) = exp(β·(q(y) − max q))
    S_m(x) = Σ_y b·α·e·(I, 1)          n_m(x) = Σ_y b·α
    C_m = S_m,rgb/S_m,1                h_m = 1 − exp(−n_m/ε)        h: small where the splats leave a hole
    B = Σ_m ω_m·h_m·C_m/T              T = Σ_m ω_m·h_m

Adjoint, with g = ∂loss/∂B:

    G_m = ∂loss/∂S_m = ω_m·h_m/(T·S_m,1)·(g, −⟨g, C_m⟩)             ν_m = ∂loss/∂n_m = ω_m·exp(−n_m/ε)/(ε·T)·⟨g, C_m − B⟩

and for a source, with P = ⟨G_m, (I, 1)⟩, summed over its pixels x of every m:

    ∂loss/∂I = Σ b·α·e·G_m,rgb         ∂loss/∂α = Σ b·(e·P + ν_m)
    ∂loss/∂q = β·Σ b·α·e·P             ∂loss/∂r = −Σ ⟨u_m, ∇b⟩·α·(e·P + ν_m)

A source counts on a pixel only where b·α ≥ LEAST_COVERAGE, which costs 1.5e-5 of the light. Below, where exp(β·(q − q′)) is
much more than 1/b, it would hide a farther source q′ all the same, by a step as steep as that exponential; so the slope is at
most 1/(4·LEAST_COVERAGE) of the difference in colour.

The sums are float64 for pictures of either dtype: e of the farthest source may be as small as exp(−600). They have a margin
of one pixel on all sides, so that a source that touches the picture has four pixels to land on.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

#: Taichi gives a thread of the CPU this many iterations of a parallel loop at a time: each lens point is counted so often.
WAYS = 512
LEAST_COVERAGE = 1e-3


class Splat(NamedTuple):
    weigh: Any
    scatter: Any
    resolve: Any
    pull: Any
    gather: Any


@cache
def splat(shared: bool, dtype: str) -> Splat:
    """`shared`: many threads add to one lens point, atomically (CUDA); else one thread does, always in the same order."""
    real = REAL[dtype]
    vec2, vec3 = ti.types.vector(2, real), ti.types.vector(3, real)
    wide = ti.types.vector(4, ti.f64)
    colours = ti.types.ndarray(dtype=vec3, ndim=3)  # [S, H + 2·pad, W + 2·pad] of rgb, as are all maps of sources
    maps = ti.types.ndarray(dtype=real, ndim=3)
    exponentials = ti.types.ndarray(dtype=ti.f64, ndim=3)  # e
    lens_points = ti.types.ndarray(dtype=vec2, ndim=1)  # [M] of x, y
    numbers = ti.types.ndarray(dtype=ti.f64, ndim=1)  # [M]
    weighted_sums = ti.types.ndarray(dtype=wide, ndim=3)  # [M, H + 2, W + 2] of S, or of G
    plain_sums = ti.types.ndarray(dtype=ti.f64, ndim=3)  # n, or ν
    pictures = ti.types.ndarray(dtype=wide, ndim=2)  # [H, W]

    @ti.func
    def landing(y, x, u, radius, pad):
        """The upper left of the four pixels (row, column) in the sums, and how far beyond it (right, down) the source is."""
        shift = -radius * u
        whole = ti.floor(shift)
        first = ti.math.ivec2(y + ti.cast(whole[1], ti.i32), x + ti.cast(whole[0], ti.i32)) + (1 - pad)
        return first, shift - whole

    @ti.func
    def is_seen(first, sums: ti.template()):
        return 0 <= first[0] < sums.shape[1] - 1 and 0 <= first[1] < sums.shape[2] - 1

    @ti.func
    def bilinear(fraction, down: ti.template(), right: ti.template()):
        """The weight of one of the four pixels and its derivatives in x and y."""
        across = fraction[0] if ti.static(right == 1) else 1 - fraction[0]
        along = fraction[1] if ti.static(down == 1) else 1 - fraction[1]
        return across * along, vec2((2 * right - 1) * along, (2 * down - 1) * across)

    @ti.func
    def counts(b, opacity):
        return b * opacity >= real(LEAST_COVERAGE)

    @ti.func
    def throw(
        colour: ti.template(),
        alpha: ti.template(),
        radius: ti.template(),
        nearness: ti.template(),
        u,
        m,
        s,
        y,
        x,
        pad,
        sums: ti.template(),
        coverage: ti.template(),
    ):
        opacity = alpha[s, y, x]
        first, fraction = landing(y, x, u, radius[s, y, x], pad)
        if is_seen(first, sums):
            rgb = colour[s, y, x]
            source = opacity * nearness[s, y, x] * wide(rgb[0], rgb[1], rgb[2], 1.0)
            for down, right in ti.static(ti.ndrange(2, 2)):
                b, _ = bilinear(fraction, down, right)
                if counts(b, opacity):
                    row, column = first[0] + down, first[1] + right
                    if ti.static(shared):
                        sums[m, row, column] += b * source
                        coverage[m, row, column] += b * opacity
                    else:
                        sums[m, row, column] = sums[m, row, column] + b * source
                        coverage[m, row, column] = coverage[m, row, column] + b * opacity

    @ti.kernel
    def weigh(order: maps, nearest: ti.f64, sharpness: ti.f64, nearness: exponentials):
        """e = exp(β·(q − max q)). Here and not in torch, whose exp of float64 has other last bits in some runs than in others."""
        for s, y, x in order:
            nearness[s, y, x] = ti.exp(sharpness * (ti.cast(order[s, y, x], ti.f64) - nearest))

    @ti.kernel
    def scatter(
        colour: colours,
        alpha: maps,
        radius: maps,
        nearness: exponentials,
        points: lens_points,
        pad: ti.i32,
        sums: weighted_sums,
        coverage: plain_sums,
    ):
        """Adds S and n; the sums are 0 before."""
        if ti.static(shared):
            for m, s, y, x in ti.ndrange(points.shape[0], alpha.shape[0], alpha.shape[1], alpha.shape[2]):
                throw(colour, alpha, radius, nearness, points[m], m, s, y, x, pad, sums, coverage)
        else:
            for m, way in ti.ndrange(points.shape[0], WAYS):
                if way == 0:
                    for s in range(alpha.shape[0]):
                        for y in range(alpha.shape[1]):
                            for x in range(alpha.shape[2]):
                                throw(colour, alpha, radius, nearness, points[m], m, s, y, x, pad, sums, coverage)

    @ti.kernel
    def resolve(sums: weighted_sums, coverage: plain_sums, weights: numbers, hole: ti.f64, total: pictures):
        """Adds Σ ω·h·(C, 1)."""
        for y, x in total:
            here = total[y, x]
            for m in range(weights.shape[0]):
                total_weight = sums[m, y + 1, x + 1][3]
                if total_weight > 0:
                    confidence = weights[m] * (1 - ti.exp(-coverage[m, y + 1, x + 1] / hole))
                    here += confidence / total_weight * sums[m, y + 1, x + 1]
            total[y, x] = here

    @ti.kernel
    def pull(sums: weighted_sums, coverage: plain_sums, weights: numbers, hole: ti.f64, picture: pictures, d_picture: pictures):
        """Turns S into G and n into ν, in place; picture: (B, T), d_picture: (g/T, 0). Inverts resolve."""
        for y, x in ti.ndrange(sums.shape[1], sums.shape[2]):
            inside = 0 < y < sums.shape[1] - 1 and 0 < x < sums.shape[2] - 1
            g, blurred = wide(0.0), wide(0.0)
            if inside:
                g, blurred = d_picture[y - 1, x - 1], picture[y - 1, x - 1]
            for m in range(weights.shape[0]):
                pulled, pulled_coverage = wide(0.0), ti.f64(0.0)
                total_weight = sums[m, y, x][3]
                if inside and total_weight > 0:
                    colour = sums[m, y, x] / total_weight
                    missing = ti.exp(-coverage[m, y, x] / hole)
                    along = g.dot(colour)
                    pulled = weights[m] * (1 - missing) / total_weight * (g - along * wide(0.0, 0.0, 0.0, 1.0))
                    pulled_coverage = weights[m] * missing / hole * (along - g.dot(blurred))
                sums[m, y, x] = pulled
                coverage[m, y, x] = pulled_coverage

    @ti.kernel
    def gather(
        colour: colours,
        alpha: maps,
        radius: maps,
        nearness: exponentials,
        points: lens_points,
        pad: ti.i32,
        d_sums: weighted_sums,
        d_coverage: plain_sums,
        sharpness: ti.f64,
        d_colour: colours,
        d_alpha: maps,
        d_radius: maps,
        d_order: maps,
    ):
        """Adds to the gradients of the sources. Inverts throw; one thread owns a source."""
        for s, y, x in ti.ndrange(alpha.shape[0], alpha.shape[1], alpha.shape[2]):
            rgb, opacity, e = colour[s, y, x], alpha[s, y, x], nearness[s, y, x]
            source = wide(rgb[0], rgb[1], rgb[2], 1.0)
            into_source = wide(0.0)  # Σ b·G
            into_alpha, into_radius = ti.f64(0.0), ti.f64(0.0)
            for m in range(points.shape[0]):
                u = points[m]
                first, fraction = landing(y, x, u, radius[s, y, x], pad)
                if is_seen(first, d_sums):
                    for down, right in ti.static(ti.ndrange(2, 2)):
                        b, slope = bilinear(fraction, down, right)
                        if counts(b, opacity):
                            g = d_sums[m, first[0] + down, first[1] + right]
                            along = e * g.dot(source) + d_coverage[m, first[0] + down, first[1] + right]
                            into_source += b * g
                            into_alpha += b * along
                            into_radius -= u.dot(slope) * along
            weight = opacity * e
            for c in ti.static(range(3)):
                d_colour[s, y, x][c] += ti.cast(weight * into_source[c], real)
            d_alpha[s, y, x] += ti.cast(into_alpha, real)
            d_radius[s, y, x] += ti.cast(opacity * into_radius, real)
            d_order[s, y, x] += ti.cast(sharpness * weight * into_source.dot(source), real)

    return Splat(weigh, scatter, resolve, pull, gather)
