"""The sub-aperture model: layers seen through the cells of an aperture, one by one, and added up (docs/mathematics.md)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime, ops, reference
from taichi_bokeh._checks import require_choice, require_integer
from taichi_bokeh.layers import Layers
from taichi_bokeh.models.base import Model, blur_radius
from taichi_bokeh.ops._common import read_back
from taichi_bokeh.ops.subaperture.slices import FLAT_PX, reason
from taichi_bokeh.ops.subaperture.taps import Summation
from taichi_bokeh.ops.subaperture.visibility import visible
from taichi_bokeh.ops.subaperture.windows import Window
from taichi_bokeh.optics.aperture import Aperture, shape_of
from taichi_bokeh.optics.psf import kernel_reach
from taichi_bokeh.optics.thin_lens import ThinLens

Algorithm = Literal["auto", "exact", "fast", "reference"]
MOST_CELLS = 1024  # a cell is then a sixteenth of the aperture's raster wide
SUMMATIONS: dict[str, Summation] = {"auto": "auto", "exact": "taps", "fast": "integral images"}
_RIM_PX = 0.5  # how far the cat-eye's rim may move on a highlight between two views, or an eighth of its radius


@dataclass(frozen=True)
class SubAperture(Model):
    """The sub-aperture model: composites the layers through each cell of the aperture; by far the most accurate, for any shape.

    Attributes:
        cells: into how many the aperture is divided: more are more accurate and slower. "auto" goes by the radii and the
            number of layers; not under torch.compile.
        algorithm: "reference", slow readable torch, or a strategy to the same result: "exact", every weight of the kernels one
            by one; "fast", in time linear in the radius, by integral images, within the bounds of docs/mathematics.md; "auto"
            takes what costs less.

    Raises:
        TypeError, ValueError: a field is not what it must be; the message names it.
    """

    name = "subaperture"

    cells: int | Literal["auto"] = 16
    algorithm: Algorithm = "auto"

    def __post_init__(self) -> None:
        require_choice("algorithm", self.algorithm, Algorithm)
        if isinstance(self.cells, str):
            if self.cells != "auto":
                raise ValueError(f"cells is {self.cells!r}; expected a number or 'auto'")
            return
        require_integer("cells", self.cells, at_least=1)
        if self.cells > MOST_CELLS:
            raise ValueError(f"cells is {self.cells}; expected at most {MOST_CELLS}")
        object.__setattr__(self, "cells", int(self.cells))

    @property
    def title(self) -> str:
        """What tables call it."""
        return f"Sub-aperture, {self.cells} cell{'' if self.cells == 1 else 's'}"

    def cells_of(self, layers: Layers, lens: ThinLens) -> int:
        """Tell into how many cells the aperture is divided for a scene, which "auto" goes by."""
        return self._cells(layers, *lens.per_image(layers))

    def _cells(self, layers: Layers, blur: Tensor, focus: Tensor) -> int:
        return cells_for(layers, _radius(layers, blur, focus)) if isinstance(self.cells, str) else self.cells

    def _image(self, layers: Layers, blur: Tensor, focus: Tensor, aperture: Aperture) -> Tensor:
        radius, cells = _radius(layers, blur, focus), self._cells(layers, blur, focus)
        if self.algorithm == "reference":
            return reference.subaperture(layers.rgb, layers.alpha, radius, aperture, cells)
        return subaperture(layers, radius, aperture, cells, self.algorithm)

    def _strategies(self, layers: Layers, blur: Tensor, focus: Tensor, aperture: Aperture) -> list[tuple[str, str]]:
        return [("cells", reason(plane)) for plane in blur_radius(layers.detach(), blur, focus)]

    def _hidden(self, layers: Layers, radius: Tensor, aperture: Aperture) -> list[float]:
        if self.algorithm == "reference":
            return super()._hidden(layers, radius, aperture)
        view = Window(0, layers.height, 0, layers.width)
        scenes = zip(layers.alpha[:, :, 0], radius.unflatten(0, layers.shape[:2]), strict=True)
        found = (visible(alpha, r, view, aperture.extent, of_alpha=False) for alpha, r in scenes)
        return [1 - share for scene in found for share in scene.tiles.double().mean((1, 2)).tolist()]


class View(NamedTuple):
    """A part of the image that is rendered with the aperture as it is seen from one position in the field.

    Attributes:
        rows, columns: ends of the part, (first, last + 1).
        weight: of the part in the image, [rows, columns]; the weights of all views add up to 1.
        field: the position, as of `cat_eye_transmission`.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    weight: Tensor
    field: tuple[float, float]

    @classmethod
    def of_all(cls, height: int, width: int) -> "View":
        """Take the whole image at once."""
        return cls((0, height), (0, width), torch.ones(1, 1, dtype=torch.float64, device="cpu"), (0.0, 0.0))


def _radius(layers: Layers, blur: Tensor, focus: Tensor) -> Tensor:
    """Compute the signed radii, [B, L, H, W]."""
    return blur_radius(layers, blur, focus).reshape(layers.disparity.shape)[:, :, 0]


