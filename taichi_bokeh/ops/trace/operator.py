"""The operator of the ray tracer (kernels/trace/rays_through_layers.py)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.trace.flat_layers import trace_flat
from taichi_bokeh.kernels.trace.height_field import TILE, height_field
from taichi_bokeh.kernels.trace.rays_through_layers import trace as trace_kernels
from taichi_bokeh.ops._common import GradientOnly, dtype_name, pad_planes, plain, refuse_double_backward
from taichi_bokeh.ops._registration import operator

Accumulate = Callable[[Tensor, Tensor, range], None]

_FLAT_PX = {"float32": 1e-4, "float64": 1e-11}  # a layer whose radii differ by less is flat
_RAYS_AT_ONCE = 32  # between two reports of progress


class Scene(NamedTuple):
    """What the kernels read, in their layout."""

    textures: Tensor  # [B, L, H, W, 4], premultiplied rgb and alpha
    disparity: Tensor  # [B, L, H, W]
    tiles: Tensor  # [B, L, H tiles, W tiles, 2]
    ranges: Tensor  # [B, L, 2]
    lens: Tensor  # [B, parameters]


def prepare(textures: Tensor, disparity: Tensor, lens: Tensor) -> Scene:
    """Interleave the textures and bound the disparity of every tile."""
    disparity = plain(disparity)
    batch, layers, height, width = disparity.shape
    tiles = disparity.new_empty(batch, layers, -(-height // TILE), -(-width // TILE), 2)
    ranges = disparity.new_empty(batch, layers, 2)
    _runtime.launch(height_field(dtype_name(disparity)).bounds, disparity, tiles, ranges)
    return Scene(plain(textures.permute(0, 1, 3, 4, 2)), disparity, tiles, ranges, plain(lens))


def accumulator(scene: Scene, points: Tensor, kind: str, channels: int) -> Accumulate:
    """What adds a range of the rays to `sums` and `passed`, [B, H, W, 4] and [B, H, W, 3], in place."""
    points = plain(points)
    if kind == "thin" and not scene.lens[:, 2].any() and _are_flat(scene):
        return _flat_accumulator(scene, points)
    trace_sums = trace_kernels(kind, channels, scene.disparity.shape[1], dtype_name(scene.disparity))

    def accumulate(sums: Tensor, passed: Tensor, rays: range) -> None:
        trace_sums(*scene, scene.lens, points, sums, passed, rays.start, rays.stop)  # no gradient is pulled

    return accumulate


def _are_flat(scene: Scene) -> bool:
    """Whether all radii of a layer are the same to rounding, and small enough to pad the textures by them."""
    blur, focus = scene.lens[:, :1], scene.lens[:, 1:2]
    spans_px = blur * (scene.ranges[..., 1] - scene.ranges[..., 0])
    radius_px = float((blur * (scene.ranges[..., 0] - focus)).abs().max())
    is_small = radius_px <= 64 + max(scene.disparity.shape[2:])
    return is_small and bool(spans_px.max() <= _FLAT_PX[dtype_name(scene.disparity)])


def _flat_accumulator(scene: Scene, points: Tensor) -> Accumulate:
    """For layers that are flat: shifts and bilinear weights are the same for every pixel (kernels/trace/flat_layers.py)."""
    blur, focus = scene.lens[:, 0, None, None, None], scene.lens[:, 1, None, None, None]
    radius = blur * (scene.ranges[:, None].mean(-1, keepdim=True) - focus)
    shift = points[None, :, None, :2] * radius  # [B, rays, L, 2] of x, y
    pad = int(shift.abs().max().ceil()) + 4  # one for the bilinear cell, three for the last block of four
    whole = shift.floor()
    x, y = (shift - whole).unbind(-1)
    cell = torch.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y], -1).contiguous()
    width = scene.disparity.shape[3] + 2 * pad
    columns, rows = (whole.to(torch.int32) + pad).unbind(-1)
    offset = (rows * width + columns).contiguous()
    textures = pad_planes(scene.textures.movedim(-1, 2), pad, "replicate").movedim(2, -1).flatten(2, 3).contiguous()
    kernel = trace_flat(dtype_name(scene.disparity))
    weights = points[:, 2].contiguous()

    def accumulate(sums: Tensor, passed: Tensor, rays: range) -> None:
        _runtime.launch(kernel, textures, offset, cell, weights, sums, width, rays.start, rays.stop)
        passed.copy_(_with_all(passed, weights[rays.start : rays.stop]))

    return accumulate


def _with_all(passed: Tensor, weights: Tensor) -> Tensor:
    """The passed weight, the same for all pixels, and more of it, added one by one: the same bits whatever the batch.

    Added for one pixel, as a sum over the picture for every ray would have torch's threads wait for each other as often, and
    long where other programs use the cores.
    """
    total = passed.flatten()[0].clone()
    for weight in weights.tolist():
        total += weight
    return total.expand_as(passed)


@operator
def trace(textures: Tensor, disparity: Tensor, lens: Tensor, points: Tensor, kind: str, channels: int) -> tuple[Tensor, Tensor]:
    """Weighted sums of radiance and of the weights that passed the lens, both [B, 3, H, W].

    textures [B, L, 4, H, W]: premultiplied rgb and alpha; disparity [B, L, H, W]; points [rays, 3]: lens point and weight;
    kind "thin" with lens [B, 3] (blur, focus, cat-eye), or "biconvex" with the parameters of kernels/trace/biconvex_ray.py.
    """
    scene = prepare(textures, disparity, lens)
    batch, _, height, width = scene.disparity.shape
    sums, passed = (scene.disparity.new_zeros(batch, height, width, planes) for planes in (4, 3))
    accumulate = accumulator(scene, points, kind, channels)
    count = points.shape[0]
    step = count if _runtime.progress.get() is None else _RAYS_AT_ONCE
    for first in range(0, count, step):
        last = min(count, first + step)
        accumulate(sums, passed, range(first, last))
        _runtime.report(last, count)
    return sums[..., :3].permute(0, 3, 1, 2).contiguous(), passed.permute(0, 3, 1, 2).contiguous()


@operator
def _trace_backward(
    grad: Tensor, textures: Tensor, disparity: Tensor, lens: Tensor, points: Tensor, kind: str, channels: int
) -> tuple[Tensor, Tensor, Tensor]:
    scene = prepare(textures, disparity, lens)
    batch, layers, height, width = scene.disparity.shape
    scene.textures.grad, scene.disparity.grad = torch.zeros_like(scene.textures), torch.zeros_like(scene.disparity)
    lens_pull = scene.disparity.new_zeros(batch, 2, height, width)
    sums = GradientOnly(plain(grad.permute(0, 2, 3, 1)))
    points = plain(points)
    trace_sums = trace_kernels(kind, channels, layers, dtype_name(disparity))
    trace_sums.grad(*scene, lens_pull, points, sums, sums, 0, points.shape[0])
    d_lens = torch.zeros_like(scene.lens)
    if kind == "thin":
        d_lens[:, :2] = lens_pull.sum((2, 3))
    return scene.textures.grad.permute(0, 1, 4, 2, 3).contiguous(), scene.disparity.grad, d_lens


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
