"""Defocus that knows what hides what: every source pixel is thrown through M points of the lens onto soft z-buffers.

Through the lens point u a source y of radius r lands at y − u·r, on the four pixels round it with bilinear weights b. With
its colour I, coverage α and order q (larger is nearer), over the sources y of all surfaces of an image:

    e(y) = exp(β·(q(y) − the middle of q's range))
    S_m(x) = Σ_y b·α·e·(I, 1)          A_m(x) = Σ_y b·α·(I, 1)      Q_m(x) = Σ_y b·α·e²
    n_m = A_m,1                        C_m = S_m,rgb/S_m,1          h_m = 1 − exp(−n_m/ε)
    B_m = C_m + k_m·(A_m,rgb − n_m·C_m)
    B = Σ_m ω_m·h_m·B_m/T              T = Σ_m ω_m·h_m              h: small where the splats leave a hole

C_m is the colour of the front. P = S_1²/Q is how much of the pixel the front covers: it is n where all sources are equally
near, and the near ones' share of n where the others are far behind. What arrived besides the front has the coverage
ρ = n − P ≥ 0 and the mean colour (A_rgb − P·C)/ρ, and fills the gap g that the front leaves:

    d = max(0, 1 − P)      g = (1 + τ)·d²/(d + τ)      k = min(g·ρ/(ρ² + δ²·(1 − g)), 1/n)

For ρ much more than δ, k = g/ρ: the front has the share 1 − g, and what is behind it g. For ρ far below δ there is nothing
behind, and k goes to 0. g is d but for small d, so that a full front comes in without a kink, and one that is stretched by a
few percent does not let the rest shine through. With k ≤ 1/n no source has a negative weight: at the bound B_m = A_rgb/n.

Adjoint, with g = ∂loss/∂B, a = ω_m·h_m/T·g and κ = ⟨a, A_rgb − n·C⟩ for each m:

    G = ∂loss/∂S = ((1 − k·n)·a/S_1, −(1 − k·n)·⟨a, C⟩/S_1 + κ·∂k/∂P·2·P/S_1)
    N = ∂loss/∂A = (k·a, κ·∂k/∂n − k·⟨a, C⟩ + ω_m·exp(−n/ε)/(ε·T)·⟨g, B_m − B⟩)
    R = ∂loss/∂Q = −κ·∂k/∂P·P/Q

and for a source, with z = e·⟨G, (I, 1)⟩ + ⟨N, (I, 1)⟩ + e²·R, summed over its pixels x of every m:

    ∂loss/∂I = Σ b·α·(e·G + N)_rgb                    ∂loss/∂α = Σ b·z
    ∂loss/∂q = β·Σ b·α·(e·⟨G, (I, 1)⟩ + 2·e²·R)       ∂loss/∂r = −Σ ⟨u_m, ∇b⟩·α·z

A source counts on a pixel only where b·α ≥ LEAST_COVERAGE, which costs 1.5e-5 of the light. Below, where exp(β·(q − q′)) is
much more than 1/b, it would hide a farther source q′ all the same, by a step as steep as that exponential; so the slope is at
most 1/(4·LEAST_COVERAGE) of the difference in colour.

The sums are float64 for images of either dtype: e is between exp(−300) and exp(300), and Q has its square. They have a margin
of one pixel on all sides, so that a source that touches the image has four pixels to land on.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

#: Taichi gives a thread of the CPU this many iterations of a parallel loop at a time: each lens point is counted so often.
ROW_PARTS = 512
LEAST_COVERAGE = 1e-3
ROUNDING = 0.05  # τ
LEAST_BEHIND = 0.1  # δ, in sources per pixel


class Splat(NamedTuple):
    weigh: Any
    scatter: Any
    resolve: Any
    resolve_adjoint: Any
    scatter_adjoint: Any


@cache
def splat(shared: bool, dtype: str) -> Splat:
    """Make the kernels; `shared`: many threads add to one lens point, atomically (CUDA); else one does, in a fixed order."""
    real = REAL[dtype]
    vec2 = ti.types.vector(2, real)
    wide = ti.types.vector(4, ti.f64)
    maps = ti.types.ndarray(dtype=real, ndim=3)  # [S, H, W]
    surfaces = ti.types.ndarray(dtype=ti.types.vector(5, real), ndim=3)  # [S, H + 2·pad, W + 2·pad] of rgb, α, r
    source_gradients = ti.types.ndarray(dtype=ti.types.vector(6, real), ndim=3)  # the same of rgb, α, r, q
    exponentials = ti.types.ndarray(dtype=ti.f64, ndim=3)  # the same of e; of `weigh` without the padding
    lens_points = ti.types.ndarray(dtype=vec2, ndim=1)  # [M] of x, y
    numbers = ti.types.ndarray(dtype=ti.f64, ndim=1)  # [M]
    weighted_sums = ti.types.ndarray(dtype=wide, ndim=3)  # [M, H + 2, W + 2] of S or A, or of G or N
    square_sums = ti.types.ndarray(dtype=ti.f64, ndim=3)  # Q, or R
    images = ti.types.ndarray(dtype=wide, ndim=2)  # [H, W]

    @ti.func
    def landing(y, x, u, radius, pad):
        """Find the upper left of the four pixels (row, column) in the sums, and how far right and down of it the source is."""
        shift = -radius * u
        whole = ti.floor(shift)
        first = ti.math.ivec2(y + ti.cast(whole[1], ti.i32), x + ti.cast(whole[0], ti.i32)) + (1 - pad)
        return first, shift - whole

    @ti.func
    def is_seen(first, sums: ti.template()):
        return 0 <= first[0] < sums.shape[1] - 1 and 0 <= first[1] < sums.shape[2] - 1

    @ti.func
    def bilinear(fraction, down: ti.template(), right: ti.template()):
        """Compute the weight of one of the four pixels and its derivatives in x and y."""
        across = fraction[0] if ti.static(right == 1) else 1 - fraction[0]
        along = fraction[1] if ti.static(down == 1) else 1 - fraction[1]
        return across * along, vec2((2 * right - 1) * along, (2 * down - 1) * across)

    @ti.func
    def counts(b, opacity):
        return b * opacity >= real(LEAST_COVERAGE)

    @ti.func
    def throw(
        source: ti.template(),
        nearness: ti.template(),
        at,
        u,
        m,
        pad,
        sums: ti.template(),
        plain: ti.template(),
        squares: ti.template(),
    ):
        """Add one source, `at` (surface, row, column), to the four pixels that it lands on through lens point m, at u."""
        surface = source[at]
        opacity = surface[3]
        first, fraction = landing(at[1], at[2], u, surface[4], pad)
        if is_seen(first, sums):
            e = nearness[at]
            light = opacity * wide(surface[0], surface[1], surface[2], 1.0)
            squared = opacity * e * e
            for down, right in ti.static(ti.ndrange(2, 2)):
                b, _ = bilinear(fraction, down, right)
                if counts(b, opacity):
                    row, column = first[0] + down, first[1] + right
                    if ti.static(shared):
                        sums[m, row, column] += b * e * light
                        plain[m, row, column] += b * light
                        squares[m, row, column] += b * squared
                    else:
                        sums[m, row, column] = sums[m, row, column] + b * e * light
                        plain[m, row, column] = plain[m, row, column] + b * light
                        squares[m, row, column] = squares[m, row, column] + b * squared

    @ti.kernel
    def weigh(order: maps, middle: ti.f64, sharpness: ti.f64, nearness: exponentials):
        """Write e. Not by torch, whose exp of float64 has other last bits in some runs than in others."""
        for s, y, x in order:
            nearness[s, y, x] = ti.exp(sharpness * (ti.cast(order[s, y, x], ti.f64) - middle))

    @ti.kernel
    def scatter(
        source: surfaces,
        nearness: exponentials,
        points: lens_points,
        pad: ti.i32,
        sums: weighted_sums,  # S, added to
        plain: weighted_sums,  # A, added to
        squares: square_sums,  # Q, added to
    ):
        """Add every source to the sums of every lens point."""
        if ti.static(shared):
            for m, s, y, x in ti.ndrange(points.shape[0], source.shape[0], source.shape[1], source.shape[2]):
                throw(source, nearness, ti.math.ivec3(s, y, x), points[m], m, pad, sums, plain, squares)
        else:
            for m, part in ti.ndrange(points.shape[0], ROW_PARTS):
                if part == 0:
                    for s in range(source.shape[0]):
                        for y in range(source.shape[1]):
                            for x in range(source.shape[2]):
                                throw(source, nearness, ti.math.ivec3(s, y, x), points[m], m, pad, sums, plain, squares)

    @ti.func
    def behind(total_weight, square, n):
        """Compute P, k, ∂k/∂P and ∂k/∂n."""
        front = total_weight * total_weight / square
        d, rest = ti.max(0.0, 1 - front), ti.max(0.0, n - front)
        rounding, least = ti.f64(ROUNDING), ti.f64(LEAST_BEHIND**2)
        gap = (1 + rounding) * d * d / (d + rounding)
        gap_slope = -(1 + rounding) * d * (d + 2 * rounding) / ((d + rounding) * (d + rounding))
        below = rest * rest + least * (1 - gap)
        k = gap * rest / below
        by_rest = gap * (below - 2 * rest * rest) / (below * below)
        by_front = gap_slope * rest * (rest * rest + least) / (below * below) - by_rest
        if k * n > 1:
            k, by_front, by_rest = 1 / n, 0.0, -1 / (n * n)
        return front, k, by_front, by_rest

    @ti.kernel
    def resolve(sums: weighted_sums, plain: weighted_sums, squares: square_sums, weights: numbers, hole: ti.f64, total: images):
        """Add Σ ω·h·(B_m, 1)."""
        for y, x in total:
            here = total[y, x]
            for m in range(weights.shape[0]):
                total_weight = sums[m, y + 1, x + 1][3]
                if total_weight > 0:
                    colour, arrived = sums[m, y + 1, x + 1] / total_weight, plain[m, y + 1, x + 1]
                    _, k, _, _ = behind(total_weight, squares[m, y + 1, x + 1], arrived[3])
                    confidence = weights[m] * (1 - ti.exp(-arrived[3] / hole))
                    here += confidence * (colour + k * (arrived - arrived[3] * colour))
            total[y, x] = here

    @ti.kernel
    def resolve_adjoint(
        sums: weighted_sums,
        plain: weighted_sums,
        squares: square_sums,
        weights: numbers,
        hole: ti.f64,
        image: images,
        d_image: images,
    ):
        """Invert `resolve`: turn S, A and Q into G, N and R, in place; image: (B, T), d_image: (g/T, 0)."""
        for y, x in ti.ndrange(sums.shape[1], sums.shape[2]):
            inside = 0 < y < sums.shape[1] - 1 and 0 < x < sums.shape[2] - 1
            g, blurred = wide(0.0), wide(0.0)
            if inside:
                g, blurred = d_image[y - 1, x - 1], image[y - 1, x - 1]
            for m in range(weights.shape[0]):
                d_sums, d_plain, d_square = wide(0.0), wide(0.0), ti.f64(0.0)
                total_weight = sums[m, y, x][3]
                if inside and total_weight > 0:
                    colour, arrived, square = sums[m, y, x] / total_weight, plain[m, y, x], squares[m, y, x]
                    n = arrived[3]
                    front, k, by_front, by_n = behind(total_weight, square, n)
                    difference = arrived - n * colour
                    missing = ti.exp(-n / hole)
                    a = weights[m] * (1 - missing) * g
                    along, into_k = a.dot(colour), a.dot(difference)
                    into_hole = weights[m] * missing / hole * g.dot(colour + k * difference - blurred)
                    last = wide(0.0, 0.0, 0.0, 1.0)
                    into_weight = 2 * front * into_k * by_front - (1 - k * n) * along
                    d_sums = ((1 - k * n) * a + into_weight * last) / total_weight
                    d_plain = k * a + (into_k * by_n - k * along + into_hole) * last
                    d_square = -into_k * by_front * front / square
                sums[m, y, x] = d_sums
                plain[m, y, x] = d_plain
                squares[m, y, x] = d_square

    @ti.kernel
    def scatter_adjoint(
        source: surfaces,
        nearness: exponentials,
        points: lens_points,
        pad: ti.i32,
        d_sums: weighted_sums,  # G
        d_plain: weighted_sums,  # N
        d_squares: square_sums,  # R
        sharpness: ti.f64,
        d_source: source_gradients,  # added to
    ):
        """Invert `throw`: one thread owns a source."""
        for s, y, x in ti.ndrange(source.shape[0], source.shape[1], source.shape[2]):
            surface, e = source[s, y, x], nearness[s, y, x]
            opacity = surface[3]
            light = wide(surface[0], surface[1], surface[2], 1.0)
            into_weighted, into_plain, into_square = wide(0.0), wide(0.0), ti.f64(0.0)  # Σ b·G, Σ b·N, Σ b·R
            into_alpha, into_radius = ti.f64(0.0), ti.f64(0.0)
            for m in range(points.shape[0]):
                u = points[m]
                first, fraction = landing(y, x, u, surface[4], pad)
                if is_seen(first, d_sums):
                    for down, right in ti.static(ti.ndrange(2, 2)):
                        b, slope = bilinear(fraction, down, right)
                        if counts(b, opacity):
                            row, column = first[0] + down, first[1] + right
                            weighted, plain, square = d_sums[m, row, column], d_plain[m, row, column], d_squares[m, row, column]
                            along = (e * weighted + plain).dot(light) + e * e * square
                            into_weighted += b * weighted
                            into_plain += b * plain
                            into_square += b * square
                            into_alpha += b * along
                            into_radius -= u.dot(slope) * along
            into_colour = opacity * (e * into_weighted + into_plain)
            into_order = opacity * e * (into_weighted.dot(light) + 2 * e * into_square)
            for c in ti.static(range(3)):
                d_source[s, y, x][c] += ti.cast(into_colour[c], real)
            d_source[s, y, x][3] += ti.cast(into_alpha, real)
            d_source[s, y, x][4] += ti.cast(opacity * into_radius, real)
            d_source[s, y, x][5] += ti.cast(sharpness * into_order, real)

    return Splat(weigh, scatter, resolve, resolve_adjoint, scatter_adjoint)
