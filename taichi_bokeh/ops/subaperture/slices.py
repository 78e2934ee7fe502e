"""A layer cut into slices: one for its own radius where it is flat, else one for each node that its radii lie between.

Where a flat layer's radii want a gradient, or differ by a little, it has a second slice, for the slope of its kernel. The image
is that of the kernel itself, with and without gradients; the gradient is that of a kernel which each source has of its own.

The slices of nodes of large radii are summed on grids coarser than the pixels (optics/radius_nodes.py); those of one grid are
handled together.
"""

from itertools import groupby
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh.kernels.subaperture.cells import Weight
from taichi_bokeh.ops._common import on_gpu, plain, read_back
from taichi_bokeh.ops.subaperture.taps import Summation, Taps, make_taps
from taichi_bokeh.ops.subaperture.windows import tile_maxima
from taichi_bokeh.optics.psf import Cells, kernel_reach
from taichi_bokeh.optics.radius_nodes import grid_cell_px, node_coordinate, nodes

FLAT_PX = {torch.float32: 1e-4, torch.float64: 1e-11}  # a layer whose radii differ by less has one kernel
NEARLY_FLAT_PX = 1e-3  # and by less than this its slope beside it: what that leaves out, of the second order, is some 1e-7
_MOST_WEIGHTS = 1 << 27  # of the kernels of all cells: 1 GiB
_INTERVALS = 128  # between nodes on either side of 0, to which it is noted where a layer's radii lie: up to 1e7 px
_SAVED: "WeakKeyDictionary[Cells, dict[Any, Taps]]" = (
    WeakKeyDictionary()
)  # the taps of nodes, which are the same for all scenes

Adjoint = Literal["textures", "both"] | None  # what a gradient is wanted of: the textures, or the radii as well


class Slice(NamedTuple):
    """Part of a layer.

    Attributes:
        weight: how its sources are weighted, by their coordinate relative to `node` (kernels/subaperture/cells.py).
        node: its number; the radius in px of a flat layer.
        taps: of its kernels; None where only the adjoint wants it.
        mirrored: taps of the mirrored kernels, for the adjoint; None in the forward pass.
    """

    weight: Weight
    node: float
    taps: Taps | None
    mirrored: Taps | None


class Slices(NamedTuple):
    """Those that are summed on one grid.

    Attributes:
        cell_px: width of the grid's cells.
        pad: more grid cells than the reach of the kernels.
        parts: in the order of their nodes.
    """

    cell_px: int
    pad: int
    parts: list[Slice]

    def near(self, occupied: list[float], closed: bool = False) -> list[Slice]:
        """List the parts whose nodes are less than 1 away from some coordinate, or `closed`: at most 1.

        Args:
            occupied: values of `occupied_intervals`.
            closed: as said.
        """
        first = int(self.parts[0].node) - 1 + _INTERVALS  # the interval that ends at the first node
        return [part for k, part in enumerate(self.parts, first) if any(occupied[max(0, k) : k + (3 if closed else 2)])]


class Layer(NamedTuple):
    """One layer of one scene."""

    texture: Tensor  # [H, W, 4]: premultiplied rgb and alpha
    coordinate: Tensor  # [H, W], of the radius among the nodes; in px where the layer is flat
    slope: Tensor  # [H, W], of the coordinate along the radius
    grids: list[Slices]
    occupied: list[float]  # values of `occupied_intervals` for the whole layer
    ends: NDArray[Any] | None  # [h, w, 2], least and largest coordinate of tiles; None where it is flat, and on a GPU

    @property
    def is_flat(self) -> bool:
        """Whether one kernel serves all its pixels."""
        return self.grids[0].parts[0].weight == "even"


def occupied_intervals(coordinate: Tensor) -> Tensor:
    """Mark with 1 the intervals j … j + 1 from node −_INTERVALS on in which some coordinate lies, [2·_INTERVALS] float64."""
    interval = coordinate.floor().clamp(-_INTERVALS, _INTERVALS - 1).to(torch.int64) + _INTERVALS
    marks = torch.zeros(2 * _INTERVALS, dtype=torch.float64, device=coordinate.device)
    return marks.scatter_(0, interval.flatten(), 1.0)


def facts_of(radius: Tensor) -> Tensor:
    """Read what the kernels depend on, of all layers at once: [B, L, 2 + 2·_INTERVALS], float64 on the CPU.

    That is the least and the largest of the signed radii [B, L, H, W] of a layer, and `occupied_intervals` where it is uneven.

    Raises:
        ValueError: a radius is not finite.
    """
    planes = plain(radius).flatten(0, 1)
    ends = torch.stack([planes.amin((1, 2)), planes.amax((1, 2))], 1).to("cpu", torch.float64)
    if not bool(ends.isfinite().all()):
        raise ValueError("the blur radius is not finite: blur, focus or disparity hold NaN or infinity")
    marks = ends.new_zeros(len(planes), 2 * _INTERVALS)
    uneven = (ends[:, 1] - ends[:, 0] > NEARLY_FLAT_PX).nonzero().flatten().tolist()
    if uneven:
        marks[uneven] = torch.stack([occupied_intervals(node_coordinate(planes[k])[0]) for k in uneven]).to("cpu")
    return torch.cat([ends, marks], 1).unflatten(0, radius.shape[:2])


