"""The composite of the layers as seen through each cell of the aperture, added up.

A_m is the share of cell m, and (c, v) = s/w the premultiplied colour and coverage of a layer seen through it, front to back:

    B = Σ_m A_m·Σ_l T_{l,m}·c_{l,m},      T_{0,m} = 1,      T_{l+1,m} = T_{l,m}·(1 − v_{l,m})

Adjoint, with g = A_m·∂loss/∂B and S_l what lies behind layer l (as seen through this cell):

    ∂loss/∂c_l = T_l·g,      ∂loss/∂v_l = −T_l·⟨g, S_l⟩,      S_{L−1} = 0,      S_{l−1} = c_l + (1 − v_l)·S_l
    ∂loss/∂s = ∂loss/∂(c, v)/w,      ∂loss/∂w = −⟨∂loss/∂(c, v), (c, v)⟩/w

Layers that a tile does not see are left out there: their s and w hold nothing, and their gradients are 0.

It is made twice: of the cells (fine), and of groups of cells (coarse), whose s and w are the sums of those of their cells.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.subaperture.visibility import TILE


class Composite(NamedTuple):
    forward: Any  # kernel: adds to fine and coarse
    adjoint: Any  # kernel: writes d_sums and d_weights


@cache
def composite(layers: int, dtype: str) -> Composite:
    real = REAL[dtype]
    vec3, vec4 = ti.types.vector(3, real), ti.types.vector(4, real)
    layer_sums = ti.types.ndarray(dtype=vec4, ndim=4)
    layer_weights = ti.types.ndarray(dtype=real, ndim=4)
    cell_shares = ti.types.ndarray(dtype=real, ndim=1)
    tiles = ti.types.ndarray(dtype=ti.i32, ndim=3)
    group_ends = ti.types.ndarray(dtype=ti.i32, ndim=1)
    images = ti.types.ndarray(dtype=vec3, ndim=2)

    @ti.func
    def group_mean(sums: ti.template(), weights: ti.template(), layer: ti.template(), m0, m1, y, x):
        """Return (c, v) of a layer seen through the cells m0 … m1 − 1 together, and its weight."""
        total, weight = vec4(0.0), real(0.0)
        for m in range(m0, m1):
            total += sums[layer, m, y, x]
            weight += weights[layer, m, y, x]
        return total * (1 / weight), weight

    @ti.kernel
    def forward(
        sums: layer_sums,  # s [L, M, H, W]
        weights: layer_weights,  # w [L, M, H, W]
        seen: tiles,  # [L, H/TILE, W/TILE], 1 or 0
        shares: cell_shares,  # A [M]
        first_cell: group_ends,  # [G + 1]: group g is of the cells first_cell[g] … first_cell[g + 1] − 1
        fine: images,  # [H, W] of rgb
        coarse: images,  # [H, W] of rgb
    ):
        # One thread goes through all cells for a row of a tile: what it reads of each lies side by side.
        ti.loop_config(block_dim=8)
        for y, block in ti.ndrange(fine.shape[0], (fine.shape[1] + TILE - 1) // TILE):
            last = ti.min(fine.shape[1], (block + 1) * TILE)
            for group in range(first_cell.shape[0] - 1):
                share_of_group = real(0.0)
                for m in range(first_cell[group], first_cell[group + 1]):
                    share_of_group += shares[m]
                    if shares[m] > 0:
                        for x in range(block * TILE, last):
                            transmittance = shares[m]
                            total = fine[y, x]
                            for layer in ti.static(range(layers)):
                                if seen[layer, y // TILE, block] != 0:
                                    colour = sums[layer, m, y, x] * (1 / weights[layer, m, y, x])
                                    total += transmittance * colour.xyz
                                    transmittance *= 1 - colour.w
                            fine[y, x] = total
                if share_of_group > 0:
                    for x in range(block * TILE, last):
                        transmittance = share_of_group
                        total = coarse[y, x]
                        for layer in ti.static(range(layers)):
                            if seen[layer, y // TILE, block] != 0:
                                mean, _ = group_mean(sums, weights, layer, first_cell[group], first_cell[group + 1], y, x)
                                total += transmittance * mean.xyz
                                transmittance *= 1 - mean.w
                        coarse[y, x] = total

    @ti.func
    def front_to_back_adjoint(colours: ti.template(), share, d_image, d_colours: ti.template()):
        """Compute the gradients of the (c, v) of all layers, from that of their composite times `share`."""
        through = ti.Vector.zero(real, layers)
        transmittance = share
        for layer in ti.static(range(layers)):  # inverts: total += transmittance * colour
            through[layer] = transmittance
            transmittance *= 1 - colours[layer, 3]
        behind = vec3(0.0)
        for layer in ti.static(range(layers - 1, -1, -1)):  # inverts: transmittance *= 1 - colour.w
            colour = vec3(colours[layer, 0], colours[layer, 1], colours[layer, 2])
            for c in ti.static(range(3)):
                d_colours[layer, c] = through[layer] * d_image[c]
            d_colours[layer, 3] = -through[layer] * d_image.dot(behind)
            behind = colour + (1 - colours[layer, 3]) * behind

    @ti.kernel
    def adjoint(
        sums: layer_sums,
        weights: layer_weights,
        seen: tiles,
        shares: cell_shares,
        first_cell: group_ends,
        d_fine: images,
        d_coarse: images,
        d_sums: layer_sums,
        d_weights: layer_weights,
    ):
        for y, x in d_fine:
            for group in range(first_cell.shape[0] - 1):
                colours, d_colours = ti.Matrix.zero(real, layers, 4), ti.Matrix.zero(real, layers, 4)
                share_of_group = real(0.0)
                for m in range(first_cell[group], first_cell[group + 1]):
                    share_of_group += shares[m]
                    for layer in ti.static(range(layers)):
                        inverse = real(0.0)
                        for c in ti.static(range(4)):
                            colours[layer, c] = real(0.0)
                        if shares[m] > 0 and seen[layer, y // TILE, x // TILE] != 0:
                            inverse = 1 / weights[layer, m, y, x]
                            for c in ti.static(range(4)):
                                colours[layer, c] = sums[layer, m, y, x][c] * inverse
                    front_to_back_adjoint(colours, shares[m], d_fine[y, x], d_colours)
                    for layer in ti.static(range(layers)):  # inverts: colour = sums / weights
                        inverse, along = real(0.0), real(0.0)
                        if shares[m] > 0 and seen[layer, y // TILE, x // TILE] != 0:
                            inverse = 1 / weights[layer, m, y, x]
                        for c in ti.static(range(4)):
                            d_sums[layer, m, y, x][c] = inverse * d_colours[layer, c]
                            along += d_colours[layer, c] * colours[layer, c]
                        d_weights[layer, m, y, x] = -inverse * along
                if share_of_group > 0:
                    total_weights = ti.Vector.zero(real, layers)
                    for layer in ti.static(range(layers)):
                        for c in ti.static(range(4)):
                            colours[layer, c] = real(0.0)
                        if seen[layer, y // TILE, x // TILE] != 0:
                            mean, weight = group_mean(sums, weights, layer, first_cell[group], first_cell[group + 1], y, x)
                            total_weights[layer] = weight
                            for c in ti.static(range(4)):
                                colours[layer, c] = mean[c]
                    front_to_back_adjoint(colours, share_of_group, d_coarse[y, x], d_colours)
                    for layer in ti.static(range(layers)):  # inverts: mean = total / weight
                        if seen[layer, y // TILE, x // TILE] != 0:
                            inverse, along = 1 / total_weights[layer], real(0.0)
                            d_total = vec4(0.0)
                            for c in ti.static(range(4)):
                                d_total[c] = inverse * d_colours[layer, c]
                                along += d_colours[layer, c] * colours[layer, c]
                            for m in range(first_cell[group], first_cell[group + 1]):
                                d_sums[layer, m, y, x] = d_sums[layer, m, y, x] + d_total
                                d_weights[layer, m, y, x] = d_weights[layer, m, y, x] - inverse * along

    return Composite(forward, adjoint)
