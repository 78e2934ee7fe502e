"""Layers of an image and its disparity."""

from typing import Any, Literal

import torch
from torch import Tensor

from taichi_bokeh._checks import require_integer
from taichi_bokeh._doors.arrays import take_image, take_plane
from taichi_bokeh.layers import Layers, splits_images

Count = int | Literal["auto", "one"]


@splits_images
def layers_of_rgbd(rgb: Any, disparity: Any, layers: Count) -> Layers:
    """Do what `Layers.from_rgbd` says, and raise what it raises."""
    light = take_image("rgb", rgb, srgb=False).values
    return layers_of_light("rgb", light, take_plane("disparity", disparity, light, unit=True), layers)


def layers_of_light(name: str, light: Tensor, disparity: Tensor, layers: Count) -> Layers:
    """Make layers of light [B, 3, H, W], the argument of this name, and its disparity [B, 1, H, W] with NaN for holes."""
    if isinstance(layers, str):
        if layers not in ("auto", "one"):
            raise ValueError(f"layers is {layers!r}; expected a number, 'auto' or 'one'")
    else:
        require_integer("layers", layers, at_least=1)
    disparity = _without_holes(light, disparity)
    if layers in (1, "one"):
        return Layers(light[:, None], torch.ones_like(disparity)[:, None], disparity[:, None])
    for argument, tensor in ((name, light), ("disparity", disparity)):
        if torch.is_grad_enabled() and tensor.requires_grad:
            raise ValueError(
                f"{argument} requires a gradient; expected one without, as splitting into layers has none (layers='one' has)"
            )
    from taichi_bokeh.photo.layering import to_layers  # photo brings scipy, which importing the package does not wait for

    count: int | Literal["auto"] = "auto" if isinstance(layers, str) else layers
    split = [
        to_layers(_array(image.movedim(0, -1)), _array(plane[0]), layers=count)
        for image, plane in zip(light, disparity, strict=True)
    ]
    most = max(one.count for one in split)
    padded = [_with_empty_layers(one, most - one.count) for one in split]
    tensors = (torch.cat([getattr(one, part) for one in padded]) for part in ("rgb", "alpha", "disparity"))
    return Layers(*tensors).to(light.device, light.dtype)


def _without_holes(light: Tensor, disparity: Tensor) -> Tensor:
    hole = disparity.isnan()
    if disparity.isinf().any():
        raise ValueError("disparity holds infinite values; expected finite ones, and NaN where it is not known")
    if not hole.any():
        return disparity
    if hole.flatten(1).all(1).any():
        raise ValueError("disparity is NaN everywhere; expected at least one pixel where it is known")
    from taichi_bokeh.photo.fill.holes import fill_holes

    filled = [
        torch.from_numpy(fill_holes(_array(plane[0]), _array(image.movedim(0, -1))))
        for image, plane in zip(light, disparity, strict=True)
    ]
    return torch.where(hole, torch.stack(filled)[:, None].to(disparity), disparity)


def _with_empty_layers(layers: Layers, count: int) -> Layers:
    """Make the same scene with so many layers in front that cover nothing."""
    if count == 0:
        return layers
    front = (torch.zeros_like(layers.rgb[:, :1]), torch.zeros_like(layers.alpha[:, :1]), layers.disparity[:, :1])
    tensors = zip(front, (layers.rgb, layers.alpha, layers.disparity), strict=True)
    return Layers(*(torch.cat([empty.expand(-1, count, -1, -1, -1), whole], 1) for empty, whole in tensors))


def _array(tensor: Tensor) -> Any:
    return tensor.detach().cpu().numpy()
