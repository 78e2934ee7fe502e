"""The models of this package."""

from dataclasses import dataclass

from torch import Tensor

from taichi_bokeh.models import Model
from taichi_bokeh.synthetic.scene import Scene


@dataclass(frozen=True)
class Rendered:
    """What `taichi_bokeh.render` makes of the layers with a model."""

    name: str
    model: Model
    searchable: bool = True

    @property
    def title(self) -> str:
        """For tables."""
        return self.model.title

    def render(self, scene: Scene, scale: float) -> Tensor:
        """The image [3, H, W] with `scale` times the true blur."""
        return self.model.render(scene.layers, scene.lens(scale))[0]
