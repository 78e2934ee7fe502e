"""A layer cut into slices: one for its own radius where it is flat, else one for each node that its radii lie between.

Where a flat layer's radii want a gradient, or differ by a little, it has a second slice, for the slope of its kernel. The image
is that of the kernel itself, with and without gradients; the gradient is that of a kernel which each source has of its own.

The slices of nodes of large radii are summed on grids coarser than the pixels (optics/radius_nodes.py); those of one grid are
handled together.
"""

import math
from itertools import groupby
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from taichi_bokeh.kernels.subaperture.cells import Weight
from taichi_bokeh.ops._common import plain
from taichi_bokeh.ops.subaperture.taps import Taps, make_taps
from taichi_bokeh.optics.psf import Cells, kernel_reach
from taichi_bokeh.optics.radius_nodes import grid_cell_px, node_coordinate, nodes

FLAT_PX = {torch.float32: 1e-4, torch.float64: 1e-11}  # a layer whose radii differ by less has one kernel
NEARLY_FLAT_PX = 1e-3  # and by less than this its slope beside it: what that leaves out, of the second order, is some 1e-7
_MOST_WEIGHTS = 1 << 27  # of the kernels of all cells: 1 GiB
_KEPT: "WeakKeyDictionary[Cells, dict[Any, Taps]]" = WeakKeyDictionary()  # the taps of nodes, which are the same for all scenes


Adjoint = Literal["textures", "both"] | None  # what a gradient is wanted of: the textures, or the radii as well


class Slice(NamedTuple):
    """Part of a layer.

    Attributes:
        weight: how its sources are weighted, by their place relative to `place` (kernels/subaperture/cells.py).
        place: the number of a node; the radius in px of a flat layer.
        taps: of its kernels; None where only the adjoint wants it.
        mirrored: taps of the mirrored kernels, for the adjoint; None in the forward pass.
    """

    weight: Weight
    place: float
    taps: Taps | None
    mirrored: Taps | None


class Slices(NamedTuple):
    """Those that are summed on one grid.

    Attributes:
        step: pixels to a place of the grid.
        pad: more places than the reach of the kernels.
        parts: in the order of their nodes.
    """

    step: int
    pad: int
    parts: list[Slice]

    def near(self, place: Tensor, closed: bool = False) -> list[Slice]:
        """The parts of whose nodes a place of [h, w] is less than 1 away, or `closed`: at most 1."""
        first = self.parts[0].place
        interval = (place.floor() - (first - 1)).to(torch.int64).clamp_(min=0, max=len(self.parts) + 1)
        counts = torch.bincount(interval.flatten(), minlength=len(self.parts) + 2).tolist()  # k: from node k − 1 to node k
        return [part for k, part in enumerate(self.parts) if any(counts[k : k + (3 if closed else 2)])]


class Layer(NamedTuple):
    """One layer of one picture."""

    texture: Tensor  # [H, W, 4]: premultiplied rgb and alpha
    place: Tensor  # [H, W], of the radius among the nodes
    slope: Tensor  # [H, W], of the place along the radius
    grids: list[Slices]

    @property
    def is_flat(self) -> bool:
        """Whether one kernel serves all its pixels."""
        return self.grids[0].parts[0].weight == "even"


def layers_of(textures: Tensor, radius: Tensor, cells: Cells, order: int, adjoint: Adjoint = None) -> list[Layer]:
    """The layers of textures [L, 4, H, W] with signed radii [L, H, W], and the kernels of that adjoint.

    Raises:
        ValueError: a radius is not finite, or so large that its kernels take too much memory.
    """
    result = []
    for texture, plane in zip(plain(textures), plain(radius), strict=True):
        grids = _grids(plane, cells, None if order < 0 else order, adjoint)
        flat = grids[0].parts[0].weight == "even"
        place, slope = (plane, torch.ones_like(plane)) if flat else node_coordinate(plane)
        result.append(Layer(texture.permute(1, 2, 0).contiguous(), place, slope, grids))
    return result


def _grids(radius: Tensor, cells: Cells, order: int | None, adjoint: Adjoint) -> list[Slices]:
    low, high = (float(v) for v in radius.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("the blur radius is not finite: blur, focus or disparity hold NaN or infinity")
    _refuse_too_large(max(-low, high), cells)
    pixel_cost = 1.0 if radius.dtype == torch.float64 else 0.5
    if high - low <= NEARLY_FLAT_PX:
        middle = (low + high) / 2
        uneven = high - low > FLAT_PX[radius.dtype]
        kernels: list[tuple[Weight, Tensor, bool]] = [("even", cells.kernels(middle), True)]
        if uneven or adjoint == "both":
            kernels.append(("offset", cells.kernel_slopes(middle), uneven))
        parts = [
            Slice(
                weight,
                middle,
                make_taps(kernel, order, pixel_cost) if in_sums else None,
                make_taps(kernel.flip(1, 2), order, pixel_cost) if adjoint else None,
            )
            for weight, kernel, in_sums in kernels
        ]
        return [Slices(1, kernel_reach(middle, cells.extent) + 1, parts)]
    result = []
    for step, those in groupby(nodes(low, high), lambda node: grid_cell_px(node[1])):
        pad, parts = 0, []
        for node, radius_px in those:
            pad = max(pad, kernel_reach(radius_px / step, cells.extent) + 1)
            taps, mirrored = (
                _node_taps(cells, radius_px / step, order, pixel_cost, flip) if adjoint or not flip else None
                for flip in (False, True)
            )
            parts.append(Slice("tent", node, taps, mirrored))
        result.append(Slices(step, pad, parts))
    return result


def reason(radius: Tensor) -> str:
    """Say which kernels a layer of signed radii [H, W] is summed with."""
    low, high = (float(end) for end in radius.aminmax())
    if high - low <= FLAT_PX[radius.dtype]:
        return "the layer is flat: one kernel a cell"
    if high - low <= NEARLY_FLAT_PX:
        return "the layer is nearly flat: one kernel a cell and its slope"
    found = nodes(low, high)
    coarse = sorted({grid_cell_px(radius_px) for _, radius_px in found} - {1})
    coarser = f", the largest on grids of {' and '.join(map(str, coarse))} px a place" if coarse else ""
    return f"kernels at {len(found)} nodes of the radius{coarser}"


def _node_taps(cells: Cells, radius_px: float, order: int | None, pixel_cost: float, mirrored: bool) -> Taps:
    kept = _KEPT.setdefault(cells, {})
    key = (radius_px, order, pixel_cost, mirrored)
    if key not in kept:
        with torch.inference_mode(False):
            kernel = cells.kernels(radius_px)
            kept[key] = make_taps(kernel.flip(1, 2) if mirrored else kernel, order, pixel_cost)
    return kept[key]


def _refuse_too_large(radius_px: float, cells: Cells) -> None:
    if cells.count * (2 * kernel_reach(radius_px, cells.extent) + 1) ** 2 > _MOST_WEIGHTS:
        raise ValueError(
            f"the largest blur radius is {radius_px:.0f} px, too much for {cells.count} cells: lower blur, or take fewer cells"
        )
