"""The operator of splats through lens points (kernels/dfd/splat.py).

Images are rendered one after the other, and lens points in groups whose sums fit in memory; the backward pass makes the sums
again instead of keeping them.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.dfd.splat import Splat
from taichi_bokeh.kernels.dfd.splat import splat as kernels
from taichi_bokeh.ops._common import dtype_name, on_gpu, pad_planes, pad_planes_adjoint, plain, refuse_double_backward
from taichi_bokeh.ops._registration import operator

_GROUP_BYTES = 1 << 29  # what the sums of a group of lens points may take
_MOST_EXPONENT = 600.0  # of exp(±300), whose squares are still far from the ends of float64


class _Sources(NamedTuple):
    """One image's surfaces as the kernels read them, continued beyond the border by `pad` px."""

    surfaces: Tensor  # [S, H′, W′, 5] of rgb, alpha, radius
    nearness: Tensor  # [S, H′, W′], e = exp(β·(q − the middle of its range)) in float64


class _Group(NamedTuple):
    """Some of the lens points, and what arrived through them."""

    points: Tensor  # [M, 2]
    weights: Tensor  # [M]
    sums: Tensor  # [M, H + 2, W + 2, 4]
    plain: Tensor  # [M, H + 2, W + 2, 4]
    squares: Tensor  # [M, H + 2, W + 2]


def _kernels(tensor: Tensor) -> Splat:
    return kernels(on_gpu(tensor), dtype_name(tensor))


def _pad_and_sources(
    points: Tensor, sharpness: float, rgb: Tensor, alpha: Tensor, radius: Tensor, order: Tensor
) -> tuple[int, _Sources]:
    """Make the sources of one image: rgb [S, 3, H, W], the others [S, H, W]."""
    farthest, low, high = torch.stack([radius.abs().max(), *order.aminmax()]).tolist()
    reach = farthest * float(points.norm(dim=-1).max())
    if not (math.isfinite(reach) and math.isfinite(high - low)):
        raise ValueError("the blur radius is not finite: blur, focus or disparity hold NaN or infinity")
    if sharpness * (high - low) > _MOST_EXPONENT:
        raise ValueError(
            f"sharpness is {sharpness:g} with blur radii that span {high - low:.0f} px; expected a product of at most "
            f"{_MOST_EXPONENT:g}: lower sharpness, or blur"
        )
    pad = math.ceil(reach) + 1
    nearness = torch.empty_like(order, dtype=torch.float64)
    _runtime.launch(_kernels(order).weigh, order, (low + high) / 2, sharpness, nearness)
    surfaces = pad_planes(torch.cat([rgb, alpha[:, None], radius[:, None]], 1), pad, "replicate")
    return pad, _Sources(surfaces.movedim(1, -1).contiguous(), pad_planes(nearness, pad, "replicate"))


def _groups(pad: int, sources: _Sources, points: Tensor, weights: Tensor) -> Iterator[_Group]:
    """Throw the sources through all lens points."""
    height, width = (size - 2 * pad + 2 for size in sources.nearness.shape[1:])
    step = max(1, _GROUP_BYTES // (height * width * 9 * 8))
    for some, weight in zip(points.split(step), weights.split(step), strict=True):
        group = _Group(
            some, weight, *(sources.nearness.new_zeros(len(some), height, width, *lanes) for lanes in ((4,), (4,), ()))
        )
        _runtime.launch(_kernels(sources.surfaces).scatter, *sources, group.points, pad, *group[2:])
        yield group


@operator
def splat(
    rgb: Tensor, alpha: Tensor, radius: Tensor, order: Tensor, points: Tensor, weights: Tensor, sharpness: float, hole: float
) -> tuple[Tensor, Tensor]:
    """Render the image [N, 3, H, W], and which share of the lens's light it is made of, [N, H, W]: T, without a gradient.

    rgb [N, S, 3, H, W]; alpha, radius (signed px) and order (px, larger is nearer) [N, S, H, W], of S surfaces in any order;
    points [M, 2] and weights [M] of the lens; sharpness β per px; hole ε: how much coverage a lens point needs to count.
    Where nothing arrived the image is that of surface 0.
    """
    images, confidences = torch.empty_like(rgb[:, 0]), torch.empty_like(alpha[:, 0])
    inputs = [plain(value) for value in (rgb, alpha, radius, order)]
    points, weights = plain(points).to(rgb), plain(weights).to(rgb.device, torch.float64)
    for n in range(rgb.shape[0]):
        pad, sources = _pad_and_sources(points, sharpness, *(value[n] for value in inputs))
        total = sources.nearness.new_zeros(*rgb.shape[3:], 4)
        for group in _groups(pad, sources, points, weights):
            _runtime.launch(_kernels(rgb).resolve, *group[2:], group.weights, hole, total)
        confidence = total[..., 3]
        blurred = (total[..., :3] / torch.where(confidence > 0, confidence, 1.0)[..., None]).movedim(-1, 0)
        images[n] = torch.where(confidence > 0, blurred, inputs[0][n, 0])
        confidences[n] = confidence
    return images, confidences


@operator
def _splat_backward(
    grad: Tensor,
    image: Tensor,
    confidence: Tensor,
    rgb: Tensor,
    alpha: Tensor,
    radius: Tensor,
    order: Tensor,
    points: Tensor,
    weights: Tensor,
    sharpness: float,
    hole: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inputs = [plain(value) for value in (rgb, alpha, radius, order)]
    points, weights = plain(points).to(rgb), plain(weights).to(rgb.device, torch.float64)
    results = tuple(torch.empty_like(value) for value in inputs)
    arrived = confidence > 0
    shown = torch.cat([image, confidence[:, None]], 1).movedim(1, -1).double().contiguous()
    scaled = torch.where(arrived[..., None], grad.movedim(1, -1).double() / shown[..., 3:], 0.0)
    scaled = torch.nn.functional.pad(scaled, (0, 1)).contiguous()
    for n in range(rgb.shape[0]):
        pad, sources = _pad_and_sources(points, sharpness, *(value[n] for value in inputs))
        d_source = rgb.new_zeros(*sources.nearness.shape, 6)
        for group in _groups(pad, sources, points, weights):
            _runtime.launch(_kernels(rgb).resolve_adjoint, *group[2:], group.weights, hole, shown[n], scaled[n])
            _runtime.launch(_kernels(rgb).scatter_adjoint, *sources, group.points, pad, *group[2:], sharpness, d_source)
        gradient = pad_planes_adjoint(d_source.movedim(-1, 1), pad, "replicate")
        for result, part in zip(results, (gradient[:, :3], *gradient[:, 3:].unbind(1)), strict=True):
            result[n] = part
    results[0][:, 0] += torch.where(arrived[:, None], 0.0, grad)
    return results[0], results[1], results[2], results[3]


def _fake(rgb: Tensor, alpha: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(rgb[:, 0]), torch.empty_like(alpha[:, 0])


def _fake_backward(grad: Tensor, image: Tensor, confidence: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(value, memory_format=torch.contiguous_format) for value in inputs[:4])


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*output, *inputs[:6])
    ctx.settings = inputs[6:]
    ctx.mark_non_differentiable(output[1])


torch.library.register_fake(splat, _fake)
torch.library.register_fake(_splat_backward, _fake_backward)
torch.library.register_autograd(
    splat,
    lambda ctx, grad, _: (*_splat_backward(grad, *ctx.saved_tensors, *ctx.settings), None, None, None, None),
    setup_context=_save,
)
refuse_double_backward(_splat_backward, "splat")
