"""Sums of a layer over the taps of aperture cells, and the composite of the cells.

A layer's textures t = (a·c, a) and weights h seen through cell m, whose kernel is k_m (optics/psf.py):

    s_m(x) = Σ_δ k_m(δ)·t(x + δ)·h(x + δ),        w_m(x) = Σ_δ k_m(δ)·h(x + δ)

The weight h of a source is one of three functions of s, the place of its radius relative to that of the kernel (`weight_of`):

    even      1           of a flat layer's kernel
    tent      Λ(s)        of a node's kernel, s in nodes (optics/radius_nodes.py)
    offset    s           of the slope ∂k_m/∂r of a flat layer's kernel, s in px: the layer's first-order term

The sum over δ runs over a list of taps. They are those of k_m itself; or those of its mixed difference, which is 0 wherever k_m
is constant, applied to the integral image P of t·h (summation by parts in x and in y):

    Σ_δ k(δ)·p(x + δ) = Σ_δ e(δ)·P(x + δ),        e(δ) = k(δ) − k(δ + x̂) − k(δ + ŷ) + k(δ + x̂ + ŷ),   P(x) = Σ_{y ≤ x} p(y)

Adjoint: with the cotangents g_m, the same sum with the kernel mirrored, for one source pixel y:

    ∂loss/∂(t·h)(y) = Σ_m Σ_δ k_m(δ)·g_m(y − δ)

so `pull` reads integral images of g_m instead, and folds h and its slope in. The sums may be on a grid coarser than the layer's
pixels by a step (coarse_grid.py); their sources are then the means of t·h over step × step pixels, and each of these gets
1/step² of what is pulled back to their place.

The composite adds up the cells, A_m the share of each, front to back, with (c, v) = s/w premultiplied colour and coverage:

    B = Σ_m A_m·Σ_l T_{l,m}·c_{l,m},      T_{0,m} = 1,      T_{l+1,m} = T_{l,m}·(1 − v_{l,m})

Its adjoint, with g = A_m·∂loss/∂B and S_l what lies behind layer l (as seen through this cell):

    ∂loss/∂c_l = T_l·g,      ∂loss/∂v_l = −T_l·⟨g, S_l⟩,      S_{L−1} = 0,      S_{l−1} = c_l + (1 − v_l)·S_l
    ∂loss/∂s = ∂loss/∂(c, v)/w,      ∂loss/∂w = −⟨∂loss/∂(c, v), (c, v)⟩/w
"""

from functools import cache
from typing import Any, Literal

from taichi_bokeh._runtime import launch, ti
from taichi_bokeh.kernels.arithmetic import REAL

STRETCH = 16  # pixels of a row for which one thread goes through all cells: what it reads of each lies side by side
PIXELS = 4  # side by side in one vector: a processor's load of 16 numbers


Weight = Literal["even", "tent", "offset"]


def weight_of(kind: Weight, real: Any) -> Any:
    """The function of s that gives a source's weight h and its slope; of the tent, at a kink, the mean of both sides."""

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
    """What a slice is summed over: t·h and h, their means over step × step pixels for each place of a grid."""
    real = REAL[dtype]
    weight_at = weight_of(kind, real)
    planes = ti.types.ndarray(dtype=real, ndim=2)  # [H, W], and [H/step, W/step] for the means
    textures = ti.types.ndarray(dtype=ti.types.vector(4, real), ndim=2)
    weights = ti.types.ndarray(dtype=ti.types.vector(1, real), ndim=2)

    @ti.kernel
    def forward(texture: textures, place: planes, node: real, step: ti.i32, mean_texture: textures, mean_weight: weights):
        share = 1 / ti.cast(step * step, real)
        for row, column in ti.ndrange(mean_texture.shape[0], mean_texture.shape[1]):
            total, weight = ti.types.vector(4, real)(0.0), real(0.0)
            for y in range(row * step, (row + 1) * step):
                for x in range(column * step, (column + 1) * step):
                    value, _ = weight_at(place[y, x] - node)
                    total += value * texture[y, x]
                    weight += value
            mean_texture[row, column] = share * total
            mean_weight[row, column][0] = share * weight

    return forward


