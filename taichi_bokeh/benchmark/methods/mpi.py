"""A multiplane-image renderer, as MPIB's (Peng et al., 2022) when its network is given the true layers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from taichi_bokeh.benchmark.blur_kernels import blur
from taichi_bokeh.synthetic.scene import Scene


@dataclass(frozen=True)
class MultiplaneImage:
    """Planes equally spaced in disparity, each blurred by one disc and laid over those behind it.

    Every layer moves to the plane nearest in disparity; layers on one plane are composited before they are blurred. What a
    layer hides is known, and hidden parts shine through blurred edges by their mean coverage.
    """

    planes: int = 32
    name: str = "mpi-32"
    title: str = "Multiplane image, 32 planes"
    searchable: bool = True

    def render(self, scene: Scene, scale: float) -> Tensor:
        """The picture [3, H, W] with `scale` times the true blur."""
        layers = scene.layers
        ends = max(scene.disparities), min(scene.disparities)
        planes = torch.linspace(*ends, self.planes, dtype=torch.float64, device="cpu")
        plane_of = [int((planes - disparity).abs().argmin()) for disparity in scene.disparities]
        premultiplied = torch.cat([layers.alpha * layers.rgb, layers.alpha], 2)[0]
        total = torch.zeros_like(premultiplied[0])
        for plane in sorted(set(plane_of)):
            content = torch.zeros_like(total)
            for layer, chosen in zip(premultiplied, plane_of, strict=True):
                if chosen == plane:
                    content = _over(content, layer)
            total = _over(total, blur(content, scene.blur * scale * (float(planes[plane]) - scene.focus)))
        return total[:3]


def _over(front: Tensor, back: Tensor) -> Tensor:
    """One premultiplied rgba picture [4, H, W] before another."""
    return front + (1 - front[3:]) * back
