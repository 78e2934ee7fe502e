"""Every pixel spread by a Gaussian of its own width, normalised: a point spread function without occlusion.

With c the diameter of the circle of confusion of a source y in px, and a = 2/c² the rate at which its light falls:

    B(x) = Σ_y g(y, x)·I(y)/Σ_y g(y, x),      g = a·exp(−a·|x − y|²)      over |x_1 − y_1|, |x_2 − y_2| ≤ h(y)

which has the standard deviation c/2. A source of rate 0 spreads nothing; where its own rate is 0 a pixel keeps its value.

Adjoint, with G = ∂loss/∂B, W(x) = Σ_y g(y, x), n = G/W and m = −⟨G, B⟩/W, both 0 where the pixel kept its value:

    ∂loss/∂I(y) = Σ_x g·n(x) (+ G(y) where y kept its value)
    ∂loss/∂a(y) = Σ_x (⟨I(y), n(x)⟩ + m(x))·(1 − a·|x − y|²)·exp(−a·|x − y|²)

Both are gathered, by the pixel and by the source. The windows h are constants; where one grows past a pixel B jumps by what
the Gaussian still has there. Source: Gur and Wolf, Single image depth estimation trained via depth from defocus cues (2019).

Sources are padded by `pad` px on every side. Runs of taps are rounded up to LANES, which lets them vectorise without a
remainder: what lies outside the window weighs nothing. Gradients of sums have `pad` rows of zeros above and below, and
LANES columns of zeros on the right.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL, exponential

TILE = 16
LANES = 8
RATE, WINDOW = 3, 4  # where they stand in the padded source, behind the colours


class GaussianPSF(NamedTuple):
    widest: Any  # kernel: (source [N, 5, Hp, Wp], widest [N, tile rows, tile columns])
    reach: Any  # kernel: (widest, reach [N, H tiles, W tiles, bands], pad)
    forward: Any  # kernel: (source, reach, sums [N, 4, H, W] of g·I and g, pad)
    adjoint: Any  # kernel: (source, n and m [N, 4, Hp, W + LANES], gradients of I and a [N, 4, Hp, Wp], pad)


@cache
def gaussian_psf(dtype: str) -> GaussianPSF:
    real = REAL[dtype]
    exp = exponential(dtype)
    vec4, vec5 = ti.types.vector(4, real), ti.types.vector(5, real)
    arrays4 = ti.types.ndarray(dtype=real, ndim=4)
    tiles = ti.types.ndarray(dtype=ti.i32, ndim=3)
    bounds = ti.types.ndarray(dtype=ti.i32, ndim=4)

    @ti.kernel
    def widest(
        source: arrays4,  # [N, 5, Hp, Wp] of rgb, rate a, window h
        out: tiles,  # [N, tile rows, tile columns]
    ):
        """Compute the largest window among a tile's sources, px, or −1 where none spreads anything."""
        for n, row, column in ti.ndrange(out.shape[0], out.shape[1], out.shape[2]):
            largest = -1
            for y in range(row * TILE, ti.min((row + 1) * TILE, source.shape[2])):
                for x in range(column * TILE, ti.min((column + 1) * TILE, source.shape[3])):
                    if source[n, RATE, y, x] > 0:
                        largest = ti.max(largest, ti.cast(source[n, WINDOW, y, x], ti.i32))
            out[n, row, column] = largest

    @ti.func
    def gap(a, b):
        """Compute the least distance in px between pixels of tiles a and b of one axis."""
        return ti.max(0, (ti.abs(a - b) - 1) * TILE + 1)

    @ti.kernel
    def reach(
        largest: tiles,  # [N, tile rows, tile columns] of the padded sources
        out: bounds,  # [N, H tiles, W tiles, bands]
        pad: ti.i32,
    ):
        """Find for a tile of pixels and each TILE rows of sources the largest window that still touches it, or −1."""
        for n, row, column, band in ti.ndrange(out.shape[0], out.shape[1], out.shape[2], out.shape[3]):
            beside = pad // TILE
            farthest = -1
            if row + band < largest.shape[1]:
                for source_column in range(column, ti.min(column + 2 * beside + 1, largest.shape[2])):
                    window = largest[n, row + band, source_column]
                    if ti.max(gap(band, beside), gap(source_column, column + beside)) <= window:
                        farthest = ti.max(farthest, window)
            out[n, row, column, band] = farthest

    @ti.func
    def round_up(count):
        return (count + (LANES - 1)) // LANES * LANES

    @ti.func
    def gaussian(rate, squared):
        """Compute exp(−a·ρ²) and its product with 1 − a·ρ², which is ∂g/∂a."""
        exponent = rate * squared
        light = exp(-exponent)
        return light, light * (1 - exponent)

    @ti.func
    def gather_run(source: ti.template(), n, y, x, dy, half):
        """Compute Σ g·I and Σ g of one row of sources."""
        total = vec4(0.0)
        rows_apart = ti.cast(ti.abs(dy), real)
        for column in range(x - half, x - half + round_up(2 * half + 1)):
            columns_apart = ti.cast(ti.abs(column - x), real)
            rate = source[n, RATE, y, column]
            light = rate * gaussian(rate, rows_apart * rows_apart + columns_apart * columns_apart)[0]
            inside = ti.max(rows_apart, columns_apart) <= source[n, WINDOW, y, column]
            weight = ti.select(inside, light, real(0.0))
            for c in ti.static(range(3)):
                total[c] += weight * source[n, c, y, column]
            total[3] += weight
        return total

    @ti.kernel
    def forward(
        source: arrays4,  # [N, 5, Hp, Wp]
        bands: bounds,  # [N, H tiles, W tiles, bands]
        out: arrays4,  # [N, 4, H, W] of Σ g·I and Σ g
        pad: ti.i32,
    ):
        ti.loop_config(block_dim=128)
        for n, py, px in ti.ndrange(out.shape[0], out.shape[2], out.shape[3]):
            y, x = py + pad, px + pad
            total = vec4(0.0)
            if source[n, RATE, y, x] > 0:
                for band in range(bands.shape[3]):
                    half = bands[n, py // TILE, px // TILE, band]
                    top = (py // TILE + band) * TILE
                    for row in range(ti.max(top, y - half), ti.min(top + TILE - 1, y + half) + 1):
                        total += gather_run(source, n, row, x, row - y, half)
            for c in ti.static(range(4)):
                out[n, c, py, px] = total[c]

    @ti.func
    def gather_run_adjoint(d_sums: ti.template(), n, above, below, x, dy, first, last, at):
        """Invert gather_run for the source `at`, column x of the image, and two rows as far from it: [Σ n·g/a, Σ ∂loss/∂a].

        They have the same weights, so that these are evaluated once.
        """
        total = vec4(0.0)
        rows_apart = ti.cast(dy, real)
        for column in range(first, first + round_up(last - first)):
            columns_apart = ti.cast(column - x, real)
            light, slope = gaussian(at[RATE], rows_apart * rows_apart + columns_apart * columns_apart)
            inside = ti.select(column < last, real(1.0), real(0.0))
            pulled = d_sums[n, 3, above, column] + d_sums[n, 3, below, column]
            for c in ti.static(range(3)):
                share = d_sums[n, c, above, column] + d_sums[n, c, below, column]
                total[c] += inside * light * share
                pulled += at[c] * share
            total[3] += inside * slope * pulled
        return total

    @ti.kernel
    def adjoint(
        source: arrays4,  # [N, 5, Hp, Wp]
        d_sums: arrays4,  # [N, 4, Hp, W + LANES] of n and m
        d_source: arrays4,  # [N, 4, Hp, Wp] of the gradients of I and a
        pad: ti.i32,
    ):
        ti.loop_config(block_dim=128)
        for n, py, px in ti.ndrange(source.shape[0], source.shape[2], source.shape[3]):
            at = vec5(0.0)
            for c in ti.static(range(5)):
                at[c] = source[n, c, py, px]
            total = vec4(0.0)
            if at[RATE] > 0:
                x, half = px - pad, ti.cast(at[WINDOW], ti.i32)
                last_row = d_sums.shape[2] - 1
                first, last = ti.max(0, x - half), ti.min(d_sums.shape[3] - LANES, x + half + 1)
                nearest = ti.max(0, ti.max(pad - py, py - (last_row - pad)))  # row of the image
                if first < last:
                    for dy in range(nearest, half + 1):
                        above, below = ti.max(0, py - dy), ti.min(last_row, py + dy)  # the outermost rows are 0
                        pulled = gather_run_adjoint(d_sums, n, above, below, x, dy, first, last, at)
                        total += pulled * ti.select(dy == 0, real(0.5), real(1.0))
            for c in ti.static(range(3)):
                d_source[n, c, py, px] = at[RATE] * total[c]
            d_source[n, RATE, py, px] = total[3]

    return GaussianPSF(widest, reach, forward, adjoint)
