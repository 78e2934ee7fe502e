"""From one picture with its disparity to the layers that the renderer takes."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from taichi_bokeh.layers import Layers
from taichi_bokeh.photo.matte import Separation, separate, separate_by_matte
from taichi_bokeh.photo.push_pull import push_pull
from taichi_bokeh.photo.split import choose_cuts, cut_at, disparity_span, sharpen_edges

Array = NDArray[np.float32]


class _Flat(NamedTuple):
    """One layer: rgb [H, W, 3], alpha [H, W], disparity [H, W]."""

    rgb: Array
    alpha: Array
    disparity: Array


def to_layers(rgb: Array, disparity: Array, alpha: Array | None = None, layers: int | None = None) -> Layers:
    """Split a picture into layers, and invent what each of them hides.

    Without a matte the disparity map is cut where it jumps most. Each layer ends in an edge about a pixel wide; colour
    and disparity go on beyond it, and what it hides is inpainted by push–pull from the farther layers. Where a cut has
    to cross a surface that goes on, the layer fades out over it instead. The composite of the layers is the picture,
    but for single pixels of such edges.

    Args:
        rgb: [H, W, 3], linear light, not negative.
        disparity: [H, W], finite (see ``fill_holes``), larger is nearer.
        alpha: [H, W] in [0, 1], the matte of the foreground: the nearest layer. The rest makes up the others.
        layers: how many, at least 1. Fewer are made where the disparity has no further jump.
            Default: 2 with a matte, 3 without.

    Returns:
        ``Layers`` with batch size 1 and float32, nearest first, the last one opaque.

    Raises:
        ValueError: sizes do not fit, a value is out of range, or ``layers`` is too small.
    """
    rgb, disparity, alpha = _checked(rgb, disparity, alpha)
    count = layers if layers is not None else (3 if alpha is None else 2)
    least = 1 if alpha is None else 2
    if count < least:
        raise ValueError(f"to_layers: layers is {count}, and must be at least {least}")
    span = disparity_span(disparity)
    flats: list[_Flat] = []
    if alpha is not None:
        front, rgb, disparity = _take_matte(rgb, disparity, alpha)
        flats.append(front)
        count -= 1
    sharp = sharpen_edges(disparity, span)
    for level in choose_cuts(sharp, count - 1, span):
        front, rgb, sharp = _take_front(rgb, sharp, level, span)
        flats.append(front)
    flats.append(_Flat(rgb, np.ones_like(sharp), sharp))
    return Layers(*(_tensor(parts) for parts in zip(*flats, strict=True)))


def _tensor(parts: tuple[Array, ...]) -> torch.Tensor:
    """Arrays [H, W(, C)], one a layer → [1, L, C, H, W]."""
    stacked = np.stack([np.atleast_3d(part) for part in parts]).astype(np.float32)
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous()[None]


def _checked(rgb: Array, disparity: Array, alpha: Array | None) -> tuple[Array, Array, Array | None]:
    rgb = np.asarray(rgb, np.float32)
    disparity = np.asarray(disparity, np.float32)
    if rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise ValueError(f"to_layers: rgb has shape {rgb.shape}, and must be [H, W, 3]")
    if disparity.shape != rgb.shape[:2]:
        raise ValueError(f"to_layers: disparity has shape {disparity.shape}, and must be {rgb.shape[:2]} as rgb")
    if not (np.isfinite(rgb).all() and rgb.min() >= 0):
        raise ValueError("to_layers: rgb must be finite and not negative")
    if not np.isfinite(disparity).all():
        raise ValueError("to_layers: disparity has NaN or infinite values; fill its holes first (fill_holes)")
    if alpha is not None:
        alpha = np.asarray(alpha, np.float32)
        if alpha.shape != disparity.shape:
            raise ValueError(f"to_layers: alpha has shape {alpha.shape}, and must be {disparity.shape} as rgb")
        if not (alpha.min() >= 0 and alpha.max() <= 1):
            raise ValueError("to_layers: alpha must lie in [0, 1]")
    return rgb, disparity, alpha


def _take_front(rgb: Array, disparity: Array, level: float, span: float) -> tuple[_Flat, Array, Array]:
    """Lift off what is nearer than ``level``: the layer, and the colour and disparity of the plate behind it."""
    fade_px = max(8, round(min(disparity.shape) / 30))
    cut = cut_at(disparity, level, span, reach_px=2 * fade_px)
    kept = np.isfinite(cut.crossing_px)
    parts = separate(rgb, cut.near, cut.edge_px, kept)
    ramp = np.clip(cut.crossing_px / fade_px, 0, 1)
    alpha = parts.alpha * np.where(kept, ramp * ramp * (3 - 2 * ramp), 1)
    front_disparity = push_pull(disparity, cut.near.astype(np.float32))
    plate_disparity = push_pull(disparity, (~cut.near | kept).astype(np.float32))
    return _Flat(parts.front, alpha.astype(np.float32), front_disparity), parts.plate, plate_disparity


def _take_matte(rgb: Array, disparity: Array, alpha: Array) -> tuple[_Flat, Array, Array]:
    """Lift off the foreground of a given matte."""
    parts: Separation = separate_by_matte(rgb, alpha)
    inside = _eroded_where_possible(alpha > 0.9)
    outside = _eroded_where_possible(alpha < 0.1)
    front_disparity = push_pull(disparity, inside if inside.any() else np.ones_like(alpha))
    plate_disparity = push_pull(disparity, outside if outside.any() else np.ones_like(alpha))
    return _Flat(parts.front, alpha, front_disparity), parts.plate, plate_disparity


def _eroded_where_possible(mask: NDArray[np.bool_]) -> Array:
    """The mask less a pixel of its rim, where the disparity is often the other side's; thin parts stay whole."""
    core = ndimage.binary_erosion(mask, border_value=1)
    thin = mask & ~ndimage.binary_dilation(core, iterations=2)
    return (core | thin).astype(np.float32)
