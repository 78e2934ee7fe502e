"""From one image with its disparity to the layers that the renderer takes."""

import inspect
import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from taichi_bokeh._checks import require_integer
from taichi_bokeh.io.require import require_coverage, require_light, require_plane
from taichi_bokeh.layers import Layers
from taichi_bokeh.photo.fill.push_pull import push_pull
from taichi_bokeh.photo.matte.outline import outline_matte
from taichi_bokeh.photo.matte.refine import refine_matte
from taichi_bokeh.photo.matte.settle import Settle, settle
from taichi_bokeh.photo.split import JUMP, cut_at, disparity_span
from taichi_bokeh.photo.stages import Stages, checked

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

_DEFAULT = Stages()
_MOSTLY_HIDDEN = 0.9  # coverage from which on what lies behind is invented, and not read from the image
_EDGE_PX = 2.5  # so far from an outline the mattes of the house ask how far it is


class _Flat(NamedTuple):
    """One layer: rgb [H, W, 3], alpha [H, W], disparity [H, W]."""

    rgb: Array
    alpha: Array
    disparity: Array


def to_layers(
    rgb: Array,
    disparity: Array,
    matte: Array | None = None,
    layers: int | Literal["auto"] = "auto",
    stages: Stages = _DEFAULT,
) -> Layers:
    """Split an image into layers, and invent what each of them hides.

    Without a matte the disparity map is cut where it jumps most. Each layer ends in an edge about a pixel wide; colour
    and disparity go on beyond it, and what it hides is inpainted from the farther layers. Where a cut has to cross a
    surface that goes on, the layer fades out over it instead. The composite of the layers, front to back, is the image to
    rounding: in light, and in parts of the image's, within 1e-6 for each layer. Where mattes and colours are estimated or
    given such that it would not be, both are changed.

    Args:
        rgb: [H, W, 3], linear light, not negative.
        disparity: [H, W], larger is nearer; NaN marks a hole.
        matte: [H, W] in [0, 1], coverage of the foreground: the nearest layer. The rest makes up the others.
        layers: how many, at least 1, and 2 with a matte. Fewer are made where the disparity has no further jump.
            "auto": as many as pay, up to 5, and the one of the matte.
        stages: how each step is done.

    Returns:
        ``Layers`` with batch size 1 and float32, nearest first, the last one opaque.

    Raises:
        TypeError: ``layers`` is neither an integer nor "auto"; ``rgb`` is not of floats (sRGB with 8 or 16 bits is decoded by
            `io.srgb_decode`), another array not of real numbers.
        ValueError: sizes do not fit, a value is out of range, there is not one disparity, ``layers`` is too small, or a
            stage returns what does not fit.
    """
    return split_image(rgb, disparity, matte, layers, stages, settle)


def split_image(
    rgb: Array,
    disparity: Array,
    matte: Array | None,
    layers: int | Literal["auto"],
    stages: Stages,
    make_exact: Settle,
) -> Layers:
    """What `to_layers` does, and raises, with ``make_exact`` to have each layer and what is behind it mix to the image."""
    rgb, disparity, matte = _checked(rgb, disparity, matte)
    if layers != "auto":
        require_integer("layers", layers, at_least=1 if matte is None else 2)
    cuts = None if layers == "auto" else layers - (1 if matte is None else 2)
    disparity = checked("clean", stages.clean(disparity, rgb), disparity.shape)
    span = disparity_span(disparity)
    flats: list[_Flat] = []
    if matte is not None:
        front, rgb, disparity = _take_matte(rgb, disparity, matte, stages, make_exact)
        flats.append(front)
    uncut = cuts == 0 or disparity_span(disparity) <= JUMP * span  # behind a matte there may be one surface only
    for level in () if uncut else sorted(stages.split(disparity, cuts), reverse=True):
        front, rgb, disparity = _take_front(rgb, disparity, level, span, stages, make_exact)
        flats.append(front)
    flats.append(_Flat(rgb, np.ones_like(disparity), disparity))
    fields = [list(parts) for parts in zip(*flats, strict=True)]
    flats.clear()
    return Layers(*map(_tensor, fields))


