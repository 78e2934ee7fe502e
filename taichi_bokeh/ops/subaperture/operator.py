"""The operator of the sub-aperture model: layers seen through each cell of an aperture, added (kernels/subaperture/cells.py).

The picture is rendered in tiles, so that the sums of all cells and layers of a tile fit in memory. A flat layer has one kernel
a cell, and for the gradient of its radii the slope of that. In another, the kernel of a source pixel is interpolated linearly
between those of the nodes on both sides of its radius: the layer is cut into one slice a node, weighted with tents round the
nodes, whose sum is 1. The slices of large radii are summed on coarser grids (kernels/subaperture/coarse_grid.py).
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.subaperture import cells as kernels
from taichi_bokeh.kernels.subaperture.cells import PIXELS
from taichi_bokeh.kernels.subaperture.coarse_grid import interpolation
from taichi_bokeh.ops._common import dtype_name, refuse_double_backward
from taichi_bokeh.ops._registration import operator
from taichi_bokeh.ops.subaperture.slices import Layer, Slices, layers_of
from taichi_bokeh.ops.subaperture.taps import correlate, packed, place
from taichi_bokeh.optics.aperture import aperture_of
from taichi_bokeh.optics.psf import Cells, divide

PRIOR = 1e-3  # weight of what all cells see, so that a cell through which no source of a layer is seen has a colour
_TILE_BYTES = 256 << 20  # what a tile's sums may take
_SMALLEST_TILE = 16  # px


class _Window(NamedTuple):
    """Rows top … bottom − 1 and columns left … right − 1 of the picture."""

    top: int
    bottom: int
    left: int
    right: int

    def inside(self, whole: "_Window") -> tuple[slice, slice]:
        """Its rows and columns within a larger one."""
        return (
            slice(self.top - whole.top, self.bottom - whole.top),
            slice(self.left - whole.left, self.right - whole.left),
        )


class _Grid(NamedTuple):
    """Places of a grid of this many pixels a place, rows top … and columns left …; of columns a multiple of PIXELS."""

    step: int
    top: int
    left: int
    rows: int
    columns: int

    @classmethod
    def around(cls, window: _Window, step: int) -> "_Grid":
        """All places from which the pixels of a window, its width rounded up to PIXELS, are interpolated."""
        width = _blocks(window.right - window.left) * PIXELS
        if step == 1:
            return cls(1, window.top, window.left, window.bottom - window.top, width)
        top, left = ((2 * first + 1 - step) // (2 * step) for first in (window.top, window.left))
        bottom, right = ((2 * last - 1 - step) // (2 * step) + 2 for last in (window.bottom, window.left + width))
        return cls(step, top, left, bottom - top, _blocks(right - left) * PIXELS)

    def pixels(self, layer: Layer, pad: int, extra: int) -> tuple[Tensor, Tensor]:
        """Rows and columns of the layer in and `pad` places round the grid, `extra` more at the right; edges replicated."""
        height, width = layer.place.shape
        device = layer.place.device
        ends = ((height, self.top, self.rows, 0), (width, self.left, self.columns, extra))
        rows, columns = (
            _clamped(size, (first - pad) * self.step, (count + 2 * pad + more) * self.step, device)
            for size, first, count, more in ends
        )
        return rows, columns

    def offset(self, window: _Window) -> tuple[int, int]:
        """Rows and columns from the grid's first pixel to the window's."""
        return window.top - self.top * self.step, window.left - self.left * self.step


class _Sums(NamedTuple):
    """Sums and weights [..., M, rows, W', 4] and [..., M, rows, W'] of a window; W' is its width rounded up to PIXELS."""

    values: Tensor
    weights: Tensor

    @property
    def planes(self) -> tuple[Tensor, Tensor]:
        """Both with their channels last, 4 and 1."""
        return self.values, self.weights[..., None]


def _clamped(size: int, first: int, count: int, device: torch.device) -> Tensor:
    """Indices first, first + 1, … with the edge replicated."""
    return torch.arange(first, first + count, device=device).clamp_(0, size - 1)


