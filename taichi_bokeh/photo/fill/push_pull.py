"""Push–pull: fill what is unknown from a pyramid of averages of what is known."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

_TENT = np.array([1, 3, 3, 1], np.float32) / 8


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
    planes = values if values.ndim == 3 else values[..., None]
    premultiplied = np.where(weight[..., None] > 0, planes, 0) * weight[..., None]
    filled = _fill(premultiplied, weight)
    return filled if values.ndim == 3 else filled[..., 0]


def _fill(premultiplied: Array, weight: Array) -> Array:
    """Fill one level; ``premultiplied`` is value times weight, [H, W, C]."""
    height, width = weight.shape
    if weight.min() >= 1 or height == width == 1:
        return (premultiplied / np.maximum(weight, 1e-30)[..., None]).astype(np.float32)
    total = _halve(weight)
    mass = _halve(premultiplied)
    # A coarse pixel is as well known as the pixels under it are together: one known pixel of the four is enough.
    known = np.minimum(total * 4, 1)
    coarse = _fill(mass * np.divide(known, total, out=np.zeros_like(total), where=total > 0)[..., None], known)
    return premultiplied + (1 - weight[..., None]) * _double(coarse, height, width)


def _halve(image: Array) -> Array:
    """[H, W, ...] → [⌈H/2⌉, ⌈W/2⌉, ...] by the tent 1 3 3 1; nothing lies outside the image."""
    for axis in (0, 1):
        size = image.shape[axis]
        pad = [(0, 0)] * image.ndim
        pad[axis] = (1, 1 + size % 2)
        padded = np.moveaxis(np.pad(image, pad), axis, 0)
        half = (size + 1) // 2
        taps = [tap * padded[i : i + 2 * half - 1 : 2] for i, tap in enumerate(_TENT)]
        image = np.moveaxis(taps[0] + taps[1] + taps[2] + taps[3], 0, axis)
    return np.ascontiguousarray(image)


def _double(image: Array, height: int, width: int) -> Array:
    """[⌈H/2⌉, ⌈W/2⌉, C] → [H, W, C], linear between the coarse pixels' centres, the edge replicated."""
    for axis, size in ((0, height), (1, width)):
        pad = [(0, 0)] * image.ndim
        pad[axis] = (1, 1)
        padded = np.moveaxis(np.pad(image, pad, mode="edge"), axis, 0)
        fine = np.empty((2 * (padded.shape[0] - 2), *padded.shape[1:]), np.float32)
        fine[0::2] = 0.75 * padded[1:-1] + 0.25 * padded[:-2]
        fine[1::2] = 0.75 * padded[1:-1] + 0.25 * padded[2:]
        image = np.moveaxis(fine[:size], 0, axis)
    return image
