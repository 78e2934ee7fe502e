"""Sums of a layer over the taps of aperture cells.

A layer's textures t = (a·c, a) and weights h seen through cell m, whose kernel is k_m (optics/psf.py):

    s_m(x) = Σ_δ k_m(δ)·t(x + δ)·h(x + δ),        w_m(x) = Σ_δ k_m(δ)·h(x + δ)

The weight h of a source is one of three functions of s, its coordinate relative to that of the kernel (`weight_of`):

    even      1           of a flat layer's kernel
    tent      Λ(s)        of a node's kernel, s in nodes (optics/radius_nodes.py)
    offset    s           of the slope ∂k_m/∂r of a flat layer's kernel, s in px: the layer's first-order term

The sum over δ runs over a list of taps. They are those of k_m itself; or those of its mixed difference, which is 0 wherever k_m
is constant, applied to the integral image P of t·h (summation by parts in x and in y):

    Σ_δ k(δ)·p(x + δ) = Σ_δ e(δ)·P(x + δ),        e(δ) = k(δ) − k(δ + x̂) − k(δ + ŷ) + k(δ + x̂ + ŷ),   P(x) = Σ_{y ≤ x} p(y)

Adjoint, with g_m the gradient of s_m: the same sum with the kernel mirrored, for one source pixel y:

    ∂loss/∂(t·h)(y) = Σ_m Σ_δ k_m(δ)·g_m(y − δ)

so `sums_adjoint` reads integral images of g_m instead, and multiplies by h and its slope. The sums may be on a grid whose cells
are cell_px × cell_px of the layer's pixels (coarse_grid.py); their sources are then the means of t·h over these, and each pixel
gets 1/cell_px² of the gradient of its grid cell.
"""

from functools import cache
from typing import Any, Literal

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

PIXELS = 4  # side by side in one vector: a processor's load of 16 numbers

Weight = Literal["even", "tent", "offset"]


def weight_of(kind: Weight, real: Any) -> Any:
    """Make the function of s that gives a source's weight h and its slope; of the tent, at a kink, the mean of both sides."""

    @ti.func
    def weight(s):
        value, slope = real(1.0), real(0.0)
        if ti.static(kind == "offset"):
            value, slope = s, real(1.0)
        if ti.static(kind == "tent"):
            value = ti.max(real(0.0), 1 - ti.abs(s))
            if ti.abs(s) < 1:
                slope = real(s < 0) - real(s > 0)
            elif ti.abs(s) == 1:
                slope = -s / 2
        return value, slope

    return weight


@cache
def slice_sources(kind: Weight, dtype: str) -> Any:
    """Weight the sources of a slice: the means of t·h and of h over the pixels of each grid cell."""
    real = REAL[dtype]
    weight_at = weight_of(kind, real)
    planes = ti.types.ndarray(dtype=real, ndim=2)
    textures = ti.types.ndarray(dtype=ti.types.vector(4, real), ndim=2)
    weights = ti.types.ndarray(dtype=ti.types.vector(1, real), ndim=2)

    @ti.kernel
    def forward(
        texture: textures,  # [H, W] of premultiplied rgb and alpha
        coordinate: planes,  # [H, W]
        node: real,  # the kernel's coordinate
        cell_px: ti.i32,
        top: ti.i32,  # grid cells from the first of the pixels to that of the means
        left: ti.i32,
        mean_texture: textures,  # [h, w]
        mean_weight: weights,  # [h, w]
    ):
        share = 1 / ti.cast(cell_px * cell_px, real)
        for row, column in ti.ndrange(mean_texture.shape[0], mean_texture.shape[1]):
            total, weight = ti.types.vector(4, real)(0.0), real(0.0)
            for y in range((top + row) * cell_px, (top + row + 1) * cell_px):
                for x in range((left + column) * cell_px, (left + column + 1) * cell_px):
                    value, _ = weight_at(coordinate[y, x] - node)
                    total += value * texture[y, x]
                    weight += value
            mean_texture[row, column] = share * total
            mean_weight[row, column][0] = share * weight

    return forward


@cache
def pack(channels: int, dtype: str) -> Any:
    """Copy every pixel and its neighbours to the right into one vector."""
    real = REAL[dtype]
    pixels = ti.types.ndarray(dtype=ti.types.vector(channels, real), ndim=2)
    vector = ti.types.vector(PIXELS * channels, real)
    packed = ti.types.ndarray(dtype=vector, ndim=1)

    @ti.kernel
    def forward(
        values: pixels,  # [H, W + PIXELS − 1]
        result: packed,  # [H·W]
    ):
        width = values.shape[1] - (PIXELS - 1)
        for y, x in ti.ndrange(values.shape[0], width):
            both = vector(0.0)
            for i in ti.static(range(PIXELS)):
                for c in ti.static(range(channels)):
                    both[i * channels + c] = values[y, x + i][c]
            result[y * width + x] = both

    return forward


@cache
def sums_layout() -> Any:
    """Make the struct of numbers that `sums` takes.

    Its fields: positions in a `row` of the packed source, and that of the `origin`, the first pixel to be summed; and where
    that one is in the result, its row `top` and its block `left`.
    """
    return ti.types.struct(row=ti.i32, origin=ti.i32, top=ti.i32, left=ti.i32)


