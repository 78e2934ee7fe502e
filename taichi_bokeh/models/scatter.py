"""The scatter models: a chain of operators, for whole pictures or, where these are large, strip by strip."""

import math
import reprlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime, ops, reference
from taichi_bokeh._checks import require_choice, require_number, spoilt
from taichi_bokeh.kernels.scatter.occlusion import PAPER, OcclusionStep
from taichi_bokeh.layers import Layers
from taichi_bokeh.models.base import Model, blur_radius, per_layer
from taichi_bokeh.models.scatter_draft import DraftLayer, draft_sums, levels_for
from taichi_bokeh.ops._common import dtype_name
from taichi_bokeh.ops.scatter.plan import ScatterPlan, ScatterSources
from taichi_bokeh.ops.scatter.strategy import LEAST_ROWS_PX, facts_of, read_facts, strategy_of
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.psf import kernel_reach

Profile = Literal["disc", "soft"]
Algorithm = Literal["auto", "exact", "fast", "reference"]
Quality = Literal["full", "draft"]
_MOST_RADIUS_PX = 1 << 15

PX_STEP = OcclusionStep(gap=-1.75, steepness=1.1)  # in px, and its inverse
_STRIP_BYTES = 2 << 30  # what the arrays of a strip may take
_FLOATS_A_PIXEL = 24  # of a layer: radius, sources, sums, colour, coverage
_MARGIN_PX = 16  # how much farther than its radius any profile reaches, at most
_MARGIN_BLOCKS = 3  # how many blocks farther than its radius a reduced source reaches: its own, and those interpolated between


class Settings(NamedTuple):
    """What a scatter model is rendered with."""

    profile: str  # "disc", "soft", "official", or "shape" for the aperture
    aperture: Aperture
    max_radius: float  # px, 0 for none
    algorithm: str
    quality: str = "full"
    occlusion: bool = True
    occlusion_gap: float | None = None  # None for the default of the profile; in px of the radius where `occlusion_in_px`,
    occlusion_steepness: float | None = None  # else in units of disparity; and its inverse

    @property
    def occlusion_in_px(self) -> bool:
        """Whether the occlusion compares signed radii, in px, rather than disparities."""
        return self.profile in ("disc", "shape")

    @property
    def occlusion_step(self) -> OcclusionStep:
        """The step of τ."""
        default = PX_STEP if self.occlusion_in_px else PAPER
        given = OcclusionStep(self.occlusion_gap, self.occlusion_steepness)  # type: ignore[arg-type]
        return OcclusionStep(*(own if value is None else value for own, value in zip(default, given, strict=True)))

    @property
    def border(self) -> str:
        """How the image goes on beyond its border."""
        return "reflect" if self.profile == "official" else "replicate"


class ScatterModel(Model):
    """What the scatter models share."""

    max_radius: float | None
    occlusion: bool

    def __post_init__(self) -> None:
        if self.max_radius is not None:
            require_number("max_radius", self.max_radius)
            if not 0 < self.max_radius < _MOST_RADIUS_PX:
                raise ValueError(f"max_radius is {self.max_radius}; expected px between 0 and {_MOST_RADIUS_PX}")
            object.__setattr__(self, "max_radius", float(self.max_radius))
        if not isinstance(self.occlusion, bool):
            raise TypeError(f"occlusion is of type {type(self.occlusion).__name__}; expected a bool")

    def _require_disc(self, aperture: Aperture, which: str) -> None:
        """ValueError that names what makes the aperture another shape than the disc."""
        field = aperture.not_a_disc
        if field is not None:
            raise ValueError(
                f"aperture: {which} renders the disc only ({field} is {reprlib.repr(getattr(aperture, field))}); expected "
                "model 'subaperture', or 'scatter' with profile 'disc', for other shapes"
            )

    @abstractmethod
    def _settings(self, aperture: Aperture) -> Settings:
        """What the chain of operators is given."""

    def _image(self, layers: Layers, blur: Tensor, focus: Tensor, aperture: Aperture) -> Tensor:
        settings = self._settings(aperture)
        if self.algorithm == "reference":
            values = layers.rgb, layers.alpha, layers.disparity
            step = settings.occlusion_step if self.occlusion else None
            return reference.render(*values, blur, focus, settings.profile, self.max_radius, aperture, step)
        return scatter(layers, blur, focus, settings)

    def _strategies(self, layers: Layers, blur: Tensor, focus: Tensor, aperture: Aperture) -> list[tuple[str, str]]:
        return strategies(layers, blur, focus, self._settings(aperture))

    def _hidden(self, layers: Layers, radius: Tensor, aperture: Aperture) -> list[float]:
        seen = None if self.algorithm == "reference" else _seen(layers, radius, self._settings(aperture))
        if seen is None:
            return super()._hidden(layers, radius, aperture)
        return [1 - share for share in seen.double().mean((1, 2)).tolist()]


