"""Sources thrown through lens points onto soft z-buffers, lens point by lens point (kernels/dfd/splat.py)."""

import math

import torch
from torch import Tensor

LEAST_COVERAGE = 1e-3  # of a pixel by a source, below which it does not count there
ROUNDING, LEAST_BEHIND = 0.05, 0.1  # τ and δ


def splat(
    rgb: Tensor, alpha: Tensor, radius: Tensor, order: Tensor, points: Tensor, weights: Tensor, sharpness: float, hole: float
) -> tuple[Tensor, Tensor]:
    """Render the image [N, 3, H, W] and confidence Σ ω·h [N, H, W].

    rgb [N, S, 3, H, W]; alpha, radius (signed px) and order (larger is nearer) [N, S, H, W]; points [M, 2]; weights [M].
    """
    shown = [
        _image(*sources, points.to(rgb), weights.to(rgb), sharpness, hole)
        for sources in zip(rgb, alpha, radius, order, strict=True)
    ]
    images, confidences = zip(*shown, strict=True)
    return torch.stack(images), torch.stack(confidences)


def _image(
    rgb: Tensor, alpha: Tensor, radius: Tensor, order: Tensor, points: Tensor, weights: Tensor, sharpness: float, hole: float
) -> tuple[Tensor, Tensor]:
    surfaces, _, height, width = rgb.shape
    pad = math.ceil(float(radius.detach().abs().max() * points.norm(dim=-1).max())) + 1
    rows, columns = (torch.arange(-pad, size + pad, device=rgb.device) for size in (height, width))
    y, x = rows.clamp(0, height - 1)[:, None], columns.clamp(0, width - 1)
    rgb_, alpha_, radius_, order_ = (value[..., y, x] for value in (rgb.movedim(1, 0), alpha, radius, order))
    low, high = order.detach().aminmax()
    nearness = (sharpness * (order_ - (low + high) / 2)).exp()
    mass = alpha_ * nearness
    planes = torch.stack([*(rgb_ * mass), mass, mass * nearness, *(rgb_ * alpha_), alpha_])  # [9, S, H′, W′]
    pixel = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1).expand(surfaces, -1, -1, -1)
    colours, confidences = [], []
    for u, weight in zip(points, weights, strict=True):
        shift = -radius_[..., None] * u
        whole = shift.detach().floor()
        sums = planes.new_zeros(9, height * width)
        for offset in torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=torch.int64, device=rgb.device):
            b = (1 - offset + (2 * offset - 1) * (shift - whole)).prod(-1)
            column, row = (pixel + whole.long() + offset).unbind(-1)
            seen = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (b * alpha_ >= LEAST_COVERAGE)
            sums = sums.index_add(1, (row * width + column)[seen], (b * planes)[:, seen])
        arrived = sums[3] > 0
        colours.append(torch.where(arrived, _view(torch.where(arrived, sums, 1.0)), 0.0))
        confidences.append(weight * torch.where(arrived, 1 - (-sums[8] / hole).exp(), 0.0))
    confidence = torch.stack(confidences)
    weighted = (confidence[:, None] * torch.stack(colours)).sum(0)
    total = confidence.sum(0)
    own = rgb[0].reshape(3, -1)
    image = torch.where(total > 0, weighted / torch.where(total > 0, total, 1.0), own)
    return image.view(3, height, width), total.view(height, width)


def _view(sums: Tensor) -> Tensor:
    """Compute the colour of a pixel through one lens point: the front's, and in the gap that it leaves what is behind it."""
    weight, square, coverage = sums[3], sums[4], sums[8]
    colour, front = sums[:3] / weight, weight.square() / square
    missing, behind = (1 - front).clamp(min=0), (coverage - front).clamp(min=0)
    gap = (1 + ROUNDING) * missing.square() / (missing + ROUNDING)
    share = gap * behind / (behind.square() + LEAST_BEHIND**2 * (1 - gap))
    return colour + torch.minimum(share, 1 / coverage) * (sums[5:8] - coverage * colour)
