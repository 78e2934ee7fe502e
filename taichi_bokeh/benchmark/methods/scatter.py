"""The scatter model: Dr.Bokeh's released variant, and ours with either profile."""

from dataclasses import dataclass

from torch import Tensor

from taichi_bokeh._render import Model, Profile, render
from taichi_bokeh.synthetic.scene import Scene


@dataclass(frozen=True)
class Scatter:
    """`taichi_bokeh.render` with model "scatter-official", or "scatter" and one of its profiles."""

    name: str
    title: str
    model: Model
    profile: Profile | None = None
    searchable: bool = True

    def render(self, scene: Scene, scale: float) -> Tensor:
        """The picture [3, H, W] with `scale` times the true blur."""
        return render(scene.layers, scene.lens(scale), model=self.model, profile=self.profile)[0]
