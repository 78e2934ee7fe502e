"""The operator of the sub-aperture model: layers seen through each cell of an aperture, added (kernels/subaperture/cells.py).

The image is rendered in tiles, so that the sums of all cells and layers of a tile fit in memory. A flat layer has one kernel
a cell, and for the gradient of its radii the slope of that. In another, the kernel of a source pixel is interpolated linearly
between those of the nodes on both sides of its radius: the layer is cut into one slice a node, weighted with tents round the
nodes, whose sum is 1. The slices of large radii are summed on coarser grids (kernels/subaperture/coarse_grid.py).
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.subaperture import cells as kernels
from taichi_bokeh.kernels.subaperture.cells import PIXELS
from taichi_bokeh.kernels.subaperture.coarse_grid import interpolation
from taichi_bokeh.kernels.subaperture.composite import composite
from taichi_bokeh.ops._common import dtype_name, read_back, refuse_double_backward
from taichi_bokeh.ops._registration import operator
from taichi_bokeh.ops.subaperture.slices import (
    Adjoint,
    Layer,
    Slice,
    Slices,
    facts_of,
    facts_shape,
    layers_of,
    occupied_intervals,
)
from taichi_bokeh.ops.subaperture.taps import Summation, TapLayout, correlate, lay_out, pack
from taichi_bokeh.optics.aperture import aperture_of
from taichi_bokeh.optics.psf import Cells, divide

PRIOR = 1e-3  # weight of what all cells see, so that a cell through which no source of a layer is seen has a colour
_TILE_BYTES = 256 << 20  # what a tile's sums may take
_SMALLEST_TILE = 16  # px


class _Window(NamedTuple):
    """Rows top … bottom − 1 and columns left … right − 1 of the image."""

    top: int
    bottom: int
    left: int
    right: int

    def inside(self, whole: "_Window") -> tuple[slice, slice]:
        """Slice its rows and columns out of a larger one."""
        return (
            slice(self.top - whole.top, self.bottom - whole.top),
            slice(self.left - whole.left, self.right - whole.left),
        )


class _Grid(NamedTuple):
    """Part of a grid: its cells of rows top … and columns left …; of columns a multiple of PIXELS."""

    cell_px: int
    top: int
    left: int
    rows: int
    columns: int

    @classmethod
    def around(cls, window: _Window, cell_px: int) -> "_Grid":
        """Take all grid cells from which the pixels of a window, its width rounded up to PIXELS, are interpolated."""
        width = _blocks(window.right - window.left) * PIXELS
        if cell_px == 1:
            return cls(1, window.top, window.left, window.bottom - window.top, width)
        top, left = ((2 * first + 1 - cell_px) // (2 * cell_px) for first in (window.top, window.left))
        bottom, right = ((2 * last - 1 - cell_px) // (2 * cell_px) + 2 for last in (window.bottom, window.left + width))
        return cls(cell_px, top, left, bottom - top, _blocks(right - left) * PIXELS)

    def pixels(self, layer: Layer, pad: int, extra: int) -> tuple[Tensor, Tensor]:
        """List the layer's rows and columns in and `pad` grid cells round the part, `extra` more at the right."""
        height, width = layer.coordinate.shape
        device = layer.coordinate.device
        ends = ((height, self.top, self.rows, 0), (width, self.left, self.columns, extra))
        rows, columns = (
            _clamped(size, (first - pad) * self.cell_px, (count + 2 * pad + more) * self.cell_px, device)
            for size, first, count, more in ends
        )
        return rows, columns

    def offset(self, window: _Window) -> tuple[int, int]:
        """Count rows and columns from the grid's first pixel to the window's."""
        return window.top - self.top * self.cell_px, window.left - self.left * self.cell_px


class _Sums(NamedTuple):
    """Sums and weights [..., M, rows, W', 4] and [..., M, rows, W'] of a window; W' is its width rounded up to PIXELS."""

    values: Tensor
    weights: Tensor

    @property
    def planes(self) -> tuple[Tensor, Tensor]:
        """Both with their channels last, 4 and 1."""
        return self.values, self.weights[..., None]


def _clamped(size: int, first: int, count: int, device: torch.device) -> Tensor:
    """List first, first + 1, … with the edge replicated."""
    return torch.arange(first, first + count, device=device).clamp_(0, size - 1)


