"""The operator of pixels spread by Gaussians (kernels/dfd/gaussian_psf.py): padding, culling, launches, and their adjoints."""

import math
from typing import Any

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.dfd.gaussian_psf import LANES, TILE
from taichi_bokeh.kernels.dfd.gaussian_psf import gaussian_psf as kernels
from taichi_bokeh.ops._common import dtype_name, pad_planes, pad_planes_adjoint, plain, refuse_double_backward
from taichi_bokeh.ops._registration import operator

#: Half the window over the diameter c where it is as large as needed: three standard deviations.
WINDOW_DIAMETERS = 1.5
_LARGEST_WINDOW_PX = 4096


def _prepare(image: Tensor, diameter_px: Tensor, least_px: float, window_px: int) -> tuple[Tensor, int]:
    """Make the padded source [N, 5, Hp, Wp] of the kernels and its padding."""
    least, largest = (float(end) for end in diameter_px.aminmax())
    if not (math.isfinite(least) and math.isfinite(largest)):
        raise ValueError("diameter_px holds NaN or infinite values; expected finite values")
    if least <= 0 and least_px <= 0:
        raise ValueError(f"diameter_px has values from {least!r}; expected values above 0, as nothing of 0 px has a Gaussian")
    half_px = window_px or math.floor(WINDOW_DIAMETERS * largest)
    if half_px > _LARGEST_WINDOW_PX:
        raise ValueError(f"the largest window reaches {half_px} px; expected at most {_LARGEST_WINDOW_PX}: lower blur")
    pad = TILE * math.ceil((half_px + LANES) / TILE)
    rate = torch.where(diameter_px > least_px, 2 / diameter_px.square(), 0.0)
    window = torch.full_like(rate, window_px) if window_px else (WINDOW_DIAMETERS * diameter_px).floor()
    return pad_planes(torch.cat([image, rate[:, None], window[:, None]], 1), pad, "replicate"), pad


def _reach(source: Tensor, pad: int) -> Tensor:
    """Find how far the sources of each TILE rows reach every tile of pixels."""
    count, _, height, width = source.shape
    run = kernels(dtype_name(source))
    widest = source.new_empty(count, -(-height // TILE), -(-width // TILE), dtype=torch.int32)
    _runtime.launch(run.widest, source, widest)
    tiles = [-(-(size - 2 * pad) // TILE) for size in (height, width)]
    reach = widest.new_empty(count, *tiles, 2 * pad // TILE + 1)
    _runtime.launch(run.reach, widest, reach, pad)
    return reach


def _totals(source: Tensor, pad: int) -> Tensor:
    """Compute Σ g·I and Σ g, [N, 4, H, W]."""
    count, _, height, width = source.shape
    total = source.new_empty(count, 4, height - 2 * pad, width - 2 * pad)
    _runtime.launch(kernels(dtype_name(source)).forward, source, _reach(source, pad), total, pad)
    return total


@operator
def gaussian_psf(image: Tensor, diameter_px: Tensor, least_px: float, window_px: int) -> tuple[Tensor, Tensor]:
    """Spread pixels by Gaussians: the image [N, 3, H, W], and what its weights add up to, [N, H, W].

    image [N, 3, H, W]; diameter_px [N, H, W], of the circles of confusion, > 0; pixels of least_px or less neither spread
    nor change, and have the weight 1; window_px: half the width of the square window, 0 for as large as needed, 1.5
    diameters. The border is replicated. The weights are for the backward pass, and no gradient goes through them.
    """
    source, pad = _prepare(plain(image), plain(diameter_px), least_px, window_px)
    total = _totals(source, pad)
    weight = total[:, 3]
    unchanged = diameter_px <= least_px
    weight = torch.where(unchanged, 1.0, weight)
    blurred = torch.where(unchanged[:, None], image, total[:, :3] / weight[:, None])
    return blurred, weight


@operator
def _gaussian_psf_backward(
    grad: Tensor, image: Tensor, diameter_px: Tensor, blurred: Tensor, weight: Tensor, least_px: float, window_px: int
) -> tuple[Tensor, Tensor]:
    source, pad = _prepare(plain(image), plain(diameter_px), least_px, window_px)
    count, _, height, width = image.shape
    unchanged = (diameter_px <= least_px)[:, None]
    d_sums = grad.new_zeros(count, 4, height + 2 * pad, width + LANES)
    inner = d_sums[:, :, pad : pad + height, :width]
    inner[:, :3] = torch.where(unchanged, 0.0, grad / weight[:, None])
    inner[:, 3] = -(inner[:, :3] * blurred).sum(1)
    d_source = source.new_empty(count, 4, *source.shape[2:])
    _runtime.launch(kernels(dtype_name(source)).adjoint, source, d_sums, d_source, pad)
    unpadded = pad_planes_adjoint(d_source, pad, "replicate")
    d_image = unpadded[:, :3] + torch.where(unchanged, grad, 0.0)
    d_diameter = torch.where(unchanged[:, 0], 0.0, unpadded[:, 3] * -4 / diameter_px**3)
    return d_image.contiguous(), d_diameter.contiguous()


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    image, diameter_px, ctx.least_px, ctx.window_px = inputs
    ctx.save_for_backward(image, diameter_px, *output)
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, grad: Tensor, _: Tensor | None) -> Any:
    return (*_gaussian_psf_backward(grad, *ctx.saved_tensors, ctx.least_px, ctx.window_px), None, None)


def _like(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in tensors)


torch.library.register_fake(gaussian_psf, lambda image, diameter_px, least_px, window_px: _like(image, diameter_px))
torch.library.register_fake(_gaussian_psf_backward, lambda grad, image, diameter_px, *rest: _like(image, diameter_px))
torch.library.register_autograd(gaussian_psf, _backward, setup_context=_save)
refuse_double_backward(_gaussian_psf_backward, "gaussian_psf")
