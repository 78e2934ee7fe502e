"""The levels of a draft (kernels/scatter/pyramid.py) by pooling whole images."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

FINE_PX, LEAST_PX = 12.0, 1 / 16


def reduce(
    channels: Tensor,
    radius: Tensor,
    disparity: Tensor,
    nodes: Sequence[float],
    occlusion: tuple[float, float],
    level: int,
    side: int,
) -> tuple[Tensor, Tensor]:
    """Channels [1 + T, 5, h, w] and radius [h, w] of channels [1, 5, H, W], radius and disparity [1, H, W], as the operator."""
    factor = 2**level
    height, width = radius.shape[-2:]
    around = (factor, factor + -width % factor, factor, factor + -height % factor)

    def pooled(values: Tensor) -> Tensor:
        return avg_pool2d(pad(values, around, mode="replicate"), factor) * factor**2

    share = (1 - ((radius.abs() / FINE_PX).clamp(min=1).log2() - level).abs()).clamp(min=0)
    here = channels * share * ((radius < 0) == (side < 0))
    weights = [torch.sigmoid(-occlusion[1] * (disparity - node - occlusion[0])) for node in nodes]
    everything = pooled(torch.cat([here, *(here * weight for weight in weights)]))
    square = (radius / factor).square() - 4 * (1 / 12 + 1 / 6 + 1 / 6) + 4 / 6 / factor**2
    weight = here[:, 4:].detach()
    total = pooled(weight)
    safe = torch.where(total > 0, total, 1.0)
    mean = pooled(weight * square.clamp(min=LEAST_PX**2).sqrt()) / safe
    area = torch.where(total > 0, pooled(weight * radius.square()) / safe / (mean * factor).square(), 1.0)
    return everything * area, torch.where(total > 0, side * mean, LEAST_PX)[0, 0]


def expand(fine: Tensor, scattered: Tensor, disparity: Tensor, in_focus: Tensor, nodes: Sequence[float]) -> Tensor:
    """Sums [1, 5, H, W], arguments as of the operator."""
    height, width = disparity.shape[-2:]
    twice = interpolate(scattered, scale_factor=2, mode="bilinear", align_corners=False)[..., 2 : 2 + height, 2 : 2 + width]
    plain, *occluded = twice.split(1)
    sums = fine + plain
    for node, occluded_by_node in zip(nodes, occluded, strict=True):
        basis = in_focus
        for other in nodes:
            if other != node:
                basis = basis * (disparity - other) / (node - other)
        sums = sums - basis[:, None] * occluded_by_node
    return sums
