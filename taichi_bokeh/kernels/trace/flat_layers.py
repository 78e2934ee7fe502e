"""Ray tracing of flat layers through an ideal lens: rays_through_layers.py's sum, with what all pixels share taken out of it.

A ray through lens point u meets layer l at x + u·r_l whatever the pixel x, so its whole shift o and its four bilinear weights
w are tabulated a ray and layer, the textures t = (a·c, a) are padded by the largest radius, and what is left is

    s(x) = Σ_u w_u·Σ_l T_l·c_l,      (c_l, a_l)(x) = Σ_{i, j ∈ {0, 1}} w_ij·t_l(x + o + (i, j)),      T_{l+1} = T_l·(1 − a_l)

The adjoint is that of rays_through_layers.py, of which this is a special case.
"""

from functools import cache
from typing import Any

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL


@cache
def trace_flat(dtype: str) -> Any:
    """Make the kernel that adds rays to the sums."""
    real = REAL[dtype]
    vec4 = ti.types.vector(4, real)
    padded = ti.types.ndarray(dtype=vec4, ndim=3)
    offsets = ti.types.ndarray(dtype=ti.i32, ndim=3)
    bilinear_weights = ti.types.ndarray(dtype=vec4, ndim=3)
    weights = ti.types.ndarray(dtype=real, ndim=1)
    images = ti.types.ndarray(dtype=vec4, ndim=3)

    @ti.kernel
    def forward(
        textures: padded,  # [B, L, Hp·Wp] of premultiplied rgb and alpha
        offset: offsets,  # [B, rays, L], from pixel (y, x) of the padded textures
        bilinear: bilinear_weights,  # [B, rays, L] of w_00, w_10, w_01, w_11
        weight: weights,  # [rays]
        sums: images,  # [B, H, W] of rgb and coverage, added to
        row: ti.i32,  # Wp
        first: ti.i32,  # of the rays that are added
        last: ti.i32,  # the ray after these
    ):
        """Add rays to the sums.

        Four pixels at once, which LLVM turns into vectors of 16; a branch in the loop, for an early exit, would undo that.
        """
        ti.loop_config(block_dim=16)
        for b, y, block in ti.ndrange(sums.shape[0], sums.shape[1], (sums.shape[2] + 3) // 4):
            x = block * 4
            here = y * row + x
            s0, s1, s2, s3 = vec4(0.0), vec4(0.0), vec4(0.0), vec4(0.0)
            spare = sums.shape[2] - x
            s0 = sums[b, y, x]
            if spare > 1:
                s1 = sums[b, y, x + 1]
            if spare > 2:
                s2 = sums[b, y, x + 2]
            if spare > 3:
                s3 = sums[b, y, x + 3]
            for k in range(first, last):
                t0 = weight[k]
                t1, t2, t3 = t0, t0, t0
                for layer in range(textures.shape[1]):
                    at = here + offset[b, k, layer]
                    w = bilinear[b, k, layer]
                    c0, d0 = textures[b, layer, at], textures[b, layer, at + row]
                    c1, d1 = textures[b, layer, at + 1], textures[b, layer, at + row + 1]
                    c2, d2 = textures[b, layer, at + 2], textures[b, layer, at + row + 2]
                    c3, d3 = textures[b, layer, at + 3], textures[b, layer, at + row + 3]
                    c4, d4 = textures[b, layer, at + 4], textures[b, layer, at + row + 4]
                    q0 = c0 * w[0] + c1 * w[1] + d0 * w[2] + d1 * w[3]
                    q1 = c1 * w[0] + c2 * w[1] + d1 * w[2] + d2 * w[3]
                    q2 = c2 * w[0] + c3 * w[1] + d2 * w[2] + d3 * w[3]
                    q3 = c3 * w[0] + c4 * w[1] + d3 * w[2] + d4 * w[3]
                    s0, s1, s2, s3 = s0 + t0 * q0, s1 + t1 * q1, s2 + t2 * q2, s3 + t3 * q3
                    t0, t1, t2, t3 = t0 * (1 - q0.w), t1 * (1 - q1.w), t2 * (1 - q2.w), t3 * (1 - q3.w)
            sums[b, y, x] = s0
            if spare > 1:
                sums[b, y, x + 1] = s1
            if spare > 2:
                sums[b, y, x + 2] = s2
            if spare > 3:
                sums[b, y, x + 3] = s3

    return forward
