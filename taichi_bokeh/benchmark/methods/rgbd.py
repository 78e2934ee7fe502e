"""Renderers of one picture with depth: they get the all-in-focus picture, cut up by its disparity map."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from taichi_bokeh.benchmark.blur_kernels import blur
from taichi_bokeh.synthetic.scene import Scene


@dataclass(frozen=True)
class Classical:
    """Every pixel of the all-in-focus picture spreads its colour evenly over its own disc, whatever lies in front.

    The picture is Σ_y c(y)·w(y, x) / Σ_y w(y, x) with w the pixel-covered part of y's disc over π·r(y)²: colours bleed over
    the edges of what is in focus, and nothing is seen behind an edge.
    """

    name: str = "classical"
    title: str = "Classical scatter of RGBD"
    searchable: bool = True

    def render(self, scene: Scene, scale: float) -> Tensor:
        """The picture [3, H, W] with `scale` times the true blur."""
        sums = torch.stack([blur(pixels, radius_px) for pixels, radius_px in _slices(scene, scale)]).sum(0)
        return sums[:3] / sums[3:]


@dataclass(frozen=True)
class SteReFo:
    """Layered blur of one picture with depth, alpha-normalised: refocusing of Busam et al. (2019), from its description.

    The all-in-focus picture is cut by its disparity map into slices with binary masks. A slice and its mask are blurred by
    the same disc and laid over the slices behind; what the masks leave open is divided out at the end:

        C ← C·(1 − m_l) + c_l,   A ← A·(1 − m_l) + m_l   from back to front,   B = C/A

    Nothing is known of what a slice hides: behind a blurred edge the background is stretched.
    """

    name: str = "sterefo"
    title: str = "SteReFo"
    searchable: bool = True

    def render(self, scene: Scene, scale: float) -> Tensor:
        """The picture [3, H, W] with `scale` times the true blur."""
        total = scene.layers.rgb.new_zeros(4, scene.layers.height, scene.layers.width)
        for pixels, radius_px in reversed(list(_slices(scene, scale))):
            blurred = blur(pixels, radius_px)
            total = total * (1 - blurred[3:]) + blurred
        return total[:3] / total[3:]


def _slices(scene: Scene, scale: float) -> Iterator[tuple[Tensor, float]]:
    """Every disparity of the map, nearest first: what lies at it, and its signed radius at `scale` times the true blur, px.

    The pixels are [4, H, W]: the picture where the map has this disparity and 0 elsewhere, and 1 or 0 for which it is.
    """
    picture = scene.all_in_focus
    with_ones = torch.cat([picture, torch.ones_like(picture[:1])])
    disparity_map = scene.disparity_map
    for disparity in disparity_map.unique().flip(0):
        radius_px = scene.blur * scale * (float(disparity) - scene.focus)
        yield with_ones * (disparity_map == disparity), radius_px
