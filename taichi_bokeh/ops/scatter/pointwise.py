"""Operators of the straight-line steps (kernels/scatter/pointwise.py); Taichi differentiates the forward kernels."""

from typing import Any

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.scatter import pointwise as kernels
from taichi_bokeh.ops._common import dtype_name, plain, refuse_double_backward
from taichi_bokeh.ops._registration import operator


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*(value for value in inputs if isinstance(value, Tensor)))
    ctx.profile = next((value for value in inputs if isinstance(value, str)), None)


def _flat(tensor: Tensor) -> Tensor:
    """[..., H, W] -> [..., H·W], contiguous and out of the graph."""
    return plain(tensor).flatten(-2)


# ---- circle of confusion


def _row_arguments(disparity: Tensor, blur: Tensor, focus: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    height = disparity.shape[1]
    rows = (plain(value).repeat_interleave(height) for value in (blur, focus))
    return (plain(disparity).flatten(0, 1), *rows)  # type: ignore[return-value]


@operator
def circle_of_confusion(disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    """Signed radius in px [N, H, W] of `disparity` [N, H, W], with one `blur` and one `focus` an image, [N]."""
    radius = torch.empty_like(disparity, memory_format=torch.contiguous_format)
    arguments = _row_arguments(disparity, blur, focus)
    _runtime.launch(kernels.circle_of_confusion(dtype_name(disparity)), *arguments, radius.flatten(0, 1))
    return radius


@operator
def _circle_of_confusion_backward(
    grad: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    arguments = _row_arguments(disparity, blur, focus)
    kernel = kernels.circle_of_confusion(dtype_name(disparity))
    output = torch.empty_like(arguments[0])
    d_disparity, d_blur, d_focus = _runtime.autodiff(kernel, arguments, [output], [plain(grad).flatten(0, 1)])
    count, height = disparity.shape[:2]
    return (
        d_disparity.view(disparity.shape),
        d_blur.view(count, height).sum(1),
        d_focus.view(count, height).sum(1),
    )


# ---- sources


def _source_outputs(rgb: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    count, _, height, width = rgb.shape
    return rgb.new_empty(count, 5, height, width), rgb.new_empty(alpha.shape), rgb.new_empty(alpha.shape)


@operator
def sources(rgb: Tensor, alpha: Tensor, radius: Tensor, profile: str) -> tuple[Tensor, Tensor, Tensor]:
    """Make channels [N, 5, H, W], radius of the disc and in-focus weight of rgb [N, 3, H, W]; all others are [N, H, W]."""
    outputs = _source_outputs(rgb, alpha)
    kernel = kernels.sources(profile, dtype_name(rgb))
    _runtime.launch(kernel, *map(_flat, (rgb, alpha, radius)), *(out.flatten(-2) for out in outputs))
    return outputs


@operator
def _sources_backward(
    d_channels: Tensor, d_disc_radius_px: Tensor, d_in_focus: Tensor, rgb: Tensor, alpha: Tensor, radius: Tensor, profile: str
) -> tuple[Tensor, Tensor, Tensor]:
    inputs = [_flat(value) for value in (rgb, alpha, radius)]
    outputs = [out.flatten(-2) for out in _source_outputs(rgb, alpha)]
    gradients = [_flat(value) for value in (d_channels, d_disc_radius_px, d_in_focus)]
    grads = _runtime.autodiff(kernels.sources(profile, dtype_name(rgb)), inputs, outputs, gradients)
    return grads[0].view(rgb.shape), grads[1].view(alpha.shape), grads[2].view(radius.shape)


# ---- resolve


def _resolve_outputs(rgb: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    return rgb.new_empty(rgb.shape), rgb.new_empty(alpha.shape)


@operator
def resolve(sums: Tensor, rgb: Tensor, alpha: Tensor, radius: Tensor, profile: str) -> tuple[Tensor, Tensor]:
    """Premultiplied colour [N, 3, H, W] and coverage [N, H, W] from scatter sums [N, 5, H, W]; profiles disc and soft."""
    outputs = _resolve_outputs(rgb, alpha)
    kernel = kernels.resolve(profile, dtype_name(rgb))
    _runtime.launch(kernel, *map(_flat, (sums, rgb, alpha, radius)), *(out.flatten(-2) for out in outputs))
    return outputs


@operator
def _resolve_backward(
    d_colour: Tensor, d_coverage: Tensor, sums: Tensor, rgb: Tensor, alpha: Tensor, radius: Tensor, profile: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inputs = [_flat(value) for value in (sums, rgb, alpha, radius)]
    outputs = [out.flatten(-2) for out in _resolve_outputs(rgb, alpha)]
    gradients = [_flat(value) for value in (d_colour, d_coverage)]
    grads = _runtime.autodiff(kernels.resolve(profile, dtype_name(rgb)), inputs, outputs, gradients)
    return tuple(grad.view(value.shape) for grad, value in zip(grads, (sums, rgb, alpha, radius), strict=True))


@operator
def resolve_official(sums: Tensor, coverage: Tensor) -> Tensor:
    """The released code's premultiplied colour [N, 3, H, W] from scatter sums [N, 5, H, W] and coverage [N, H, W]."""
    colour = sums.new_empty((sums.shape[0], 3, *sums.shape[2:]))
    kernel = kernels.resolve_official(dtype_name(sums))
    _runtime.launch(kernel, _flat(sums), _flat(coverage), colour.flatten(-2))
    return colour


@operator
def _resolve_official_backward(d_colour: Tensor, sums: Tensor, coverage: Tensor) -> tuple[Tensor, Tensor]:
    colour = torch.empty_like(d_colour, memory_format=torch.contiguous_format).flatten(-2)
    kernel = kernels.resolve_official(dtype_name(sums))
    d_sums, d_coverage = _runtime.autodiff(kernel, [_flat(sums), _flat(coverage)], [colour], [_flat(d_colour)])
    return d_sums.view(sums.shape), d_coverage.view(coverage.shape)


# ---- composite


@operator
def composite(colour: Tensor, coverage: Tensor) -> Tensor:
    """Image [B, 3, H, W] of premultiplied `colour` [B, L, 3, H, W] by `coverage` [B, L, H, W], nearest layer first."""
    image = colour.new_empty((colour.shape[0], *colour.shape[2:]))
    kernel = kernels.composite(colour.shape[1], dtype_name(colour))
    _runtime.launch(kernel, _flat(colour), _flat(coverage), image.flatten(-2))
    return image


@operator
def _composite_backward(grad: Tensor, colour: Tensor, coverage: Tensor) -> tuple[Tensor, Tensor]:
    image = torch.empty_like(grad, memory_format=torch.contiguous_format).flatten(-2)
    kernel = kernels.composite(colour.shape[1], dtype_name(colour))
    d_colour, d_coverage = _runtime.autodiff(kernel, [_flat(colour), _flat(coverage)], [image], [_flat(grad)])
    return d_colour.view(colour.shape), d_coverage.view(coverage.shape)


def _register() -> None:
    """Fakes and autograd of all five: a backward operator takes the gradients, then the forward's inputs."""

    def like(*tensors: Tensor) -> Any:
        made = tuple(torch.empty_like(t, memory_format=torch.contiguous_format) for t in tensors)
        return made if len(made) > 1 else made[0]

    torch.library.register_fake(circle_of_confusion, lambda disparity, blur, focus: like(disparity))
    torch.library.register_fake(sources, lambda rgb, alpha, radius, profile: _source_outputs(rgb, alpha))
    torch.library.register_fake(resolve, lambda sums, rgb, alpha, radius, profile: _resolve_outputs(rgb, alpha))
    torch.library.register_fake(resolve_official, lambda sums, coverage: sums.new_empty((sums.shape[0], 3, *sums.shape[2:])))
    torch.library.register_fake(composite, lambda colour, coverage: colour.new_empty((colour.shape[0], *colour.shape[2:])))
    operators = (
        (circle_of_confusion, _circle_of_confusion_backward, 1),
        (sources, _sources_backward, 3),
        (resolve, _resolve_backward, 2),
        (resolve_official, _resolve_official_backward, 1),
        (composite, _composite_backward, 1),
    )
    for forward, backward, outputs in operators:
        _register_pair(forward, backward, outputs, like)


def _register_pair(forward: Any, backward: Any, outputs: int, like: Any) -> None:
    def differentiate(ctx: Any, *grads: Tensor) -> Any:
        saved = ctx.saved_tensors
        if ctx.profile is None:
            return backward(*grads, *saved)
        return (*backward(*grads, *saved, ctx.profile), None)

    torch.library.register_fake(backward, lambda *args: like(*(value for value in args[outputs:] if isinstance(value, Tensor))))
    torch.library.register_autograd(forward, differentiate, setup_context=_save)
    refuse_double_backward(backward, forward.name().removeprefix("taichi_bokeh::"))


_register()
