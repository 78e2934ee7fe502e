"""Sums of the layers over the taps of all cells, window by window, and their adjoint (kernels/subaperture/cells.py).

A flat layer has one kernel a cell, and for the gradient of its radii the slope of that. In another, the kernel of a source
pixel is interpolated linearly between those of the nodes on both sides of its radius: the layer is cut into one slice a node,
weighted with tents round the nodes, whose sum is 1. The slices of large radii are summed on coarser grids
(kernels/subaperture/coarse_grid.py). Nothing is summed where nothing of a layer is seen.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.subaperture import cells as kernels
from taichi_bokeh.kernels.subaperture.cells import PIXELS
from taichi_bokeh.kernels.subaperture.coarse_grid import interpolation
from taichi_bokeh.ops._common import dtype_name, read_back
from taichi_bokeh.ops.subaperture.slices import Layer, Slice, Slices, occupied_intervals
from taichi_bokeh.ops.subaperture.taps import TapLayout, Target, correlate, lay_out, pack
from taichi_bokeh.ops.subaperture.visibility import Visibility
from taichi_bokeh.ops.subaperture.windows import Grid, Window, blocks
from taichi_bokeh.optics.psf import Cells

PRIOR = 1e-3  # weight of what all cells see, so that a cell through which no source of a layer is seen has a colour


class Sums(NamedTuple):
    """Sums and weights [..., M, rows, W', 4] and [..., M, rows, W'] of a window; W' is its width rounded up to PIXELS."""

    values: Tensor
    weights: Tensor

    @property
    def planes(self) -> tuple[Tensor, Tensor]:
        """Both with their channels last, 4 and 1."""
        return self.values, self.weights[..., None]

    @classmethod
    def empty(cls, like: Tensor, *shape: int) -> "Sums":
        """Make some without values."""
        return cls(like.new_empty(*shape, 4), like.new_empty(shape))

    def part(self, layer: int, rows: slice, columns: slice) -> "Sums":
        """View those of one layer in a part of the window."""
        return Sums(*(value[layer, :, rows, columns] for value in self))


class Gradients(NamedTuple):
    """Gradients of a layer, or of a part of it, that are added to."""

    texture: Tensor  # [H, W, 4]
    coordinate: Tensor  # [H, W]


class _Box(NamedTuple):
    """What is summed of a layer: the part of a window in which something of it is seen."""

    window: Window
    visibility: Visibility
    number: int  # of the layer
    is_all: bool  # of the image

    def blocks(self, grid: Grid) -> Tensor:
        return self.visibility.blocks(self.number, grid)

    @property
    def tiles(self) -> Tensor:
        return self.visibility.of(self.window)[self.number]


def _boxes(count: int, window: Window, visibility: Visibility) -> list[_Box]:
    boxes = ((k, visibility.box(k, window)) for k in range(count))
    return [_Box(box, visibility, k, box == visibility.view) for k, box in boxes if box is not None]


# ---- forward


def sums_of_layers(layers: list[Layer], cells: Cells, window: Window, visibility: Visibility) -> Sums:
    """Make the sums of all layers in a window, [L, M, …]; where a layer is not seen they have no values."""
    result = Sums.empty(layers[0].texture, len(layers), cells.count, *window.shape)
    for box in _boxes(len(layers), window, visibility):
        whole = result.part(box.number, *box.window.padded_inside(window))
        if whole.weights.is_contiguous():
            _layer_sums(layers[box.number], cells, box, whole)
            continue
        part = Sums.empty(whole.weights, *whole.weights.shape)
        _layer_sums(layers[box.number], cells, box, part)
        for value, target in zip(part, whole, strict=True):
            target.copy_(value)
    return result


