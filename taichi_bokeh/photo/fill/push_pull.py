"""Push–pull: fill what is unknown from a pyramid of averages of what is known."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

_TENT = torch.from_numpy(np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32))  # sums to 64


def push_pull(values: Array, weight: Array | Mask) -> Array:
    """Fill the pixels of low weight smoothly from those of high weight, near ones first.

    Push: halve the image again and again, each coarse pixel the weighted mean of the fine ones. Pull: go back up and
    let each fine pixel keep its own value in the proportion of its weight and take the rest from the coarser level.

    Args:
        values: [H, W] or [H, W, C]. Where the weight is 0 any value will do, NaN included.
        weight: [H, W] in [0, 1], or bool. 1: known, kept as it is; 0: unknown, filled.

    Returns:
        float32, the shape of ``values``: every result is a weighted mean of known values, so it stays in their range.

    Raises:
        ValueError: the shapes do not fit, a weight is out of range, or no pixel is known.
    """
    values = np.asarray(values, np.float32)
    weight = np.asarray(weight, np.float32)
    if values.ndim not in (2, 3) or values.shape[:2] != weight.shape:
        raise ValueError(f"push_pull: values {values.shape} and weight {weight.shape} must be [H, W(, C)] and [H, W]")
    if not (weight.min(initial=0) >= 0 and weight.max(initial=0) <= 1):
        raise ValueError("push_pull: weight must lie in [0, 1]")
    if not weight.any():
        raise ValueError("push_pull: no pixel is known (every weight is 0), so there is nothing to fill from")
    with np.errstate(invalid="ignore"):
        mass = torch.from_numpy(np.atleast_3d(values) * weight[..., None])
    share = torch.from_numpy(weight[..., None].copy())
    if not mass.sum().isfinite():
        mass.masked_fill_(share == 0, 0)
    with torch.autocast("cpu", enabled=False):
        filled: Array = _fill(mass.contiguous(), share).numpy()
    # Rounding leaves the range of what is known, and a surface that is flat is to stay so.
    known = values[weight > 0]
    np.clip(filled, known.min(), known.max(), out=filled)
    return filled.reshape(values.shape)


def _fill(mass: Tensor, weight: Tensor) -> Tensor:
    """Fill one level, [H, W, C] of values times weights, and their weights [H, W, 1]."""
    height, width = mass.shape[:2]
    if weight.min() >= 1 or height == width == 1:
        return mass / weight.clamp(min=1e-30)
    halved = _halve(torch.cat([mass, weight], 2))
    total = halved[..., -1:].contiguous()
    # A coarse pixel is as well known as the pixels under it are together: one known pixel of the four is enough.
    known = (total * 4).clamp_(max=1)
    coarse = _fill(halved[..., :-1] * torch.where(total > 0, known / total, 0), known)
    fine = _double(coarse)[:height, :width]
    return torch.addcmul(mass, 1 - weight, fine, out=mass)


# The channels stay the innermost axis, which torch's convolutions are tens of times faster for.


def _halve(image: Tensor) -> Tensor:
    """[H, W, C] → [⌈H/2⌉, ⌈W/2⌉, C] by the tent 1 3 3 1; nothing lies outside the image."""
    height, width, channels = image.shape
    if height % 2 or width % 2:
        image = functional.pad(image, (0, 0, 0, width % 2, 0, height % 2))
    tent = (_TENT / 64).expand(channels, 1, 4, 4)
    halved = functional.conv2d(image[None].permute(0, 3, 1, 2), tent, stride=2, padding=1, groups=channels)
    return halved[0].permute(1, 2, 0).contiguous()


def _double(image: Tensor) -> Tensor:
    """[H, W, C] → [2·H, 2·W, C], linear between the coarse pixels' centres, the edge replicated."""
    height, width, channels = image.shape
    padded = image.new_empty(height + 2, width + 2, channels)
    padded[1:-1, 1:-1] = image
    padded[0], padded[-1] = padded[1], padded[-2]
    padded[:, 0], padded[:, -1] = padded[:, 1], padded[:, -2]
    tent = (_TENT / 16).expand(channels, 1, 4, 4)
    doubled = functional.conv_transpose2d(padded[None].permute(0, 3, 1, 2), tent, stride=2, padding=3, groups=channels)
    return doubled[0].permute(1, 2, 0)