def facts_shape(radius: Tensor) -> tuple[int, ...]:
    """Give the shape of `facts_of`."""
    return (*radius.shape[:2], 2 + 2 * _INTERVALS)


def layers_of(
    textures: Tensor, radius: Tensor, facts: Tensor, cells: Cells, summation: Summation, adjoint: Adjoint = None
) -> list[Layer]:
    """Cut layers of textures [L, 4, H, W], signed radii [L, H, W] and `facts_of` them; make the kernels of that adjoint.

    Raises:
        ValueError: a radius is so large that its kernels take too much memory.
    """
    result = []
    for texture, plane, (low, high, *occupied) in zip(plain(textures), plain(radius), facts.tolist(), strict=True):
        grids = _grids((low, high), radius.dtype, cells, summation, adjoint)
        flat = grids[0].parts[0].weight == "even"
        coordinate, slope = (plane, torch.ones_like(plane)) if flat else node_coordinate(plane)
        tiles = None if flat or on_gpu(plane) else _tile_ends(coordinate)
        result.append(Layer(texture.permute(1, 2, 0).contiguous(), coordinate, slope, grids, occupied, tiles))
    return result


def _tile_ends(coordinate: Tensor) -> NDArray[Any]:
    planes = torch.stack([-coordinate, coordinate])
    low, high = tile_maxima(planes).numpy()
    return np.stack([-low, high], -1)


def _grids(ends: tuple[float, float], dtype: torch.dtype, cells: Cells, summation: Summation, adjoint: Adjoint) -> list[Slices]:
    low, high = ends
    _refuse_too_large(max(-low, high), cells)
    pixel_cost = 1.0 if dtype == torch.float64 else 0.5
    if high - low <= NEARLY_FLAT_PX:
        middle = (low + high) / 2
        uneven = high - low > FLAT_PX[dtype]
        kernels: list[tuple[Weight, Tensor, bool]] = [("even", cells.kernels(middle), True)]
        if uneven or adjoint == "both":
            kernels.append(("offset", cells.kernel_slopes(middle), uneven))
        parts = [
            Slice(
                weight,
                middle,
                make_taps(kernel, summation, pixel_cost) if in_sums else None,
                make_taps(kernel.flip(1, 2), summation, pixel_cost) if adjoint else None,
            )
            for weight, kernel, in_sums in kernels
        ]
        return [Slices(1, kernel_reach(middle, cells.extent) + 1, parts)]
    result = []
    for cell_px, those in groupby(nodes(low, high), lambda node: grid_cell_px(node[1])):
        pad, parts = 0, []
        for node, radius_px in those:
            pad = max(pad, kernel_reach(radius_px / cell_px, cells.extent) + 1)
            taps, mirrored = (
                _node_taps(cells, radius_px / cell_px, summation, pixel_cost, flip) if adjoint or not flip else None
                for flip in (False, True)
            )
            parts.append(Slice("tent", node, taps, mirrored))
        result.append(Slices(cell_px, pad, parts))
    return result


def reason(radius: Tensor) -> str:
    """Say which kernels a layer of signed radii [H, W] is summed with."""
    low, high = read_back(torch.stack(radius.aminmax()))
    if high - low <= FLAT_PX[radius.dtype]:
        return "the layer is flat: one kernel a cell"
    if high - low <= NEARLY_FLAT_PX:
        return "the layer is nearly flat: one kernel a cell and its slope"
    found = nodes(low, high)
    coarse = sorted({grid_cell_px(radius_px) for _, radius_px in found} - {1})
    coarser = f", the largest on grids of {' and '.join(map(str, coarse))} px a cell" if coarse else ""
    return f"kernels at {len(found)} nodes of the radius{coarser}"


def _node_taps(cells: Cells, radius_px: float, summation: Summation, pixel_cost: float, mirrored: bool) -> Taps:
    saved = _SAVED.setdefault(cells, {})
    key = (radius_px, summation, pixel_cost, mirrored)
    if key not in saved:
        with torch.inference_mode(False):
            kernel = cells.kernels(radius_px)
            saved[key] = make_taps(kernel.flip(1, 2) if mirrored else kernel, summation, pixel_cost)
    return saved[key]


def _refuse_too_large(radius_px: float, cells: Cells) -> None:
    if cells.count * (2 * kernel_reach(radius_px, cells.extent) + 1) ** 2 > _MOST_WEIGHTS:
        raise ValueError(
            f"the largest blur radius is {radius_px:.0f} px, too much for {cells.count} cells: lower blur, or take fewer cells"
        )
