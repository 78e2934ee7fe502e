"""Ray tracing: what every pixel receives through sampled points of the lens.

Forward, for pixel x and lens point u of weight w_u, with p_l where the ray meets layer l (height_field.py), c the
bilinear premultiplied colour and a the bilinear alpha there:

    s(x) = Σ_u w_u·Σ_l T_l·c_l,      T_0 = 1,   T_{l+1} = T_l·(1 − a_l)         front to back, until nothing shines through
    m(x) = Σ_u w_u over the rays that pass the lens                             image = s/m

Adjoint, with g = ∂loss/∂s and S_l the image of what lies behind layer l on that ray (walked back to front):

    ∂/∂c_l = w·T_l·g,     ∂/∂a_l = −w·T_l·⟨g, S_l⟩,     S_{l−1} = c_l + (1 − a_l)·S_l
    G = Σ over c, a of (∂/∂·)·∇(·)                      gradient with respect to the position p_l
    κ = G·slope/n,    ∂/∂D_l = κ,    ∂/∂v = G + κ·∇D    n, v as in height_field.py
    thin lens: v = u·((d − F)·δK − K·δF)

Texture gradients go to the four texels that were read; the only sums that threads share, hence atomic. Those of blur and
focus are kept by pixel. A visible edge *inside* a layer (one part of its height field hiding another) has no gradient.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.trace.height_field import height_field
from taichi_bokeh.kernels.trace.thin_lens_ray import BLUR, FOCUS, thin_lens_ray

_OPAQUE = {"float32": 1e-6, "float64": 1e-12}  # transmittance below which nothing behind counts


class Trace(NamedTuple):
    forward: Any
    adjoint: Any


@cache
def trace(kind: str, channels: int, layers: int, dtype: str) -> Trace:
    """Make the kernels for a lens `kind` ("thin", "biconvex"), 1 or 3 separately refracted `channels`, and so many layers."""
    real = REAL[dtype]
    vec2, vec3, vec4 = (ti.types.vector(n, real) for n in (2, 3, 4))
    per_layer = ti.types.vector(layers, real)
    per_layer_colours = ti.types.matrix(layers, 4, real)
    opaque = _OPAQUE[dtype]
    _, meet, taps = height_field(dtype)
    if kind == "thin":
        ray = thin_lens_ray(dtype)
    else:
        from taichi_bokeh.kernels.trace.biconvex_ray import biconvex_ray

        ray = biconvex_ray(dtype)
    textures_type = ti.types.ndarray(dtype=vec4, ndim=4)
    maps = ti.types.ndarray(dtype=real, ndim=4)
    tile_bounds, layer_ranges = ti.types.ndarray(dtype=real, ndim=5), ti.types.ndarray(dtype=real, ndim=3)
    lenses = ti.types.ndarray(dtype=real, ndim=2)
    layer_gradients = ti.types.ndarray(dtype=real, ndim=5)
    samples = ti.types.ndarray(dtype=vec3, ndim=1)
    images = ti.types.ndarray(dtype=vec4, ndim=3)
    planes = ti.types.ndarray(dtype=vec3, ndim=3)

    @ti.func
    def texel(textures: ti.template(), b, layer, cell):
        x, y = ti.cast(cell[0], ti.i32), ti.cast(cell[1], ti.i32)
        right, below = ti.min(x + 1, textures.shape[3] - 1), ti.min(y + 1, textures.shape[2] - 1)
        top = textures[b, layer, y, x] * (1 - cell[2]) + textures[b, layer, y, right] * cell[2]
        bottom = textures[b, layer, below, x] * (1 - cell[2]) + textures[b, layer, below, right] * cell[2]
        return top * (1 - cell[3]) + bottom * cell[3]

    @ti.func
    def radiance(
        textures: ti.template(), disparity: ti.template(), tiles: ti.template(), ranges: ti.template(), b, base, slope
    ):
        """Add up premultiplied rgb, and coverage, along one ray."""
        light, transmittance = vec4(0.0), real(1.0)
        for layer in range(layers):
            d = meet(disparity, tiles, ranges, b, layer, base, slope)
            colour = texel(textures, b, layer, taps(base + slope * d, textures.shape[3], textures.shape[2]))
            light += transmittance * colour
            transmittance *= 1 - colour.w
            if transmittance < real(opaque):
                break
        return light

    @ti.kernel
    def forward(
        textures: textures_type,  # [B, L, H, W] of premultiplied rgb and alpha
        disparity: maps,  # [B, L, H, W]
        tiles: tile_bounds,  # [B, L, H tiles, W tiles, 2] of least and largest disparity
        ranges: layer_ranges,  # [B, L, 2] of the same
        lens: lenses,  # [B, parameters]
        points: samples,  # [rays] of u, v, weight
        sums: images,  # [B, H, W] of rgb and coverage, added to
        passed: planes,  # [B, H, W], added to: the weight of the rays that passed, channel by channel
    ):
        ti.loop_config(block_dim=64)
        for b, y, x in ti.ndrange(sums.shape[0], sums.shape[1], sums.shape[2]):
            size = vec2(ti.cast(sums.shape[2], real), ti.cast(sums.shape[1], real))
            pixel = vec2(ti.cast(x, real), ti.cast(y, real))
            total, weight = sums[b, y, x], passed[b, y, x]
            for k in range(points.shape[0]):
                point = points[k]
                for c in ti.static(range(channels)):
                    base, slope, alive = ray(lens, b, pixel, size, point.xy, c)
                    if alive > 0:
                        light = radiance(textures, disparity, tiles, ranges, b, base, slope)
                        if ti.static(channels == 1):
                            total += point.z * light
                            weight += point.z
                        else:
                            total[c] += point.z * light[c]
                            total[3] += point.z * light[3] / 3
                            weight[c] += point.z
            sums[b, y, x], passed[b, y, x] = total, weight

    @ti.func
    def texel_adjoint(d_layers: ti.template(), b, layer, cell, d_texel, kappa):
        """Invert texel and height: add a sample's gradients to the four texels that it was read from."""
        x, y = ti.cast(cell[0], ti.i32), ti.cast(cell[1], ti.i32)
        right, below = ti.min(x + 1, d_layers.shape[3] - 1), ti.min(y + 1, d_layers.shape[2] - 1)
        for corner in ti.static(range(4)):
            column = right if ti.static(corner % 2 == 1) else x
            row = below if ti.static(corner // 2 == 1) else y
            share_x = cell[2] if ti.static(corner % 2 == 1) else 1 - cell[2]
            share_y = cell[3] if ti.static(corner // 2 == 1) else 1 - cell[3]
            for c in ti.static(range(4)):
                d_layers[b, layer, row, column, c] += share_x * share_y * d_texel[c]
            d_layers[b, layer, row, column, 4] += share_x * share_y * kappa

    @ti.func
    def differences(textures: ti.template(), disparity: ti.template(), b, layer, cell, position, d_texel):
        """Compute [G_x, G_y, ∂D/∂x, ∂D/∂y] at a position, 0 across a replicated border."""
        width, height = textures.shape[3], textures.shape[2]
        x, y = ti.cast(cell[0], ti.i32), ti.cast(cell[1], ti.i32)
        right, below = ti.min(x + 1, width - 1), ti.min(y + 1, height - 1)
        c00, c10 = textures[b, layer, y, x], textures[b, layer, y, right]
        c01, c11 = textures[b, layer, below, x], textures[b, layer, below, right]
        d00, d10 = disparity[b, layer, y, x], disparity[b, layer, y, right]
        d01, d11 = disparity[b, layer, below, x], disparity[b, layer, below, right]
        along_x = (c10 - c00) * (1 - cell[3]) + (c11 - c01) * cell[3]
        along_y = (c01 - c00) * (1 - cell[2]) + (c11 - c10) * cell[2]
        tilt_x = (d10 - d00) * (1 - cell[3]) + (d11 - d01) * cell[3]
        tilt_y = (d01 - d00) * (1 - cell[2]) + (d11 - d10) * cell[2]
        inside_x = ti.select((position[0] > 0) & (position[0] < width - 1), real(1.0), real(0.0))
        inside_y = ti.select((position[1] > 0) & (position[1] < height - 1), real(1.0), real(0.0))
        return vec4(d_texel.dot(along_x) * inside_x, d_texel.dot(along_y) * inside_y, tilt_x * inside_x, tilt_y * inside_y)

    @ti.func
    def radiance_adjoint(
        textures: ti.template(),
        disparity: ti.template(),
        tiles: ti.template(),
        ranges: ti.template(),
        d_layers: ti.template(),
        b,
        base,
        slope,
        g,
    ):
        """Invert radiance; return Σ_l of [∂/∂base, ∂/∂slope] through v = δbase + d·δslope."""
        met, shown, colours = per_layer(0.0), per_layer(0.0), per_layer_colours(0.0)
        transmittance, reached = real(1.0), 0
        for layer in range(layers):
            d = meet(disparity, tiles, ranges, b, layer, base, slope)
            colour = texel(textures, b, layer, taps(base + slope * d, textures.shape[3], textures.shape[2]))
            met[layer], shown[layer] = d, transmittance
            for c in ti.static(range(4)):
                colours[layer, c] = colour[c]
            transmittance *= 1 - colour.w
            reached = layer + 1
            if transmittance < real(opaque):
                break
        behind, total = vec3(0.0), vec4(0.0)
        for back in range(reached):
            layer = reached - 1 - back
            d, visible = met[layer], shown[layer]
            colour = vec3(colours[layer, 0], colours[layer, 1], colours[layer, 2])
            position = base + slope * d
            cell = taps(position, textures.shape[3], textures.shape[2])
            d_texel = vec4(visible * g[0], visible * g[1], visible * g[2], -visible * g.dot(behind))
            behind = colour + (1 - colours[layer, 3]) * behind
            slopes = differences(textures, disparity, b, layer, cell, position, d_texel)
            d_position, tilt = vec2(slopes[0], slopes[1]), vec2(slopes[2], slopes[3])
            kappa = d_position.dot(slope) / ti.max(1 - tilt.dot(slope), real(1e-6))
            texel_adjoint(d_layers, b, layer, cell, d_texel, kappa)
            moved = d_position + kappa * tilt
            total += vec4(moved[0], moved[1], d * moved[0], d * moved[1])
        return total

    @ti.kernel
    def adjoint(
        textures: textures_type,
        disparity: maps,
        tiles: tile_bounds,
        ranges: layer_ranges,
        lens: lenses,
        points: samples,
        d_sums: planes,  # [B, H, W] of rgb
        d_layers: layer_gradients,  # [B, L, H, W, 5] of premultiplied rgb, alpha, disparity; added to
        d_lens: maps,  # [B, 2, H, W], added to: blur and focus by pixel, of the thin lens alone
    ):
        ti.loop_config(block_dim=64)
        for b, y, x in ti.ndrange(d_sums.shape[0], d_sums.shape[1], d_sums.shape[2]):
            size = vec2(ti.cast(d_sums.shape[2], real), ti.cast(d_sums.shape[1], real))
            pixel = vec2(ti.cast(x, real), ti.cast(y, real))
            d_blur, d_focus = real(0.0), real(0.0)
            for k in range(points.shape[0]):
                point = points[k]
                for c in ti.static(range(channels)):
                    base, slope, alive = ray(lens, b, pixel, size, point.xy, c)
                    if alive > 0:
                        g = point.z * d_sums[b, y, x]
                        if ti.static(channels == 3):
                            for other in ti.static(range(3)):
                                if ti.static(other != c):
                                    g[other] = 0.0
                        moved = radiance_adjoint(textures, disparity, tiles, ranges, d_layers, b, base, slope, g)
                        if ti.static(kind == "thin"):  # base = x − u·K·F, slope = u·K
                            along_base, along_slope = point.xy.dot(moved.xy), point.xy.dot(moved.zw)
                            d_blur += along_slope - lens[b, FOCUS] * along_base
                            d_focus -= lens[b, BLUR] * along_base
            d_lens[b, 0, y, x] = d_lens[b, 0, y, x] + d_blur
            d_lens[b, 1, y, x] = d_lens[b, 1, y, x] + d_focus

    return Trace(forward, adjoint)
