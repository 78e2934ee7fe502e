"""On-focal occlusion as a few plain scatters: τ(d_y − d_x), interpolated in d_x between nodes of disparity.

O(y, x) = 1 − e(x)·τ(d_y − d_x) differs from 1 only where e does from 0: for |K·d_x| up to about 2.3. In so narrow a band of
disparities τ is a polynomial in d_x, with the Lagrange basis u_k of T nodes n_k,

    τ(d_y − d_x) ≈ Σ_k u_k(d_x)·τ_k(d_y),      τ_k(d) = τ(d − n_k),  τ of scatter/occlusion.py

so that, with S_k the plain sums (row_sums.py) of the channels P·τ_k, taken near pixels in focus only,

    s(x) = S(x) − e(x)·Σ_k u_k(d_x)·S_k(x) + e(x)·E(0; r_x)·P(x)·κ(x),      κ(x) = Σ_k u_k(d_x)·τ_k(d_x)

the last because O(x, x) = 1. Adjoint, with g = ∂loss/∂s and A_k the gathered −e·u_k·g (the adjoint of S_k):

    ∂/∂P(y) = Σ_k τ_k·A_k + e·E·κ·g                     ∂/∂e(x) = −⟨g, Σ_k u_k·S_k⟩ + ⟨g, P⟩·E·κ
    ∂/∂d_y  = Σ_k τ_k′·⟨P, A_k⟩                           ∂/∂d_x = −e·⟨g, Σ_k u_k′·S_k⟩ + e·⟨g, P⟩·E·κ′
    ∂/∂r_x  = … + e·⟨g, P⟩·E′·κ

Nodes are taken GROUP at a time, as 3·5 channels are a vector. P·τ_k and what its gradient gives to sources, A_k to ∂/∂P(y) and
∂/∂d_y, is in occluded_sources.py.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.gather import NEGLIGIBLE_FOCUS
from taichi_bokeh.kernels.scatter.occlusion import occlusion_weight
from taichi_bokeh.kernels.scatter.rows.layout import CHANNELS, GROUP, OCCLUDED_LANES, part_of_row
from taichi_bokeh.kernels.scatter.rows.row_lists import entry_size, row_lists
from taichi_bokeh.kernels.scatter.rows.row_sums import SEGMENT


@cache
def lagrange_basis(dtype: str) -> Any:
    """Make the function (nodes [T], k, d) -> vec2(u_k, u_k′) at d."""
    real = REAL[dtype]
    vec2 = ti.types.vector(2, real)

    @ti.func
    def basis(nodes: ti.template(), k, d):
        value, slope = real(1.0), real(0.0)
        for m in range(nodes.shape[0]):
            if m != k:
                inverse = 1 / (nodes[k] - nodes[m])
                slope = (slope * (d - nodes[m]) + value) * inverse
                value *= (d - nodes[m]) * inverse
        return vec2(value, slope)

    return basis


class SeparableOcclusion(NamedTuple):
    wanted: Any
    occlude: Any
    node_sums_adjoint: Any
    occlude_adjoint: Any


@cache
def separable_occlusion(shaped: bool, dtype: str, on_gpu: bool) -> SeparableOcclusion:
    """Kernels for the lists of discs or of `shaped` apertures."""
    real = REAL[dtype]
    weight_at_itself = row_lists(shaped, CHANNELS, dtype).at_itself
    part = part_of_row(on_gpu)
    tau, basis = occlusion_weight(dtype), lagrange_basis(dtype)
    negligible = NEGLIGIBLE_FOCUS[dtype]
    vec2, vec5 = ti.types.vector(2, real), ti.types.vector(CHANNELS, real)
    wide = ti.types.vector(OCCLUDED_LANES, real)
    wide_pixels = ti.types.ndarray(dtype=wide, ndim=2)
    planar = ti.types.ndarray(dtype=real, ndim=3)
    maps = ti.types.ndarray(dtype=real, ndim=2)
    numbers = ti.types.ndarray(dtype=real, ndim=1)
    counts = ti.types.ndarray(dtype=ti.i32, ndim=2)
    list_heads = ti.types.ndarray(dtype=ti.types.vector(4, ti.i32), ndim=3)
    polynomials = ti.types.ndarray(dtype=ti.types.vector(entry_size(shaped), real), ndim=1)

    @ti.func
    def at_itself(nodes: ti.template(), d, occlusion):
        """(κ, κ′)."""
        total = vec2(0.0)
        for k in range(nodes.shape[0]):
            u = basis(nodes, k, d)
            share = tau(d - nodes[k], occlusion)
            total += vec2(u[0] * share[0], u[1] * share[0] + u[0] * share[1])
        return total

    @ti.func
    def own_weight(radius_px, lists: ti.template(), entries: ti.template(), samples_per_px):
        """(E, E′) of a pixel in focus, at itself."""
        weight = weight_at_itself(lists, entries, radius_px * samples_per_px)
        return vec2(weight[0], samples_per_px * weight[1])

    @ti.kernel
    def wanted(in_focus: maps, segments: counts):
        """1 for the segments of rows that hold pixels in focus."""
        for row, segment in segments:
            some = 0
            for x in range(segment * SEGMENT, ti.min((segment + 1) * SEGMENT, in_focus.shape[1])):
                some |= ti.cast(in_focus[row, x] > negligible, ti.i32)
            segments[row, segment] = some

    @ti.kernel
    def occlude(
        sums: planar,  # [5, H, W]: S, from which is taken
        channels: planar,  # [5, H, W]: P
        radius_px: maps,  # [H, W]: radius in px
        disparity: maps,  # [H, W]: d, what the occlusion compares
        in_focus: maps,  # [H, W]: e
        nodes: numbers,  # [T]: n_k
        group: ti.i32,
        dense_sums: wide_pixels,  # [rows, W] × 16: S_k of a band of rows, GROUP nodes of 5
        lists: list_heads,  # [dy, intervals, parts]: begin, first offset, length, kind (row_lists.py)
        entries: polynomials,  # [total]: powers of t of the weights
        samples_per_px: real,  # nodes of the lists in a px of the radius
        saved: planar,  # [10, H, W]: Σ_k u_k·S_k and Σ_k u_k′·S_k
        saves: ti.i32,
        occlusion: vec2,  # (gap, steepness) of τ
        top: ti.i32,
    ):
        """Takes the S_k of one group from the sums of a band of rows; with the first group, gives back the pixel itself.

        If it `saves`, writes Σ_k u_k·S_k and Σ_k u_k′·S_k of the pixels in focus to `saved` [10, H, W], group by group.
        """
        for row, x in dense_sums:
            y = top + row
            e, d = in_focus[y, x], disparity[y, x]
            if e > negligible:
                taken, by_disparity = vec5(0.0), vec5(0.0)
                for k in ti.static(range(GROUP)):
                    u = basis(nodes, GROUP * group + k, d)
                    for c in ti.static(range(CHANNELS)):
                        taken[c] += u[0] * dense_sums[row, x][CHANNELS * k + c]
                        by_disparity[c] += u[1] * dense_sums[row, x][CHANNELS * k + c]
                own = real(0.0)
                if group == 0:
                    own = own_weight(radius_px[y, x], lists, entries, samples_per_px)[0] * at_itself(nodes, d, occlusion)[0]
                for c in ti.static(range(CHANNELS)):
                    sums[c, y, x] = sums[c, y, x] + e * (own * channels[c, y, x] - taken[c])
                    if saves != 0:
                        if group > 0:
                            taken[c] += saved[c, y, x]
                            by_disparity[c] += saved[CHANNELS + c, y, x]
                        saved[c, y, x], saved[CHANNELS + c, y, x] = taken[c], by_disparity[c]

    @ti.kernel
    def node_sums_adjoint(
        d_sums: planar,  # [5, H, W]: g
        in_focus: maps,  # [H, W]: e
        disparity: maps,  # [H, W]: d, what the occlusion compares
        nodes: numbers,  # [T]: n_k
        group: ti.i32,
        d_dense_sums: wide_pixels,  # [rows, W + 2·edge] × 16: −e·u_k·g, written
        d_edge_sums: wide_pixels,  # as d_dense_sums: its sums from the right, written
        before: counts,  # [rows, W + 1]: how many columns before this are in focus, written
        top: ti.i32,
        edge: ti.i32,
        row_parts: ti.i32,
    ):
        """−e·u_k·g and its sums from the right, `edge` columns beside the image included, and how many are not 0.

        On a GPU as layout.py says.
        """
        for row, row_part in ti.ndrange(before.shape[0], row_parts):
            width = before.shape[1] - 1
            columns = part(row_part, row_parts, d_dense_sums.shape[1])
            for column in range(columns[0], columns[1]):
                g = wide(0.0)
                x = column - edge
                if column == 0:
                    before[row, 0] = 0
                if 0 <= x < width:
                    e = in_focus[top + row, x]
                    some = ti.cast(e > negligible, ti.i32)
                    before[row, x + 1] = some
                    if ti.static(not on_gpu):
                        before[row, x + 1] = before[row, x] + some
                    if e > negligible:
                        for k in ti.static(range(GROUP)):
                            u = basis(nodes, GROUP * group + k, disparity[top + row, x])[0]
                            for c in ti.static(range(CHANNELS)):
                                g[CHANNELS * k + c] = -e * u * d_sums[c, top + row, x]
                d_dense_sums[row, column] = g
            if ti.static(not on_gpu):
                total = wide(0.0)
                if before[row, width] > 0:
                    for back in range(columns[1]):
                        column = columns[1] - 1 - back
                        total += d_dense_sums[row, column]
                        d_edge_sums[row, column] = total

    @ti.kernel
    def occlude_adjoint(
        d_sums: planar,  # [5, H, W]: g
        channels: planar,  # [5, H, W]: P
        radius_px: maps,  # [H, W]: radius in px
        disparity: maps,  # [H, W]: d, what the occlusion compares
        in_focus: maps,  # [H, W]: e
        nodes: numbers,  # [T]: n_k
        saved: planar,  # [10, H, W]: Σ_k u_k·S_k and Σ_k u_k′·S_k
        has_saved: ti.i32,
        lists: list_heads,  # [dy, intervals, parts]: begin, first offset, length, kind (row_lists.py)
        entries: polynomials,  # [total]: powers of t of the weights
        samples_per_px: real,  # nodes of the lists in a px of the radius
        occlusion: vec2,  # (gap, steepness) of τ
        d_channels: planar,  # [5, H, W], added to
        d_radius_px: maps,  # [H, W], added to
        d_disparity: maps,  # [H, W], added to
        d_in_focus: maps,  # [H, W], added to
    ):
        """Adds what the pixels in focus get: inverts `occlude` of all groups, with what it saved, or but for that."""
        for y, x in in_focus:
            e, d = in_focus[y, x], disparity[y, x]
            if e > negligible:
                weight, itself = own_weight(radius_px[y, x], lists, entries, samples_per_px), at_itself(nodes, d, occlusion)
                taken, by_disparity, along = real(0.0), real(0.0), real(0.0)
                for c in ti.static(range(CHANNELS)):
                    g = d_sums[c, y, x]
                    if has_saved != 0:
                        taken += g * saved[c, y, x]
                        by_disparity += g * saved[CHANNELS + c, y, x]
                    along += g * channels[c, y, x]
                    d_channels[c, y, x] = d_channels[c, y, x] + e * weight[0] * itself[0] * g
                d_radius_px[y, x] = d_radius_px[y, x] + e * weight[1] * itself[0] * along
                d_in_focus[y, x] = d_in_focus[y, x] + weight[0] * itself[0] * along - taken
                d_disparity[y, x] = d_disparity[y, x] + e * (weight[0] * itself[1] * along - by_disparity)

    return SeparableOcclusion(wanted, occlude, node_sums_adjoint, occlude_adjoint)