@cache
def pack(channels: int, dtype: str) -> Any:
    """[H, W + PIXELS − 1] of vectors to [H·W] of vectors PIXELS times as long: every pixel with its neighbours to the right."""
    real = REAL[dtype]
    pixels = ti.types.ndarray(dtype=ti.types.vector(channels, real), ndim=2)
    vector = ti.types.vector(PIXELS * channels, real)
    packed = ti.types.ndarray(dtype=vector, ndim=1)

    @ti.kernel
    def forward(values: pixels, result: packed):
        width = values.shape[1] - (PIXELS - 1)
        for y, x in ti.ndrange(values.shape[0], width):
            both = vector(0.0)
            for i in ti.static(range(PIXELS)):
                for c in ti.static(range(channels)):
                    both[i * channels + c] = values[y, x + i][c]
            result[y * width + x] = both

    return forward


@cache
def sums(channels: int, sparse: bool, source_dtype: str, dtype: str) -> Any:
    """The taps of every cell, PIXELS pixels × channels at once; `sparse` adds, and passes over where no source is in reach."""
    real, source_real = REAL[dtype], REAL[source_dtype]
    source_vector = ti.types.vector(PIXELS * channels, source_real)
    vector = ti.types.vector(PIXELS * channels, real)
    packed = ti.types.ndarray(dtype=source_vector, ndim=1)  # [positions]: a pixel and its neighbours to the right
    results = ti.types.ndarray(dtype=vector, ndim=3)  # [M, H, W/PIXELS]
    numbers = ti.types.ndarray(dtype=source_real, ndim=1)
    indices = ti.types.ndarray(dtype=ti.i32, ndim=1)
    indices2 = ti.types.ndarray(dtype=ti.i32, ndim=2)

    @ti.kernel
    def forward(
        source: packed,
        steps: indices,
        weights: numbers,
        first: indices,
        boxes: indices2,
        occupied: indices,
        result: results,
        row: ti.i32,
        origin: ti.i32,
    ):
        """steps: from tap to tap, a cell's first from `origin` + the pixel; boxes [M, 4]: corner offsets into `occupied`."""
        ti.loop_config(block_dim=64)
        for m, y, block in ti.ndrange(result.shape[0], result.shape[1], result.shape[2]):
            here = origin + y * row + block * PIXELS
            wanted = 1
            if ti.static(sparse):
                there = occupied[here + boxes[m, 3]] - occupied[here + boxes[m, 1]]
                wanted = there - occupied[here + boxes[m, 2]] + occupied[here + boxes[m, 0]]
            if wanted != 0:
                at = here
                total = source_vector(0.0)
                for tap in range(first[m], first[m + 1]):
                    at += steps[tap]  # a chain, so that the compiler does not gather over taps instead of pixels
                    total += weights[tap] * source[at]
                if ti.static(sparse):
                    result[m, y, block] = result[m, y, block] + ti.cast(total, real)
                else:
                    result[m, y, block] = ti.cast(total, real)

    return forward


