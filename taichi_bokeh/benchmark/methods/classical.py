"""Classical scattering of one picture with depth."""

from dataclasses import dataclass

import torch
from torch import Tensor

from taichi_bokeh.benchmark.blur_kernels import blur
from taichi_bokeh.benchmark.methods._rgbd import slices
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
        sums = torch.stack([blur(pixels, radius_px) for pixels, radius_px in slices(scene, scale)]).sum(0)
        return sums[:3] / sums[3:]