def _blocks(width: int) -> int:
    return -(-width // PIXELS)


# ---- forward


def _layer_sums(layer: Layer, cells: Cells, window: _Window, is_all: bool, result: _Sums) -> None:
    """Write the sums [M, …] of one layer in a window, which may be all of the view."""
    shares = cells.shares.to(result.values)
    if layer.is_flat:
        (slices,) = layer.grids
        grid = _Grid.around(window, 1)
        rows, columns = grid.pixels(layer, slices.pad, PIXELS - 1)
        even, *offset = slices.parts
        assert even.taps is not None
        correlate(even.taps, layer.texture[rows][:, columns], None, _in_blocks(result.values), slices.pad)
        result.weights[:] = shares[:, None, None]
        _add_slices(layer, slices._replace(parts=offset), grid, is_all, result)
        return
    for value in result:
        value.zero_()
    for slices in layer.grids:
        grid = _Grid.around(window, slices.cell_px)
        if slices.cell_px == 1:
            _add_slices(layer, slices, grid, is_all, result)
            continue
        shape = (cells.count, grid.rows, grid.columns)
        coarse = _Sums(result.values.new_zeros(*shape, 4), result.values.new_zeros(shape))
        if _add_slices(layer, slices, grid, is_all, coarse):
            for part, whole in zip(coarse.planes, result.planes, strict=True):
                kernel = interpolation(part.shape[-1], dtype_name(part)).forward
                _runtime.launch(kernel, part, whole, grid.cell_px, *grid.offset(window))
    for value in result:
        value += PRIOR * torch.einsum("m,...->m...", shares, value.sum(0))


def _near(layer: Layer, slices: Slices, coordinate: Tensor, is_all: bool, closed: bool) -> list[Slice]:
    """List the slices that have sources among the coordinates of a window; of all of the view it is known beforehand."""
    if layer.is_flat:
        return slices.parts
    return slices.near(layer.occupied if is_all else read_back(occupied_intervals(coordinate)), closed)


def _add_slices(layer: Layer, slices: Slices, grid: _Grid, is_all: bool, result: _Sums) -> bool:
    """Add the sums of one grid's slices, on that grid; False if there are none here."""
    rows, columns = grid.pixels(layer, slices.pad, PIXELS - 1)
    coordinate = layer.coordinate[rows][:, columns].contiguous()
    near = [(part, part.taps) for part in _near(layer, slices, coordinate, is_all, closed=False) if part.taps is not None]
    if not near:
        return False
    texture = layer.texture[rows][:, columns].contiguous()
    shape = (len(rows) // grid.cell_px, len(columns) // grid.cell_px)
    sources = _Sums(texture.new_empty(*shape, 4), texture.new_empty(shape))
    kernel = kernels.slice_sources(near[0][0].weight, dtype_name(texture))
    for part, taps in near:
        _runtime.launch(kernel, texture, coordinate, part.node, grid.cell_px, *sources.planes)
        occupied = (sources.weights[:, : 1 - PIXELS] != 0).to(torch.int32).cumsum(0, dtype=torch.int32).cumsum_(1).flatten()
        for source, sums in zip(sources.planes, result.planes, strict=True):
            correlate(taps, source, occupied, _in_blocks(sums), slices.pad)
    return True


def _in_blocks(sums: Tensor) -> Tensor:
    """Reshape [M, rows, W', C] -> [M, rows, W'/PIXELS, PIXELS·C]."""
    return sums.view(*sums.shape[:2], sums.shape[2] // PIXELS, PIXELS * sums.shape[3])


def _sums(layers: list[Layer], cells: Cells, window: _Window, is_all: bool) -> _Sums:
    """Make the sums of all layers in a window, [L, M, …]."""
    like = layers[0].texture
    shape = (len(layers), cells.count, window.bottom - window.top, _blocks(window.right - window.left) * PIXELS)
    result = _Sums(like.new_empty(*shape, 4), like.new_empty(shape))
    for layer, values, weights in zip(layers, *result, strict=True):
        _layer_sums(layer, cells, window, is_all, _Sums(values, weights))
    return result


class _Composite(NamedTuple):
    """The image of the cells, and that of the groups of cells from which it is extrapolated."""

    fine: Tensor  # [rows, W', 3]
    coarse: Tensor
    gain: float

    @property
    def image(self) -> Tensor:
        return torch.maximum(self.fine + self.gain * (self.fine - self.coarse), self.fine / 2)


def _group_ends(cells: Cells, device: torch.device) -> Tensor:
    """List the number of each group's first cell, and M, [G + 1]."""
    sizes = torch.bincount(torch.tensor(cells.groups, dtype=torch.int64, device="cpu"))
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]).to(device, torch.int32)


def _composite(sums: _Sums, cells: Cells) -> _Composite:
    fine, coarse = (sums.values.new_zeros(*sums.weights.shape[2:], 3) for _ in range(2))
    kernel = composite(sums.values.shape[0], dtype_name(fine)).forward
    _runtime.launch(kernel, *sums, cells.shares.to(fine), _group_ends(cells, fine.device), fine, coarse)
    return _Composite(fine, coarse, cells.gain)


def _windows(view: _Window, layers: int, cells: int, element_size: int) -> Iterator[_Window]:
    """Cut the view into tiles, about square, whose sums fit in memory."""
    pixels = _TILE_BYTES // (layers * cells * 5 * element_size)
    side = max(_SMALLEST_TILE, math.isqrt(pixels))
    width, height = view.right - view.left, view.bottom - view.top
    across = _equal_part(width, side, PIXELS)
    down = _equal_part(height, max(side, pixels // across), 1)
    for top in range(view.top, view.bottom, down):
        for left in range(view.left, view.right, across):
            yield _Window(top, min(view.bottom, top + down), left, min(view.right, left + across))


def _equal_part(size: int, most: int, multiple: int) -> int:
    """Divide by as few parts as are not larger than `most` and about equal, rounded up to a multiple."""
    parts = -(-size // most)
    return -(-size // (parts * multiple)) * multiple


def _cells(shape: list[float], image: Tensor | None, cells: int, field: list[float]) -> Cells:
    aperture = aperture_of(shape, image)
    whole = divide(aperture, cells)
    return whole if aperture.cat_eye == 0 else whole.seen_from((field[0], field[1]), aperture.cat_eye)


@operator
def subaperture(
    textures: Tensor,
    radius: Tensor,
    image: Tensor | None,
    shape: list[float],
    cells: int,
    view: list[int],
    field: list[float],
    summation: str,
) -> tuple[Tensor, Tensor]:
    """Render part of the image, [B, 3, bottom − top, right − left]; and what the backward pass reads of the radii, on the CPU.

    textures [B, L, 4, H, W]: premultiplied rgb and alpha; radius [B, L, H, W], signed px; shape: blades, rotation, roundness,
    squeeze, cat-eye and ring, and image, of the aperture; view: top, bottom, left, right; field: the position whose cat-eye
    holds for all of the view; summation: one of `Summation` (taps.py).
    """
    parts, whole = _cells(shape, image, cells, field), _Window(*view)
    batch, count = textures.shape[:2]
    result = textures.new_empty(batch, 3, whole.bottom - whole.top, whole.right - whole.left)
    windows = list(_windows(whole, count, parts.count, textures.element_size()))
    facts = facts_of(radius)
    for b in range(batch):
        layers = layers_of(textures[b], radius[b], facts[b], parts, _summation(summation))
        for k, window in enumerate(windows):
            part = _composite(_sums(layers, parts, window, len(windows) == 1), parts).image
            rows, columns = window.inside(whole)
            result[b, :, rows, columns] = part[:, : window.right - window.left].permute(2, 0, 1)
            _runtime.report(b * len(windows) + k + 1, batch * len(windows))
    return result, facts


def _summation(name: str) -> Summation:
    return cast(Summation, name)


# ---- backward


def _composite_adjoint(d_image: Tensor, sums: _Sums, cells: Cells) -> _Sums:
    """Make the gradients of the sums from that of the window's image, [rows, W', 3]."""
    both = _composite(sums, cells)
    limited = both.fine + both.gain * (both.fine - both.coarse) < both.fine / 2
    d_fine = torch.where(limited, d_image / 2, (1 + both.gain) * d_image)
    d_coarse = torch.where(limited, 0.0, -both.gain * d_image)
    d_sums = _Sums(*(torch.empty_like(value) for value in sums))
    kernel = composite(sums.values.shape[0], dtype_name(d_image)).adjoint
    _runtime.launch(kernel, *sums, cells.shares.to(d_image), _group_ends(cells, d_image.device), d_fine, d_coarse, *d_sums)
    return d_sums


class _Gradients(NamedTuple):
    """Gradients of a layer, or of a part of it, that are added to."""

    texture: Tensor  # [H, W, 4]
    coordinate: Tensor  # [H, W]


def _layer_sums_adjoint(layer: Layer, d_sums: _Sums, window: _Window, is_all: bool, result: _Gradients) -> None:
    """Add to a layer's gradients what those of a window's sums, [M, …], give."""
    for slices in layer.grids:
        grid = _Grid.around(window, slices.cell_px)
        d_grid = d_sums
        if slices.cell_px > 1:
            d_grid = _Sums(*(value.new_zeros(value.shape[0], grid.rows, grid.columns, *value.shape[3:]) for value in d_sums))
            for part, whole in zip(d_grid.planes, d_sums.planes, strict=True):
                kernel = interpolation(part.shape[-1], dtype_name(part)).adjoint
                _runtime.launch(kernel, part, whole, grid.cell_px, *grid.offset(window))
        _add_slices_adjoint(layer, slices, grid, d_grid, is_all, result)


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


def _add_slices_adjoint(layer: Layer, slices: Slices, grid: _Grid, d_sums: _Sums, is_all: bool, result: _Gradients) -> None:
    """Add the same for the slices of one grid and gradients on it."""
    pad = slices.pad
    rows, columns = grid.pixels(layer, pad, 0)
    texture, coordinate = (value[rows][:, columns].contiguous() for value in (layer.texture, layer.coordinate))
    padded = _Gradients(torch.zeros_like(texture), torch.zeros_like(coordinate))
    row = _blocks(grid.columns + 2 * pad) * PIXELS + 2 * pad
    shape = (grid.rows + 4 * pad, row + PIXELS - 1)
    inside = (slice(2 * pad, 2 * pad + grid.rows), slice(2 * pad, 2 * pad + grid.columns))
    near = _near(layer, slices, coordinate, is_all, closed=True)
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


@operator
def _subaperture_backward(
    grad: Tensor,
    facts: Tensor,
    textures: Tensor,
    radius: Tensor,
    image: Tensor | None,
    shape: list[float],
    cells: int,
    view: list[int],
    field: list[float],
    summation: str,
    of_radius: bool,
) -> tuple[Tensor, Tensor]:
    parts, whole = _cells(shape, image, cells, field), _Window(*view)
    batch, count, _, height, width = textures.shape
    d_textures = textures.new_zeros(batch, count, height, width, 4)
    d_radius = torch.zeros_like(radius, memory_format=torch.contiguous_format)
    windows = list(_windows(whole, count, parts.count, 3 * textures.element_size()))
    wanted: Adjoint = "both" if of_radius else "textures"
    for b in range(batch):
        layers = layers_of(textures[b], radius[b], facts[b], parts, _summation(summation), wanted)
        for window in windows:
            sums = _sums(layers, parts, window, len(windows) == 1)
            rows, columns = window.inside(whole)
            d_image = grad.new_zeros(*sums.weights.shape[2:], 3)
            d_image[:, : window.right - window.left] = grad[b, :, rows, columns].permute(1, 2, 0)
            d_sums = _composite_adjoint(d_image, sums, parts)
            for k, layer in enumerate(layers):
                part = _Sums(d_sums.values[k], d_sums.weights[k])
                if not layer.is_flat:
                    part = _prior_adjoint(part, parts.shares.to(part.values))
                _layer_sums_adjoint(layer, part, window, len(windows) == 1, _Gradients(d_textures[b, k], d_radius[b, k]))
        for k, layer in enumerate(layers):
            d_radius[b, k] *= layer.slope  # until here the gradient of the coordinate
    return d_textures.permute(0, 1, 4, 2, 3).contiguous(), d_radius


def _prior_adjoint(d_sums: _Sums, shares: Tensor) -> _Sums:
    return _Sums(*(value + PRIOR * torch.einsum("m,m...->...", shares, value) for value in d_sums))


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(output[1], *inputs[:3])
    ctx.settings = inputs[3:]
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, grad: Tensor, _: Tensor | None) -> Any:
    of_radius = ctx.needs_input_grad[1]
    return *_subaperture_backward(grad, *ctx.saved_tensors, *ctx.settings, of_radius), *[None] * 6


def _fake(textures: Tensor, radius: Tensor, image: Tensor | None, shape: Any, cells: int, view: list[int], *rest: Any) -> Any:
    result = textures.new_empty(textures.shape[0], 3, view[1] - view[0], view[3] - view[2])
    return result, torch.empty(facts_shape(radius), dtype=torch.float64, device="cpu")


def _fake_backward(grad: Tensor, facts: Tensor, textures: Tensor, radius: Tensor, *rest: Any) -> Any:
    return tuple(torch.empty_like(t, memory_format=torch.contiguous_format) for t in (textures, radius))


torch.library.register_fake(subaperture, _fake)
torch.library.register_fake(_subaperture_backward, _fake_backward)
torch.library.register_autograd(subaperture, _backward, setup_context=_save)
refuse_double_backward(_subaperture_backward, "subaperture")