@cache
def sums(channels: int, sparse: bool, source_dtype: str, dtype: str) -> Any:
    """Sum over the taps of every cell, PIXELS pixels at once; `sparse` adds, and skips where no source is in reach."""
    real, source_real = REAL[dtype], REAL[source_dtype]
    source_vector = ti.types.vector(PIXELS * channels, source_real)
    vector = ti.types.vector(PIXELS * channels, real)
    packed = ti.types.ndarray(dtype=source_vector, ndim=1)
    results = ti.types.ndarray(dtype=vector, ndim=3)
    numbers = ti.types.ndarray(dtype=source_real, ndim=1)
    indices = ti.types.ndarray(dtype=ti.i32, ndim=1)
    indices2 = ti.types.ndarray(dtype=ti.i32, ndim=2)

    @ti.kernel
    def forward(
        source: packed,  # [positions]: a pixel and its neighbours to the right, `row` positions a row
        increments: indices,  # [T] of positions from tap to tap, of a cell's first from `origin` + the pixel
        weights: numbers,  # [T]
        first_tap: indices,  # [M + 1]
        boxes: indices2,  # [M, 4]: from the pixel to the corners of a cell's reach in `occupied`
        occupied: indices,  # [positions]: integral image of where the source is not 0; not read unless sparse
        seen: indices2,  # [h, w/PIXELS]: which blocks to sum, the others keep what they hold
        result: results,  # [M, H, W/PIXELS]
        layout: sums_layout(),
    ):
        ti.loop_config(block_dim=64)
        for m, y, block in ti.ndrange(result.shape[0], seen.shape[0], seen.shape[1]):
            here = layout.origin + y * layout.row + block * PIXELS
            wanted = seen[y, block]
            if ti.static(sparse):
                there = occupied[here + boxes[m, 3]] - occupied[here + boxes[m, 1]]
                wanted *= there - occupied[here + boxes[m, 2]] + occupied[here + boxes[m, 0]]
            if wanted != 0:
                at = here
                total = source_vector(0.0)
                for tap in range(first_tap[m], first_tap[m + 1]):
                    at += increments[tap]  # a chain, so that the compiler does not gather over taps instead of pixels
                    total += weights[tap] * source[at]
                down, along = layout.top + y, layout.left + block
                if ti.static(sparse):
                    result[m, down, along] = result[m, down, along] + ti.cast(total, real)
                else:
                    result[m, down, along] = ti.cast(total, real)

    return forward


@cache
def grid_layout(dtype: str) -> Any:
    """Make the struct of numbers that `sums_adjoint` takes.

    Its fields: the kernel's coordinate `node`; `cell_px`; positions in a `row` of the packed gradients, and that of the
    `origin`, the grid cell of the texture's first pixel.
    """
    return ti.types.struct(node=REAL[dtype], cell_px=ti.i32, row=ti.i32, origin=ti.i32)


@cache
def sums_adjoint(kind: Weight, dtype: str) -> Any:
    """Invert `sums` for one cell and one kernel: add to the gradients of the textures and, unless even, the coordinates."""
    real = REAL[dtype]
    weight_at = weight_of(kind, real)
    weighted = kind != "even"
    wide = ti.types.vector(4 * PIXELS, ti.f64)
    narrow = ti.types.vector(PIXELS, ti.f64)
    vec4 = ti.types.vector(4, real)
    packed_sums = ti.types.ndarray(dtype=wide, ndim=1)
    packed_weights = ti.types.ndarray(dtype=narrow, ndim=1)
    textures = ti.types.ndarray(dtype=vec4, ndim=2)
    planes = ti.types.ndarray(dtype=real, ndim=2)
    numbers = ti.types.ndarray(dtype=ti.f64, ndim=1)
    indices = ti.types.ndarray(dtype=ti.i32, ndim=1)

    @ti.kernel
    def adjoint(
        d_sums: packed_sums,  # [positions], as `source` of `sums`
        d_weights: packed_weights,  # [positions]
        increments: indices,  # [T] of this cell's mirrored kernel
        weights: numbers,  # [T]
        texture: textures,  # [H, W], cell_px × cell_px of each grid cell
        coordinate: planes,  # [H, W]
        d_texture: textures,  # [H, W]
        d_coordinate: planes,  # [H, W]
        layout: grid_layout(dtype),
    ):
        node, cell_px = layout.node, layout.cell_px
        share = 1 / ti.cast(cell_px * cell_px, real)
        ti.loop_config(block_dim=64)
        for down, block in ti.ndrange(texture.shape[0] // cell_px, (texture.shape[1] // cell_px + PIXELS - 1) // PIXELS):
            left, right = block * PIXELS * cell_px, ti.min((block + 1) * PIXELS * cell_px, texture.shape[1])
            wanted = 1
            if ti.static(kind == "tent"):
                wanted = 0
                for y in range(down * cell_px, (down + 1) * cell_px):
                    for x in range(left, right):
                        if ti.abs(coordinate[y, x] - node) <= 1:
                            wanted = 1
            if wanted != 0:
                at = layout.origin + down * layout.row + block * PIXELS
                total = wide(0.0)
                total_weight = narrow(0.0)
                for tap in range(weights.shape[0]):
                    at += increments[tap]
                    total += weights[tap] * d_sums[at]
                    if ti.static(weighted):
                        total_weight += weights[tap] * d_weights[at]
                for i in ti.static(range(PIXELS)):
                    d_mean = vec4(0.0)
                    for c in ti.static(range(4)):
                        d_mean[c] = share * ti.cast(total[4 * i + c], real)
                    d_mean_weight = share * ti.cast(total_weight[i], real)
                    for y in range(down * cell_px, (down + 1) * cell_px):
                        for x in range(left + i * cell_px, ti.min(left + (i + 1) * cell_px, right)):
                            if ti.static(weighted):
                                value, slope = weight_at(coordinate[y, x] - node)
                                along = texture[y, x].dot(d_mean) + d_mean_weight
                                d_texture[y, x] = d_texture[y, x] + value * d_mean
                                d_coordinate[y, x] = d_coordinate[y, x] + slope * along
                            else:
                                d_texture[y, x] = d_texture[y, x] + d_mean

    return adjoint
