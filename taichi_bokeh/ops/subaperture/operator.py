"""The operator of the sub-aperture model: layers seen through each cell of an aperture, added (kernels/subaperture/cells.py).

The image is rendered in windows, so that the sums of all cells and layers of a window fit in memory.
"""

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.subaperture.composite import composite
from taichi_bokeh.ops._common import dtype_name, refuse_double_backward
from taichi_bokeh.ops._registration import operator
from taichi_bokeh.ops.subaperture.slices import Adjoint, facts_of, facts_shape, layers_of
from taichi_bokeh.ops.subaperture.sums import Gradients, Sums, add_sums_adjoint, sums_of_layers
from taichi_bokeh.ops.subaperture.taps import Summation
from taichi_bokeh.ops.subaperture.visibility import visible
from taichi_bokeh.ops.subaperture.windows import Window, windows
from taichi_bokeh.optics.aperture import aperture_of
from taichi_bokeh.optics.psf import Cells, divide


class _Composite(NamedTuple):
    """The image of the cells, and that of the groups of cells from which it is extrapolated."""

    fine: Tensor  # [rows, W', 3]
    coarse: Tensor
    gain: float

    @property
    def image(self) -> Tensor:
        return torch.maximum(self.fine + self.gain * (self.fine - self.coarse), self.fine / 2)


def _group_ends(cells: Cells, device: torch.device) -> Tensor:
    """List the number of each group's first cell, and M, [G + 1]."""
    sizes = torch.bincount(torch.tensor(cells.groups, dtype=torch.int64, device="cpu"))
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]).to(device, torch.int32)


def _composite(sums: Sums, seen: Tensor, cells: Cells) -> _Composite:
    fine, coarse = (sums.values.new_zeros(*sums.weights.shape[2:], 3) for _ in range(2))
    kernel = composite(sums.values.shape[0], dtype_name(fine)).forward
    _runtime.launch(kernel, *sums, seen, cells.shares.to(fine), _group_ends(cells, fine.device), fine, coarse)
    return _Composite(fine, coarse, cells.gain)


def _cells(shape: list[float], image: Tensor | None, cells: int, field: list[float]) -> Cells:
    aperture = aperture_of(shape, image)
    whole = divide(aperture, cells)
    return whole if aperture.cat_eye == 0 else whole.seen_from((field[0], field[1]), aperture.cat_eye)


@operator
def subaperture(
    textures: Tensor,
    radius: Tensor,
    image: Tensor | None,
    shape: list[float],
    cells: int,
    view: list[int],
    field: list[float],
    summation: str,
    of_alpha: bool,
) -> tuple[Tensor, Tensor]:
    """Render part of the image, [B, 3, bottom − top, right − left]; and what the backward pass reads of the radii, on the CPU.

    textures [B, L, 4, H, W]: premultiplied rgb and alpha; radius [B, L, H, W], signed px; shape: blades, rotation, roundness,
    squeeze, cat-eye and ring, and image, of the aperture; view: top, bottom, left, right; field: the position whose cat-eye
    holds for all of the view; summation: one of `Summation` (taps.py); of_alpha: whether
    the backward pass is to give the gradient of alpha, or 0 where it likes.
    """
    parts, whole = _cells(shape, image, cells, field), Window(*view)
    batch, count = textures.shape[:2]
    result = textures.new_empty(batch, 3, whole.bottom - whole.top, whole.right - whole.left)
    every = list(windows(whole, count * parts.count * 5 * textures.element_size()))
    facts = facts_of(radius)
    for b in range(batch):
        layers = layers_of(textures[b], radius[b], facts[b], parts, _summation(summation))
        visibility = visible(textures[b, :, 3], radius[b], whole, parts.extent, of_alpha=False)
        for k, window in enumerate(every):
            sums = sums_of_layers(layers, parts, window, visibility)
            part = _composite(sums, visibility.of(window), parts).image
            rows, columns = window.inside(whole)
            result[b, :, rows, columns] = part[:, : window.right - window.left].permute(2, 0, 1)
            _runtime.report(b * len(every) + k + 1, batch * len(every))
    return result, facts


