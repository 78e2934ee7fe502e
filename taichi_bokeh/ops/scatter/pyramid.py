"""The operators of a draft's levels (kernels/scatter/pyramid.py)."""

from typing import Any

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.scatter.pyramid import pyramid as kernels
from taichi_bokeh.ops._common import dtype_name, on_gpu, parts_of_row, plain, refuse_double_backward
from taichi_bokeh.ops._registration import operator


def _nodes(nodes: list[float], like: Tensor) -> Tensor:
    return like.new_tensor(nodes or [0.0])  # Taichi takes no empty array


def _reduced_outputs(channels: Tensor, nodes: list[float], level: int) -> tuple[Tensor, Tensor, Tensor]:
    height, width = (-(-size // 2**level) + 2 for size in channels.shape[-2:])
    reduced = channels.new_empty(1 + len(nodes), 5, height, width)
    return reduced, channels.new_empty(height, width), channels.new_empty(height, width)


@operator
def reduce(
    channels: Tensor, radius: Tensor, disparity: Tensor, nodes: list[float], occlusion: list[float], level: int, side: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Sources of a level: channels [1 + T, 5, h, w], plain and times τ_k of T nodes, their radius, and A, [h, w].

    channels [1, 5, H, W]; radius, disparity [1, H, W], which get no gradient; occlusion: gap and
    steepness of τ; side 1 for radii of 0 and more, −1 for the others.
    h and w are H and W over 2^level, and 2: a ring of copies of the border.
    """
    outputs = _reduced_outputs(channels, nodes, level)
    inputs = (plain(value)[0] for value in (channels, radius, disparity))
    kernel = kernels(len(nodes), dtype_name(channels), on_gpu(channels)).reduce
    _runtime.launch(kernel, *inputs, _nodes(nodes, channels), *outputs, occlusion, level, side)
    return outputs


@operator
def _reduce_backward(
    grad: Tensor,
    area: Tensor,
    radius: Tensor,
    disparity: Tensor,
    nodes: list[float],
    occlusion: list[float],
    level: int,
    side: int,
) -> Tensor:
    d_channels = grad.new_empty(1, 5, *radius.shape[1:])
    inputs = (plain(grad), area, plain(radius)[0], plain(disparity)[0])
    kernel = kernels(len(nodes), dtype_name(grad), on_gpu(grad)).reduce_adjoint
    _runtime.launch(kernel, *inputs, _nodes(nodes, grad), d_channels[0], occlusion, level, side)
    return d_channels


def _save_reduce(ctx: Any, inputs: Any, output: Any) -> None:
    _, radius, disparity, *ctx.settings = inputs
    ctx.save_for_backward(output[2], radius, disparity)
    ctx.mark_non_differentiable(*output[1:])


torch.library.register_fake(
    reduce, lambda channels, radius, disparity, nodes, occlusion, level, side: _reduced_outputs(channels, nodes, level)
)
torch.library.register_fake(_reduce_backward, lambda grad, area, radius, *rest: grad.new_empty(1, 5, *radius.shape[1:]))
torch.library.register_autograd(
    reduce,
    lambda ctx, grad, *_: (_reduce_backward(grad, *ctx.saved_tensors, *ctx.settings), *[None] * 6),
    setup_context=_save_reduce,
)
refuse_double_backward(_reduce_backward, "reduce")


@operator
def expand(fine: Tensor, scattered: Tensor, disparity: Tensor, in_focus: Tensor, nodes: list[float]) -> Tensor:
    """Sums [1, 5, H, W]: `fine`, of that size, and what level 1 scatters, [1 + T, 5, h, w] as of `reduce`.

    disparity, in_focus [1, H, W], which get no gradient.
    """
    sums = torch.empty_like(fine, memory_format=torch.contiguous_format)
    kernel = kernels(len(nodes), dtype_name(fine), on_gpu(fine)).expand
    inputs = plain(fine)[0], plain(scattered), plain(disparity)[0], plain(in_focus)[0]
    _runtime.launch(kernel, *inputs, _nodes(nodes, fine), sums[0], parts_of_row(fine, fine.shape[3]))
    return sums


@operator
def _expand_backward(grad: Tensor, disparity: Tensor, in_focus: Tensor, nodes: list[float]) -> Tensor:
    d_scattered = _reduced_outputs(grad, nodes, 1)[0]
    inputs = (plain(value)[0] for value in (grad, disparity, in_focus))
    kernel = kernels(len(nodes), dtype_name(grad), on_gpu(grad)).expand_adjoint
    _runtime.launch(kernel, *inputs, _nodes(nodes, grad), d_scattered)
    return d_scattered


def _save_expand(ctx: Any, inputs: Any, output: Any) -> None:
    *_, disparity, in_focus, ctx.nodes = inputs
    ctx.save_for_backward(disparity, in_focus)


def _differentiate_expand(ctx: Any, grad: Tensor) -> Any:
    return grad, _expand_backward(grad, *ctx.saved_tensors, ctx.nodes), None, None, None


torch.library.register_fake(expand, lambda fine, *rest: torch.empty_like(fine, memory_format=torch.contiguous_format))
torch.library.register_fake(_expand_backward, lambda grad, disparity, in_focus, nodes: _reduced_outputs(grad, nodes, 1)[0])
torch.library.register_autograd(expand, _differentiate_expand, setup_context=_save_expand)
refuse_double_backward(_expand_backward, "expand")