def _layer_sums(layer: Layer, cells: Cells, box: _Box, result: Sums) -> None:
    """Write the sums [M, …] of one layer in a box."""
    shares = cells.shares.to(result.values)
    if layer.is_flat:
        (slices,) = layer.grids
        grid = Grid.around(box.window, 1)
        rows, columns = grid.pixels(layer.coordinate, slices.pad, PIXELS - 1)
        even, *offset = slices.parts
        assert even.taps is not None
        texture = layer.texture[rows][:, columns]
        correlate(even.taps, texture, None, Target(_in_blocks(result.values), box.blocks(grid)), slices.pad)
        result.weights[:] = shares[:, None, None]
        _add_slices(layer, slices._replace(parts=offset), grid, box, result)
        return
    for value in result:
        value.zero_()
    for slices in layer.grids:
        grid = Grid.around(box.window, slices.cell_px)
        if slices.cell_px == 1:
            _add_slices(layer, slices, grid, box, result)
            continue
        shape = (cells.count, grid.rows, grid.columns)
        coarse = Sums(result.values.new_zeros(*shape, 4), result.values.new_zeros(shape))
        if _add_slices(layer, slices, grid, box, coarse):
            for part, whole in zip(coarse.planes, result.planes, strict=True):
                kernel = interpolation(part.shape[-1], dtype_name(part)).forward
                _runtime.launch(kernel, part, whole, box.tiles, grid.cell_px, *grid.offset(box.window))
    for value in result:
        value += PRIOR * torch.einsum("m,...->m...", shares, value.sum(0))


def _near(layer: Layer, slices: Slices, coordinate: Tensor, is_all: bool, closed: bool) -> list[Slice]:
    """List the slices that have sources among the coordinates of a window; of all of the view it is known beforehand."""
    if layer.is_flat:
        return slices.parts
    return slices.near(layer.occupied if is_all else read_back(occupied_intervals(coordinate)), closed)


