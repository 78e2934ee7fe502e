"""The scatter sums of one picture for any aperture, and their adjoint, in bands (kernels/scatter/any_aperture.py)."""

from typing import Any

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.scatter.any_aperture import direct
from taichi_bokeh.ops._common import dtype_name, on_gpu, parts_of_row
from taichi_bokeh.ops.scatter.rows import Buffers, Lists, Picture, Sources, backward_bands, fold, forward_bands, pack


def _arguments(picture: Picture, lists: Lists, sources: Sources, lens: Tensor, nearer: Tensor) -> tuple[Any, ...]:
    """What all kernels begin with."""
    heads, entries = lists.table[:2]
    return (sources.values, nearer, sources.place, sources.widest, heads, entries, *picture[2:], lens)


def _nearer(picture: Picture, sources: Sources, pad: int) -> Tensor:
    """Disparity of padded sources."""
    rows, columns = sources.place.shape
    device = picture.disparity.device
    y = (torch.arange(rows, device=device) + sources.top - pad).clamp_(0, picture.disparity.shape[0] - 1)
    x = (torch.arange(columns, device=device) - pad).clamp_(0, picture.disparity.shape[1] - 1)
    return picture.disparity[y][:, x].contiguous()


def lens_of(picture: Picture, cat_eye: float) -> Tensor:
    """Middle of the picture in px, x and y, and 2·cat_eye over half its diagonal in px."""
    height, width = picture.spread.shape
    return picture.spread.new_tensor([width / 2, height / 2, 2 * cat_eye / ((width**2 + height**2) ** 0.5 / 2)])


def sums(picture: Picture, lists: Lists, cat_eye: float, result: Tensor) -> None:
    """Write the sums [5, H, W] of a picture; lists of weights only."""
    kernels, lens = direct(cat_eye > 0, dtype_name(result), on_gpu(result)), lens_of(picture, cat_eye)
    lists = lists._replace(opaque=False)  # its kernels want all planes
    buffers = Buffers(picture.spread)
    for first, last in forward_bands(picture, lists):
        sources = pack(picture, first, last + 2 * lists.pad, lists, buffers)
        whole = buffers.get("whole", last - first, picture.spread.shape[1], sources.values.shape[2])
        arguments = _arguments(picture, lists, sources, lens, _nearer(picture, sources, lists.pad))
        ways = parts_of_row(result, result.shape[2])
        _runtime.launch(kernels.gather, *arguments, whole, result, first, lists.pad, lists.table.steps, lists.occlusion, ways)
        _runtime.report(last, picture.spread.shape[0])


def pull(d_sums: Tensor, picture: Picture, lists: Lists, cat_eye: float, gradients: Picture) -> None:
    """Add the gradients of a picture, from those of its sums [5, H, W]."""
    name = dtype_name(d_sums)
    kernels, lens, buffers = direct(cat_eye > 0, name, on_gpu(d_sums)), lens_of(picture, cat_eye), Buffers(d_sums)
    pad, steps, lists = lists.pad, lists.table.steps, lists._replace(opaque=False)
    for first, last in forward_bands(picture, lists):
        sources = pack(picture, first, last + 2 * pad, lists, buffers)
        arguments = _arguments(picture, lists, sources, lens, _nearer(picture, sources, pad))
        ways = parts_of_row(d_sums, d_sums.shape[2])
        _runtime.launch(kernels.focus_adjoint, *arguments, d_sums, *gradients[2:], first, pad, steps, lists.occlusion, ways)
    for top, bottom in backward_bands(picture, lists):
        sources = pack(picture, top, bottom, lists, buffers)
        arguments = _arguments(picture, lists, sources, lens, _nearer(picture, sources, pad))
        d_values = torch.empty_like(sources.values)
        d_place, d_nearer = torch.empty_like(sources.place), torch.empty_like(sources.place)
        ways = parts_of_row(d_sums, sources.place.shape[1])
        _runtime.launch(kernels.pull, *arguments, d_sums, d_values, d_place, d_nearer, top, pad, steps, lists.occlusion, ways)
        fold(d_values, d_place, d_nearer, gradients, top, lists)