def subaperture(layers: Layers, radius: Tensor, aperture: Aperture, cells: int, algorithm: str) -> Tensor:
    """Render the image [B, 3, H, W]; radius [B, L, H, W] is the signed radius of the circle of confusion in px."""
    textures = torch.cat([layers.alpha * layers.rgb, layers.alpha], 2)
    of_alpha = layers.alpha.requires_grad
    render = partial(_render, aperture=aperture, cells=cells, summation=SUMMATIONS[algorithm], of_alpha=of_alpha)
    if aperture.cat_eye == 0:
        return render(textures, radius, View.of_all(layers.height, layers.width))
    refuse_compilation("an aperture with cat_eye")
    largest_px = float(radius.detach().abs().max())
    pad = kernel_reach(largest_px, aperture.extent) + 1
    image = torch.zeros_like(layers.rgb[:, 0])
    views = list(cat_eye_views(layers.height, layers.width, largest_px, aperture.cat_eye))
    for k, view in enumerate(views):
        with _runtime.nested_progress(k, len(views)):
            part = render(*_seen_from(view, pad, textures, radius))
        around = (view.columns[0], layers.width - view.columns[1], view.rows[0], layers.height - view.rows[1])
        image = image + torch.nn.functional.pad(part * view.weight.to(part), around)
    return image


def refuse_compilation(what: str) -> None:
    """Raise ValueError under torch.compile, for what depends on values."""
    if torch.compiler.is_compiling():
        raise ValueError(f"{what} depends on the values of tensors, which torch.compile does not know; render it outside")


def cells_for(layers: Layers, radius: Tensor) -> int:
    """Count the cells that a scene needs: what `cells="auto"` means.

    One sees one flat layer right. Several hide parts of the lens from each other, the more finely the larger their blur: four
    cells for up to 2 px, 16 for up to 40, and 64 beyond, or with more than eight layers.
    """
    refuse_compilation("cells 'auto'")
    radius = radius.detach()
    visible = torch.where(layers.alpha[:, :, 0] > 0, radius.abs(), 0.0)
    largest_px, low, high = read_back(torch.stack([visible.max(), *radius.aminmax()]))
    if layers.count == 1 and high - low <= FLAT_PX[radius.dtype]:
        return 1
    if largest_px <= 2:
        return 4
    return 16 if largest_px <= 40 and layers.count <= 8 else 64


def cat_eye_views(height: int, width: int, largest_radius_px: float, cat_eye: float) -> Iterator[View]:
    """Lay views out on a grid, each weighted with a tent that ends at its neighbours.

    From pixel to pixel the rim of a highlight of radius r moves by 2·cat_eye·r/(half the diagonal) px; from view to view by
    half a px, or an eighth of the radius where that is more.
    """
    half_diagonal = math.hypot(height, width) / 2
    per_px = 2 * cat_eye * largest_radius_px / half_diagonal
    spacing = max(_RIM_PX, largest_radius_px / 8) / max(per_px, 1e-9)
    rows, columns = (_tents(size, spacing) for size in (height, width))
    for y, top, bottom, down in rows:
        for x, left, right, across in columns:
            field = ((x - width / 2) / half_diagonal, (y - height / 2) / half_diagonal)
            yield View((top, bottom), (left, right), down[:, None] * across, field)


def _tents(size: int, spacing: float) -> list[tuple[float, int, int, Tensor]]:
    """List the nodes of an axis: position, first and last + 1 pixel within the tent, and the tent there."""
    count = max(1, math.ceil(size / spacing))
    if count == 1:
        return [(size / 2, 0, size, torch.ones(size, dtype=torch.float64, device="cpu"))]
    pixel = torch.arange(size, dtype=torch.float64, device="cpu") + 0.5
    result = []
    for k in range(count):
        middle = size * (k + 0.5) / count
        tent = (1 - (pixel - middle).abs() * count / size).clamp(min=0)
        if k == 0:
            tent = torch.where(pixel < middle, 1.0, tent)
        if k == count - 1:
            tent = torch.where(pixel > middle, 1.0, tent)
        inside = tent.nonzero().flatten()
        first, last = int(inside[0]), int(inside[-1]) + 1
        result.append((middle, first, last, tent[first:last]))
    return result


def _seen_from(view: View, pad: int, textures: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, View]:
    """Cut out no more of the layers than the view can see."""
    ends, seen = [], []
    for (first, last), size in ((view.rows, radius.shape[2]), (view.columns, radius.shape[3])):
        start, stop = max(0, first - pad), min(size, last + pad)
        ends.append((first - start, last - start))
        seen.append(slice(start, stop))
    near = view._replace(rows=ends[0], columns=ends[1])
    return textures[..., seen[0], seen[1]], radius[..., seen[0], seen[1]], near


def _render(
    textures: Tensor, radius: Tensor, view: View, aperture: Aperture, cells: int, summation: Summation, of_alpha: bool
) -> Tensor:
    window, field = [*view.rows, *view.columns], list(view.field)
    image, _ = ops.subaperture(textures, radius, aperture.image, shape_of(aperture), cells, window, field, summation, of_alpha)
    return image
