"""The operator of the released code's coverage (kernels/scatter/square_mean.py)."""

from typing import Any

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.scatter.square_mean import square_mean as kernels
from taichi_bokeh.ops._common import dtype_name, pad_planes, pad_planes_adjoint, plain, refuse_double_backward
from taichi_bokeh.ops._registration import operator


def _half_sizes(radius: Tensor, limit: int) -> Tensor:
    return ((plain(radius).abs() + 1) / 2).clamp(max=limit).to(torch.int32)


@operator
def square_mean(alpha: Tensor, radius: Tensor, limit: int) -> Tensor:
    """Mean of `alpha` [N, H, W] over squares of half-size min(⌊(|radius| + 1)/2⌋, limit) px, reflected at the border."""
    half = _half_sizes(radius, limit)
    pad = int(half.max())
    mean = torch.empty_like(alpha, memory_format=torch.contiguous_format)
    _runtime.launch(kernels(dtype_name(alpha)).forward, pad_planes(plain(alpha), pad, "reflect"), half, mean, pad)
    return mean


@operator
def _square_mean_backward(grad: Tensor, radius: Tensor, limit: int) -> Tensor:
    half = _half_sizes(radius, limit)
    pad = int(half.max())
    scaled = plain(grad) / (2 * half + 1).square()
    d_padded = grad.new_empty(grad.shape[0], grad.shape[1] + 2 * pad, grad.shape[2] + 2 * pad)
    _runtime.launch(kernels(dtype_name(grad)).adjoint, scaled, half, d_padded, pad, pad)
    return pad_planes_adjoint(d_padded, pad, "reflect")


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(inputs[1])
    ctx.limit = inputs[2]


torch.library.register_fake(
    square_mean, lambda alpha, radius, limit: torch.empty_like(alpha, memory_format=torch.contiguous_format)
)
torch.library.register_fake(
    _square_mean_backward, lambda grad, radius, limit: torch.empty_like(grad, memory_format=torch.contiguous_format)
)
torch.library.register_autograd(
    square_mean, lambda ctx, grad: (_square_mean_backward(grad, *ctx.saved_tensors, ctx.limit), None, None), setup_context=_save
)
refuse_double_backward(_square_mean_backward, "square_mean")
