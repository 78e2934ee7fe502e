"""The ray tracer, straight from its definition: every ray, every layer, the height field sampled densely."""

import torch
from torch import Tensor

_FINE = 400  # points along a ray at which a layer is looked for


def _bilinear(values: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Interpolate values [C, H, W] at positions [H', W'] (pixel centres at whole numbers), the edge replicated."""
    height, width = values.shape[-2:]
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    x0, y0 = x.detach().floor().long().clamp(max=max(0, width - 2)), y.detach().floor().long().clamp(max=max(0, height - 2))
    x1, y1 = (x0 + 1).clamp(max=width - 1), (y0 + 1).clamp(max=height - 1)
    fx, fy = x - x0, y - y0
    top = values[:, y0, x0] * (1 - fx) + values[:, y0, x1] * fx
    bottom = values[:, y1, x0] * (1 - fx) + values[:, y1, x1] * fx
    return top * (1 - fy) + bottom * fy


def _meet(disparity: Tensor, base: tuple[Tensor, Tensor], slope: tuple[Tensor, Tensor]) -> Tensor:
    """Find the largest d with D(base + slope·d) = d for every pixel; disparity [1, H, W], the rest [H, W] or scalars."""

    def above(d: Tensor) -> Tensor:
        return _bilinear(disparity, base[0] + slope[0] * d, base[1] + slope[1] * d)[0] - d

    with torch.no_grad():
        low, high = disparity.min(), disparity.max()
        found = high.expand_as(base[0]).clone()
        on_its_way = above(found) < 0
        for step in range(1, _FINE + 1):
            d = high + (low - high) * step / _FINE
            on_its_way &= above(d.expand_as(found)) < 0
            found = torch.where(on_its_way, d, found)
        below = (found - (high - low) / _FINE).clamp(min=float(low))
        for _ in range(60):
            middle = (found + below) / 2
            is_above = above(middle) < 0
            found, below = torch.where(is_above, middle, found), torch.where(is_above, below, middle)
        root = below
    d = root.detach().requires_grad_()
    with torch.enable_grad():
        (rate,) = torch.autograd.grad(above(d).sum(), d)
    return root - above(root) / rate.detach()  # one Newton step from the root: itself, with the implicit derivative


def trace(
    rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor, points: Tensor, weights: Tensor
) -> Tensor:
    """Trace [B, 3, H, W] through an ideal lens: rgb [B, L, 3, H, W], alpha and disparity [B, L, 1, H, W]; points [N, 2]."""
    batch, layers, _, height, width = rgb.shape
    rows, columns = (torch.arange(size, dtype=rgb.dtype, device=rgb.device) for size in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    textures = torch.cat([alpha * rgb, alpha], 2)
    images = []
    for b in range(batch):
        total = torch.zeros_like(rgb[b, 0])
        for point, weight in zip(points, weights, strict=True):
            base = (x - point[0] * blur[b] * focus[b], y - point[1] * blur[b] * focus[b])
            slope = (point[0] * blur[b], point[1] * blur[b])
            transmittance = torch.ones_like(x)
            for layer in range(layers):
                d = _meet(disparity[b, layer], base, slope)
                sample = _bilinear(textures[b, layer], base[0] + slope[0] * d, base[1] + slope[1] * d)
                total = total + weight * transmittance * sample[:3]
                transmittance = transmittance * (1 - sample[3])
        images.append(total)
    return torch.stack(images)
