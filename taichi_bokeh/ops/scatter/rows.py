"""The scatter sums of one picture by rows (kernels/scatter/rows/row_sums.py), a band of rows at a time, and their adjoint."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.scatter.disc_table import GAUSS, STEPS_PER_PIXEL, disc_table
from taichi_bokeh.kernels.scatter.occlusion import OcclusionStep
from taichi_bokeh.kernels.scatter.profile import profile as profile_of
from taichi_bokeh.kernels.scatter.rows.gpu_tiles import row_tiles
from taichi_bokeh.kernels.scatter.rows.layout import GROUP, HIDDEN_LANES, LANES, OPAQUE_LANES, PLANES, row_planes
from taichi_bokeh.kernels.scatter.rows.occluded_sources import hidden_planes
from taichi_bokeh.kernels.scatter.rows.row_lists import BEGIN, FOUR, LENGTH, TAPS, entry_size
from taichi_bokeh.kernels.scatter.rows.row_sums import BLOCK, COLUMNS, SEGMENT, rows, stride_of
from taichi_bokeh.kernels.scatter.rows.row_table import row_table
from taichi_bokeh.kernels.scatter.rows.separable_occlusion import separable_occlusion
from taichi_bokeh.ops._common import border_index, dtype_name, on_gpu, parts_of_row

_BAND_BYTES = 128 << 20  # what the arrays of a band may take: memory that has just been used is there and near
_MOST_BAND_BYTES = 512 << 20  # the same on a GPU, and where a band would have few rows for its padding, or for the threads
_LEAST_BAND = 64  # rows
_BAND_PADDINGS, _BAND_ROWS_A_THREAD = 8, 64  # how many are not few
KEPT = 2 * PLANES
_LEAST_TALL, _MOST_TALL = 16, 512  # rows of a band that are one task, where it is several; the result does not depend on it


class Table(NamedTuple):
    """Blur kernels as lists (kernels/scatter/rows/row_lists.py) for radii up to a largest."""

    heads: Tensor  # [rows, intervals, parts, 4] int32
    entries: Tensor  # [total, 4], of discs [blocks, 4·TAPS]
    extent: float  # a source of radius r counts for less than extent·|r| + margin px
    margin_px: float
    steps: float  # intervals a pixel of the radius
    shaped: bool


class Picture(NamedTuple):
    """One layer, or its gradients; the tensors are contiguous and out of the graph."""

    planes: Tensor  # [5, H, W]
    spread: Tensor  # [H, W], px
    in_focus: Tensor  # [H, W]
    disparity: Tensor  # [H, W]


class Lists(NamedTuple):
    """What a picture is rendered with."""

    table: Table
    nodes: Tensor | None  # [T], disparities; None where nothing is in focus
    occlusion: OcclusionStep
    widest: Tensor  # [H + 2·pad]: how far, in px, any of a row of padded sources may count
    reach: Tensor  # [H + 2·pad, blocks]: the same of every COLUMNS of it
    pad: int
    opaque: bool  # throughout: alpha need not be summed up beside 1


@lru_cache(maxsize=8)
def disc_table_of(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """E for offsets of up to `size` px a side (kernels/scatter/disc_table.py)."""
    build, _, nodes = disc_table(str(dtype).removeprefix("torch."))
    table = torch.empty(size, size, nodes, 2, dtype=dtype, device=device)
    _runtime.launch(build, table, torch.from_numpy(GAUSS).to(device))
    return table


@lru_cache(maxsize=8)
def _row_lists(name: str, largest_px: int, dtype: torch.dtype, device: torch.device) -> Table:
    kind = str(dtype).removeprefix("torch.")
    margin = profile_of(name, kind).margin_px
    reach = math.ceil(largest_px + margin) + 1
    table = torch.zeros(1, 1, 1, 2, dtype=dtype, device=device)
    if name == "disc":
        table = disc_table_of(reach + 2, dtype, device)
    kernels = row_table(name, kind)
    heads = torch.zeros(reach + 1, largest_px * STEPS_PER_PIXEL[kind] + 1, 1, 4, dtype=torch.int32, device=device)
    _runtime.launch(kernels.count, table, heads)
    lengths = heads[..., LENGTH].flatten().to(torch.int64)
    heads[..., BEGIN] = (lengths.cumsum(0) - lengths).view(heads.shape[:3])
    entries = torch.empty(int(lengths.sum()), entry_size(shaped=False), dtype=dtype, device=device)
    _runtime.launch(kernels.fill, table, heads, entries)
    return Table(heads, entries, 1.0, margin, float(STEPS_PER_PIXEL[kind]), False)


def row_lists(name: str, largest_px: float, like: Tensor) -> Table:
    """Lists for radii up to `largest_px`, of the dtype and on the device of `like`."""
    size = 8 * math.ceil((largest_px + 0.1) / 8)  # few sizes, so that the cache hits
    with torch.inference_mode(False):
        return _row_lists(name, size, like.dtype, like.device)


def lists_of(
    table: Table,
    picture: Picture,
    largest_px: float,
    nodes: tuple[float, ...] | None,
    occlusion: OcclusionStep,
    opaque: bool,
) -> Lists:
    """A table with what else there is to a picture whose largest spread radius is given."""
    at = None if nodes is None else picture.spread.new_tensor(nodes)
    pad = math.ceil(table.extent * largest_px + table.margin_px) + 1
    reach = _reach(picture.spread, pad) * table.extent + table.margin_px
    return Lists(table, at, occlusion, reach.amax(1), reach, pad, opaque)


def _reach(spread: Tensor, pad: int) -> Tensor:
    """Largest radius of every COLUMNS of padded sources, [H + 2·pad, blocks]."""
    (height, width), device = spread.shape, spread.device
    columns = torch.arange(-pad, width + pad, device=device)
    columns = torch.nn.functional.pad(columns, (0, -len(columns) % COLUMNS), value=width).clamp_(0, width - 1)
    largest = spread.abs()[:, columns].view(height, -1, COLUMNS).amax(2)
    return largest[border_index(height, pad, "replicate", device)]


class Buffers:
    """Memory that is used again from band to band; what a view holds at first is undefined."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._held: dict[str, Tensor] = {}

    def get(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """A view of this name and shape; it replaces the last one of the name."""
        size = math.prod(shape)
        held = self._held.get(name)
        if held is None or held.numel() < size:
            held = self._held[name] = torch.empty(size, dtype=dtype or self._like.dtype, device=self._like.device)
        return held[:size].view(shape)


def _bands(like: Tensor, height: int, floats_a_row: int, floats_a_padded_row: int, padding: int) -> Iterator[tuple[int, int]]:
    """[first, last) of bands of rows whose arrays fit in memory; some have `padding` rows more."""
    small, large = (
        (limit // like.element_size() - padding * floats_a_padded_row) // (floats_a_row + floats_a_padded_row)
        for limit in (_BAND_BYTES, _MOST_BAND_BYTES)
    )
    enough = large if on_gpu(like) else max(_BAND_PADDINGS * padding, _BAND_ROWS_A_THREAD * _runtime.threads())
    step = min(height, max(_LEAST_BAND, small, min(large, enough)))
    step = -(-height // -(-height // step))  # equal parts
    for first in range(0, height, step):
        yield first, min(height, first + step)


def _hidden(lists: Lists) -> int:
    """Lanes of what is hidden."""
    return 0 if lists.nodes is None else HIDDEN_LANES


def _packed(lists: Lists) -> int:
    return OPAQUE_LANES if lists.opaque else LANES


def forward_bands(picture: Picture, lists: Lists) -> Iterator[tuple[int, int]]:
    """Bands of rows of the picture: their sources P and P·τ_k, padded, and two arrays of the sums of either."""
    height, width = picture.spread.shape
    sums_ = 2 * max(_packed(lists) * (width + 4 * lists.pad), _hidden(lists) * width)
    sources = (_packed(lists) + _hidden(lists) + 1) * (width + 2 * lists.pad)
    return _bands(picture.spread, height, sums_, sources, 2 * lists.pad)


def backward_bands(picture: Picture, lists: Lists) -> Iterator[tuple[int, int]]:
    """Bands of rows of padded sources: P, P·τ_k and their gradients, and two arrays of cotangents of either, padded."""
    height, width = picture.spread.shape
    sources, cotangents = 2 * (LANES + _hidden(lists)) + 4, 2 * max(LANES, _hidden(lists))
    per_row = sources * (width + 2 * lists.pad), cotangents * (width + 4 * lists.pad)
    return _bands(picture.spread, height + 2 * lists.pad, *per_row, 2 * lists.pad)


class Sources(NamedTuple):
    """A band of padded sources, interleaved."""

    values: Tensor  # [rows, W + 2·pad, LANES or OPAQUE_LANES, or HIDDEN_LANES of a group of nodes]
    place: Tensor  # [rows, W + 2·pad]
    widest: Tensor  # [rows]
    reach: Tensor  # [rows, blocks]
    top: int


def pack(picture: Picture, top: int, bottom: int, lists: Lists, buffers: Buffers) -> Sources:
    """Lay out the sources of rows top … bottom − 1 as the row kernels read them."""
    shape = (bottom - top, picture.spread.shape[1] + 2 * lists.pad)
    values, place = buffers.get("values", *shape, _packed(lists)), buffers.get("place", *shape)
    kernel = row_planes(lists.opaque, dtype_name(values), on_gpu(values)).pack
    arguments = (picture.planes, picture.spread, values, place, top, lists.pad, lists.table.steps)
    _runtime.launch(kernel, *arguments, parts_of_row(values, shape[1]))
    return Sources(values, place, lists.widest[top:bottom], lists.reach[top:bottom], top)


def fold(d_values: Tensor, d_place: Tensor, d_nearer: Tensor, gradients: Picture, top: int, lists: Lists) -> None:
    """Add the gradients of a band of padded sources to those of a picture."""
    folded = (gradients.planes, gradients.spread, gradients.disparity)
    kernel = row_planes(False, dtype_name(d_values), on_gpu(d_values)).fold
    ways = parts_of_row(d_values, gradients.spread.shape[1])
    _runtime.launch(kernel, d_values, d_place, d_nearer, *folded, top, lists.pad, lists.table.steps, ways)


def _spread(sources: Sources, lists: Lists, wanted: Tensor, buffers: Buffers, result: Tensor | None = None) -> Tensor:
    """Write the sums of a band to the rows of `result`; without one, return those of P·τ_k, [rows, W, C], where wanted."""
    height, width = (size - 2 * lists.pad for size in sources.place.shape)
    lanes, table = sources.values.shape[2], lists.table
    name, sums_ = dtype_name(sources.values), sources.values.new_empty(1, 1, 1) if result is None else result
    if on_gpu(sources.values):
        whole = buffers.get("whole", height, width, lanes)
        arguments = (*sources[:3], table.heads, table.entries, wanted, whole, sums_, height, width, sources.top, lists.pad)
        _runtime.launch(row_tiles(table.shaped, lanes, name), *arguments)
        return whole
    kernels = rows(table.shaped, lanes, name, on_gpu=False)
    edge = 0 if kernels.spread_tall is None else 2 * lists.pad + TAPS
    step, whole = (buffers.get(which, height, width + 2 * edge, lanes) for which in ("step", "whole"))
    arrays = (*sources[:4], table.heads, table.entries)
    scratch = buffers.get("scratch", height, FOUR, TAPS)
    outputs = step, whole, sums_, scratch
    if kernels.spread_tall is None:
        _runtime.launch(kernels.spread, *arrays, wanted, *outputs, sources.top, lists.pad, stride_of(-(-height // BLOCK)))
    else:
        task = min(_MOST_TALL, max(_LEAST_TALL, -(-height // (2 * _runtime.threads()))))
        sizes = task, sources.top, lists.pad, edge
        _runtime.launch(kernels.spread_tall, *arrays, *outputs, *sizes, stride_of(-(-height // task)))
    return whole


def _segments(height: int, width: int, device: torch.device) -> Tensor:
    return torch.ones(height, -(-width // SEGMENT), dtype=torch.int32, device=device)


class InFocus(NamedTuple):
    """Where pixels are in focus, and what separates the occlusion there."""

    nodes: Tensor  # [T], disparities
    wanted: Tensor  # [H, segments], 1 where a segment holds any
    near: Tensor  # [H + 2·pad, segments], 1 where a source may reach one of those

    def near_of(self, sources: Sources) -> Tensor:
        """That of a band."""
        return self.near[sources.top : sources.top + sources.place.shape[0]]


def in_focus_of(picture: Picture, lists: Lists) -> InFocus | None:
    """Of a picture, for its rows and those of its padded sources; None where nothing is."""
    if lists.nodes is None:
        return None
    height, width = picture.spread.shape
    wanted = _segments(height, width, picture.spread.device)
    kernels = separable_occlusion(lists.table.shaped, dtype_name(picture.spread), on_gpu(picture.spread))
    _runtime.launch(kernels.wanted, picture.in_focus, wanted)
    around = -(-(lists.pad + TAPS) // SEGMENT)  # lists are padded to whole blocks
    rows_ = torch.nn.functional.pad(wanted.float().T[:, None], (2 * lists.pad,) * 2)
    rows_ = torch.nn.functional.max_pool1d(rows_, 2 * lists.pad + 1, 1)
    near = torch.nn.functional.max_pool1d(rows_.permute(2, 1, 0), 2 * around + 1, 1, around)
    return InFocus(lists.nodes, wanted, near[:, 0].to(torch.int32).contiguous())


def sums(picture: Picture, lists: Lists, result: Tensor, kept: Tensor | None) -> None:
    """Write the sums [5, H, W] of a picture, and to `kept`, for `pull`, what is hidden from its pixels in focus.

    kept [KEPT, H, W]: these sums, and their slope by the disparity of the pixel; other pixels are left alone.
    """
    height, width = picture.spread.shape
    buffers, in_focus = Buffers(picture.spread), in_focus_of(picture, lists)
    for first, last in forward_bands(picture, lists):
        sources = pack(picture, first, last + 2 * lists.pad, lists, buffers)
        _spread(sources, lists, _segments(last - first, width, result.device), buffers, result)
        _occlude(picture, lists, sources, in_focus, buffers, result, kept)
        _runtime.report(last, height)


def _hidden_of(picture: Picture, lists: Lists, in_focus: InFocus) -> Tensor:
    """What `sums` keeps, where it was not asked to, or the sums were found in another way."""
    buffers, kept = Buffers(picture.spread), picture.planes.new_empty(KEPT, *picture.spread.shape)
    unused = torch.zeros_like(picture.planes)
    for first, last in forward_bands(picture, lists):
        sources = pack(picture, first, last + 2 * lists.pad, lists, buffers)
        _occlude(picture, lists, sources, in_focus, buffers, unused, kept)
    return kept


def _occlude(
    picture: Picture,
    lists: Lists,
    sources: Sources,
    in_focus: InFocus | None,
    buffers: Buffers,
    result: Tensor,
    kept: Tensor | None,
) -> None:
    """Take from the sums of a band what is hidden from its pixels in focus."""
    if in_focus is None:
        return
    first, last = sources.top, sources.top + sources.place.shape[0] - 2 * lists.pad
    wanted = in_focus.wanted[first:last]
    if not on_gpu(wanted) and not bool(wanted.any()):
        return
    kernel = separable_occlusion(lists.table.shaped, dtype_name(result), on_gpu(result)).occlude
    keeping = (result, 0) if kept is None else (kept, 1)
    for group in range(len(in_focus.nodes) // GROUP):
        hidden = _spread(_hide(picture, lists, sources, in_focus, group, buffers), lists, wanted, buffers)
        arguments = (
            *picture,
            in_focus.nodes,
            group,
            hidden,
            *lists.table[:2],
            lists.table.steps,
            *keeping,
            lists.occlusion,
            first,
        )
        _runtime.launch(kernel, result, *arguments)


def _hide(picture: Picture, lists: Lists, sources: Sources, in_focus: InFocus, group: int, buffers: Buffers) -> Sources:
    """P·τ_k of a band of sources, where they count."""
    hidden = buffers.get("hidden", *sources.place.shape, HIDDEN_LANES)
    kernel = hidden_planes(lists.opaque, dtype_name(hidden)).hide
    arguments = (picture.disparity, in_focus.nodes, group, in_focus.near_of(sources), hidden, lists.occlusion)
    _runtime.launch(kernel, sources.values, *arguments, sources.top, lists.pad)
    return sources._replace(values=hidden)


def pull(
    d_sums: Tensor, picture: Picture, lists: Lists, kept: Tensor | None, gradients: Picture, planes_only: bool = False
) -> None:
    """Add the gradients of a picture, from those of its sums [5, H, W].

    kept: by `sums`, None if they were found otherwise; planes_only: what those of disparity and in_focus get is not all.
    """
    buffers, all_planes = Buffers(d_sums), lists._replace(opaque=False)
    in_focus = in_focus_of(picture, lists)
    if in_focus is not None:
        if kept is None and not planes_only:
            kept = _hidden_of(picture, lists, in_focus)
        known = (d_sums, 0) if kept is None else (kept, 1)
        kernel = separable_occlusion(lists.table.shaped, dtype_name(d_sums), on_gpu(d_sums)).occlude_adjoint
        arguments = (*picture, in_focus.nodes, *known, *lists.table[:2], lists.table.steps, lists.occlusion)
        _runtime.launch(kernel, d_sums, *arguments, *gradients)
    for top, bottom in backward_bands(picture, lists):
        sources = pack(picture, top, bottom, all_planes, buffers)
        _pull_band(d_sums, picture, all_planes, gradients, sources, in_focus, buffers)


def _pull_band(
    d_sums: Tensor,
    picture: Picture,
    lists: Lists,
    gradients: Picture,
    sources: Sources,
    in_focus: InFocus | None,
    buffers: Buffers,
) -> None:
    """What a band of padded sources takes back from the rows that it reaches."""
    name, pad, table = dtype_name(d_sums), lists.pad, lists.table
    height, width = picture.spread.shape
    first, last = max(0, sources.top - 2 * pad), min(height, sources.top + sources.place.shape[0])
    edge = 2 * pad + TAPS
    before = buffers.get("before", last - first, width + 1, dtype=torch.int32)
    ways = parts_of_row(d_sums, width + 2 * edge)

    def cotangents(lanes: int) -> tuple[Tensor, Tensor]:
        shape = (last - first, width + 2 * edge, lanes)
        return buffers.get("d_whole", *shape), buffers.get("d_step", *shape)

    def pulled(own: Sources, d_whole: Tensor, d_step: Tensor) -> tuple[Tensor, Tensor]:
        lanes = own.values.shape[2]
        d_values = buffers.get(f"d_values, {lanes}", *own.values.shape)
        d_place = buffers.get(f"d_place, {lanes}", *own.place.shape)
        arguments = (*own[:4], table.heads, table.entries, d_whole, d_step, before, d_values, d_place)
        kernel = rows(table.shaped, lanes, name, on_gpu(d_sums)).pull
        parts = parts_of_row(d_sums, own.place.shape[1])
        _runtime.launch(kernel, *arguments, own.top - first, pad, edge, stride_of(own.place.shape[0]), parts)
        return d_values, d_place

    arrays = cotangents(LANES)
    _runtime.launch(row_planes(False, name, on_gpu(d_sums)).cotangent, d_sums, *arrays, before, first, edge, ways)
    _sum_up(*arrays, before)
    d_values, d_place = pulled(sources, *arrays)
    d_nearer = buffers.get("d_nearer", *sources.place.shape).zero_()
    if in_focus is not None:
        kernels = separable_occlusion(table.shaped, name, on_gpu(d_sums))
        arrays = cotangents(HIDDEN_LANES)
        for group in range(len(in_focus.nodes) // GROUP):
            node = (picture.disparity, in_focus.nodes, group)
            _runtime.launch(kernels.cotangent, d_sums, picture.in_focus, *node, *arrays, before, first, edge, ways)
            _sum_up(*arrays, before)
            if not on_gpu(before) and not bool(before[:, -1].any()):
                break
            d_hidden, d_place_hidden = pulled(_hide(picture, lists, sources, in_focus, group, buffers), *arrays)
            back = (*node, in_focus.near_of(sources), d_hidden, d_values, d_nearer, lists.occlusion, sources.top, pad)
            _runtime.launch(hidden_planes(False, name).adjoint, sources.values, *back)
            d_place += d_place_hidden
    fold(d_values, d_place, d_nearer, gradients, sources.top, lists)


def _sum_up(d_whole: Tensor, d_step: Tensor, before: Tensor) -> None:
    """Sums along rows of what kernels wrote: G, from the right, and counts, from the left. On a processor they made these."""
    if on_gpu(d_whole):
        torch.cumsum(d_whole.flip(1), 1, out=d_step)
        d_step.copy_(d_step.flip(1))
        before.copy_(before.cumsum(1))