def _tensor(parts: list[Array]) -> torch.Tensor:
    """Arrays [H, W(, C)], one a layer → [1, L, C, H, W]. Empties the list, for each array to go once it is copied."""
    height, width, channels = np.atleast_3d(parts[0]).shape
    stacked = np.empty((1, len(parts), channels, height, width), np.float32)
    for layer in stacked[0]:
        layer[:] = np.atleast_3d(parts.pop(0)).transpose(2, 0, 1)
    return torch.from_numpy(stacked)


def _checked(rgb: Array, disparity: Array, matte: Array | None) -> tuple[Array, Array, Array | None]:
    rgb = require_light("rgb", rgb)
    disparity = require_plane("disparity", disparity, rgb)
    if not (np.isfinite(rgb).all() and rgb.min() >= 0):
        raise ValueError("rgb has values that are negative, infinite or NaN; expected linear light, at least 0")
    if np.isinf(disparity).any():
        raise ValueError("disparity has infinite values; expected NaN where it is not known")
    if np.isnan(disparity).all():
        raise ValueError("disparity is NaN everywhere; expected at least one pixel where it is known")
    if matte is not None:
        matte = require_coverage("matte", matte, rgb)
    return rgb, disparity, matte


def _take_front(
    rgb: Array, disparity: Array, level: float, span: float, stages: Stages, make_exact: Settle
) -> tuple[_Flat, Array, Array]:
    """Lift off what is nearer than ``level``: the layer, and the colour and disparity of the plate behind it."""
    fade_px = max(8, round(min(disparity.shape) / 30))
    ours = inspect.unwrap(stages.matte) in (outline_matte, refine_matte)
    cut = cut_at(disparity, level, span, reach_px=2 * fade_px, edge_reach_px=_EDGE_PX if ours else math.inf)
    kept = np.isfinite(cut.crossing_px)
    alpha = checked("matte", stages.matte(rgb, cut.near, cut.edge_px), disparity.shape, at_least=0, at_most=1)
    alpha, front, plate = _separate(rgb, alpha, kept, stages, make_exact)
    ramp = np.clip(cut.crossing_px / fade_px, 0, 1)
    alpha = alpha * np.where(kept, ramp * ramp * (3 - 2 * ramp), 1)
    front_disparity = push_pull(disparity, _weight(cut.near))
    plate_disparity = push_pull(disparity, _weight(~cut.near | kept))
    return _Flat(front, alpha.astype(np.float32), front_disparity), plate, plate_disparity


def _take_matte(rgb: Array, disparity: Array, matte: Array, stages: Stages, make_exact: Settle) -> tuple[_Flat, Array, Array]:
    """Lift off the foreground of a given matte."""
    alpha, front, plate = _separate(rgb, matte, np.zeros(matte.shape, bool), stages, make_exact)
    front_disparity = push_pull(disparity, _weight(_eroded_where_possible(matte > 0.9)))
    plate_disparity = push_pull(disparity, _weight(_eroded_where_possible(matte < 0.1)))
    return _Flat(front, alpha, front_disparity), plate, plate_disparity


def _separate(rgb: Array, alpha: Array, kept: Mask, stages: Stages, make_exact: Settle) -> tuple[Array, Array, Array]:
    """Coverage and colours of a layer, and colours of the plate behind it; they mix to the image.

    Of the ``kept`` pixels (a surface goes on) both have the image's colour.
    """
    front, back = (checked("colours", colours, rgb.shape, at_least=0) for colours in stages.colours(rgb, alpha))
    back = np.where(kept[..., None], rgb, back)
    seen = (alpha < _MOSTLY_HIDDEN) | kept
    if not seen.all() and seen.any():
        back = checked("inpaint", stages.inpaint(back, seen), rgb.shape, at_least=0)
    alpha, front, back = make_exact(rgb, alpha, front, back)
    front[kept] = back[kept] = rgb[kept]
    return alpha, front, back


def _weight(known: Mask) -> Array:
    """1 where known; where nothing is, everything is taken."""
    return known.astype(np.float32) if known.any() else np.ones(known.shape, np.float32)


def _eroded_where_possible(mask: Mask) -> Mask:
    """The mask less a pixel of its rim, where the disparity is often the other side's; thin parts stay whole."""
    core = ndimage.binary_erosion(mask, border_value=1)
    return core | (mask & ~ndimage.binary_dilation(core, iterations=2))
