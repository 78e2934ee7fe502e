"""The scatter sums of one layer by rows (kernels/scatter/rows/row_sums.py), a band of rows at a time, and their adjoint."""

from typing import NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.scatter.rows.gpu_tiles import row_tiles
from taichi_bokeh.kernels.scatter.rows.layout import CHANNELS, GROUP, LANES, OCCLUDED_LANES, band_layout
from taichi_bokeh.kernels.scatter.rows.list_heads import TAPS
from taichi_bokeh.kernels.scatter.rows.occluded_sources import occluded_sources
from taichi_bokeh.kernels.scatter.rows.row_fours import FOUR
from taichi_bokeh.kernels.scatter.rows.row_sums import BLOCK, SEGMENT, rows, stride_of
from taichi_bokeh.kernels.scatter.rows.row_sums_in_fours import wide_rows
from taichi_bokeh.kernels.scatter.rows.separable_occlusion import separable_occlusion
from taichi_bokeh.ops._common import dtype_name, on_gpu, parts_of_row
from taichi_bokeh.ops.scatter.bands import Band, Buffers, RowPlan, Table, backward_bands, forward_bands, pack, pack_adjoint
from taichi_bokeh.ops.scatter.plan import ScatterSources

SAVED = 2 * CHANNELS  # numbers a pixel that are saved for the adjoint
_LEAST_TALL, _MOST_TALL = 16, 512  # rows of a band that are one task, where it is several; the result does not depend on it


def _is_wide(table: Table, lanes: int, like: Tensor) -> bool:
    """Whether neighbours are added four at once: the others' code would take long to compile, and a GPU's thread has one."""
    return not (table.shaped or lanes == OCCLUDED_LANES or on_gpu(like))


