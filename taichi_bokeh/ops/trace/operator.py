"""The operator of the ray tracer (kernels/trace/rays_through_layers.py)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.trace.flat_layers import trace_flat
from taichi_bokeh.kernels.trace.height_field import TILE, height_field
from taichi_bokeh.kernels.trace.rays_through_layers import trace as trace_kernels
from taichi_bokeh.ops._common import dtype_name, pad_planes, plain, read_back, refuse_double_backward
from taichi_bokeh.ops._registration import operator

Accumulate = Callable[[Tensor, Tensor, range], None]

_FLAT_PX = {"float32": 1e-4, "float64": 1e-11}  # a layer whose radii differ by less is flat
_RAYS_AT_ONCE = 32  # between two reports of progress


class TraceInputs(NamedTuple):
    """What the kernels read, in their layout."""

    textures: Tensor  # [B, L, H, W, 4], premultiplied rgb and alpha
    disparity: Tensor  # [B, L, H, W]
    tiles: Tensor  # [B, L, H tiles, W tiles, 2]
    ranges: Tensor  # [B, L, 2]
    lens: Tensor  # [B, parameters]


def prepare(textures: Tensor, disparity: Tensor, lens: Tensor) -> TraceInputs:
    """Interleave textures [B, L, 4, H, W] and bound the disparity [B, L, H, W] of every tile."""
    disparity = plain(disparity)
    batch, layers, height, width = disparity.shape
    tiles = disparity.new_empty(batch, layers, -(-height // TILE), -(-width // TILE), 2)
    ranges = disparity.new_empty(batch, layers, 2)
    _runtime.launch(height_field(dtype_name(disparity)).bounds, disparity, tiles, ranges)
    return TraceInputs(plain(textures.permute(0, 1, 3, 4, 2)), disparity, tiles, ranges, plain(lens))


def accumulator(inputs: TraceInputs, points: Tensor, kind: str, channels: int) -> Accumulate:
    """Make what adds a range of the rays to `sums` and `passed`, [B, H, W, 4] and [B, H, W, 3], in place."""
    points = plain(points)
    if kind == "thin" and _are_flat(inputs):
        return _flat_accumulator(inputs, points)
    kernel = trace_kernels(kind, channels, inputs.disparity.shape[1], dtype_name(inputs.disparity)).forward

    def accumulate(sums: Tensor, passed: Tensor, rays: range) -> None:
        _runtime.launch(kernel, *inputs, points[rays.start : rays.stop], sums, passed)

    return accumulate


def _are_flat(inputs: TraceInputs) -> bool:
    """Tell whether there is no cat-eye, and all radii of a layer are the same to rounding and small enough to pad by."""
    blur, focus, cat_eye = inputs.lens.split(1, 1)
    spans_px = blur * (inputs.ranges[..., 1] - inputs.ranges[..., 0])
    radius_px = (blur * (inputs.ranges[..., 0] - focus)).abs()
    span_px, largest_px, cut = read_back(torch.stack([spans_px.max(), radius_px.max(), cat_eye.max()]))
    is_small = largest_px <= 64 + max(inputs.disparity.shape[2:])
    return is_small and span_px <= _FLAT_PX[dtype_name(inputs.disparity)] and cut == 0


def _flat_accumulator(inputs: TraceInputs, points: Tensor) -> Accumulate:
    """Make it for flat layers: shifts and bilinear weights are the same for every pixel (kernels/trace/flat_layers.py)."""
    blur, focus = inputs.lens[:, 0, None, None, None], inputs.lens[:, 1, None, None, None]
    radius = blur * (inputs.ranges[:, None].mean(-1, keepdim=True) - focus)
    shift = points[None, :, None, :2] * radius  # [B, rays, L, 2] of x, y
    pad = int(shift.abs().max().ceil()) + 4  # one for the bilinear cell, three for the last block of four
    whole = shift.floor()
    x, y = (shift - whole).unbind(-1)
    bilinear = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], -1).contiguous()
    width = inputs.disparity.shape[3] + 2 * pad
    columns, rows = (whole.to(torch.int32) + pad).unbind(-1)
    offset = (rows * width + columns).contiguous()
    textures = pad_planes(inputs.textures.movedim(-1, 2), pad, "replicate").movedim(2, -1).flatten(2, 3).contiguous()
    kernel = trace_flat(dtype_name(inputs.disparity))
    weights = points[:, 2].contiguous()

    def accumulate(sums: Tensor, passed: Tensor, rays: range) -> None:
        _runtime.launch(kernel, textures, offset, bilinear, weights, sums, width, rays.start, rays.stop)
        passed.copy_(_add_passed(passed, weights[rays.start : rays.stop]))

    return accumulate


def _add_passed(passed: Tensor, weights: Tensor) -> Tensor:
    """Add weights to the passed weight, the same for all pixels, one by one: the same bits whatever the batch.

    Added for one pixel, as a sum over the image for every ray would have torch's threads wait for each other as often, and
    long where other programs use the cores.
    """
    total = passed.flatten()[0].clone()
    for weight in weights.tolist():
        total += weight
    return total.expand_as(passed)


@operator
def trace(textures: Tensor, disparity: Tensor, lens: Tensor, points: Tensor, kind: str, channels: int) -> tuple[Tensor, Tensor]:
    """Sum radiance by weight, and the weights that passed the lens, both [B, 3, H, W].

    textures [B, L, 4, H, W]: premultiplied rgb and alpha; disparity [B, L, H, W]; points [rays, 3]: lens point and weight;
    kind "thin" with lens [B, 3] (blur, focus, cat-eye), or "biconvex" with the parameters of kernels/trace/biconvex_ray.py.
    """
    inputs = prepare(textures, disparity, lens)
    batch, _, height, width = inputs.disparity.shape
    sums, passed = (inputs.disparity.new_zeros(batch, height, width, planes) for planes in (4, 3))
    accumulate = accumulator(inputs, points, kind, channels)
    count = points.shape[0]
    at_once = count if _runtime.progress.get() is None else _RAYS_AT_ONCE
    for first in range(0, count, at_once):
        last = min(count, first + at_once)
        accumulate(sums, passed, range(first, last))
        _runtime.report(last, count)
    return sums[..., :3].permute(0, 3, 1, 2).contiguous(), passed.permute(0, 3, 1, 2).contiguous()


@operator
def _trace_backward(
    grad: Tensor, textures: Tensor, disparity: Tensor, lens: Tensor, points: Tensor, kind: str, channels: int
) -> tuple[Tensor, Tensor, Tensor]:
    inputs = prepare(textures, disparity, lens)
    batch, layers, height, width = inputs.disparity.shape
    d_layers = inputs.disparity.new_zeros(batch, layers, height, width, 5)
    d_pixel_lens = inputs.disparity.new_zeros(batch, 2, height, width)
    kernel = trace_kernels(kind, channels, layers, dtype_name(disparity)).adjoint
    _runtime.launch(kernel, *inputs, plain(points), plain(grad.permute(0, 2, 3, 1)), d_layers, d_pixel_lens)
    d_lens = torch.zeros_like(inputs.lens)
    if kind == "thin":
        d_lens[:, :2] = d_pixel_lens.sum((2, 3))
    return d_layers[..., :4].permute(0, 1, 4, 2, 3).contiguous(), d_layers[..., 4].contiguous(), d_lens


def _fake(textures: Tensor, disparity: Tensor, lens: Tensor, points: Tensor, kind: str, channels: int) -> Any:
    batch, _, height, width = disparity.shape
    return disparity.new_empty(batch, 3, height, width), disparity.new_empty(batch, 3, height, width)


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:4])
    ctx.settings = inputs[4:]
    ctx.mark_non_differentiable(output[1])


torch.library.register_fake(trace, _fake)
torch.library.register_fake(
    _trace_backward,
    lambda grad, textures, disparity, lens, *rest: tuple(
        torch.empty_like(t, memory_format=torch.contiguous_format) for t in (textures, disparity, lens)
    ),
)
torch.library.register_autograd(
    trace,
    lambda ctx, grad, _: (*_trace_backward(grad, *ctx.saved_tensors, *ctx.settings), None, None, None),
    setup_context=_save,
)
refuse_double_backward(_trace_backward, "trace")
