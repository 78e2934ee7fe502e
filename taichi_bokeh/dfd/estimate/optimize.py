"""Depth of one view by gradients: the disparity whose blur through a defocus layer is the picture that was taken.

    loss = Σ_s data(layer(I, D; K_s, F_s), B_s) + w_G·G(D) + w_C·mean over x of C(x, D(x))

G is the edge-aware gradient (losses.py) and C the cost of the plane sweep (plane_sweep.py), linear between planes. The sweep is
right where neighbours share a depth, and wrong at edges, which are moved to those of the picture before the first step
(snap_to_edges.py); blurring again is right at edges, and slack within surfaces.

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

from taichi_bokeh._checks import require_integer, require_number, require_type
from taichi_bokeh._render import ProgressCallback
from taichi_bokeh.dfd.estimate.plane_sweep import Estimate, SweepSettings, cost_volume, decide, plane_disparities
from taichi_bokeh.dfd.estimate.snap_to_edges import snap_to_edges
from taichi_bokeh.dfd.estimate.variables import OneLayer, Variables, require_two, split_estimate
from taichi_bokeh.dfd.layers.base import DefocusLayer, RenderedDefocus
from taichi_bokeh.dfd.layers.splat import SplatDefocus
from taichi_bokeh.dfd.losses import Objective
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.layers import Layers
from taichi_bokeh.models import Scatter
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
        snap: whether to begin by moving the jumps of the initial disparity to edges of the picture (snap_to_edges.py); near the
            jumps, where the sweep's cost is that of two surfaces mixed, it then is no evidence.
        layers: 1, or 2 for a foreground and a background with what it hides.
        keep_sign: hold each pixel on the side of the focus on which the sweep has put it; gradients do not cross the focus by
            themselves. Of a single picture and one layer only: a stack tells the side by itself, and of two layers a pixel may
            be seen on one side in the one and on the other in the other.
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
    snap: bool = True
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
        for name in ("snap", "keep_sign", "learn_blur", "learn_focus"):
            require_type(name, getattr(self, name), bool, "a bool")


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


class OptimizeStep(NamedTuple):
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
        progress: called with (done, total) planes of the sweep, which is also made where there is an initial value, as long as
            its cost is evidence.

    Raises:
        TypeError, ValueError: the layer cannot blur two layers, or the focus is not within the range of disparities.
    """

    def __init__(
        self,
        observation: Observation,
        layer: DefocusLayer | None = None,
        settings: OptimizeSettings | None = None,
        initial: Estimate | None = None,
        progress: ProgressCallback | None = None,
    ) -> None:
        self.observation = observation
        self.settings = settings = settings or OptimizeSettings()
        self.layer = layer or (SplatDefocus() if settings.layers == 2 else RenderedDefocus(Scatter()))
        if settings.layers == 2:
            require_two(self.layer)
        self._require_focus_in_range()
        sweep = settings.sweep
        self._costs: Tensor | None = None  # of the sweep's planes, evenly from far to near
        if settings.evidence or initial is None:
            planes = plane_disparities(observation, sweep.step_px)
            self._costs = cost_volume(observation, planes, sweep.window_px, sweep.truncation, progress)
            initial = initial or decide(observation, planes, self._costs, sweep)
        assert initial is not None  # given, or just found
        self.initial = initial
        found = initial.disparity
        if settings.snap:
            found, sure = snap_to_edges(observation, initial.disparity)
            if self._costs is not None:
                self._costs = self._costs * sure
        start = (found - observation.far) / (observation.near - observation.far)
        self._variables = split_estimate(observation, start) if settings.layers == 2 else self._one_layer(start)
        self._log_blur = observation.blur.new_zeros(observation.batch, 1)
        self._shift = torch.zeros_like(self._log_blur)
        self._losses: list[float] = []
        self._objective = settings.objective.against(observation.blurred.flatten(0, 1), observation.all_in_focus)
        self._optimizer, self._schedule = self._optimizers()

    def _require_focus_in_range(self) -> None:
        seen = self.observation
        slack = 1e-6 * (seen.near - seen.far)
        low, high = float(seen.focus.min()), float(seen.focus.max())
        if low < seen.far - slack or high > seen.near + slack:
            raise ValueError(
                f"focus is {low:g} to {high:g}; expected within the range of disparities, {seen.far:g} to {seen.near:g}"
            )

    def _one_layer(self, start: Tensor) -> Variables:
        """One map, each pixel of which is held on its side of the focus where that is asked for."""
        seen = self.observation
        if not self.settings.keep_sign or seen.count > 1:
            return OneLayer(start.clone(), torch.zeros_like(start), torch.ones_like(start))
        focus = ((seen.focus[:, 0] - seen.far) / (seen.near - seen.far))[:, None, None, None]
        is_near = start >= focus
        return OneLayer(start.clone(), torch.where(is_near, focus, 0.0), torch.where(is_near, 1.0, focus))

    def _parameters(self) -> dict[str, tuple[Tensor, float]]:
        """What is learnt, by name, each with its learning rate."""
        seen, settings = self.observation, self.settings
        rate = settings.step_px / (float(seen.blur.max()) * (seen.near - seen.far))
        learnt = {name: (value, rate) for name, value in self._variables.maps.items()} | dict(self._variables.others)
        if settings.learn_blur:
            learnt["log_blur"] = self._log_blur, _LENS_STEP
        if settings.learn_focus:
            learnt["shift"] = self._shift, _LENS_STEP
        return learnt

    def _optimizers(self) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        groups: list[dict[str, Any]] = [
            {"params": [value.requires_grad_()], "lr": rate} for value, rate in self._parameters().values()
        ]
        optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_share_of_speed, steps=self.settings.steps))
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
        pictures = [
            self._variables.blurred(self.layer, seen.all_in_focus, self._disparity, self.lens(s)) for s in range(seen.count)
        ]
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
                f"the loss of step {self.done} is {float(loss.detach())}; expected a finite one: are the pictures in [0, 1]?"
            )
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        with torch.no_grad():
            self._variables.clamp()
        self._losses.append(float(loss.detach()))
        return self._losses[-1]

    def _loss(self) -> Tensor:
        loss = self._objective(self._blurred(), *self._variables.maps.values()).total
        if self.settings.evidence:
            loss = loss + self.settings.evidence * self._variables.mean(self._cost_at).mean()
        return loss

    def _cost_at(self, over_range: Tensor) -> Tensor:
        """C(x, D(x)), [B, 1, H, W], linear between the planes."""
        assert self._costs is not None  # as there is evidence
        last = self._costs.shape[1] - 1
        place = over_range * last
        lower = place.detach().floor().clamp(0, last - 1).long()
        low, high = self._costs.gather(1, lower), self._costs.gather(1, lower + 1)
        return low + (place - lower) * (high - low)

    @torch.no_grad()
    def result(self) -> Optimized:
        """What has been found so far."""
        seen = self.observation
        rgb, alpha, stack = self._variables.stack(seen.all_in_focus)
        blur, focus = self._lenses()
        layers = Layers(rgb.detach().clone(), alpha.detach().clone(), self._disparity(stack).detach().clone())
        disparity = self._disparity(self._variables.visible).detach().clone()
        return Optimized(disparity, self.initial.confidence, layers, blur.detach(), focus.detach(), tuple(self._losses))

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs to go on to the same result."""
        return {
            "parameters": {name: value.detach().clone() for name, (value, _) in self._parameters().items()},
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "layer": self.layer.state_dict(),
            "losses": list(self._losses),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state. That it is one of the same observation, layer and settings is the caller's to see to.

        Raises:
            ValueError: what is learnt there has other names or sizes.
        """
        mine = self._parameters()
        found = {name: tuple(value.shape) for name, value in state["parameters"].items()}
        expected = {name: tuple(value.shape) for name, (value, _) in mine.items()}
        if found != expected:
            raise ValueError(f"state is of an optimisation of {found}; expected {expected}")
        with torch.no_grad():
            for name, value in state["parameters"].items():
                mine[name][0].copy_(value)
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
    on_plane: ProgressCallback | None = None,
    on_step: Callable[[OptimizeStep], None] | None = None,
) -> Optimized:
    """Find the disparity of B views: plane sweep, then gradients through a defocus layer. See `Optimization`.

    Args:
        observation: all-in-focus and blurred pictures with their lenses.
        layer: what blurs; the scatter model by default, and splats for two layers.
        settings: how.
        initial: where to start, instead of the plane sweep's result.
        on_plane: called with (done, total) planes of the sweep.
        on_step: called after every step.

    Raises:
        TypeError, ValueError: an argument is not what it must be.
    """
    work = Optimization(observation, layer, settings, initial, on_plane)
    while work.done < work.settings.steps:
        loss = work.step()
        if on_step is not None:
            on_step(OptimizeStep(work.done, work.settings.steps, loss))
    return work.result()
