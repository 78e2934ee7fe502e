"""The operator of the sub-aperture model (kernels/cells.py): a picture seen through the cells of an aperture, added up.

The picture is rendered in bands of rows, so that the sums of all cells and layers of a band fit in memory. A flat layer has
one kernel a cell. In another, the kernel of a source pixel is interpolated linearly between those of the nodes on both
sides of its radius: the layer is cut into one slice a node, weighted with tents round the nodes, whose sum is 1.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels import cells as kernels
from taichi_bokeh.kernels.cells import PIXELS
from taichi_bokeh.ops._common import dtype_name, plain, refuse_double_backward
from taichi_bokeh.ops._taps import Taps, correlate, make_taps, packed, place
from taichi_bokeh.optics.aperture import aperture_of
from taichi_bokeh.optics.aperture_cells import Cells, divide, kernel_reach, nodes, place_among_nodes

FLAT_PX = {torch.float32: 1e-4, torch.float64: 1e-11}  # a layer whose radii differ by less is flat
PRIOR = 1e-3  # weight of what all cells see, so that a cell through which no source of a layer is seen has a colour
_BAND_BYTES = 128 << 20  # what a band's sums may take
_MOST_WEIGHTS = 1 << 27  # of the kernels of all cells: 1 GiB


class _Slice(NamedTuple):
    """Part of a layer: the taps of one radius, and the number of its node, None for a flat layer."""

    node: int | None
    radius_px: float
    taps: Taps
    mirrored: Taps | None  # for the adjoint, where it is wanted


class _Layer(NamedTuple):
    """One layer of one picture."""

    texture: Tensor  # [H, W, 4]: premultiplied rgb and alpha
    place: Tensor  # [H, W], of the radius among the nodes
    slope: Tensor  # [H, W], of the place along the radius
    slices: list[_Slice]
    pad: int

    @property
    def is_flat(self) -> bool:
        return self.slices[0].node is None


class _Window(NamedTuple):
    """Rows top … bottom − 1 and columns left … right − 1 of the picture."""

    top: int
    bottom: int
    left: int
    right: int


class _Sums(NamedTuple):
    """Sums and weights [..., M, rows, W', 4] and [..., M, rows, W'] of a window; W' is its width rounded up to PIXELS."""

    values: Tensor
    weights: Tensor


# ---- layers and their slices


def _slices(radius: Tensor, cells: Cells, lattice: bool, order: int | None, adjoint: bool) -> list[_Slice]:
    low, high = (float(v) for v in radius.aminmax())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("the blur radius is not finite: blur, focus or disparity hold NaN or infinity")
    _refuse_too_large(max(-low, high), cells)
    pixel_cost = 1.0 if radius.dtype == torch.float64 else 0.5
    flat = high - low <= FLAT_PX[radius.dtype] and not lattice
    radii: list[tuple[int | None, float]] = [(None, (low + high) / 2)] if flat else list(nodes(low, high))
    slices = []
    for node, radius_px in radii:
        kernel = cells.kernels(radius_px)
        mirrored = make_taps(kernel.flip(1, 2), order, pixel_cost) if adjoint else None
        slices.append(_Slice(node, radius_px, make_taps(kernel, order, pixel_cost), mirrored))
    return slices


def _refuse_too_large(radius_px: float, cells: Cells) -> None:
    if cells.count * (2 * kernel_reach(radius_px, cells.extent) + 1) ** 2 > _MOST_WEIGHTS:
        raise ValueError(
            f"the largest blur radius is {radius_px:.0f} px, too much for {cells.count} cells: lower blur, or take fewer cells"
        )


def _layers(textures: Tensor, radius: Tensor, cells: Cells, lattice: bool, order: int, adjoint: bool = False) -> list[_Layer]:
    """The layers of textures [L, 4, H, W]; with `adjoint` also the taps of the mirrored kernels, which it needs."""
    result = []
    for texture, plane in zip(plain(textures), plain(radius), strict=True):
        slices = _slices(plane, cells, lattice, None if order < 0 else order, adjoint)
        pad = max(kernel_reach(part.radius_px, cells.extent) for part in slices) + 1
        place, slope = (plane, plane) if slices[0].node is None else place_among_nodes(plane)  # not read of a flat layer
        result.append(_Layer(texture.permute(1, 2, 0).contiguous(), place, slope, slices, pad))
    return result


def _tents(place: Tensor, node: int) -> Tensor:
    return (1 - (place - node).abs()).clamp_(min=0)


