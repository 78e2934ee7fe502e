"""Cut-outs: photographs that are transparent in places, by the alpha channel of their file, and stay so when blurred.

How much there is of the photograph, its coverage q, is an image as its colours are: it is split into the same layers, what
they hide is invented in the same way, and it is blurred alike. So with B the renderer, which is linear in the colours I of
layers whose mattes are given,

    premultiplied colours: B(q·I),      coverage: B(q)

and a cut-out in focus is what it was: the layers' composites are q·I and q, as well as I. The mattes say what hides what; what
is transparent hides like the rest.
"""

from dataclasses import replace
from functools import partial, update_wrapper
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh._render import ProgressCallback, render
from taichi_bokeh.io.require import require_coverage, require_light
from taichi_bokeh.layers import Layers
from taichi_bokeh.models import Model, model_of
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.photo.fill.push_pull import push_pull
from taichi_bokeh.photo.layering import split_image
from taichi_bokeh.photo.matte.settle import ROUNDING, STIFFNESS, Settle, mix_to, settle, settle_colours
from taichi_bokeh.photo.stages import Stages

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Reals = NDArray[np.float64]


_USUAL = Stages()


class CutOut(NamedTuple):
    """A cut-out in layers.

    Attributes:
        layers: those of its colours, as if it were opaque; where it is transparent, its colours go on.
        coverage: [1, L, 1, H, W] in [0, 1], how much there is of each layer's colours.
    """

    layers: Layers
    coverage: Tensor


def split_cut_out(
    rgb: Array,
    coverage: Array,
    disparity: Array,
    matte: Array | None = None,
    layers: int | Literal["auto"] = "auto",
    stages: Stages = _USUAL,
) -> CutOut:
    """Split an image that is transparent in places into layers, see `to_layers`.

    Args:
        rgb: [H, W, 3], linear light, not negative, straight (not premultiplied).
        coverage: [H, W] in [0, 1]; 0: transparent.
        disparity: [H, W], larger is nearer; NaN marks a hole.
        matte: [H, W] in [0, 1], of the foreground.
        layers: how many, or "auto".
        stages: how each step is done; those for colours are done for the coverage as well, as three equal channels.

    Returns:
        The layers, and their coverage.

    Raises:
        TypeError, ValueError: as `to_layers`; the coverage does not fit, is out of range, or is 0 everywhere.
    """
    rgb = require_light("rgb", rgb)
    coverage = require_coverage("coverage", coverage, rgb)
    if not coverage.any():
        raise ValueError("coverage is 0 everywhere; expected an image that is not transparent throughout")
    found = _Found(stages)
    filled = push_pull(rgb, coverage > 0)
    colours = split_image(filled, disparity, matte, layers, found.recorded(), found.settled)
    grey = np.repeat(coverage[..., None], 3, axis=2)
    repeated = split_image(grey, disparity, matte, layers, found.replayed(), found.settled_again())
    shares = repeated.rgb[:, :, :1].clamp(0, 1).contiguous()
    _mix_premultiplied(filled, coverage, colours, shares)
    return CutOut(colours, shares)


def render_cut_out(
    cut_out: CutOut,
    lens: ThinLens,
    model: str | Model | None = None,
    *,
    progress: ProgressCallback | None = None,
    **fields: Any,
) -> Tensor:
    """The image of a cut-out, [1, 4, H, W]: premultiplied colours and coverage.

    Args:
        cut_out: its layers.
        lens: the lens.
        model: as of `render`.
        progress: called with (done, total), of both renderings together.
        **fields: as of `render`.
    """
    layers, coverage = cut_out
    premultiplied = replace(layers, rgb=coverage * layers.rgb)
    alone = replace(layers, rgb=coverage.expand_as(layers.rgb).contiguous())
    first, second = (None if progress is None else _part(progress, part) for part in (0, 1))
    chosen = model_of(model, **fields)
    colours = render(premultiplied, lens, chosen, progress=first)
    return torch.cat([colours, render(alone, lens, chosen, progress=second)[:, :1]], 1)


def _part(progress: ProgressCallback, part: int) -> ProgressCallback:
    """For the first (0) or the second of two renderings that take as long."""
    return lambda done, total: progress(part * total + done, 2 * total)