def _summation(name: str) -> Summation:
    return cast(Summation, name)


# ---- backward


def _composite_adjoint(d_image: Tensor, sums: Sums, seen: Tensor, cells: Cells) -> Sums:
    """Make the gradients of the sums from that of the window's image, [rows, W', 3]."""
    both = _composite(sums, seen, cells)
    limited = both.fine + both.gain * (both.fine - both.coarse) < both.fine / 2
    d_fine = torch.where(limited, d_image / 2, (1 + both.gain) * d_image)
    d_coarse = torch.where(limited, 0.0, -both.gain * d_image)
    d_sums = Sums(*(torch.empty_like(value) for value in sums))
    kernel = composite(sums.values.shape[0], dtype_name(d_image)).adjoint
    shares, ends = cells.shares.to(d_image), _group_ends(cells, d_image.device)
    _runtime.launch(kernel, *sums, seen, shares, ends, d_fine, d_coarse, *d_sums)
    return d_sums


@operator
def _subaperture_backward(
    grad: Tensor,
    facts: Tensor,
    textures: Tensor,
    radius: Tensor,
    image: Tensor | None,
    shape: list[float],
    cells: int,
    view: list[int],
    field: list[float],
    summation: str,
    of_alpha: bool,
    of_radius: bool,
) -> tuple[Tensor, Tensor]:
    parts, whole = _cells(shape, image, cells, field), Window(*view)
    batch, count, _, height, width = textures.shape
    d_textures = textures.new_zeros(batch, count, height, width, 4)
    d_radius = torch.zeros_like(radius, memory_format=torch.contiguous_format)
    every = list(windows(whole, count * parts.count * 15 * textures.element_size()))
    wanted: Adjoint = "both" if of_radius else "textures"
    for b in range(batch):
        layers = layers_of(textures[b], radius[b], facts[b], parts, _summation(summation), wanted)
        visibility = visible(textures[b, :, 3], radius[b], whole, parts.extent, of_alpha)
        gradients = [Gradients(d_textures[b, k], d_radius[b, k]) for k in range(count)]
        for window in every:
            sums, seen = sums_of_layers(layers, parts, window, visibility), visibility.of(window)
            rows, columns = window.inside(whole)
            d_image = grad.new_zeros(*window.shape, 3)
            d_image[:, : window.right - window.left] = grad[b, :, rows, columns].permute(1, 2, 0)
            d_sums = _composite_adjoint(d_image, sums, seen, parts)
            add_sums_adjoint(layers, parts, window, visibility, d_sums, gradients)
        for k, layer in enumerate(layers):
            d_radius[b, k] *= layer.slope  # until here the gradient of the coordinate
    return d_textures.permute(0, 1, 4, 2, 3).contiguous(), d_radius


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(output[1], *inputs[:3])
    ctx.settings = inputs[3:]
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, grad: Tensor, _: Tensor | None) -> Any:
    of_radius = ctx.needs_input_grad[1]
    return *_subaperture_backward(grad, *ctx.saved_tensors, *ctx.settings, of_radius), *[None] * 7


def _fake(textures: Tensor, radius: Tensor, image: Tensor | None, shape: Any, cells: int, view: list[int], *rest: Any) -> Any:
    result = textures.new_empty(textures.shape[0], 3, view[1] - view[0], view[3] - view[2])
    return result, torch.empty(facts_shape(radius), dtype=torch.float64, device="cpu")


def _fake_backward(grad: Tensor, facts: Tensor, textures: Tensor, radius: Tensor, *rest: Any) -> Any:
    return tuple(torch.empty_like(t, memory_format=torch.contiguous_format) for t in (textures, radius))


torch.library.register_fake(subaperture, _fake)
torch.library.register_fake(_subaperture_backward, _fake_backward)
torch.library.register_autograd(subaperture, _backward, setup_context=_save)
refuse_double_backward(_subaperture_backward, "subaperture")
