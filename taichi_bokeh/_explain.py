"""Which way `render` would take, and why, without rendering."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from taichi_bokeh._render import Algorithm, Model, Profile, scatter_settings, validate, validate_cells, validate_occlusion
from taichi_bokeh.layers import Layers
from taichi_bokeh.models.scatter import blur_radius, ways
from taichi_bokeh.models.subaperture import DEFAULT_CELLS, cells_for
from taichi_bokeh.ops.subaperture.slices import reason
from taichi_bokeh.optics.thin_lens import ThinLens


@dataclass(frozen=True)
class LayerPlan:
    """How one layer is evaluated.

    Attributes:
        scene, layer: which, from 0.
        largest_radius_px: of its circles of confusion.
        way: "rows", linear in the radius; "correlation" with the one kernel of a flat layer; "gather" or "direct", every
            weight one by one; "cells" of the sub-aperture model; "reference".
        reason: why, half a sentence.
    """

    scene: int
    layer: int
    largest_radius_px: float
    way: str
    reason: str


@dataclass(frozen=True)
class Explanation:
    """What `render` would do; print it.

    Attributes:
        model: as of `render`.
        algorithm: as asked for.
        cells: of the sub-aperture model, else None.
        layers: a plan for each layer of each scene, scene after scene.
    """

    model: str
    algorithm: str
    cells: int | None
    layers: tuple[LayerPlan, ...]

    def __str__(self) -> str:
        cells = "" if self.cells is None else f", {self.cells} cells"
        lines = [f"model {self.model}{cells}, algorithm {self.algorithm}"]
        several = len({plan.scene for plan in self.layers}) > 1
        for plan in self.layers:
            which = f"scene {plan.scene}, layer {plan.layer}" if several else f"layer {plan.layer}"
            lines.append(f"{which}, up to {plan.largest_radius_px:.1f} px: {plan.way}: {plan.reason}")
        return "\n".join(lines)

    @property
    def ways(self) -> dict[str, int]:
        """How many layers each way is taken for."""
        return dict(Counter(plan.way for plan in self.layers))


def explain(
    layers: Layers,
    lens: ThinLens,
    *,
    model: Model = "scatter",
    profile: Profile | None = None,
    algorithm: Algorithm = "auto",
    max_radius: float | None = None,
    cells: int | Literal["auto"] | None = None,
    occlusion: bool = True,
) -> Explanation:
    """Which way `render` takes with the same arguments, layer by layer, and why; nothing is rendered.

    Returns:
        An `Explanation`.

    Raises:
        TypeError, ValueError: as `render` does.
    """
    validate(layers, lens, model, algorithm)
    validate_occlusion(occlusion, model)
    blur, focus = (value.detach() for value in lens.per_picture(layers))
    radius = blur_radius(layers.detach(), blur, focus)
    number = None
    if model == "subaperture":
        validate_cells(profile, max_radius, cells)
        per_layer = radius.reshape(layers.disparity.shape)[:, :, 0]
        number = cells_for(layers, per_layer) if isinstance(cells, str) else cells or DEFAULT_CELLS
        chosen = [("cells", reason(plane)) for plane in radius]
    else:
        settings = scatter_settings(lens, model, profile, algorithm, max_radius, cells)._replace(occlusion=occlusion)
        if algorithm != "reference":
            chosen = [(way.name, way.reason) for way in ways(layers, blur, focus, settings)]
    if algorithm == "reference":
        chosen = [("reference", "it was asked for")] * len(radius)
    largest = radius.abs().flatten(1).amax(1).tolist()
    plans = (LayerPlan(*divmod(k, layers.count), px, *way) for k, (px, way) in enumerate(zip(largest, chosen, strict=True)))
    return Explanation(model, algorithm, number, tuple(plans))
