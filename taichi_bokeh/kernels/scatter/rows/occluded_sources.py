"""The channels of padded sources times the occlusion weights of a group of nodes, and the adjoint.

    Q_k(y) = P(y)·τ_k(d_y)                                                   (separable_occlusion.py)

Adjoint, with g_k = ∂loss/∂Q_k:

    ∂/∂P = Σ_k τ_k·g_k,      ∂/∂d_y = Σ_k τ_k′·⟨P, g_k⟩

Only sources that are `near` [rows, segments of the image's columns] count: others reach nothing that is in focus. `top` is
the first of a band of padded rows, as in layout.py.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.occlusion import occlusion_weight
from taichi_bokeh.kernels.scatter.rows.layout import CHANNELS, GROUP, LANES, OCCLUDED_LANES, OPAQUE_LANES, channel_of
from taichi_bokeh.kernels.scatter.rows.row_sums import SEGMENT


class OccludedSources(NamedTuple):
    weigh: Any
    adjoint: Any


@cache
def occluded_sources(opaque: bool, dtype: str) -> OccludedSources:
    """Kernels for sources of LANES or, if `opaque`, of OPAQUE_LANES channels; the adjoint's have all."""
    real = REAL[dtype]
    tau = occlusion_weight(dtype)
    packed = ti.types.vector(OPAQUE_LANES if opaque else LANES, real)
    wide, shares = ti.types.vector(OCCLUDED_LANES, real), ti.types.matrix(GROUP, 2, real)
    vec2 = ti.types.vector(2, real)
    pixels, wide_pixels = (ti.types.ndarray(dtype=kind, ndim=2) for kind in (packed, wide))
    maps = ti.types.ndarray(dtype=real, ndim=2)
    numbers = ti.types.ndarray(dtype=real, ndim=1)
    flags = ti.types.ndarray(dtype=ti.i32, ndim=2)

    @ti.func
    def shares_at(disparity: ti.template(), nodes: ti.template(), group, row, column, occlusion, top, pad):
        """(τ_k, τ_k′) of a padded source."""
        y = ti.math.clamp(top + row - pad, 0, disparity.shape[0] - 1)
        x = ti.math.clamp(column - pad, 0, disparity.shape[1] - 1)
        result = shares(0.0)
        for k in ti.static(range(GROUP)):
            share = tau(disparity[y, x] - nodes[GROUP * group + k], occlusion)
            result[k, 0], result[k, 1] = share[0], share[1]
        return result

    @ti.func
    def counts(disparity: ti.template(), near: ti.template(), row, column, pad):
        return near[row, ti.math.clamp(column - pad, 0, disparity.shape[1] - 1) // SEGMENT] != 0

    @ti.kernel
    def weigh(
        sources: pixels,  # [rows, W + 2·pad]: P of a band of padded rows
        disparity: maps,  # [H, W]: what the occlusion compares
        nodes: numbers,  # [T]: n_k
        group: ti.i32,
        near: flags,  # [rows, segments]: 1 where sources count
        occluded: wide_pixels,  # [rows, W + 2·pad] × 16: Q_k, GROUP nodes of 5, written
        occlusion: vec2,  # (gap, steepness) of τ
        top: ti.i32,
        pad: ti.i32,
    ):
        for row, column in occluded:
            if counts(disparity, near, row, column, pad):
                share = shares_at(disparity, nodes, group, row, column, occlusion, top, pad)
                source = sources[row, column]
                result = wide(0.0)
                for k in ti.static(range(GROUP)):
                    for c in ti.static(range(CHANNELS)):
                        result[CHANNELS * k + c] = share[k, 0] * source[ti.static(channel_of(opaque, c))]
                occluded[row, column] = result

    @ti.kernel
    def adjoint(
        sources: pixels,  # [rows, W + 2·pad]: P of a band of padded rows
        disparity: maps,  # [H, W]: what the occlusion compares
        nodes: numbers,  # [T]: n_k
        group: ti.i32,
        near: flags,  # [rows, segments]: 1 where sources count
        d_occluded: wide_pixels,  # as of `weigh`: g_k
        d_sources: pixels,  # as sources, added to
        d_source_disparity: maps,  # [rows, W + 2·pad]: of the sources' disparity, added to
        occlusion: vec2,  # (gap, steepness) of τ
        top: ti.i32,
        pad: ti.i32,
    ):
        """Adds the gradients of sources and their disparity."""
        for row, column in d_occluded:
            if counts(disparity, near, row, column, pad):
                share = shares_at(disparity, nodes, group, row, column, occlusion, top, pad)
                source, g = sources[row, column], d_occluded[row, column]
                gathered, along_disparity = packed(0.0), real(0.0)
                for k in ti.static(range(GROUP)):
                    along = real(0.0)
                    for c in ti.static(range(CHANNELS)):
                        gathered[c] += share[k, 0] * g[CHANNELS * k + c]
                        along += source[c] * g[CHANNELS * k + c]
                    along_disparity += share[k, 1] * along
                d_sources[row, column] = d_sources[row, column] + gathered
                d_source_disparity[row, column] = d_source_disparity[row, column] + along_disparity

    return OccludedSources(weigh, adjoint)