def _splat(band: Band, plan: RowPlan, wanted: Tensor, buffers: Buffers, result: Tensor | None = None) -> Tensor:
    """Write the sums of a band to the rows of `result`; without one, return those of P·τ_k, [rows, W, C], where wanted."""
    height, width = (size - 2 * plan.pad for size in band.node_coordinate.shape)
    lanes, table = band.values.shape[2], plan.table
    name, image_sums = dtype_name(band.values), band.values.new_empty(1, 1, 1) if result is None else result
    if on_gpu(band.values):
        dense_sums = buffers.get("dense_sums", height, width, lanes)
        arguments = (*band[:3], table.heads, table.entries, wanted, dense_sums, image_sums, height, width, band.top, plan.pad)
        _runtime.launch(row_tiles(table.shaped, lanes, name), *arguments)
        return dense_sums
    wide = _is_wide(table, lanes, band.values)
    edge = 2 * plan.pad + TAPS if wide else 0
    edge_sums, dense_sums = (buffers.get(which, height, width + 2 * edge, lanes) for which in ("edge_sums", "dense_sums"))
    arrays = (*band[:4], table.heads, table.entries)
    outputs = edge_sums, dense_sums, image_sums, buffers.get("scratch", height, FOUR, TAPS)
    if wide:
        task = min(_MOST_TALL, max(_LEAST_TALL, -(-height // (2 * _runtime.threads()))))
        sizes = task, band.top, plan.pad, edge, stride_of(-(-height // task))
        _runtime.launch(wide_rows(lanes, name).splat, *arrays, *outputs, *sizes)
    else:
        kernel = rows(table.shaped, lanes, name, on_gpu=False).splat
        _runtime.launch(kernel, *arrays, wanted, *outputs, band.top, plan.pad, stride_of(-(-height // BLOCK)))
    return dense_sums


def _segments(height: int, width: int, device: torch.device) -> Tensor:
    return torch.ones(height, -(-width // SEGMENT), dtype=torch.int32, device=device)


class InFocus(NamedTuple):
    """Where pixels are in focus, and what separates the occlusion there."""

    nodes: Tensor  # [T], disparities
    wanted: Tensor  # [H, segments], 1 where a segment holds any
    near: Tensor  # [H + 2·pad, segments], 1 where a source may reach one of those

    def near_of(self, band: Band) -> Tensor:
        """That of a band."""
        return self.near[band.top : band.top + band.node_coordinate.shape[0]]


def in_focus_of(sources: ScatterSources, plan: RowPlan) -> InFocus | None:
    """Find them in a layer, for its rows and those of its padded sources; None where nothing is."""
    if plan.nodes is None:
        return None
    height, width = sources.radius_px.shape
    wanted = _segments(height, width, sources.radius_px.device)
    kernels = separable_occlusion(plan.table.shaped, dtype_name(sources.radius_px), on_gpu(sources.radius_px))
    _runtime.launch(kernels.wanted, sources.in_focus, wanted)
    around = -(-(plan.pad + TAPS) // SEGMENT)  # lists are padded to whole blocks
    down = torch.nn.functional.pad(wanted.float().T[:, None], (2 * plan.pad,) * 2)
    down = torch.nn.functional.max_pool1d(down, 2 * plan.pad + 1, 1)
    near = torch.nn.functional.max_pool1d(down.permute(2, 1, 0), 2 * around + 1, 1, around)
    return InFocus(plan.nodes, wanted, near[:, 0].to(torch.int32).contiguous())


def sums(sources: ScatterSources, plan: RowPlan, result: Tensor, saved: Tensor | None) -> None:
    """Write the sums [5, H, W] of a layer, and to `saved`, for `sums_adjoint`, the occluded sums of its pixels in focus.

    saved [SAVED, H, W]: Σ_k u_k·S_k and its slope by the disparity of the pixel; other pixels are left alone.
    """
    height, width = sources.radius_px.shape
    buffers, in_focus = Buffers(sources.radius_px), in_focus_of(sources, plan)
    for first, last in forward_bands(sources, plan):
        band = pack(sources, first, last + 2 * plan.pad, plan, buffers)
        _splat(band, plan, _segments(last - first, width, result.device), buffers, result)
        _occlude(sources, plan, band, in_focus, buffers, result, saved)
        _runtime.report(last, height)


def _saved_again(sources: ScatterSources, plan: RowPlan, in_focus: InFocus) -> Tensor:
    """Compute what `sums` saves, where it was not asked to, or the sums were taken by another strategy."""
    buffers, saved = Buffers(sources.radius_px), sources.channels.new_empty(SAVED, *sources.radius_px.shape)
    unused = torch.zeros_like(sources.channels)
    for first, last in forward_bands(sources, plan):
        band = pack(sources, first, last + 2 * plan.pad, plan, buffers)
        _occlude(sources, plan, band, in_focus, buffers, unused, saved)
    return saved


def _occlude(
    sources: ScatterSources,
    plan: RowPlan,
    band: Band,
    in_focus: InFocus | None,
    buffers: Buffers,
    result: Tensor,
    saved: Tensor | None,
) -> None:
    """Take the occluded sums from those of a band's pixels in focus."""
    if in_focus is None:
        return
    first, last = band.top, band.top + band.node_coordinate.shape[0] - 2 * plan.pad
    wanted = in_focus.wanted[first:last]
    if not on_gpu(wanted) and not bool(wanted.any()):
        return
    kernel = separable_occlusion(plan.table.shaped, dtype_name(result), on_gpu(result)).occlude
    saving = (result, 0) if saved is None else (saved, 1)
    for group in range(len(in_focus.nodes) // GROUP):
        occluded = _splat(_occluded_band(sources, plan, band, in_focus, group, buffers), plan, wanted, buffers)
        arguments = (
            *sources,
            in_focus.nodes,
            group,
            occluded,
            *plan.table[:2],
            plan.table.samples_per_px,
            *saving,
            plan.occlusion,
            first,
        )
        _runtime.launch(kernel, result, *arguments)


def _occluded_band(sources: ScatterSources, plan: RowPlan, band: Band, in_focus: InFocus, group: int, buffers: Buffers) -> Band:
    """Weigh a band of sources, where they count: P·τ_k."""
    occluded = buffers.get("occluded", *band.node_coordinate.shape, OCCLUDED_LANES)
    kernel = occluded_sources(plan.opaque, dtype_name(occluded)).weigh
    arguments = (sources.disparity, in_focus.nodes, group, in_focus.near_of(band), occluded, plan.occlusion)
    _runtime.launch(kernel, band.values, *arguments, band.top, plan.pad)
    return band._replace(values=occluded)


def sums_adjoint(
    d_sums: Tensor,
    sources: ScatterSources,
    plan: RowPlan,
    saved: Tensor | None,
    gradients: ScatterSources,
    channels_only: bool = False,
) -> None:
    """Add the gradients of a layer, from those of its sums [5, H, W].

    saved: by `sums`, None if they were taken otherwise; channels_only: those of disparity and in_focus are unfinished.
    """
    buffers, all_channels = Buffers(d_sums), plan._replace(opaque=False)
    in_focus = in_focus_of(sources, plan)
    if in_focus is not None:
        if saved is None and not channels_only:
            saved = _saved_again(sources, plan, in_focus)
        known = (d_sums, 0) if saved is None else (saved, 1)
        kernel = separable_occlusion(plan.table.shaped, dtype_name(d_sums), on_gpu(d_sums)).occlude_adjoint
        arguments = (*sources, in_focus.nodes, *known, *plan.table[:2], plan.table.samples_per_px, plan.occlusion)
        _runtime.launch(kernel, d_sums, *arguments, *gradients)
    for top, bottom in backward_bands(sources, plan):
        band = pack(sources, top, bottom, all_channels, buffers)
        _band_adjoint(d_sums, sources, all_channels, gradients, band, in_focus, buffers)


def _band_adjoint(
    d_sums: Tensor,
    sources: ScatterSources,
    plan: RowPlan,
    gradients: ScatterSources,
    band: Band,
    in_focus: InFocus | None,
    buffers: Buffers,
) -> None:
    """Add the gradients of a band of padded sources, from those of the sums of the rows that it reaches."""
    name, pad, table = dtype_name(d_sums), plan.pad, plan.table
    height, width = sources.radius_px.shape
    first, last = max(0, band.top - 2 * pad), min(height, band.top + band.node_coordinate.shape[0])
    edge = 2 * pad + TAPS
    before = buffers.get("before", last - first, width + 1, dtype=torch.int32)
    row_parts = parts_of_row(d_sums, width + 2 * edge)

    def gradient_arrays(lanes: int) -> tuple[Tensor, Tensor]:
        shape = (last - first, width + 2 * edge, lanes)
        return buffers.get("d_dense_sums", *shape), buffers.get("d_edge_sums", *shape)

    def splat_adjoint(own: Band, d_dense_sums: Tensor, d_edge_sums: Tensor) -> tuple[Tensor, Tensor]:
        lanes = own.values.shape[2]
        d_values = buffers.get(f"d_values, {lanes}", *own.values.shape)
        d_node_coordinate = buffers.get(f"d_node_coordinate, {lanes}", *own.node_coordinate.shape)
        arguments = (*own[:4], table.heads, table.entries, d_dense_sums, d_edge_sums, before, d_values, d_node_coordinate)
        wide = _is_wide(table, lanes, d_sums)
        kernel = wide_rows(lanes, name).adjoint if wide else rows(table.shaped, lanes, name, on_gpu(d_sums)).adjoint
        parts = parts_of_row(d_sums, own.node_coordinate.shape[1])
        _runtime.launch(kernel, *arguments, own.top - first, pad, edge, stride_of(own.node_coordinate.shape[0]), parts)
        return d_values, d_node_coordinate

    arrays = gradient_arrays(LANES)
    _runtime.launch(band_layout(False, name, on_gpu(d_sums)).sum_rows_adjoint, d_sums, *arrays, before, first, edge, row_parts)
    _sum_up(*arrays, before)
    d_values, d_node_coordinate = splat_adjoint(band, *arrays)
    d_source_disparity = buffers.get("d_source_disparity", *band.node_coordinate.shape).zero_()
    if in_focus is not None:
        kernels = separable_occlusion(table.shaped, name, on_gpu(d_sums))
        arrays = gradient_arrays(OCCLUDED_LANES)
        for group in range(len(in_focus.nodes) // GROUP):
            node = (sources.disparity, in_focus.nodes, group)
            _runtime.launch(kernels.node_sums_adjoint, d_sums, sources.in_focus, *node, *arrays, before, first, edge, row_parts)
            _sum_up(*arrays, before)
            if not on_gpu(before) and not bool(before[:, -1].any()):
                break
            d_occluded, d_coordinate_occluded = splat_adjoint(
                _occluded_band(sources, plan, band, in_focus, group, buffers), *arrays
            )
            back = (*node, in_focus.near_of(band), d_occluded, d_values, d_source_disparity, plan.occlusion, band.top, pad)
            _runtime.launch(occluded_sources(False, name).adjoint, band.values, *back)
            d_node_coordinate += d_coordinate_occluded
    pack_adjoint(d_values, d_node_coordinate, d_source_disparity, gradients, band.top, plan)


def _sum_up(d_dense_sums: Tensor, d_edge_sums: Tensor, before: Tensor) -> None:
    """Sums along rows of what kernels wrote: G, from the right, and counts, from the left. On a processor they made these."""
    if on_gpu(d_dense_sums):
        torch.cumsum(d_dense_sums.flip(1), 1, out=d_edge_sums)
        d_edge_sums.copy_(d_edge_sums.flip(1))
        before.copy_(before.cumsum(1))
