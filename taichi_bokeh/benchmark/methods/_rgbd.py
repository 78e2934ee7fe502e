"""What a renderer of one picture with depth is given: the all-in-focus picture, cut up by its disparity map."""

from collections.abc import Iterator

import torch
from torch import Tensor

from taichi_bokeh.synthetic.scene import Scene


def slices(scene: Scene, scale: float) -> Iterator[tuple[Tensor, float]]:
    """Every disparity of the map, nearest first: what lies at it, and its signed radius at `scale` times the true blur, px.

    The pixels are [4, H, W]: the picture where the map has this disparity and 0 elsewhere, and 1 or 0 for which it is.
    """
    picture = scene.all_in_focus
    with_ones = torch.cat([picture, torch.ones_like(picture[:1])])
    disparity_map = scene.disparity_map
    for disparity in disparity_map.unique().flip(0):
        radius_px = scene.blur * scale * (float(disparity) - scene.focus)
        yield with_ones * (disparity_map == disparity), radius_px