def _mix_premultiplied(rgb: Array, coverage: Array, layers: Layers, shares: Tensor) -> None:
    """Change the layers' colours, in place, so that multiplied by their coverages they mix to the image's times its own."""
    alpha, colour, share = layers.alpha[0], layers.rgb[0], shares[0]  # [L, C, H, W]
    target = torch.from_numpy(coverage[..., None] * rgb).permute(2, 0, 1)
    mixed, seen = torch.zeros_like(target), torch.ones_like(target[:1])
    for a, c, q in zip(alpha, colour, share, strict=True):
        mixed += seen * a * q * c
        seen *= 1 - a
    rows, columns = np.nonzero(((mixed - target).abs() > ROUNDING * (1 + target)).any(0).numpy())
    if not rows.size:
        return

    def picked(values: Tensor) -> Reals:
        return values[..., rows, columns].numpy().astype(np.float64).swapaxes(-1, -2)

    wanted, a, q, straight = (picked(values) for values in (target, alpha, share, colour))  # [n, 3], [L, n, C]
    limit = np.maximum(straight.max(axis=0), rgb[rows, columns])
    premultiplied = _mixed_in_order(wanted, a, q, q * straight, limit)
    changed = np.where(q > 0, premultiplied / np.where(q > 0, q, 1), straight)
    colour[..., rows, columns] = torch.from_numpy(changed.swapaxes(-1, -2)).float()


def _mixed_in_order(target: Reals, alpha: Reals, share: Reals, colours: Reals, limit: Reals) -> Reals:
    """Premultiplied colours [L, n, 3] near given ones whose composite is ``target``, each at most share·limit."""
    behind = [(colours[-1], share[-1])]  # composites of the last layers, of ever more of them
    for a, c, q in zip(alpha[-2::-1], colours[-2::-1], share[-2::-1], strict=True):
        colour, coverage = behind[-1]
        behind.append((a * c + (1 - a) * colour, a * q + (1 - a) * coverage))
    result = []
    for a, c, q, (plate, plate_share) in zip(alpha[:-1], colours[:-1], share[:-1], behind[-2::-1], strict=True):
        near, target = mix_to(target, a, (c, plate), (q * limit, plate_share * limit), STIFFNESS * a)
        result.append(near)
    return np.stack([*result, target])


class _Found:
    """What the stages found in the colours, to be used for the coverage again."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._disparity: Array | None = None
        self._cuts: list[float] = []
        self._mattes: list[Array] = []
        self._settled: list[Array] = []

    def settled(self, rgb: Array, alpha: Array, front: Array, plate: Array) -> tuple[Array, Array, Array]:
        """`settle`, whose mattes are kept."""
        alpha, front, plate = settle(rgb, alpha, front, plate)
        self._settled.append(alpha)
        return alpha, front, plate

    def settled_again(self) -> Settle:
        """`settle_colours` for coverages, at most 1, and the mattes that were kept."""
        mattes = iter(self._settled)
        return lambda rgb, _, front, plate: settle_colours(rgb, next(mattes), np.minimum(front, 1), np.minimum(plate, 1))

    def recorded(self) -> Stages:
        """The stages, whose results are kept."""
        matte = update_wrapper(partial(self._matte), self._stages.matte)  # `to_layers` asks which it is
        return replace(self._stages, clean=self._clean, split=self._split, matte=matte)

    def replayed(self) -> Stages:
        """Stages that return what was kept."""
        mattes = iter(self._mattes)
        disparity = self._disparity
        assert disparity is not None
        return replace(
            self._stages,
            clean=lambda *_: disparity,
            split=lambda *_: self._cuts,
            matte=lambda *_: next(mattes),
        )

    def _clean(self, disparity: Array, rgb: Array) -> Array:
        self._disparity = self._stages.clean(disparity, rgb)
        return self._disparity

    def _split(self, disparity: Array, count: int | None) -> list[float]:
        self._cuts = list(self._stages.split(disparity, count))
        return self._cuts

    def _matte(self, rgb: Array, near: Mask, edge_px: Array) -> Array:
        self._mattes.append(self._stages.matte(rgb, near, edge_px))
        return self._mattes[-1]
