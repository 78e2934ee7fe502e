"""The sub-aperture model."""

from dataclasses import dataclass

from torch import Tensor

from taichi_bokeh._render import render
from taichi_bokeh.synthetic.scene import Scene


@dataclass(frozen=True)
class SubAperture:
    """`taichi_bokeh.render` with model "subaperture": the aperture in cells, each composited for itself."""

    cells: int
    searchable: bool = True

    @property
    def name(self) -> str:
        """Such as "subaperture-16"."""
        return f"subaperture-{self.cells}"

    @property
    def title(self) -> str:
        """For tables."""
        return f"Sub-aperture, {self.cells} cell{'s' * (self.cells > 1)}"

    def render(self, scene: Scene, scale: float) -> Tensor:
        """The picture [3, H, W] with `scale` times the true blur."""
        return render(scene.layers, scene.lens(scale), model="subaperture", cells=self.cells)[0]
