"""Depth of one view by gradients: the disparity whose blur through a defocus layer is the picture that was taken.

    loss = Σ_s data(layer(I, D; K_s, F_s), B_s) + w_G·G(D) + w_C·mean over x of C(x, D(x))

G is the edge-aware gradient (losses.py) and C the cost of the plane sweep (sweep.py), linear between planes. The sweep is right
where neighbours share a depth, and wrong at edges; blurring again is right at edges, and slack within surfaces.

With two layers (`layers=2`) the view is a foreground over a background, each with a disparity of its own everywhere, and what
the foreground hides of the background is found with them:

    foreground:  colour I, coverage α, disparity D_f          background:  colour (1 − α)·I + α·H, coverage 1, disparity D_b

H is the hidden colour. One layer must explain the hidden background, which a lens sees past an edge, by wrong depth.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import cos, pi
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh._checks import require_integer, require_number
from taichi_bokeh.dfd.defocus import DefocusLayer, ScatterDefocus
from taichi_bokeh.dfd.losses import Objective, edge_aware_gradient, to_gamma
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.dfd.splat import SplatDefocus
from taichi_bokeh.dfd.sweep import Estimate, SweepSettings, cost_volume, decide, plane_disparities
from taichi_bokeh.dfd.two_layers import TwoLayers, split_estimate
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.thin_lens import ThinLens

_LAST_SPEED = 1 / 100
_LENS_STEP = 0.02  # of the logarithm of the blur in one step, and of the focus over its range


@dataclass(frozen=True)
class OptimizeSettings:
    """How a disparity map is optimised.

    Attributes:
        steps: of Adam, whose speed rises over the first tenth of the steps and then falls along a cosine.
        step_px: the learning rate, px of the circle of confusion.
        objective: of the data and the smoothness; its gradient term sees the disparity over its range.
        evidence: weight of the sweep's cost; 0 leaves it out.
        layers: 1, or 2 for a foreground and a background with what it hides.
        keep_sign: hold each pixel on the side of the focus on which the sweep has put it; gradients do not cross the focus by
            themselves. Of a single picture only.
        learn_blur: estimate the blur, too; of a stack, the factor that all its blurs have in common.
        learn_focus: estimate the focus, too; of a stack, the shift that all have in common.
        sweep: how the initial value is found.

    Raises:
        TypeError, ValueError: a value is not what it must be.
    """

    steps: int = 120
    step_px: float = 0.1
    objective: Objective = field(default_factory=partial(Objective, gradient=0.1))
    evidence: float = 1.0
    layers: int = 1
    keep_sign: bool = True
    learn_blur: bool = False
    learn_focus: bool = False
    sweep: SweepSettings = field(default_factory=SweepSettings)

    def __post_init__(self) -> None:
        require_integer("steps", self.steps, at_least=1)
        require_number("step_px", self.step_px, above=0.0)
        require_number("evidence", self.evidence, at_least=0.0)
        if self.layers not in (1, 2):
            raise ValueError(f"layers is {self.layers!r}; expected 1 or 2")
        for name in ("keep_sign", "learn_blur", "learn_focus"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is of type {type(getattr(self, name)).__name__}; expected a bool")


@dataclass(frozen=True, eq=False)
class Optimized(Estimate):
    """An optimised disparity map.

    Attributes:
        layers: what was optimised as layers: one opaque layer, or foreground and background; to be rendered again.
        blur: [B, S], px per unit of disparity, as given or as learnt.
        focus: [B, S].
        losses: the total loss of each step.
    """

    layers: Layers
    blur: Tensor
    focus: Tensor
    losses: tuple[float, ...]


class Report(NamedTuple):
    """What one step of an optimisation has to tell."""

    step: int
    steps: int
    loss: float


class Optimization:
    """An optimisation under way: step it, save its state, go on.

    Args:
        observation: what is known.
        layer: what blurs; by default the scatter model for one layer and splats for two. For two it must be a `SplatDefocus`.
        settings: how.
        initial: where to start; by default, the plane sweep's result.

    Raises:
        TypeError, ValueError: the layer cannot blur two layers, or the focus is not within the range of disparities.
    """

    def __init__(
        self,
        observation: Observation,
        layer: DefocusLayer | None = None,
        settings: OptimizeSettings | None = None,
        initial: Estimate | None = None,
    ) -> None:
        self.observation = observation
        self.settings = settings = settings or OptimizeSettings()
        self.layer = layer or (SplatDefocus() if settings.layers == 2 else ScatterDefocus())
        if settings.layers == 2 and not isinstance(self.layer, SplatDefocus):
            raise ValueError(f"layer is {type(self.layer).__name__}; expected a SplatDefocus, which blurs two layers")
        self._require_focus_in_range()
        self._planes = plane_disparities(observation, settings.sweep.step_px)
        sweep = settings.sweep
        self._costs = cost_volume(observation, self._planes, sweep.window_px, sweep.truncation)
        self.initial = initial or decide(observation, self._planes, self._costs, sweep)
        start = (self.initial.disparity - observation.far) / (observation.near - observation.far)
        self._bounds = self._signs(start) if settings.keep_sign and observation.count == 1 else None
        if settings.layers == 2:
            self._two: TwoLayers | None = split_estimate(observation, start)
            self._maps = {"front": self._two.front, "back": self._two.back}
        else:
            self._two = None
            self._maps = {"disparity": start.clone()}
        self._log_blur = torch.zeros(observation.batch, 1).to(observation.blur)
        self._shift = torch.zeros_like(self._log_blur)
        self._losses: list[float] = []
        target = observation.blurred.flatten(0, 1)
        guide = observation.all_in_focus.repeat_interleave(observation.count, 0)
        data = Objective(**{**vars(settings.objective), "gradient": 0.0})
        self._data = data.against(target, guide)
        self._guide = to_gamma(observation.all_in_focus) if settings.objective.gamma else observation.all_in_focus
        self._optimizer, self._schedule = self._optimizers()

    def _require_focus_in_range(self) -> None:
        seen = self.observation
        slack = 1e-6 * (seen.near - seen.far)
        low, high = float(seen.focus.min()), float(seen.focus.max())
        if low < seen.far - slack or high > seen.near + slack:
            raise ValueError(
                f"focus is {low:g} to {high:g}; expected within the range of disparities, {seen.far:g} to {seen.near:g}"
            )

    def _signs(self, start: Tensor) -> tuple[Tensor, Tensor]:
        """Least and largest disparity of each pixel, over the range."""
        seen = self.observation
        focus = ((seen.focus[:, 0] - seen.far) / (seen.near - seen.far))[:, None, None, None]
        is_near = start >= focus
        return torch.where(is_near, focus, 0.0).expand_as(start), torch.where(is_near, 1.0, focus).expand_as(start)

    def _parameters(self) -> dict[str, Tensor]:
        learnt = dict(self._maps)
        if self._two is not None:
            learnt |= {"coverage": self._two.logit, "hidden": self._two.hidden}
        if self.settings.learn_blur:
            learnt["log_blur"] = self._log_blur
        if self.settings.learn_focus:
            learnt["shift"] = self._shift
        return learnt

    def _optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        seen, settings = self.observation, self.settings
        span_px = float(seen.blur.max()) * (seen.near - seen.far)
        rates = {"coverage": 0.3, "hidden": 0.03, "log_blur": _LENS_STEP, "shift": _LENS_STEP}
        learnt = self._parameters()
        speeds = [rates.get(name, settings.step_px / span_px) for name in learnt]
        groups: list[dict[str, Any]] = [
            {"params": [value.requires_grad_()], "lr": speed} for value, speed in zip(learnt.values(), speeds, strict=True)
        ]
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_share_of_speed, steps=settings.steps))
        return optimizer, schedule

    @property
    def done(self) -> int:
        """How many steps are behind it."""
        return len(self._losses)

    def lens(self, picture: int) -> ThinLens:
        """The lens of a picture, as learnt so far."""
        seen = self.observation
        blur, focus = self._lenses()
        return ThinLens(blur[:, picture], focus[:, picture], seen.aperture)

    def _lenses(self) -> tuple[Tensor, Tensor]:
        seen = self.observation
        return seen.blur * self._log_blur.exp(), seen.focus + self._shift * (seen.near - seen.far)

    def _disparity(self, over_range: Tensor) -> Tensor:
        return self.observation.far + over_range * (self.observation.near - self.observation.far)

    def _blurred(self) -> Tensor:
        """[B·S, 3, H, W]."""
        seen = self.observation
        pictures = []
        for s in range(seen.count):
            if self._two is None:
                picture = self.layer(seen.all_in_focus, self._disparity(self._maps["disparity"]), self.lens(s))
            else:
                assert isinstance(self.layer, SplatDefocus)
                rgb, alpha, over_range = self._two.surfaces(seen.all_in_focus)
                picture = self.layer.surfaces(rgb, alpha, self._disparity(over_range), self.lens(s))
            pictures.append(picture)
        return torch.stack(pictures, 1).flatten(0, 1)

    def step(self) -> float:
        """Take one step; returns the loss before it.

        Raises:
            ValueError: the loss is not finite.
        """
        self.layer.train()
        self._optimizer.zero_grad()
        loss = self._loss()
        if not bool(loss.isfinite()):
            raise ValueError(
                f"the loss of step {self.done} is {float(loss)}; expected a finite one: are the pictures in [0, 1]?"
            )
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        with torch.no_grad():
            for value in self._maps.values():
                value.clamp_(0.0, 1.0)
            if self._bounds is not None and self._two is None:
                low, high = self._bounds
                self._maps["disparity"].clamp_(low, high)
            if self._two is not None:
                self._two.hidden.clamp_(min=0.0)
        self._losses.append(float(loss.detach()))
        return self._losses[-1]

    def _loss(self) -> Tensor:
        settings = self.settings
        loss = self._data(self._blurred(), self._guide[:, :1].repeat_interleave(self.observation.count, 0)).total
        smooth = settings.objective
        for value in self._maps.values():
            rough = edge_aware_gradient(value, self._guide, smooth.edge_weight, smooth.levels, smooth.order)
            loss = loss + smooth.gradient * rough.mean()
        if settings.evidence:
            loss = loss + settings.evidence * self._evidence().mean()
        return loss

    def _evidence(self) -> Tensor:
        if self._two is None:
            return self._cost_at(self._maps["disparity"])
        alpha = self._two.alpha
        return alpha * self._cost_at(self._two.front) + (1 - alpha) * self._cost_at(self._two.back)

    def _cost_at(self, over_range: Tensor) -> Tensor:
        """C(x, D(x)), [B, 1, H, W], linear between the planes."""
        last = len(self._planes) - 1
        place = over_range * last
        lower = place.detach().floor().clamp(0, last - 1).long()
        low, high = self._costs.gather(1, lower), self._costs.gather(1, lower + 1)
        return low + (place - lower) * (high - low)

    @torch.no_grad()
    def result(self) -> Optimized:
        """What has been found so far."""
        seen = self.observation
        if self._two is None:
            over_range = self._maps["disparity"]
            rgb, alpha = seen.all_in_focus[:, None], torch.ones_like(over_range)[:, None]
            stack = over_range[:, None]
        else:
            rgb, alpha, stack = self._two.surfaces(seen.all_in_focus)
            over_range = self._two.visible
        blur, focus = self._lenses()
        layers = Layers(rgb.detach().clone(), alpha.detach().clone(), self._disparity(stack).detach().clone())
        disparity = self._disparity(over_range).detach().clone()
        return Optimized(disparity, self.initial.confidence, layers, blur.detach(), focus.detach(), tuple(self._losses))

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on to the same result."""
        return {
            "parameters": {name: value.detach().clone() for name, value in self._parameters().items()},
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "layer": self.layer.state_dict(),
            "losses": list(self._losses),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of an optimisation of the same observation, layer and settings.

        Raises:
            ValueError: it is of another one.
        """
        mine = self._parameters()
        found = {name: tuple(value.shape) for name, value in state["parameters"].items()}
        expected = {name: tuple(value.shape) for name, value in mine.items()}
        if found != expected:
            raise ValueError(f"state is of an optimisation of {found}; expected {expected}")
        with torch.no_grad():
            for name, value in state["parameters"].items():
                mine[name].copy_(value)
        self._optimizer.load_state_dict(state["optimizer"])
        self._schedule.load_state_dict(state["schedule"])
        self.layer.load_state_dict(state["layer"])
        self._losses = list(state["losses"])


def _share_of_speed(step: int, steps: int) -> float:
    """Of the learning rate: up over the first tenth of the steps, then down along a cosine to a small rest."""
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / (warm + 1)
    return _LAST_SPEED + (1 - _LAST_SPEED) * 0.5 * (1 + cos(pi * (step - warm) / max(1, steps - warm)))


def optimize(
    observation: Observation,
    layer: DefocusLayer | None = None,
    settings: OptimizeSettings | None = None,
    *,
    initial: Estimate | None = None,
    on_step: Callable[[Report], None] | None = None,
) -> Optimized:
    """Find the disparity of B views: plane sweep, then gradients through a defocus layer. See `Optimization`.

    Args:
        observation: all-in-focus and blurred pictures with their lenses.
        layer: what blurs; the scatter model by default, and splats for two layers.
        settings: how.
        initial: where to start, instead of the plane sweep's result.
        on_step: called after every step.

    Raises:
        TypeError, ValueError: an argument is not what it must be.
    """
    work = Optimization(observation, layer, settings, initial)
    while work.done < work.settings.steps:
        loss = work.step()
        if on_step is not None:
            on_step(Report(work.done, work.settings.steps, loss))
    return work.result()