def _blocks(width: int) -> int:
    return -(-width // PIXELS)


# ---- forward


def _layer_sums(layer: Layer, cells: Cells, window: _Window, result: _Sums) -> None:
    """Write the sums [M, …] of one layer."""
    shares = cells.shares.to(result.values)
    if layer.is_flat:
        (slices,) = layer.grids
        grid = _Grid.around(window, 1)
        rows, columns = grid.pixels(layer, slices.pad, PIXELS - 1)
        even, *offset = slices.parts
        assert even.taps is not None
        correlate(even.taps, layer.texture[rows][:, columns], None, _in_blocks(result.values), slices.pad)
        result.weights[:] = shares[:, None, None]
        _add_slices(layer, slices._replace(parts=offset), grid, result)
        return
    for value in result:
        value.zero_()
    for slices in layer.grids:
        grid = _Grid.around(window, slices.step)
        if slices.step == 1:
            _add_slices(layer, slices, grid, result)
            continue
        shape = (cells.count, grid.rows, grid.columns)
        coarse = _Sums(result.values.new_zeros(*shape, 4), result.values.new_zeros(shape))
        if _add_slices(layer, slices, grid, coarse):
            for part, whole in zip(coarse.planes, result.planes, strict=True):
                kernel = interpolation(part.shape[-1], dtype_name(part)).forward
                _runtime.launch(kernel, part, whole, grid.step, *grid.offset(window))
    for value in result:
        value += PRIOR * torch.einsum("m,...->m...", shares, value.sum(0))


def _add_slices(layer: Layer, slices: Slices, grid: _Grid, result: _Sums) -> bool:
    """Add the sums of one grid's slices, on that grid; False if there are none here."""
    rows, columns = grid.pixels(layer, slices.pad, PIXELS - 1)
    place_ = layer.place[rows][:, columns].contiguous()
    near = [(part, part.taps) for part in (slices.parts if layer.is_flat else slices.near(place_)) if part.taps is not None]
    if not near:
        return False
    texture = layer.texture[rows][:, columns].contiguous()
    shape = (len(rows) // grid.step, len(columns) // grid.step)
    sources = _Sums(texture.new_empty(*shape, 4), texture.new_empty(shape))
    kernel = kernels.slice_sources(near[0][0].weight, dtype_name(texture))
    for part, taps in near:
        _runtime.launch(kernel, texture, place_, part.place, grid.step, *sources.planes)
        occupied = (sources.weights[:, : 1 - PIXELS] != 0).to(torch.int32).cumsum(0, dtype=torch.int32).cumsum_(1).flatten()
        for source, sums in zip(sources.planes, result.planes, strict=True):
            correlate(taps, source, occupied, _in_blocks(sums), slices.pad)
    return True


def _in_blocks(sums: Tensor) -> Tensor:
    """[M, rows, W', C] -> [M, rows, W'/PIXELS, PIXELS·C]."""
    return sums.view(*sums.shape[:2], sums.shape[2] // PIXELS, PIXELS * sums.shape[3])


def _sums(layers: list[Layer], cells: Cells, window: _Window) -> _Sums:
    """[L, M, …]."""
    like = layers[0].texture
    shape = (len(layers), cells.count, window.bottom - window.top, _blocks(window.right - window.left) * PIXELS)
    result = _Sums(like.new_empty(*shape, 4), like.new_empty(shape))
    for layer, values, weights in zip(layers, *result, strict=True):
        _layer_sums(layer, cells, window, _Sums(values, weights))
    return result


class _Composite(NamedTuple):
    """The picture of the cells, and that of the groups of cells from which it is extrapolated."""

    fine: Tensor  # [rows, W', 3]
    coarse: Tensor
    gain: float

    @property
    def picture(self) -> Tensor:
        return torch.maximum(self.fine + self.gain * (self.fine - self.coarse), self.fine / 2)


def _group_ends(cells: Cells, device: torch.device) -> Tensor:
    """[G + 1], the number of each group's first cell, and M."""
    sizes = torch.bincount(torch.tensor(cells.groups, dtype=torch.int64, device="cpu"))
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]).to(device, torch.int32)


def _composite(sums: _Sums, cells: Cells) -> _Composite:
    fine, coarse = (sums.values.new_zeros(*sums.weights.shape[2:], 3) for _ in range(2))
    composite = kernels.composite(sums.values.shape[0], dtype_name(fine))
    composite(*sums, cells.shares.to(fine), _group_ends(cells, fine.device), fine, coarse)
    return _Composite(fine, coarse, cells.gain)


def _windows(view: _Window, layers: int, cells: int, element_size: int) -> Iterator[_Window]:
    """Tiles of the view, about square, whose sums fit in memory."""
    pixels = _TILE_BYTES // (layers * cells * 5 * element_size)
    side = max(_SMALLEST_TILE, math.isqrt(pixels))
    width, height = view.right - view.left, view.bottom - view.top
    across = _equal_part(width, side, PIXELS)
    down = _equal_part(height, max(side, pixels // across), 1)
    for top in range(view.top, view.bottom, down):
        for left in range(view.left, view.right, across):
            yield _Window(top, min(view.bottom, top + down), left, min(view.right, left + across))


def _equal_part(size: int, most: int, multiple: int) -> int:
    """Of the parts, as few as are not larger than `most` and about equal, rounded up to a multiple."""
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
    order: int,
) -> Tensor:
    """Part of the picture, [B, 3, bottom − top, right − left].

    textures [B, L, 4, H, W]: premultiplied rgb and alpha; radius [B, L, H, W], signed px; shape: blades, rotation, roundness,
    squeeze, cat-eye and ring, and image, of the aperture; view: top, bottom, left, right; field: the place whose cat-eye holds
    for all of the view; order of the taps 0, 2, or −1 for the cheaper.
    """
    parts, whole = _cells(shape, image, cells, field), _Window(*view)
    batch, count = textures.shape[:2]
    picture = textures.new_empty(batch, 3, whole.bottom - whole.top, whole.right - whole.left)
    windows = list(_windows(whole, count, parts.count, textures.element_size()))
    for b in range(batch):
        layers = layers_of(textures[b], radius[b], parts, order)
        for k, window in enumerate(windows):
            part = _composite(_sums(layers, parts, window), parts).picture
            rows, columns = window.inside(whole)
            picture[b, :, rows, columns] = part[:, : window.right - window.left].permute(2, 0, 1)
            _runtime.report(b * len(windows) + k + 1, batch * len(windows))
    return picture


# ---- backward


def _composite_adjoint(d_picture: Tensor, sums: _Sums, cells: Cells) -> _Sums:
    """Cotangents of the sums from that of the window's picture, [rows, W', 3]."""
    both = _composite(sums, cells)
    limited = both.fine + both.gain * (both.fine - both.coarse) < both.fine / 2
    both.fine.grad = torch.where(limited, d_picture / 2, (1 + both.gain) * d_picture)
    both.coarse.grad = torch.where(limited, 0.0, -both.gain * d_picture)
    for value in sums:
        value.grad = torch.empty_like(value)
    composite = kernels.composite(sums.values.shape[0], dtype_name(d_picture))
    composite.grad(*sums, cells.shares.to(d_picture), _group_ends(cells, d_picture.device), both.fine, both.coarse)
    assert sums.values.grad is not None
    assert sums.weights.grad is not None
    return _Sums(sums.values.grad, sums.weights.grad)


def _pull(layer: Layer, d_sums: _Sums, window: _Window, d_texture: Tensor, d_place: Tensor) -> None:
    """Add to the gradients of a layer's texture [H, W, 4] and place [H, W] what cotangents [M, …] of a window's sums give."""
    for slices in layer.grids:
        grid = _Grid.around(window, slices.step)
        d_grid = d_sums
        if slices.step > 1:
            d_grid = _Sums(*(value.new_zeros(value.shape[0], grid.rows, grid.columns, *value.shape[3:]) for value in d_sums))
            for part, whole in zip(d_grid.planes, d_sums.planes, strict=True):
                kernel = interpolation(part.shape[-1], dtype_name(part)).adjoint
                _runtime.launch(kernel, part, whole, grid.step, *grid.offset(window))
        _pull_slices(layer, slices, grid, d_grid, d_texture, d_place)


def _pull_slices(layer: Layer, slices: Slices, grid: _Grid, d_sums: _Sums, d_texture: Tensor, d_place: Tensor) -> None:
    """The same for the slices of one grid and cotangents on it."""
    pad = slices.pad
    rows, columns = grid.pixels(layer, pad, 0)
    texture, place_ = (value[rows][:, columns].contiguous() for value in (layer.texture, layer.place))
    into_texture, into_place = torch.zeros_like(texture), torch.zeros_like(place_)
    row = _blocks(grid.columns + 2 * pad) * PIXELS + 2 * pad
    shape = (grid.rows + 4 * pad, row + PIXELS - 1)
    inside = (slice(2 * pad, 2 * pad + grid.rows), slice(2 * pad, 2 * pad + grid.columns))
    parts = slices.parts if layer.is_flat else slices.near(place_, closed=True)
    mirrored = [(part, part.mirrored) for part in parts if part.mirrored is not None]
    placed = [place(taps, row, texture.new_empty(0, dtype=torch.float64)) for _, taps in mirrored]
    for m in range(d_sums.values.shape[0]):
        of_order: dict[int, list[Tensor]] = {}
        for (part, taps), at in zip(mirrored, placed, strict=True):
            order = taps.order
            if order not in of_order:
                both = d_sums.values[m], d_sums.weights[m][..., None]
                of_order[order] = [_packed_cotangent(value, shape, inside, order) for value in both]
            first, last = (int(taps.first[m + k]) for k in (0, 1))
            if first < last:
                source = (*of_order[order], at.steps, at.weights, first, last)
                gradients = (texture, place_, part.place, into_texture, into_place)
                kernel = kernels.pull(part.weight, dtype_name(texture))
                _runtime.launch(kernel, *source, *gradients, slices.step, row, pad * row + pad)
    for total, padded in ((d_texture, into_texture), (d_place, into_place)):
        narrow = padded.new_zeros(len(rows), layer.place.shape[1], *total.shape[2:]).index_add_(1, columns, padded)
        total.index_add_(0, rows, narrow)


def _packed_cotangent(values: Tensor, shape: tuple[int, int], inside: tuple[slice, slice], order: int) -> Tensor:
    padded = values.new_zeros(*shape, values.shape[-1], dtype=torch.float64)
    padded[inside] = values[:, : inside[1].stop - inside[1].start].to(torch.float64)
    return packed(padded, order)


@operator
def _subaperture_backward(
    grad: Tensor,
    textures: Tensor,
    radius: Tensor,
    image: Tensor | None,
    shape: list[float],
    cells: int,
    view: list[int],
    field: list[float],
    order: int,
    of_radius: bool,
) -> tuple[Tensor, Tensor]:
    parts, whole = _cells(shape, image, cells, field), _Window(*view)
    batch, count, _, height, width = textures.shape
    d_textures = textures.new_zeros(batch, count, height, width, 4)
    d_radius = torch.zeros_like(radius, memory_format=torch.contiguous_format)
    for b in range(batch):
        layers = layers_of(textures[b], radius[b], parts, order, "both" if of_radius else "textures")
        for window in _windows(whole, count, parts.count, 3 * textures.element_size()):
            sums = _sums(layers, parts, window)
            rows, columns = window.inside(whole)
            d_picture = grad.new_zeros(*sums.weights.shape[2:], 3)
            d_picture[:, : window.right - window.left] = grad[b, :, rows, columns].permute(1, 2, 0)
            d_sums = _composite_adjoint(d_picture, sums, parts)
            for k, layer in enumerate(layers):
                part = _Sums(d_sums.values[k], d_sums.weights[k])
                if not layer.is_flat:
                    part = _prior_adjoint(part, parts.shares.to(part.values))
                _pull(layer, part, window, d_textures[b, k], d_radius[b, k])
        for k, layer in enumerate(layers):
            d_radius[b, k] *= layer.slope  # until here the gradient of the place
    return d_textures.permute(0, 1, 4, 2, 3).contiguous(), d_radius


def _prior_adjoint(d_sums: _Sums, shares: Tensor) -> _Sums:
    return _Sums(*(value + PRIOR * torch.einsum("m,m...->...", shares, value) for value in d_sums))


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.settings = inputs[3:]


torch.library.register_fake(
    subaperture,
    lambda textures, radius, image, shape, cells, view, *rest: textures.new_empty(
        textures.shape[0], 3, view[1] - view[0], view[3] - view[2]
    ),
)
torch.library.register_fake(
    _subaperture_backward,
    lambda grad, textures, radius, *rest: tuple(
        torch.empty_like(t, memory_format=torch.contiguous_format) for t in (textures, radius)
    ),
)
torch.library.register_autograd(
    subaperture,
    lambda ctx, grad: (*_subaperture_backward(grad, *ctx.saved_tensors, *ctx.settings, ctx.needs_input_grad[1]), *[None] * 6),
    setup_context=_save,
)
refuse_double_backward(_subaperture_backward, "subaperture")