@cache
def pull(kind: Weight, dtype: str) -> Any:
    """Adjoint of `sums` for one cell and one kernel: adds to the gradients of the textures and, unless even, of the place."""
    real = REAL[dtype]
    weight_at = weight_of(kind, real)
    weighted = kind != "even"
    wide = ti.types.vector(4 * PIXELS, ti.f64)
    narrow = ti.types.vector(PIXELS, ti.f64)
    vec4 = ti.types.vector(4, real)
    cotangents = ti.types.ndarray(dtype=wide, ndim=1)
    weight_cotangents = ti.types.ndarray(dtype=narrow, ndim=1)
    textures = ti.types.ndarray(dtype=vec4, ndim=2)  # [H, W]
    planes = ti.types.ndarray(dtype=real, ndim=2)
    numbers = ti.types.ndarray(dtype=ti.f64, ndim=1)
    indices = ti.types.ndarray(dtype=ti.i32, ndim=1)

    @ti.kernel
    def adjoint(
        d_sums: cotangents,
        d_weights: weight_cotangents,
        steps: indices,
        weights: numbers,
        first: ti.i32,
        last: ti.i32,
        texture: textures,
        place: planes,
        node: real,
        d_texture: textures,
        d_place: planes,
        step: ti.i32,
        row: ti.i32,
        origin: ti.i32,
    ):
        """texture, place and their gradients are of all pixels, step × step of each place of the grid; `row` is the grid's."""
        share = 1 / ti.cast(step * step, real)
        ti.loop_config(block_dim=64)
        for down, block in ti.ndrange(texture.shape[0] // step, (texture.shape[1] // step + PIXELS - 1) // PIXELS):
            left, right = block * PIXELS * step, ti.min((block + 1) * PIXELS * step, texture.shape[1])
            wanted = 1
            if ti.static(kind == "tent"):
                wanted = 0
                for y in range(down * step, (down + 1) * step):
                    for x in range(left, right):
                        if ti.abs(place[y, x] - node) <= 1:
                            wanted = 1
            if wanted != 0:
                at = origin + down * row + block * PIXELS
                total = wide(0.0)
                total_weight = narrow(0.0)
                for tap in range(first, last):
                    at += steps[tap]
                    total += weights[tap] * d_sums[at]
                    if ti.static(weighted):
                        total_weight += weights[tap] * d_weights[at]
                for i in ti.static(range(PIXELS)):
                    pulled = vec4(0.0)
                    for c in ti.static(range(4)):
                        pulled[c] = share * ti.cast(total[4 * i + c], real)
                    pulled_weight = share * ti.cast(total_weight[i], real)
                    for y in range(down * step, (down + 1) * step):
                        for x in range(left + i * step, ti.min(left + (i + 1) * step, right)):
                            if ti.static(weighted):
                                value, slope = weight_at(place[y, x] - node)
                                d_texture[y, x] = d_texture[y, x] + value * pulled
                                d_place[y, x] = d_place[y, x] + slope * (texture[y, x].dot(pulled) + pulled_weight)
                            else:
                                d_texture[y, x] = d_texture[y, x] + pulled

    return adjoint


@cache
def composite(layers: int, dtype: str) -> Any:
    """Adds to two pictures: called with sums, weights [L, M, H, W], shares [M], first [G + 1], fine and coarse [H, W].

    `fine` is the picture of all cells; `coarse` that of groups of cells, group g of the cells first[g] … first[g + 1] − 1. Its
    `.grad` writes to sums.grad and weights.grad what fine.grad and coarse.grad give them.
    """
    real = REAL[dtype]
    vec3, vec4 = ti.types.vector(3, real), ti.types.vector(4, real)
    layer_sums = ti.types.ndarray(dtype=vec4, ndim=4)
    layer_weights = ti.types.ndarray(dtype=real, ndim=4)
    cell_shares = ti.types.ndarray(dtype=real, ndim=1)
    group_ends = ti.types.ndarray(dtype=ti.i32, ndim=1)
    pictures = ti.types.ndarray(dtype=vec3, ndim=2)

    @ti.func
    def group_mean(sums: ti.template(), weights: ti.template(), layer: ti.template(), m0, m1, y, x):
        """(c, v) of a layer seen through the cells m0 … m1 − 1 together, and its weight."""
        total, weight = vec4(0.0), real(0.0)
        for m in range(m0, m1):
            total += sums[layer, m, y, x]
            weight += weights[layer, m, y, x]
        return total * (1 / weight), weight

    @ti.kernel
    def forward(
        sums: layer_sums, weights: layer_weights, shares: cell_shares, first: group_ends, fine: pictures, coarse: pictures
    ):
        ti.loop_config(block_dim=8)
        for y, block in ti.ndrange(fine.shape[0], (fine.shape[1] + STRETCH - 1) // STRETCH):
            last = ti.min(fine.shape[1], (block + 1) * STRETCH)
            for group in range(first.shape[0] - 1):
                share_of_group = real(0.0)
                for m in range(first[group], first[group + 1]):
                    share_of_group += shares[m]
                    if shares[m] > 0:
                        for x in range(block * STRETCH, last):
                            transmittance = shares[m]
                            total = fine[y, x]
                            for layer in ti.static(range(layers)):
                                colour = sums[layer, m, y, x] * (1 / weights[layer, m, y, x])
                                total += transmittance * colour.xyz
                                transmittance *= 1 - colour.w
                            fine[y, x] = total
                if share_of_group > 0:
                    for x in range(block * STRETCH, last):
                        transmittance = share_of_group
                        total = coarse[y, x]
                        for layer in ti.static(range(layers)):
                            mean, _ = group_mean(sums, weights, layer, first[group], first[group + 1], y, x)
                            total += transmittance * mean.xyz
                            transmittance *= 1 - mean.w
                        coarse[y, x] = total

    @ti.func
    def pull_layers(colours: ti.template(), share, d_picture, d_colours: ti.template()):
        """Cotangents of the (c, v) of all layers, from that of their composite times `share`."""
        through = ti.Vector.zero(real, layers)
        transmittance = share
        for layer in ti.static(range(layers)):  # inverts: total += transmittance * colour
            through[layer] = transmittance
            transmittance *= 1 - colours[layer, 3]
        behind = vec3(0.0)
        for layer in ti.static(range(layers - 1, -1, -1)):  # inverts: transmittance *= 1 - colour.w
            colour = vec3(colours[layer, 0], colours[layer, 1], colours[layer, 2])
            for c in ti.static(range(3)):
                d_colours[layer, c] = through[layer] * d_picture[c]
            d_colours[layer, 3] = -through[layer] * d_picture.dot(behind)
            behind = colour + (1 - colours[layer, 3]) * behind

    @ti.kernel
    def adjoint(
        sums: layer_sums,
        weights: layer_weights,
        shares: cell_shares,
        first: group_ends,
        d_fine: pictures,
        d_coarse: pictures,
        d_sums: layer_sums,
        d_weights: layer_weights,
    ):
        for y, x in d_fine:
            for group in range(first.shape[0] - 1):
                colours, d_colours = ti.Matrix.zero(real, layers, 4), ti.Matrix.zero(real, layers, 4)
                share_of_group = real(0.0)
                for m in range(first[group], first[group + 1]):
                    share_of_group += shares[m]
                    for layer in ti.static(range(layers)):
                        inverse = real(0.0)
                        if shares[m] > 0:
                            inverse = 1 / weights[layer, m, y, x]
                        for c in ti.static(range(4)):
                            colours[layer, c] = sums[layer, m, y, x][c] * inverse
                    pull_layers(colours, shares[m], d_fine[y, x], d_colours)
                    for layer in ti.static(range(layers)):  # inverts: colour = sums / weights
                        inverse, along = real(0.0), real(0.0)
                        if shares[m] > 0:
                            inverse = 1 / weights[layer, m, y, x]
                        for c in ti.static(range(4)):
                            d_sums[layer, m, y, x][c] = inverse * d_colours[layer, c]
                            along += d_colours[layer, c] * colours[layer, c]
                        d_weights[layer, m, y, x] = -inverse * along
                if share_of_group > 0:
                    total_weights = ti.Vector.zero(real, layers)
                    for layer in ti.static(range(layers)):
                        mean, weight = group_mean(sums, weights, layer, first[group], first[group + 1], y, x)
                        total_weights[layer] = weight
                        for c in ti.static(range(4)):
                            colours[layer, c] = mean[c]
                    pull_layers(colours, share_of_group, d_coarse[y, x], d_colours)
                    for layer in ti.static(range(layers)):  # inverts: mean = total / weight
                        inverse, along = 1 / total_weights[layer], real(0.0)
                        d_total = vec4(0.0)
                        for c in ti.static(range(4)):
                            d_total[c] = inverse * d_colours[layer, c]
                            along += d_colours[layer, c] * colours[layer, c]
                        for m in range(first[group], first[group + 1]):
                            d_sums[layer, m, y, x] = d_sums[layer, m, y, x] + d_total
                            d_weights[layer, m, y, x] = d_weights[layer, m, y, x] - inverse * along

    @ti.ad.grad_replaced
    def composite_cells(sums, weights, shares, first, fine, coarse):
        launch(forward, sums, weights, shares, first, fine, coarse)

    @ti.ad.grad_for(composite_cells)
    def composite_adjoint(sums, weights, shares, first, fine, coarse):
        launch(adjoint, sums, weights, shares, first, fine.grad, coarse.grad, sums.grad, weights.grad)

    return composite_cells
