"""The released Dr.Bokeh with its occlusion terms taken out."""

from dataclasses import dataclass

import torch
from torch import Tensor

from taichi_bokeh import ops
from taichi_bokeh.kernels.scatter.occlusion import PAPER
from taichi_bokeh.ops.scatter.plan import ScatterPlan, ScatterSources
from taichi_bokeh.synthetic.scene import Scene

_SETTINGS = ("official", 0.0, "reflect", "exact", PAPER)


@dataclass(frozen=True)
class ScatterNoOcclusion:
    """Dr.Bokeh "without occlusion", as in its authors' ablation (their Table 2) and released code.

    The all-in-focus picture with its disparity map, as a single opaque layer (so there is no non-focal occlusion), goes
    through the released variant of the scatter model with O = 1 (so there is no on-focal one either):

        B(x) = Σ_y c(y)·S(y, x)/r(y)² / Σ_y S(y, x)/r(y)²,   r = K·|d| + 1,   S the released soft edge

    Next to "scatter-official" it shows what occlusion brings; next to "classical" what the soft edge costs.
    """

    name: str = "scatter-no-occlusion"
    title: str = "Dr.Bokeh without occlusion"
    searchable: bool = True

    def render(self, scene: Scene, scale: float) -> Tensor:
        """The picture [3, H, W] with `scale` times the true blur."""
        picture, disparity = scene.all_in_focus, scene.disparity_map
        # One flat picture for each disparity, dark where the others are: the sums are linear, and flat pictures are fast.
        places = torch.stack([disparity == value for value in scene.disparities]).to(picture)
        radius_px = torch.tensor(scene.radii_px, dtype=picture.dtype, device=picture.device) * scale
        radii = radius_px[:, None, None].expand_as(places).contiguous()
        channels, disc_radius_px, in_focus = ops.sources(
            picture.expand(len(places), 3, *disparity.shape), places, radii, "official"
        )
        nothing_in_focus = torch.zeros_like(in_focus)  # O = 1 + e·(…) with e = 0
        plan = ScatterPlan(torch.zeros_like(radius_px), torch.zeros_like(radius_px), *_SETTINGS)
        sums = ops.scatter(ScatterSources(channels, disc_radius_px, radii, nothing_in_focus), plan)
        sums = sums.sum(0, keepdim=True)
        return ops.resolve_official(sums, torch.ones_like(sums[:, 0]))[0]
