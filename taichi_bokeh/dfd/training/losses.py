"""What a training makes small: the error of the disparity, or that of the picture which it explains.

    supervised:         mean of K·|d̂ − d|, px of the circle of confusion (K: the largest blur of a view)
    by blurring again:  the `Objective` of a picture against the one that was observed, with the roughness of d̂

That picture is layer(all-in-focus, d̂); of a network that gives a probability p_k for each of the planes d_k, and the layer of
planes, it is the composite of these (planes.py), and d̂ = Σ_k p_k·d_k.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from taichi_bokeh.dfd.layers.base import DefocusLayer
from taichi_bokeh.dfd.layers.planes import CompositionalPlanes
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.dfd.training.settings import TrainSettings
from taichi_bokeh.optics.thin_lens import ThinLens


def error_px(estimate: Tensor, observation: Observation, truth: Tensor | None, names: tuple[str, ...]) -> Tensor:
    """K·|d̂ − d|, [B, 1, H, W].

    Args:
        estimate: d̂, [B, 1, H, W].
        observation: of B views.
        truth: d, [B, 1, H, W].
        names: of the samples.

    Raises:
        ValueError: there is no truth; the message has the names.
    """
    if truth is None:
        raise ValueError(f"a disparity is missing among the samples {', '.join(names)}; expected all, to compare with")
    return observation.blur.amax(1)[:, None, None, None] * (estimate - truth).abs()


def disparity_loss(layer: DefocusLayer, disparity: Tensor, observation: Observation, settings: TrainSettings) -> Tensor:
    """How well a disparity [B, 1, H, W] explains the observation by blurring again: a number.

    Raises:
        ValueError: the border is as wide as the pictures.
    """
    return _picture_loss(lambda lens: layer(observation.all_in_focus, disparity, lens), disparity, observation, settings)


def plane_loss(probabilities: Tensor, planes: Tensor, observation: Observation, settings: TrainSettings) -> Tensor:
    """How well the composite of planes explains the observation: a number.

    Args:
        probabilities: that a pixel lies in each plane, [B, N, H, W].
        planes: their disparities, [N], from far to near.
        observation: of B views.
        settings: of the training.

    Raises:
        TypeError, ValueError: an argument is not what `CompositionalPlanes.composite` expects, or the border is as wide as the
            pictures.
    """

    def blurred(lens: ThinLens) -> Tensor:
        return CompositionalPlanes.composite(observation.all_in_focus, probabilities, lens, planes)

    return _picture_loss(blurred, (probabilities * planes[:, None, None]).sum(1, keepdim=True), observation, settings)


def _picture_loss(
    blurred: Callable[[ThinLens], Tensor], disparity: Tensor, observation: Observation, settings: TrainSettings
) -> Tensor:
    picture, border = observation.all_in_focus, settings.border_px
    height, width = picture.shape[-2:]
    if min(height, width) <= 2 * border:
        raise ValueError(f"border_px is {border}; expected less than half of the pictures' size, {width}×{height} px")
    pictures = torch.stack([blurred(observation.lens(k)) for k in range(observation.count)], 1)
    inside = (..., slice(border, height - border), slice(border, width - border))
    loss = settings.objective.against(observation.blurred[inside].flatten(0, 1), picture[inside])
    share = (disparity - observation.far) / (observation.near - observation.far)
    return loss(pictures[inside].flatten(0, 1), share[inside]).total
