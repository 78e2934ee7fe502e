"""Pixels spread by Gaussians, source by source (kernels/dfd/gaussian_psf.py)."""

import torch
from torch import Tensor


def gaussian_psf(image: Tensor, diameter_px: Tensor, least_px: float, window_px: int) -> Tensor:
    """Blur an image [N, 3, H, W]; diameter_px [N, H, W], settings as of the operator."""
    height, width = image.shape[-2:]
    reach = window_px or int(1.5 * float(diameter_px.detach().max()))
    y, x = (torch.arange(size, device=image.device) for size in (height, width))
    total, weight = torch.zeros_like(image), torch.zeros_like(diameter_px)
    spreads = diameter_px > least_px
    # Where a source spreads nothing its diameter is of no matter, and may be 0.
    diameter = torch.where(spreads, diameter_px, 1.0)
    gaussian = 2 / diameter**2 * spreads
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            rows, columns = (y + dy).clamp(0, height - 1), (x + dx).clamp(0, width - 1)
            g = gaussian * torch.exp(-2 * (dx * dx + dy * dy) / diameter**2)
            if window_px == 0:
                g = g * (max(abs(dx), abs(dy)) <= 1.5 * diameter.detach())
            g = g[:, rows][:, :, columns]
            total = total + g[:, None] * image[:, :, rows][..., columns]
            weight = weight + g
    return torch.where(spreads[:, None], total / torch.where(spreads, weight, 1.0)[:, None], image)