def _clamped(size: int, first: int, count: int, device: torch.device) -> Tensor:
    """Indices first, first + 1, … with the edge replicated."""
    return torch.arange(first, first + count, device=device).clamp_(0, size - 1)


def _blocks(width: int) -> int:
    return -(-width // PIXELS)


# ---- forward


def _layer_sums(layer: _Layer, cells: Cells, window: _Window, result: _Sums) -> None:
    """Write the sums [M, …] of one layer."""
    height, width = layer.place.shape
    device = layer.place.device
    count, padded_width = result.weights.shape[1:]
    row = padded_width + 2 * layer.pad
    rows = _clamped(height, window.top - layer.pad, count + 2 * layer.pad, device)
    columns = _clamped(width, window.left - layer.pad, row + PIXELS - 1, device)
    texture = layer.texture[rows][:, columns]
    values = result.values.view(cells.count, count, padded_width // PIXELS, 4 * PIXELS)
    shares = cells.shares.to(values)
    if layer.is_flat:
        correlate(layer.slices[0].taps, texture, None, values, layer.pad)
        result.weights[:] = shares[:, None, None]
        return
    weights = result.weights.view(cells.count, count, padded_width // PIXELS, PIXELS)
    values.zero_()
    weights.zero_()
    place_ = layer.place[rows][:, columns]
    for part in layer.slices:
        assert part.node is not None
        tents = _tents(place_, part.node)[..., None]
        if not bool(tents.any()):
            continue
        occupied = (tents[:, :row, 0] > 0).to(torch.int32).cumsum(0, dtype=torch.int32).cumsum_(1).flatten()
        correlate(part.taps, texture * tents, occupied, values, layer.pad)
        correlate(part.taps, tents, occupied, weights, layer.pad)
    for value in (values, weights):
        value += PRIOR * torch.einsum("m,...->m...", shares, value.sum(0))


def _sums(layers: list[_Layer], cells: Cells, window: _Window) -> _Sums:
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
    sizes = torch.bincount(torch.tensor(cells.groups))
    return torch.cat([sizes.new_zeros(1), sizes.cumsum(0)]).to(device, torch.int32)


def _composite(sums: _Sums, cells: Cells) -> _Composite:
    fine, coarse = (sums.values.new_zeros(*sums.weights.shape[2:], 3) for _ in range(2))
    composite = kernels.composite(sums.values.shape[0], dtype_name(fine))
    composite(*sums, cells.shares.to(fine), _group_ends(cells, fine.device), fine, coarse)
    return _Composite(fine, coarse, cells.gain)


def _windows(view: _Window, layers: int, cells: int, element_size: int) -> Iterator[_Window]:
    """Bands of the view whose sums fit in memory."""
    row_bytes = _blocks(view.right - view.left) * PIXELS * layers * cells * 5 * element_size
    height = view.bottom - view.top
    step = min(max(16, _BAND_BYTES // row_bytes), height)
    step = -(-height // -(-height // step))  # equal parts
    for top in range(view.top, view.bottom, step):
        yield view._replace(top=top, bottom=min(view.bottom, top + step))


def _cells(shape: list[float], image: Tensor | None, cells: int, field: list[float]) -> Cells:
    aperture = aperture_of(shape, image)
    whole = divide(aperture, cells)
    return whole if aperture.cat_eye == 0 else whole.seen_from((field[0], field[1]), aperture.cat_eye)


@torch.library.custom_op("taichi_bokeh::subaperture", mutates_args=())
def subaperture(
    textures: Tensor,
    radius: Tensor,
    image: Tensor | None,
    shape: list[float],
    cells: int,
    view: list[int],
    field: list[float],
    lattice: bool,
    order: int,
) -> Tensor:
    """Part of the picture, [B, 3, bottom − top, right − left].

    textures [B, L, 4, H, W]: premultiplied rgb and alpha; radius [B, L, H, W], signed px; shape: blades, rotation, roundness,
    squeeze, cat-eye and ring, and image, of the aperture; view: top, bottom, left, right; field: the place whose cat-eye holds
    for all of the view; lattice: interpolate between nodes even where a layer is flat; order of the taps 0, 2, or −1 for the
    cheaper.
    """
    parts, whole = _cells(shape, image, cells, field), _Window(*view)
    batch, count = textures.shape[:2]
    picture = textures.new_empty(batch, 3, whole.bottom - whole.top, whole.right - whole.left)
    windows = list(_windows(whole, count, parts.count, textures.element_size()))
    for b in range(batch):
        layers = _layers(textures[b], radius[b], parts, lattice, order)
        for k, window in enumerate(windows):
            part = _composite(_sums(layers, parts, window), parts).picture
            rows = slice(window.top - whole.top, window.bottom - whole.top)
            picture[b, :, rows] = part[:, : picture.shape[3]].permute(2, 0, 1)
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


def _pull(layer: _Layer, d_sums: _Sums, window: _Window, d_texture: Tensor, d_place: Tensor) -> None:
    """Add to the gradients of a layer's texture [H, W, 4] and place [H, W] what cotangents [M, …] of a window's sums give."""
    height, width = layer.place.shape
    pad, device = layer.pad, layer.place.device
    size = (window.bottom - window.top, window.right - window.left)
    rows = _clamped(height, window.top - pad, size[0] + 2 * pad, device)
    columns = _clamped(width, window.left - pad, size[1] + 2 * pad, device)
    texture, place_ = (value[rows][:, columns].contiguous() for value in (layer.texture, layer.place))
    into_texture, into_place = torch.zeros_like(texture), torch.zeros_like(place_)
    row = _blocks(len(columns)) * PIXELS + 2 * pad
    shape = (len(rows) + 2 * pad, row + PIXELS - 1)
    inside = (slice(2 * pad, 2 * pad + size[0]), slice(2 * pad, 2 * pad + size[1]))
    kernel = kernels.pull(not layer.is_flat, dtype_name(texture))
    mirrored = [(part.node, part.mirrored) for part in layer.slices if part.mirrored is not None]
    placed = [place(taps, row, texture.new_empty(0, dtype=torch.float64)) for _, taps in mirrored]
    for m in range(d_sums.values.shape[0]):
        of_order: dict[int, list[Tensor]] = {}
        for (node, taps), at in zip(mirrored, placed, strict=True):
            order = taps.order
            if order not in of_order:
                both = d_sums.values[m], d_sums.weights[m][..., None]
                of_order[order] = [_packed_cotangent(value, shape, inside, order) for value in both]
            first, last = (int(taps.first[m + k]) for k in (0, 1))
            if first < last:
                source = (*of_order[order], at.steps, at.weights, first, last)
                _runtime.launch(
                    kernel, *source, texture, place_, float(node or 0), into_texture, into_place, row, pad * row + pad
                )
    for total, part_of_it in ((d_texture, into_texture), (d_place, into_place)):
        narrow = part_of_it.new_zeros(len(rows), width, *total.shape[2:]).index_add_(1, columns, part_of_it)
        total.index_add_(0, rows, narrow)


def _packed_cotangent(values: Tensor, shape: tuple[int, int], inside: tuple[slice, slice], order: int) -> Tensor:
    padded = values.new_zeros(*shape, values.shape[-1], dtype=torch.float64)
    padded[inside] = values[:, : inside[1].stop - inside[1].start].to(torch.float64)
    return packed(padded, order)


@torch.library.custom_op("taichi_bokeh::subaperture_backward", mutates_args=())
def _subaperture_backward(
    grad: Tensor,
    textures: Tensor,
    radius: Tensor,
    image: Tensor | None,
    shape: list[float],
    cells: int,
    view: list[int],
    field: list[float],
    lattice: bool,
    order: int,
) -> tuple[Tensor, Tensor]:
    parts, whole = _cells(shape, image, cells, field), _Window(*view)
    batch, count, _, height, width = textures.shape
    d_textures = textures.new_zeros(batch, count, height, width, 4)
    d_radius = torch.zeros_like(radius, memory_format=torch.contiguous_format)
    for b in range(batch):
        layers = _layers(textures[b], radius[b], parts, lattice, order, adjoint=True)
        for window in _windows(whole, count, parts.count, 3 * textures.element_size()):
            sums = _sums(layers, parts, window)
            rows = slice(window.top - whole.top, window.bottom - whole.top)
            d_picture = grad.new_zeros(*sums.weights.shape[2:], 3)
            d_picture[:, : grad.shape[3]] = grad[b, :, rows].permute(1, 2, 0)
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


subaperture.register_fake(
    lambda textures, radius, image, shape, cells, view, *rest: textures.new_empty(
        textures.shape[0], 3, view[1] - view[0], view[3] - view[2]
    )
)
_subaperture_backward.register_fake(
    lambda grad, textures, radius, *rest: tuple(
        torch.empty_like(t, memory_format=torch.contiguous_format) for t in (textures, radius)
    )
)
subaperture.register_autograd(
    lambda ctx, grad: (*_subaperture_backward(grad, *ctx.saved_tensors, *ctx.settings), *[None] * 7), setup_context=_save
)
refuse_double_backward(_subaperture_backward, "subaperture")
