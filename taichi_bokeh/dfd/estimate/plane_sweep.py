"""Plane sweep: blur the all-in-focus picture as if all of it lay at one disparity, for many, and see where it fits.

    C(x, k) = mean over pictures s and channels of min(|γ(I∗h(K_s·(d_k − F_s)))(x) − γ(B_s)(x)|, τ), then over a window

Radii are signed, so that an opening that is not its own point mirror tells what is before the focus from what is behind. The
costs are aggregated by semi-global matching. It has no gradients: it is a method of its own, an initial value, and evidence.
"""

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from taichi_bokeh._autocast import in_full_precision
from taichi_bokeh._checks import require_float_tensor, require_integer, require_number, require_shape
from taichi_bokeh._render import ProgressCallback
from taichi_bokeh.dfd.layers.planes import PlaneBlur
from taichi_bokeh.dfd.losses import to_gamma
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.ops.dfd.semi_global import semi_global


@dataclass(frozen=True)
class SweepSettings:
    """How a sweep is made.

    Attributes:
        step_px: between the circles of confusion of two planes, at most.
        window_px: over which a cost is averaged, odd.
        truncation: of a difference of two gamma values: beyond it, more says nothing.
        small: penalty for a step of one plane between neighbours.
        large: penalty for any larger jump, on even ground.
        edge: how fast that falls where the all-in-focus picture has an edge (per unit of gamma value).

    Raises:
        TypeError, ValueError: a value is not a positive number; the window is no odd number.
    """

    step_px: float = 0.25
    window_px: int = 3
    truncation: float = 0.06
    small: float = 0.002
    large: float = 0.02
    edge: float = 10.0

    def __post_init__(self) -> None:
        for name in ("step_px", "truncation", "small", "large"):
            require_number(name, getattr(self, name), above=0.0)
        require_number("edge", self.edge, at_least=0.0)
        require_integer("window_px", self.window_px, at_least=1)
        if self.window_px % 2 == 0:
            raise ValueError(f"window_px is {self.window_px}; expected an odd number")


@dataclass(frozen=True, eq=False)
class Estimate:
    """A disparity map and how far it can be trusted.

    Attributes:
        disparity: [B, 1, H, W].
        confidence: [B, 1, H, W] in [0, 1]: the share of the likelihood, over all planes, that lies within half a pixel's
            circle of confusion of this disparity. Low where the picture has no texture.
    """

    disparity: Tensor
    confidence: Tensor


def plane_disparities(observation: Observation, step_px: float = 0.25) -> Tensor:
    """Disparities [N] from far to near, no two neighbours further apart than `step_px` of any picture's blur radius."""
    span_px = float(observation.blur.max()) * (observation.near - observation.far)
    count = max(2, ceil(span_px / step_px) + 1)
    return torch.linspace(
        observation.far, observation.near, count, dtype=observation.focus.dtype, device=observation.focus.device
    )


@torch.no_grad()
@in_full_precision
def cost_volume(
    observation: Observation,
    disparities: Tensor,
    window_px: int = 3,
    truncation: float = 0.06,
    progress: ProgressCallback | None = None,
) -> Tensor:
    """Costs [B, N, H, W] of N planes; the lower, the likelier.

    Args:
        observation: of B views.
        disparities: [N], of the planes.
        window_px: odd; over which the costs are averaged.
        truncation: the largest cost.
        progress: called with (done, total) planes.

    Raises:
        TypeError, ValueError: disparities is no tensor [N].
    """
    require_float_tensor("disparities", disparities)
    require_shape("disparities", disparities, "N")
    picture = observation.all_in_focus
    costs = picture.new_zeros(observation.batch, len(disparities), *picture.shape[-2:])
    total = observation.batch * observation.count * len(disparities)
    done = 0
    for view in range(observation.batch):
        planes = PlaneBlur(picture[view : view + 1], observation.aperture, observation.largest_radius_px)
        for shot in range(observation.count):
            seen = to_gamma(observation.blurred[view, shot])
            blur, focus = float(observation.blur[view, shot]), float(observation.focus[view, shot])
            for k, disparity in enumerate(disparities.tolist()):
                difference = (to_gamma(planes.at(blur * (disparity - focus))[0]) - seen).abs()
                costs[view, k] += difference.clamp(max=truncation).mean(0)
                done += 1
                if progress is not None:
                    progress(done, total)
    costs /= observation.count
    return avg_pool2d(costs, window_px, stride=1, padding=window_px // 2, count_include_pad=False)


@torch.no_grad()
def plane_sweep(
    observation: Observation, settings: SweepSettings | None = None, progress: ProgressCallback | None = None
) -> Estimate:
    """Find the disparity by a plane sweep and semi-global matching.

    Args:
        observation: of B views.
        settings: how; the defaults suit values in [0, 1].
        progress: called with (done, total) planes.
    """
    settings = settings or SweepSettings()
    disparities = plane_disparities(observation, settings.step_px)
    costs = cost_volume(observation, disparities, settings.window_px, settings.truncation, progress)
    return decide(observation, disparities, costs, settings)


@torch.no_grad()
@in_full_precision
def decide(observation: Observation, disparities: Tensor, costs: Tensor, settings: SweepSettings) -> Estimate:
    """Aggregate the costs [B, N, H, W] of planes at `disparities` [N], and take the best plane, to a part of a plane."""
    guide = to_gamma(observation.all_in_focus).mean(1)
    found, confidence = [], []
    least_blur = observation.blur.amin(1).tolist()
    for volume, picture, blur in zip(costs, guide, least_blur, strict=True):
        total = semi_global(volume.permute(1, 2, 0), picture, settings.small, settings.large, settings.edge).permute(2, 0, 1)
        found.append(median(_best(total, disparities)[None]))
        confidence.append(_confidence(total, disparities, blur, settings)[None])
    return Estimate(torch.stack(found), torch.stack(confidence))


def _best(total: Tensor, disparities: Tensor) -> Tensor:
    """Disparity [H, W] at the vertex of the parabola through the lowest of the costs [N, H, W] and its neighbours."""
    count = len(disparities)
    lowest = total.argmin(0, keepdim=True)
    if count < 3:
        return disparities[lowest[0]]
    middle = lowest.clamp(1, count - 2)
    before, here, after = (total.gather(0, middle + k)[0] for k in (-1, 0, 1))
    bend = before - 2 * here + after
    offset = torch.where(bend > 0, 0.5 * (before - after) / bend.clamp(min=torch.finfo(bend.dtype).tiny), 0.0)
    return disparities[middle[0]] + offset.clamp(-1, 1) * (disparities[1] - disparities[0])


def _confidence(total: Tensor, disparities: Tensor, blur: float, settings: SweepSettings) -> Tensor:
    """[H, W]; costs of 8 paths are likelihoods exp(−C/(8·temperature)), the temperature a quarter of the truncation."""
    likelihood = (-(total - total.amin(0)) * (0.5 / settings.truncation)).softmax(0)
    best = disparities[total.argmin(0)]
    near = (blur * (disparities[:, None, None] - best)).abs() <= 0.5 + 1e-6
    return (likelihood * near).sum(0)


def median(disparity: Tensor, window_px: int = 3) -> Tensor:
    """Median of [..., H, W] over square windows of an odd size; the border is replicated."""
    pad = window_px // 2
    flat = disparity.reshape(-1, 1, *disparity.shape[-2:])
    padded = torch.nn.functional.pad(flat, (pad, pad, pad, pad), mode="replicate")
    windows = padded.unfold(-2, window_px, 1).unfold(-2, window_px, 1)
    return windows.flatten(-2).median(-1).values.reshape(disparity.shape)
