"""The scatter sums: what every pixel receives from the discs of its neighbours, with on-focal occlusion.

Forward, for pixel x and source y at distance ρ = |y − x|, with P the five weighted channels of a source (premultiplied red,
green, blue, alpha and one, each over the disc's area), E the profile (profile.py), d the disparity and
e = exp(−3·(K·d)²) the in-focus weight of a pixel:

    s(x)    = Σ_y P(y)·E(ρ; r_y)·O(y, x)                  over ρ < limit
    O(y, x) = 1 − e(x)·τ(d_y − d_x),   O(x, x) = 1        τ and τ′: occlusion.py

Adjoint, with g = ∂loss/∂s and q(y, x) = ⟨P(y), g(x)⟩:

    ∂/∂P(y) = Σ_x g(x)·E·O                                ∂/∂r_y = Σ_x q·E′·O
    ∂/∂d_y  = −Σ_x q·E·e(x)·τ′                            ∂/∂e(x) = −Σ_y q·E·τ
    ∂/∂d_x  = Σ_y q·E·e(x)·τ′

The first three are gathered by the source (`adjoint`), the last two by the pixel (`focus_adjoint`), so that no sum is
shared between threads. Source: Dr.Bokeh, Eq. (3)–(5), corrected as in docs/mathematics.md.

Sources are padded by `pad` px on every side, so that borders need no branch. Runs of taps are rounded up to LANES, which
lets them vectorise without a remainder: the taps beyond the disc weigh nothing. `sums` and `focus` have LANES spare columns
of zeros on the right for the same reason.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import bands, launch, ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.culling import TILE
from taichi_bokeh.kernels.scatter.occlusion import occlusion_weight
from taichi_bokeh.kernels.scatter.profile import profile

CHANNELS = 5
RADIUS, DISPARITY = 5, 6  # where they stand in the padded source, behind the channels
IN_FOCUS, FOCUS_DISPARITY = 0, 1  # where they stand in `focus`
LANES = 8
NEGLIGIBLE_FOCUS = {"float32": 1e-7, "float64": 1e-17}  # O is 1 to rounding below


class Scatter(NamedTuple):
    sums: Any  # (source, focus, spans, table, reach, sums, pad, limit, occlusion); the adjoint kernels are its gradient
    focus_rows: Any  # kernel: (focus, spans [N, H, 2])


@cache
def scatter(name: str, dtype: str) -> Scatter:
    real = REAL[dtype]
    tau = occlusion_weight(dtype)
    sample, margin, plateau = profile(name, dtype)
    negligible = NEGLIGIBLE_FOCUS[dtype]
    vec2, vec5 = ti.types.vector(2, real), ti.types.vector(CHANNELS, real)
    vec7 = ti.types.vector(CHANNELS + 2, real)
    tables = arrays4 = ti.types.ndarray(dtype=real, ndim=4)
    bounds = ti.types.ndarray(dtype=real, ndim=5)
    columns = ti.types.ndarray(dtype=ti.i32, ndim=3)

    @ti.func
    def weigh(table: ti.template(), dx, dy, radius, limit):
        """(E, E′) for a source `radius` at the offset (dx, dy); nothing at `limit` px and beyond."""
        fx, fy = ti.cast(dx, real), ti.cast(dy, real)
        distance = ti.sqrt(fx * fx + fy * fy)
        row, column = ti.min(ti.abs(dy), table.shape[0] - 1), ti.min(ti.abs(dx), table.shape[1] - 1)
        weight = sample(table, row, column, radius, distance)
        inside = ti.select(distance < limit, real(1.0), real(0.0))
        return weight * inside

    @ti.func
    def round_up(count):
        return (count + (LANES - 1)) // LANES * LANES

    @ti.func
    def half_chord(distance, dy):
        """Half the pixels, the middle one apart, of a disc's row `dy` px off its centre; −1 where the disc has none."""
        squared = distance * distance - ti.cast(dy * dy, real)
        return ti.select(squared < 0 or distance < 0, -1, ti.cast(ti.floor(ti.sqrt(ti.max(squared, real(0.0)))), ti.i32))

    # ---- forward: a pixel gathers from its sources

    @ti.func
    def edge_run(source: ti.template(), table: ti.template(), n, y, x, dy, dx0, count, limit):
        total = vec5(0.0)
        for column in range(x + dx0, x + dx0 + round_up(count)):
            dx = column - x
            weight = weigh(table, dx, dy, source[n, RADIUS, y, column], limit)[0]
            weight = ti.select(dx < dx0 + count, weight, real(0.0))
            for c in ti.static(range(CHANNELS)):
                total[c] += weight * source[n, c, y, column]
        return total

    @ti.func
    def plateau_run(source: ti.template(), n, y, first, last):
        total = vec5(0.0)
        for column in range(first, last):
            for c in ti.static(range(CHANNELS)):
                total[c] += source[n, c, y, column]
        return total * real(plateau)

    @ti.func
    def occluded_run(source: ti.template(), table: ti.template(), n, y, x, dy, half, limit, focus, occlusion):
        total = vec5(0.0)
        for column in range(x - half, x - half + round_up(2 * half + 1)):
            weight = weigh(table, column - x, dy, source[n, RADIUS, y, column], limit)[0]
            weight *= 1 - focus[0] * tau(source[n, DISPARITY, y, column] - focus[1], occlusion)[0]
            for c in ti.static(range(CHANNELS)):
                total[c] += weight * source[n, c, y, column]
        return total

    @ti.func
    def open_row(source: ti.template(), table: ti.template(), n, y, x, dy, half, inner, limit):
        """One row of sources where O = 1: edge, plateau, edge."""
        total = vec5(0.0)
        if inner >= LANES // 2:
            total += edge_run(source, table, n, y, x, dy, -half, half - inner, limit)
            total += plateau_run(source, n, y, x - inner, x + inner + 1)
            total += edge_run(source, table, n, y, x, dy, inner + 1, half - inner, limit)
        else:
            total += edge_run(source, table, n, y, x, dy, -half, 2 * half + 1, limit)
        return total

    @ti.kernel
    def forward(
        source: arrays4,  # [N, 7, Hp, Wp]: P, radius in px, disparity; padded
        focus: arrays4,  # [N, 2, H, W + LANES]: in-focus weight e, disparity
        table: tables,  # [rows, columns, nodes, 2]: E of the disc (disc_table.py); of the logistic profiles unused
        reach: bounds,  # [N, tile rows, tile columns, bands, 2] (culling.py)
        sums: arrays4,  # [N, 5, H, W + LANES]: s, written
        pad: ti.i32,
        limit: real,  # px: sources at this distance and beyond weigh nothing
        occlusion: vec2,  # (gap, steepness) of τ
        rows: ti.math.ivec2,
    ):
        ti.loop_config(block_dim=128)
        for n, j, i in ti.ndrange(sums.shape[0], rows[1] - rows[0], sums.shape[3] - LANES):
            py, x = j + rows[0], i + pad
            y = py + pad
            at = vec2(focus[n, IN_FOCUS, py, i], focus[n, FOCUS_DISPARITY, py, i])
            occluded = at[0] > negligible
            total = vec5(0.0)
            for band in range(reach.shape[3]):
                farthest = reach[n, py // TILE, i // TILE, band, 0]
                flat = reach[n, py // TILE, i // TILE, band, 1]
                far = ti.cast(ti.floor(farthest), ti.i32)
                top = (py // TILE + band) * TILE
                for row in range(ti.max(top, y - far), ti.min(top + TILE - 1, y + far) + 1):
                    dy = row - y
                    half = half_chord(farthest, dy)
                    if half >= 0:
                        if occluded:
                            total += occluded_run(source, table, n, row, x, dy, half, limit, at, occlusion)
                        else:
                            total += open_row(source, table, n, row, x, dy, half, half_chord(flat, dy), limit)
            if occluded:  # O(x, x) = 1
                own = weigh(table, 0, 0, source[n, RADIUS, y, x], limit)[0] * at[0] * tau(real(0.0), occlusion)[0]
                for c in ti.static(range(CHANNELS)):
                    total[c] += own * source[n, c, y, x]
            for c in ti.static(range(CHANNELS)):
                sums[n, c, py, i] = total[c]

    # ---- adjoint: a source gathers from the pixels that it reached; inverts edge_run, plateau_run and occluded_run

    @ti.func
    def edge_pull(d_sums: ti.template(), table: ti.template(), n, row, x, dy, first, last, at, limit):
        """[Σ g·E, Σ q·E′, 0] over the pixels first … last − 1 of a row."""
        total, slope = vec5(0.0), real(0.0)
        for column in range(first, first + round_up(last - first)):
            weight = weigh(table, column - x, dy, at[RADIUS], limit)
            weight = ti.select(column < last, weight, vec2(0.0))
            along = real(0.0)
            for c in ti.static(range(CHANNELS)):
                g = d_sums[n, c, row, column]
                total[c] += weight[0] * g
                along += at[c] * g
            slope += weight[1] * along
        return vec7(total[0], total[1], total[2], total[3], total[4], slope, 0.0)

    @ti.func
    def plateau_pull(d_sums: ti.template(), n, row, first, last):
        total = vec5(0.0)
        for column in range(first, last):
            for c in ti.static(range(CHANNELS)):
                total[c] += d_sums[n, c, row, column]
        total *= real(plateau)
        return vec7(total[0], total[1], total[2], total[3], total[4], 0.0, 0.0)

    @ti.func
    def occluded_pull(
        d_sums: ti.template(), focus: ti.template(), table: ti.template(), n, row, x, dy, first, last, at, limit, occlusion
    ):
        """[Σ g·E·O, Σ q·E′·O, −Σ q·E·e·τ′] over the pixels first … last − 1 of a row."""
        total, slope, tilt = vec5(0.0), real(0.0), real(0.0)
        for column in range(first, first + round_up(last - first)):
            weight = weigh(table, column - x, dy, at[RADIUS], limit)
            weight = ti.select(column < last, weight, vec2(0.0))
            share = tau(at[DISPARITY] - focus[n, FOCUS_DISPARITY, row, column], occlusion)
            in_focus = focus[n, IN_FOCUS, row, column]
            visible = 1 - in_focus * share[0]
            along = real(0.0)
            for c in ti.static(range(CHANNELS)):
                g = d_sums[n, c, row, column]
                total[c] += weight[0] * visible * g
                along += at[c] * g
            slope += weight[1] * visible * along
            tilt -= weight[0] * along * in_focus * share[1]
        return vec7(total[0], total[1], total[2], total[3], total[4], slope, tilt)

    @ti.func
    def pull_row(
        d_sums: ti.template(),
        focus: ti.template(),
        table: ti.template(),
        n,
        row,
        x,
        dy,
        outer,
        inner,
        span,
        at,
        limit,
        occlusion,
    ):
        """What a source at column x (of the unpadded image) takes back from one row; `span`: the row's in-focus pixels."""
        width = d_sums.shape[3] - LANES
        first, last = ti.max(0, x - outer), ti.min(width, x + outer + 1)
        total = vec7(0.0)
        if last > first:
            begin, end = ti.max(first, span[0]), ti.min(last, span[1])
            if end > begin:
                total += edge_pull(d_sums, table, n, row, x, dy, first, begin, at, limit)
                total += occluded_pull(d_sums, focus, table, n, row, x, dy, begin, end, at, limit, occlusion)
                total += edge_pull(d_sums, table, n, row, x, dy, end, last, at, limit)
            elif inner >= LANES // 2:
                begin, end = ti.min(ti.max(first, x - inner), last), ti.max(ti.min(last, x + inner + 1), first)
                total += edge_pull(d_sums, table, n, row, x, dy, first, begin, at, limit)
                total += plateau_pull(d_sums, n, row, begin, end)
                total += edge_pull(d_sums, table, n, row, x, dy, ti.max(begin, end), last, at, limit)
            else:
                total += edge_pull(d_sums, table, n, row, x, dy, first, last, at, limit)
        return total

    @ti.kernel
    def adjoint(
        source: arrays4,  # [N, 7, Hp, Wp]: P, radius in px, disparity; padded
        focus: arrays4,  # [N, 2, H, W + LANES]: in-focus weight e, disparity
        spans: columns,  # [N, H, 2]: columns [first, last) between which a row holds pixels in focus
        table: tables,  # [rows, columns, nodes, 2]: E of the disc (disc_table.py); of the logistic profiles unused
        d_sums: arrays4,  # [N, 5, H, W + LANES]: ∂loss/∂s
        d_source: arrays4,  # as source, added to
        pad: ti.i32,
        limit: real,  # px: sources at this distance and beyond weigh nothing
        occlusion: vec2,  # (gap, steepness) of τ
    ):
        ti.loop_config(block_dim=128)
        for n, py, px in ti.ndrange(source.shape[0], source.shape[2], source.shape[3]):
            at = vec7(0.0)
            for c in ti.static(range(CHANNELS + 2)):
                at[c] = source[n, c, py, px]
            y, x = py - pad, px - pad
            farthest = ti.min(at[RADIUS] + margin, limit)
            flat = ti.min(at[RADIUS] - margin, limit - 1)
            far = ti.cast(ti.floor(farthest), ti.i32)
            total = vec7(0.0)
            for row in range(ti.max(0, y - far), ti.min(d_sums.shape[2] - 1, y + far) + 1):
                dy = row - y
                span = ti.math.ivec2(spans[n, row, 0], spans[n, row, 1])
                outer, inner = half_chord(farthest, dy), half_chord(flat, dy)
                total += pull_row(d_sums, focus, table, n, row, x, dy, outer, inner, span, at, limit, occlusion)
            if 0 <= y < d_sums.shape[2] and 0 <= x < d_sums.shape[3] - LANES:  # O(x, x) = 1
                own = weigh(table, 0, 0, at[RADIUS], limit) * focus[n, IN_FOCUS, y, x] * tau(real(0.0), occlusion)[0]
                for c in ti.static(range(CHANNELS)):
                    total[c] += own[0] * d_sums[n, c, y, x]
                    total[RADIUS] += own[1] * at[c] * d_sums[n, c, y, x]
            for c in ti.static(range(CHANNELS + 2)):  # not +=, which is atomic: the source is this thread's own
                d_source[n, c, py, px] = d_source[n, c, py, px] + total[c]

    @ti.func
    def focus_pull(source: ti.template(), table: ti.template(), n, y, x, dy, half, limit, disparity, g, occlusion):
        """[Σ q·E·τ, −Σ q·E·τ′] over one row of sources."""
        share_sum, tilt_sum = real(0.0), real(0.0)
        for column in range(x - half, x - half + round_up(2 * half + 1)):
            weight = weigh(table, column - x, dy, source[n, RADIUS, y, column], limit)[0]
            share = tau(source[n, DISPARITY, y, column] - disparity, occlusion)
            along = real(0.0)
            for c in ti.static(range(CHANNELS)):
                along += g[c] * source[n, c, y, column]
            share_sum += weight * along * share[0]
            tilt_sum -= weight * along * share[1]
        return vec2(share_sum, tilt_sum)

    @ti.kernel
    def focus_adjoint(
        source: arrays4,  # [N, 7, Hp, Wp]: P, radius in px, disparity; padded
        focus: arrays4,  # [N, 2, H, W + LANES]: in-focus weight e, disparity
        table: tables,  # [rows, columns, nodes, 2]: E of the disc (disc_table.py); of the logistic profiles unused
        reach: bounds,  # [N, tile rows, tile columns, bands, 2] (culling.py)
        d_sums: arrays4,  # [N, 5, H, W + LANES]: ∂loss/∂s
        d_focus: arrays4,  # as focus, added to
        pad: ti.i32,
        limit: real,  # px: sources at this distance and beyond weigh nothing
        occlusion: vec2,  # (gap, steepness) of τ
    ):
        ti.loop_config(block_dim=128)
        for n, py, i in ti.ndrange(d_focus.shape[0], d_focus.shape[2], d_focus.shape[3] - LANES):
            y, x = py + pad, i + pad
            in_focus, disparity = focus[n, IN_FOCUS, py, i], focus[n, FOCUS_DISPARITY, py, i]
            total = vec2(0.0)
            if in_focus > negligible:
                g = vec5(0.0)
                for c in ti.static(range(CHANNELS)):
                    g[c] = d_sums[n, c, py, i]
                for band in range(reach.shape[3]):
                    farthest = reach[n, py // TILE, i // TILE, band, 0]
                    far = ti.cast(ti.floor(farthest), ti.i32)
                    top = (py // TILE + band) * TILE
                    for row in range(ti.max(top, y - far), ti.min(top + TILE - 1, y + far) + 1):
                        half = half_chord(farthest, row - y)
                        if half >= 0:
                            total += focus_pull(source, table, n, row, x, row - y, half, limit, disparity, g, occlusion)
                own = weigh(table, 0, 0, source[n, RADIUS, y, x], limit)[0] * tau(real(0.0), occlusion)[0]
                for c in ti.static(range(CHANNELS)):  # O(x, x) = 1
                    total[0] -= own * g[c] * source[n, c, y, x]
            d_focus[n, IN_FOCUS, py, i] = d_focus[n, IN_FOCUS, py, i] - total[0]
            d_focus[n, FOCUS_DISPARITY, py, i] = d_focus[n, FOCUS_DISPARITY, py, i] - in_focus * total[1]

    @ti.kernel
    def focus_rows(focus: arrays4, spans: columns):
        """The columns [first, last) of every row between which pixels are in focus."""
        for n, y in ti.ndrange(spans.shape[0], spans.shape[1]):
            first, last = focus.shape[3], 0
            for x in range(focus.shape[3] - LANES):
                if focus[n, IN_FOCUS, y, x] > negligible:
                    first, last = ti.min(first, x), x + 1
            spans[n, y, 0], spans[n, y, 1] = first, last

    @ti.ad.grad_replaced
    def scatter_sums(source, focus, spans, table, reach, sums, pad, limit, occlusion):
        for first, last in bands(sums.shape[2]):
            launch(forward, source, focus, table, reach, sums, pad, limit, occlusion, ti.math.ivec2(first, last))

    @ti.ad.grad_for(scatter_sums)
    def scatter_adjoint(source, focus, spans, table, reach, sums, pad, limit, occlusion):
        """Adds to source.grad and focus.grad what sums.grad gives them."""
        launch(adjoint, source, focus, spans, table, sums.grad, source.grad, pad, limit, occlusion)
        launch(focus_adjoint, source, focus, table, reach, sums.grad, focus.grad, pad, limit, occlusion)

    return Scatter(scatter_sums, focus_rows)
