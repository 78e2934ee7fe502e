"""The models of this package, and its ray tracer."""

from dataclasses import dataclass

from torch import Tensor

from taichi_bokeh._trace import trace
from taichi_bokeh.models import Model
from taichi_bokeh.synthetic.scene import Scene

_SEED = 1  # the truth is traced with seed 0: its pattern of lens samples must not be met again


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


@dataclass(frozen=True)
class Rays:
    """`taichi_bokeh.trace` with a given number of rays a pixel."""

    rays: int
    searchable: bool = True

    @property
    def name(self) -> str:
        """Such as "rays-64"."""
        return f"rays-{self.rays}"

    @property
    def title(self) -> str:
        """For tables."""
        return f"Ray tracing, {self.rays} ray{'s' * (self.rays > 1)}"

    def render(self, scene: Scene, scale: float) -> Tensor:
        """The picture [3, H, W] with `scale` times the true blur."""
        return trace(scene.layers, scene.lens(scale), rays=self.rays, seed=_SEED)[0]