@dataclass(frozen=True)
class Scatter(ScatterModel):
    """The occlusion-aware scatter model of Dr.Bokeh (docs/mathematics.md), with the exact disc or the aperture of the lens.

    Attributes:
        profile: edge of the blur discs: "disc", the exact disc, or the aperture of the lens; "soft", the paper's logistic, for
            the disc only.
        algorithm: "reference", slow readable torch, or a strategy to the same result: "exact", every weight of the blur disc
            one by one; "fast", in time linear in the radius, by the steps of the discs along rows, within the bounds of
            docs/mathematics.md; "auto" takes what costs less. `explain` says what.
        max_radius: only sources nearer than this, in px, contribute; by default as far as the largest blur reaches. It cuts
            off discs only, not other apertures.
        quality: "draft" merges what is far out of focus: its time hardly depends on the radius, the edges of large discs are a
            little soft; differentiable in rgb and alpha; without max_radius, cat-eye and torch.compile.
        occlusion: False leaves the occlusion within a layer out, O = 1, as ablations do; that between layers stays.
        occlusion_gap: how much nearer a source is than a pixel in focus where half of it counts; negative is farther. In px of
            the radius, −1.75 by default; with profile "soft" in units of disparity, 0.1 by default, as in the paper.
        occlusion_steepness: how fast the share that counts rises there, per px, 1.1 by default; or per unit of disparity, 20
            by default. Up to 2.5 per px the rows stay fast (float32).

    Raises:
        TypeError, ValueError: a field is not what it must be; the message names it.
    """

    name = "scatter"

    profile: Profile = "disc"
    algorithm: Algorithm = "auto"
    max_radius: float | None = None
    quality: Quality = "full"
    occlusion: bool = True
    occlusion_gap: float | None = None
    occlusion_steepness: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("occlusion_gap", "occlusion_steepness"):
            if getattr(self, field) is not None:
                require_number(field, getattr(self, field))
                object.__setattr__(self, field, float(getattr(self, field)))
        if self.occlusion_steepness is not None and self.occlusion_steepness <= 0:
            raise ValueError(f"occlusion_steepness is {self.occlusion_steepness}; expected more than 0")
        require_choice("profile", self.profile, Profile)
        require_choice("algorithm", self.algorithm, Algorithm)
        require_choice("quality", self.quality, Quality)
        if self.quality == "draft" and self.algorithm not in ("auto", "fast"):
            raise ValueError(f"algorithm is {self.algorithm!r}; expected 'auto' or 'fast' with quality 'draft'")
        if self.quality == "draft" and self.max_radius is not None:
            raise ValueError(f"max_radius is {self.max_radius}; expected None with quality 'draft'")

    @property
    def title(self) -> str:
        """What tables call it."""
        return f"Scatter, {self.profile} profile" + ("" if self.occlusion else ", no occlusion")

    def require_renderable(self, aperture: Aperture) -> None:
        """ValueError that names what this model cannot render of an aperture."""
        if self.profile != "disc":
            self._require_disc(aperture, f"profile {self.profile!r}")
        if self.quality == "draft" and aperture.cat_eye != 0:
            raise ValueError(f"aperture.cat_eye is {aperture.cat_eye!r}; expected 0 with quality 'draft'")
        if self.max_radius is not None and not aperture.is_disc:
            raise ValueError(f"max_radius is {self.max_radius}, but cuts off discs only; leave it out with another aperture")

    def _settings(self, aperture: Aperture) -> "Settings":
        profile = self.profile if aperture.is_disc else "shape"
        step = self.occlusion_gap, self.occlusion_steepness
        return Settings(profile, aperture, self.max_radius or 0.0, self.algorithm, self.quality, self.occlusion, *step)

    def _image(self, layers: Layers, blur: Tensor, focus: Tensor, aperture: Aperture) -> Tensor:
        if self.quality == "draft" and torch.is_grad_enabled():
            # What a draft leaves out is small beside an image, not beside its slope.
            for name, tensor in (("layers.disparity", layers.disparity), ("lens.blur", blur), ("lens.focus", focus)):
                if tensor.requires_grad:
                    raise ValueError(f"{name} requires a gradient; expected one without: that of quality 'draft' is of no use")
        return super()._image(layers, blur, focus, aperture)