def _add_slices(layer: Layer, slices: Slices, grid: Grid, box: _Box, result: Sums) -> bool:
    """Add the sums of one grid's slices, on that grid; False if there are none here."""
    rows, columns = grid.pixels(layer.coordinate, slices.pad, PIXELS - 1)
    coordinate = layer.coordinate[rows][:, columns].contiguous()
    near = [(part, part.taps) for part in _near(layer, slices, coordinate, box.is_all, closed=False) if part.taps is not None]
    if not near:
        return False
    texture = layer.texture[rows][:, columns].contiguous()
    seen = box.blocks(grid)
    kernel = kernels.slice_sources(near[0][0].weight, dtype_name(texture))
    for part, taps in near:
        own = grid if layer.ends is None else grid.reached(_between(layer.ends, part.node), layer.coordinate, slices.pad)
        if own is None:
            continue
        top, left = own.top - grid.top, own.left - grid.left
        sources = Sums.empty(texture, own.rows + 2 * slices.pad, own.columns + 2 * slices.pad + PIXELS - 1)
        _runtime.launch(kernel, texture, coordinate, part.node, grid.cell_px, top, left, *sources.planes)
        occupied = (sources.weights[:, : 1 - PIXELS] != 0).to(torch.int32).cumsum(0, dtype=torch.int32).cumsum_(1).flatten()
        wanted = seen[top : top + own.rows, left // PIXELS : (left + own.columns) // PIXELS].contiguous()
        for source, sums in zip(sources.planes, result.planes, strict=True):
            correlate(taps, source, occupied, Target(_in_blocks(sums), wanted, top, left // PIXELS), slices.pad)
    return True


def _between(ends: NDArray[Any], node: float) -> NDArray[np.bool_]:
    """Mark the tiles in which a coordinate may be less than 1 from a node."""
    found: NDArray[np.bool_] = (ends[..., 0] < node + 1) & (ends[..., 1] > node - 1)
    return found


def _in_blocks(sums: Tensor) -> Tensor:
    """Reshape [M, rows, W', C] -> [M, rows, W'/PIXELS, PIXELS·C]."""
    return sums.view(*sums.shape[:2], sums.shape[2] // PIXELS, PIXELS * sums.shape[3])


# ---- backward


def add_sums_adjoint(
    layers: list[Layer], cells: Cells, window: Window, visibility: Visibility, d_sums: Sums, result: list[Gradients]
) -> None:
    """Add to the layers' gradients what those of a window's sums, [L, M, …], give; where a layer is not seen they are 0."""
    for box in _boxes(len(layers), window, visibility):
        layer = layers[box.number]
        part = Sums(*(value.contiguous() for value in d_sums.part(box.number, *box.window.padded_inside(window))))
        if not layer.is_flat:
            part = _prior_adjoint(part, cells.shares.to(part.values))
        _layer_sums_adjoint(layer, part, box, result[box.number])


def _prior_adjoint(d_sums: Sums, shares: Tensor) -> Sums:
    return Sums(*(value + PRIOR * torch.einsum("m,m...->...", shares, value) for value in d_sums))


def _layer_sums_adjoint(layer: Layer, d_sums: Sums, box: _Box, result: Gradients) -> None:
    """Add to a layer's gradients what those of a box's sums, [M, …], give."""
    for slices in layer.grids:
        grid = Grid.around(box.window, slices.cell_px)
        d_grid = d_sums
        if slices.cell_px > 1:
            d_grid = Sums(*(value.new_zeros(value.shape[0], grid.rows, grid.columns, *value.shape[3:]) for value in d_sums))
            for part, whole in zip(d_grid.planes, d_sums.planes, strict=True):
                kernel = interpolation(part.shape[-1], dtype_name(part)).adjoint
                _runtime.launch(kernel, part, whole, grid.cell_px, *grid.offset(box.window))
        _add_slices_adjoint(layer, slices, grid, d_grid, box, result)


class _SliceAdjoint(NamedTuple):
    """What `sums_adjoint` takes for a slice."""

    kernel: Any
    integral: bool
    first: list[int]  # [M + 1]
    taps: TapLayout
    layout: Any


def _slice_adjoints(parts: list[Slice], like: Tensor, cell_px: int, row: int, origin: int) -> list[_SliceAdjoint]:
    struct = kernels.grid_layout(dtype_name(like))
    result = []
    for part in parts:
        if part.mirrored is None:
            continue
        taps = lay_out(part.mirrored, row, like.new_empty(0, dtype=torch.float64))
        layout = struct(node=part.node, cell_px=cell_px, row=row, origin=origin)
        kernel = kernels.sums_adjoint(part.weight, dtype_name(like))
        result.append(_SliceAdjoint(kernel, part.mirrored.integral, part.mirrored.first.tolist(), taps, layout))
    return result


def _add_slices_adjoint(layer: Layer, slices: Slices, grid: Grid, d_sums: Sums, box: _Box, result: Gradients) -> None:
    """Add the same for the slices of one grid and gradients on it."""
    pad = slices.pad
    rows, columns = grid.pixels(layer.coordinate, pad, 0)
    texture, coordinate = (value[rows][:, columns].contiguous() for value in (layer.texture, layer.coordinate))
    padded = Gradients(torch.zeros_like(texture), torch.zeros_like(coordinate))
    row = blocks(grid.columns + 2 * pad) * PIXELS + 2 * pad
    shape = (grid.rows + 4 * pad, row + PIXELS - 1)
    inside = (slice(2 * pad, 2 * pad + grid.rows), slice(2 * pad, 2 * pad + grid.columns))
    near = _near(layer, slices, coordinate, box.is_all, closed=True)
    adjoints = _slice_adjoints(near, texture, slices.cell_px, row, pad * row + pad)
    for m in range(d_sums.values.shape[0]):
        both = d_sums.values[m], d_sums.weights[m][..., None]
        packed: dict[bool, list[Tensor]] = {}
        for kernel, integral, first, taps, layout in adjoints:
            here = slice(first[m], first[m + 1])
            if here.start == here.stop:
                continue
            if integral not in packed:
                packed[integral] = [_pack_padded(value, shape, inside, integral) for value in both]
            listed = taps.increments[here], taps.weights[here]
            _runtime.launch(kernel, *packed[integral], *listed, texture, coordinate, *padded, layout)
    for total, part in zip(result, padded, strict=True):
        narrow = part.new_zeros(len(rows), layer.coordinate.shape[1], *total.shape[2:]).index_add_(1, columns, part)
        total.index_add_(0, rows, narrow)


def _pack_padded(values: Tensor, shape: tuple[int, int], inside: tuple[slice, slice], integral: bool) -> Tensor:
    padded = values.new_zeros(*shape, values.shape[-1], dtype=torch.float64)
    padded[inside] = values[:, : inside[1].stop - inside[1].start].to(torch.float64)
    return pack(padded, integral)
