"""The scatter sums of one layer for any aperture, and their adjoint, in bands (kernels/scatter/any_aperture.py)."""

from typing import Any

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.scatter.any_aperture import any_aperture
from taichi_bokeh.ops._common import dtype_name, on_gpu, parts_of_row
from taichi_bokeh.ops.scatter.bands import Band, Buffers, RowPlan, backward_bands, forward_bands, pack, pack_adjoint
from taichi_bokeh.ops.scatter.plan import ScatterSources


def _arguments(sources: ScatterSources, plan: RowPlan, band: Band, lens: Tensor, source_disparity: Tensor) -> tuple[Any, ...]:
    """What all kernels begin with."""
    heads, entries = plan.table[:2]
    return (band.values, source_disparity, band.node_coordinate, band.widest, heads, entries, *sources[2:], lens)


def _source_disparity(sources: ScatterSources, band: Band, pad: int) -> Tensor:
    """Disparity of padded sources."""
    rows, columns = band.node_coordinate.shape
    device = sources.disparity.device
    y = (torch.arange(rows, device=device) + band.top - pad).clamp_(0, sources.disparity.shape[0] - 1)
    x = (torch.arange(columns, device=device) - pad).clamp_(0, sources.disparity.shape[1] - 1)
    return sources.disparity[y][:, x].contiguous()


def lens_of(sources: ScatterSources, cat_eye: float) -> Tensor:
    """Middle of the image in px, x and y, and 2·cat_eye over half its diagonal in px."""
    height, width = sources.radius_px.shape
    return sources.radius_px.new_tensor([width / 2, height / 2, 2 * cat_eye / ((width**2 + height**2) ** 0.5 / 2)])


def sums(sources: ScatterSources, plan: RowPlan, cat_eye: float, result: Tensor) -> None:
    """Write the sums [5, H, W] of a layer; lists of weights only."""
    kernels, lens = any_aperture(cat_eye > 0, dtype_name(result), on_gpu(result)), lens_of(sources, cat_eye)
    plan = plan._replace(opaque=False)  # its kernels want all channels
    buffers = Buffers(sources.radius_px)
    for first, last in forward_bands(sources, plan):
        band = pack(sources, first, last + 2 * plan.pad, plan, buffers)
        dense_sums = buffers.get("dense_sums", last - first, sources.radius_px.shape[1], band.values.shape[2])
        arguments = _arguments(sources, plan, band, lens, _source_disparity(sources, band, plan.pad))
        sizes = first, plan.pad, plan.table.samples_per_px, plan.occlusion, parts_of_row(result, result.shape[2])
        _runtime.launch(kernels.gather, *arguments, dense_sums, result, *sizes)
        _runtime.report(last, sources.radius_px.shape[0])


def sums_adjoint(d_sums: Tensor, sources: ScatterSources, plan: RowPlan, cat_eye: float, gradients: ScatterSources) -> None:
    """Add the gradients of a layer, from those of its sums [5, H, W]."""
    name = dtype_name(d_sums)
    kernels, lens, buffers = any_aperture(cat_eye > 0, name, on_gpu(d_sums)), lens_of(sources, cat_eye), Buffers(d_sums)
    pad, samples_per_px, plan = plan.pad, plan.table.samples_per_px, plan._replace(opaque=False)
    for first, last in forward_bands(sources, plan):
        band = pack(sources, first, last + 2 * pad, plan, buffers)
        arguments = _arguments(sources, plan, band, lens, _source_disparity(sources, band, pad))
        sizes = first, pad, samples_per_px, plan.occlusion, parts_of_row(d_sums, d_sums.shape[2])
        _runtime.launch(kernels.focus_adjoint, *arguments, d_sums, *gradients[2:], *sizes)
    for top, bottom in backward_bands(sources, plan):
        band = pack(sources, top, bottom, plan, buffers)
        arguments = _arguments(sources, plan, band, lens, _source_disparity(sources, band, pad))
        written = torch.empty_like(band.values), torch.empty_like(band.node_coordinate), torch.empty_like(band.node_coordinate)
        sizes = top, pad, samples_per_px, plan.occlusion, parts_of_row(d_sums, band.node_coordinate.shape[1])
        _runtime.launch(kernels.sources_adjoint, *arguments, d_sums, *written, *sizes)
        pack_adjoint(*written, gradients, top, plan)
