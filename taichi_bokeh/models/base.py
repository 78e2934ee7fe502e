"""What all models of lens blur share: how they check, render, and explain what they would do."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from torch import Tensor

from taichi_bokeh import ops
from taichi_bokeh._autocast import in_full_precision
from taichi_bokeh._checks import refuse_forward_mode
from taichi_bokeh._renamed import Renamed
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens


@dataclass(frozen=True)
class LayerPlan(Renamed):
    """How one layer is evaluated.

    Attributes:
        scene, layer: which, from 0.
        largest_radius_px: of its circles of confusion.
        strategy: "rows", linear in the radius; "correlation" with the one kernel of a flat layer; "gather" or "direct", every
            weight one by one; "pyramid" of a draft; "cells" of the sub-aperture model; "reference".
        reason: why, half a sentence.
        hidden: in what part of the image it is left out, from 0 to 1, as nothing of it is seen there.
    """

    _new_names = MappingProxyType({"way": "strategy"})

    scene: int
    layer: int
    largest_radius_px: float
    strategy: str
    reason: str
    hidden: float


@dataclass(frozen=True)
class Explanation(Renamed):
    """What a model would do; print it.

    Attributes:
        model: with all its fields.
        cells: into how many the sub-aperture model would divide the aperture; None for other models.
        layers: a plan for each layer of each scene, scene after scene.
    """

    _new_names = MappingProxyType({"ways": "strategies", "algorithm": "model.algorithm"})

    model: "Model"
    cells: int | None
    layers: tuple[LayerPlan, ...]

    def __str__(self) -> str:
        cells = "" if self.cells is None else f", {self.cells} cells"
        lines = [f"{self.model}{cells}"]
        several = len({plan.scene for plan in self.layers}) > 1
        for plan in self.layers:
            which = f"scene {plan.scene}, layer {plan.layer}" if several else f"layer {plan.layer}"
            line = f"{which}, up to {plan.largest_radius_px:.1f} px: {plan.strategy}: {plan.reason}"
            lines.append(line + (f"; not seen in {plan.hidden:.0%} of the image" if plan.hidden else ""))
        return "\n".join(lines)

    @property
    def strategies(self) -> dict[str, int]:
        """How many layers each strategy is taken for."""
        return dict(Counter(plan.strategy for plan in self.layers))


@dataclass(frozen=True)
class Model(ABC):
    """A model of lens blur: a frozen dataclass whose fields say how it renders; its repr shows all of them.

    Attributes:
        name: by which `render` and the command line know it.
    """

    name: ClassVar[str]

    @property
    @abstractmethod
    def algorithm(self) -> str:
        """By which strategy: a field of every model."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What tables call it."""

    def require_renderable(self, aperture: Aperture) -> None:  # noqa: B027 - most models take every aperture
        """Raise a ValueError that names what this model cannot render of an aperture."""

    @in_full_precision
    def render(self, layers: Layers, lens: ThinLens) -> Tensor:
        """Render the image [B, 3, H, W] of B scenes, linear light, with the dtype and on the device of the layers.

        It is differentiable in rgb, alpha, disparity, blur and focus.

        Raises:
            TypeError, ValueError: layers or lens are not what they must be, or the model cannot do the lens's aperture.
            RuntimeError: the device cannot be served, or forward-mode differentiation or double backward is asked for.
        """
        self._require(layers, lens)
        blur, focus = lens.per_image(layers)
        refuse_forward_mode(layers.rgb, layers.alpha, layers.disparity, blur, focus)
        return self._image(layers, blur, focus, lens.aperture)

    def explain(self, layers: Layers, lens: ThinLens) -> Explanation:
        """Say by which strategy `render` would evaluate each layer, and why, without rendering.

        Raises:
            TypeError, ValueError: as `render` does.
        """
        self._require(layers, lens)
        blur, focus = (value.detach() for value in lens.per_image(layers))
        radius = blur_radius(layers.detach(), blur, focus)
        chosen: Sequence[tuple[str, str]] = [("reference", "it was asked for")] * len(radius)
        if self.algorithm != "reference":
            chosen = self._strategies(layers, blur, focus, lens.aperture)
        largest = radius.abs().flatten(1).amax(1).tolist()
        hidden = self._hidden(layers.detach(), radius, lens.aperture)
        each = enumerate(zip(largest, chosen, hidden, strict=True))
        plans = (LayerPlan(*divmod(k, layers.count), px, *one, share) for k, (px, one, share) in each)
        return Explanation(self, self._cells(layers, blur, focus), tuple(plans))

    def _require(self, layers: Layers, lens: ThinLens) -> None:
        if not isinstance(layers, Layers):
            raise TypeError(f"layers is of type {type(layers).__name__}; expected Layers")
        if not isinstance(lens, ThinLens):
            raise TypeError(f"lens is of type {type(lens).__name__}; expected a ThinLens")
        self.require_renderable(lens.aperture)

    def _cells(self, layers: Layers, blur: Tensor, focus: Tensor) -> int | None:
        return None

    def _hidden(self, layers: Layers, radius: Tensor, aperture: Aperture) -> list[float]:
        """Tell for each of B·L layers in what part of the image it is left out; radius [B·L, H, W]."""
        return [0.0] * len(radius)

    @abstractmethod
    def _image(self, layers: Layers, blur: Tensor, focus: Tensor, aperture: Aperture) -> Tensor:
        """Render the image [B, 3, H, W]; blur and focus [B]."""

    @abstractmethod
    def _strategies(self, layers: Layers, blur: Tensor, focus: Tensor, aperture: Aperture) -> Sequence[tuple[str, str]]:
        """Choose strategy and reason of each layer of each scene, B·L of them."""


def per_layer(value: Tensor, count: int) -> Tensor:
    """Repeat [B] -> [B·count], one for each layer."""
    return value[:, None].expand(-1, count).reshape(-1)


def blur_radius(layers: Layers, blur: Tensor, focus: Tensor) -> Tensor:
    """Compute the signed radius of the circle of confusion in px, [B·L, H, W]."""
    _, count, height, width = layers.shape
    lens = (per_layer(value, count) for value in (blur, focus))
    return ops.circle_of_confusion(layers.disparity.reshape(-1, height, width), *lens)
