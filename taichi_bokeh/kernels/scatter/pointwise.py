"""The straight-line steps round the scatter sums. Taichi differentiates these: no loop, no branch, one owner an element.

    circle_of_confusion:  r = K·(D − F), the signed radius in px
    sources:   P = share·(a·I, a, 1)/A(r), the radius r̂ of the disc and the in-focus weight e = exp(−3r²)
               disc:           A = π·r̂², r̂ = max(|r|, r₀), share = min(|r|/r₀, 1): below r₀ a source is a mixture of a
                               point on its own pixel, 1 − share, and a disc of radius r₀; P holds the disc's part
               shape: the same, with the sign of r: a near highlight is the point mirror of a far one
               soft, official: A = r̂², r̂ = |r| + 1, share = 1
    resolve:   disc, shape, soft: colour = Σ a·I·w/Σ w, coverage = Σ a·w/Σ w, with the point part added to both sums
                           where no weight is left, as in a corner that a cat-eye shuts, both are 0
               official:   colour = V·Σ a·I·w/(Σ a·w + 1e-8), coverage = V (square_mean.py)
    composite: B = Σ_l c_l·Π_{k<l} (1 − v_k), front to back, c premultiplied             Dr.Bokeh, Eq. (2)

Each takes and gives flat arrays: [N, channels, P] with P pixels.
"""

import math
from functools import cache
from typing import Any

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.disc_table import LEAST_RADIUS_PX

MIXED = ("disc", "shape")  # profiles that mix a point in below the least radius


@cache
def circle_of_confusion(dtype: str) -> Any:
    real = REAL[dtype]
    rows, values = ti.types.ndarray(dtype=real, ndim=1), ti.types.ndarray(dtype=real, ndim=2)

    @ti.kernel
    def circle_of_confusion(
        disparity: values,  # [N·H, W]
        blur: rows,  # [N·H]: one for every row, whose gradient one thread owns
        focus: rows,  # [N·H]
        radius: values,  # [N·H, W], signed px, written
    ):
        for row in range(radius.shape[0]):
            for x in range(radius.shape[1]):
                radius[row, x] = blur[row] * (disparity[row, x] - focus[row])

    return circle_of_confusion


@cache
def sources(profile: str, dtype: str) -> Any:
    real = REAL[dtype]
    arrays3, arrays2 = ti.types.ndarray(dtype=real, ndim=3), ti.types.ndarray(dtype=real, ndim=2)

    @ti.kernel
    def sources(
        rgb: arrays3,  # [N, 3, P]
        alpha: arrays2,  # [N, P]
        radius: arrays2,  # [N, P], signed px
        channels: arrays3,  # [N, 5, P]: P, written
        disc_radius_px: arrays2,  # [N, P]: r̂, written
        in_focus: arrays2,  # [N, P]: e, written
    ):
        for n, p in ti.ndrange(alpha.shape[0], alpha.shape[1]):
            size = ti.abs(radius[n, p])
            wide = ti.max(size, real(LEAST_RADIUS_PX))
            density = ti.min(size / real(LEAST_RADIUS_PX), real(1.0)) / (real(math.pi) * wide * wide)
            if ti.static(profile not in MIXED):
                wide = size + 1
                density = 1 / (wide * wide)
            for c in ti.static(range(3)):
                channels[n, c, p] = density * alpha[n, p] * rgb[n, c, p]
            channels[n, 3, p] = density * alpha[n, p]
            channels[n, 4, p] = density
            if ti.static(profile == "shape"):
                wide = ti.select(radius[n, p] < 0, -wide, wide)
            disc_radius_px[n, p] = wide
            in_focus[n, p] = ti.exp(-3 * radius[n, p] * radius[n, p])

    return sources


@cache
def resolve(profile: str, dtype: str) -> Any:
    real = REAL[dtype]
    arrays3, arrays2 = ti.types.ndarray(dtype=real, ndim=3), ti.types.ndarray(dtype=real, ndim=2)

    @ti.kernel
    def resolve(
        sums: arrays3,  # [N, 5, P]
        rgb: arrays3,  # [N, 3, P]
        alpha: arrays2,  # [N, P]
        radius: arrays2,  # [N, P], signed px
        colour: arrays3,  # [N, 3, P], premultiplied, written
        coverage: arrays2,  # [N, P], written
    ):
        for n, p in ti.ndrange(alpha.shape[0], alpha.shape[1]):
            point = real(0.0)
            if ti.static(profile in MIXED):
                point = 1 - ti.min(ti.abs(radius[n, p]) / real(LEAST_RADIUS_PX), real(1.0))
            total = sums[n, 4, p] + point
            total = ti.select(total > 0, total, real(1.0))
            for c in ti.static(range(3)):
                colour[n, c, p] = (sums[n, c, p] + point * alpha[n, p] * rgb[n, c, p]) / total
            coverage[n, p] = (sums[n, 3, p] + point * alpha[n, p]) / total

    return resolve


@cache
def resolve_official(dtype: str) -> Any:
    real = REAL[dtype]
    arrays3, arrays2 = ti.types.ndarray(dtype=real, ndim=3), ti.types.ndarray(dtype=real, ndim=2)

    @ti.kernel
    def resolve_official(
        sums: arrays3,  # [N, 5, P]
        coverage: arrays2,  # [N, P]: V
        colour: arrays3,  # [N, 3, P], premultiplied, written
    ):
        for n, p in ti.ndrange(coverage.shape[0], coverage.shape[1]):
            for c in ti.static(range(3)):
                colour[n, c, p] = coverage[n, p] * sums[n, c, p] / (sums[n, 3, p] + real(1e-8))

    return resolve_official


@cache
def composite(layers: int, dtype: str) -> Any:
    real = REAL[dtype]
    arrays4, arrays3 = ti.types.ndarray(dtype=real, ndim=4), ti.types.ndarray(dtype=real, ndim=3)

    @ti.kernel
    def composite(
        colour: arrays4,  # [B, L, 3, P], premultiplied
        coverage: arrays3,  # [B, L, P]
        image: arrays3,  # [B, 3, P], written
    ):
        """Unrolled over the L layers."""
        for b, p in ti.ndrange(image.shape[0], image.shape[2]):
            for c in ti.static(range(3)):
                total, transmittance = real(0.0), real(1.0)
                for layer in ti.static(range(layers)):
                    total += transmittance * colour[b, layer, c, p]
                    transmittance *= 1 - coverage[b, layer, p]
                image[b, c, p] = total

    return composite