def scatter(layers: Layers, blur: Tensor, focus: Tensor, settings: Settings) -> Tensor:
    """Render the image [B, 3, H, W]."""
    levels = _levels(layers, blur, focus, settings) if settings.quality == "draft" else [0] * layers.batch * layers.count
    if torch.compiler.is_compiling() or _needs_gradient(layers, blur, focus) or settings.aperture.cat_eye != 0:
        return spoilt(_render(layers, blur, focus, settings, levels), layers.disparity)
    row_bytes = layers.width * layers.batch * layers.count * _FLOATS_A_PIXEL * layers.rgb.element_size()
    if row_bytes * layers.height <= _STRIP_BYTES:
        return spoilt(_render(layers, blur, focus, settings, levels), layers.disparity)
    return _by_strips(layers, blur, focus, settings, levels, max(64, _STRIP_BYTES // row_bytes))


def _largest_px(layers: Layers, blur: Tensor, focus: Tensor) -> Tensor:
    """The largest radius of each layer, [B, L]."""
    low, high = layers.disparity.detach().flatten(2).aminmax(dim=2)
    blur, focus = blur.detach()[:, None], focus.detach()[:, None]
    return blur * torch.maximum((low - focus).abs(), (high - focus).abs())


def _levels(layers: Layers, blur: Tensor, focus: Tensor, settings: Settings) -> list[int]:
    """To how many levels each layer of each scene is reduced in a draft, B·L of them."""
    largest = _largest_px(layers, blur, focus).flatten().tolist()
    blurs = _plan(layers, blur, focus, settings).blur.tolist()
    step, dtype = settings.occlusion_step, dtype_name(layers.rgb)
    return [levels_for(px, each, step, dtype) for px, each in zip(largest, blurs, strict=True)]


def _needs_gradient(layers: Layers, blur: Tensor, focus: Tensor) -> bool:
    inputs = (layers.rgb, layers.alpha, layers.disparity, blur, focus)
    return torch.is_grad_enabled() and any(value.requires_grad for value in inputs)


def _by_strips(layers: Layers, blur: Tensor, focus: Tensor, settings: Settings, levels: Sequence[int], rows: int) -> Tensor:
    """The same to rounding: each strip sees as far as its sources reach, and a draft reduces the same blocks."""
    largest_px = float(_largest_px(layers, blur, focus).max())
    block = 2 ** max(levels)
    halo = kernel_reach(largest_px, settings.aperture.extent) + _MARGIN_PX + _MARGIN_BLOCKS * block
    if settings.max_radius > 0:
        halo = min(halo, math.ceil(settings.max_radius))
    if settings.algorithm == "auto":  # one strategy for all strips
        settings = settings._replace(algorithm="exact" if largest_px <= LEAST_ROWS_PX else "rows")
    image = torch.empty_like(layers.rgb[:, 0])
    strips = list(_strips(layers.height, max(2 * halo, rows - 2 * halo)))  # halos are no more than half of the work
    for k, (top, bottom) in enumerate(strips):
        first, last = max(0, top - halo) // block * block, min(layers.height, -(-(bottom + halo) // block) * block)
        strip = Layers(*(value[..., first:last, :] for value in (layers.rgb, layers.alpha, layers.disparity)))
        with _runtime.nested_progress(k, len(strips)):
            image[..., top:bottom, :] = _render(strip, blur, focus, settings, levels)[..., top - first : bottom - first, :]
    return image


def _strips(height: int, rows: int) -> Iterator[tuple[int, int]]:
    step = -(-height // -(-height // rows))  # equal parts
    for top in range(0, height, step):
        yield top, min(height, top + step)


def _plan(layers: Layers, blur: Tensor, focus: Tensor, settings: Settings) -> ScatterPlan:
    """Plan B·L layers; the blur and the focus are in the units in which the occlusion compares."""
    if settings.occlusion_in_px:
        blur = torch.ones(layers.batch * layers.count, dtype=blur.dtype, device=blur.device)
        focus = torch.zeros_like(blur)
    else:
        blur, focus = (per_layer(value, layers.count).detach() for value in (blur, focus))
    limits = settings.profile, settings.max_radius, settings.border, settings.algorithm
    return ScatterPlan(blur, focus, *limits, settings.occlusion_step, settings.aperture)


class _Colours(NamedTuple):
    """What the sums are resolved with, of B·L layers."""

    rgb: Tensor  # [B·L, 3, H, W]
    alpha: Tensor  # [B·L, H, W]
    radius: Tensor  # [B·L, H, W], signed px


def _sources(layers: Layers, blur: Tensor, focus: Tensor, settings: Settings) -> tuple[_Colours, ScatterSources]:
    """B·L layers, and what is scattered of them."""
    height, width = layers.shape[2:]
    rgb = layers.rgb.reshape(-1, 3, height, width)
    alpha, disparity = (value.reshape(-1, height, width) for value in (layers.alpha, layers.disparity))
    radius = blur_radius(layers, blur, focus)
    channels, radius_px, in_focus = ops.sources(rgb, alpha, radius, settings.profile)
    if not settings.occlusion:  # O = 1 + e·(…) with e = 0
        in_focus = torch.zeros_like(in_focus)
    compared = radius if settings.occlusion_in_px else disparity
    return _Colours(rgb, alpha, radius), ScatterSources(channels, radius_px, compared, in_focus)


def _render(layers: Layers, blur: Tensor, focus: Tensor, settings: Settings, levels: Sequence[int]) -> Tensor:
    batch, count, height, width = layers.shape
    colours, sources = _sources(layers, blur, focus, settings)
    plan = _plan(layers, blur, focus, settings)._replace(seen=_seen(layers, colours.radius, settings))
    sums = _draft_sums(sources, plan, levels) if any(levels) else ops.scatter(sources, plan)
    if settings.profile == "official":
        coverage = ops.square_mean(colours.alpha, colours.radius, int(settings.max_radius or 1 << 20))
        colour = ops.resolve_official(sums, coverage)
    else:
        colour, coverage = ops.resolve(sums, *colours, settings.profile)
    return _composite(colour.reshape(batch, count, 3, height, width), coverage.reshape(batch, count, height, width))


def _seen(layers: Layers, radius: Tensor, settings: Settings) -> Tensor | None:
    """Mark the tiles in which something of each layer may be seen, [B·L, h, w]; None for all."""
    if layers.count == 1 or settings.profile == "official" or settings.quality == "draft":
        return None
    differentiable = torch.is_grad_enabled() and layers.alpha.requires_grad
    alpha, signed = layers.alpha[:, :, 0], radius.unflatten(0, layers.shape[:2])
    return ops.seen_tiles(alpha, signed, settings.profile, settings.aperture, 2 if differentiable else 1)


def _draft_sums(sources: ScatterSources, plan: ScatterPlan, levels: Sequence[int]) -> Tensor:
    results = []
    for k, levels_of_layer in enumerate(levels):
        results.append(draft_sums(DraftLayer(sources.of(slice(k, k + 1)), plan.of_layer(k), levels_of_layer)))
    return torch.cat(results)


def _composite(colour: Tensor, coverage: Tensor) -> Tensor:
    """Front to back; in halves where the layers are more than a kernel should be unrolled for."""
    count = coverage.shape[1]
    if count <= 16:
        return ops.composite(colour, coverage)
    half = count // 2
    through = (1 - coverage[:, :half]).prod(1, keepdim=True)
    return _composite(colour[:, :half], coverage[:, :half]) + through * _composite(colour[:, half:], coverage[:, half:])


def strategies(layers: Layers, blur: Tensor, focus: Tensor, settings: Settings) -> list[tuple[str, str]]:
    """How each layer of each scene is evaluated, and why, B·L of them."""
    with torch.no_grad():
        sources, plan = _sources(layers, blur, focus, settings)[1], _plan(layers, blur, focus, settings)
        chosen = [strategy_of(one, sources.pixels, plan)[:2] for one in facts_of(read_facts(sources, plan))]
        if settings.quality == "full":
            return chosen
        levels = _levels(layers, blur, focus, settings)
    return [_of_draft(*pair, count) for pair, count in zip(chosen, levels, strict=True)]


def _of_draft(strategy: str, reason: str, levels: int) -> tuple[str, str]:
    if levels == 0:
        return strategy, f"{reason}; of the draft, which merges on no level here"
    return "pyramid", f"a draft: what is far out of focus is merged on {levels} levels, each half as fine as the one before"
