"""The scatter sums of one picture by rows (kernels/rows.py), a band of rows at a time, and their adjoint."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.disc_table import GAUSS, STEPS_PER_PIXEL, disc_table
from taichi_bokeh.kernels.profile import profile as profile_of
from taichi_bokeh.kernels.row_lists import TAPS, entry_size
from taichi_bokeh.kernels.row_planes import LANES, OPAQUE_LANES, row_planes
from taichi_bokeh.kernels.row_table import row_table
from taichi_bokeh.kernels.row_tiles import row_tiles
from taichi_bokeh.kernels.rows import BLOCK, GROUP, HIDDEN_LANES, SEGMENT, rows, stride_of
from taichi_bokeh.kernels.separable_occlusion import separable_occlusion
from taichi_bokeh.ops._common import border_index, dtype_name, on_gpu, parts_of_row

_BAND_BYTES = 512 << 20  # what the arrays of a band may take
_LEAST_BAND = 64  # rows
_LEAST_TALL, _MOST_TALL = 16, 512  # rows; the result does not depend on it


class Table(NamedTuple):
    """Blur kernels as lists (kernels/row_lists.py) for radii up to a largest."""

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
    widest: Tensor  # [H + 2·pad]: how far, in px, any of a row of padded sources may count
    pad: int
    tall: int  # rows of the picture that are one task, where it is several
    opaque: bool  # throughout: alpha need not be summed up beside 1


@lru_cache(maxsize=8)
def disc_table_of(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """E for offsets of up to `size` px a side (kernels/disc_table.py)."""
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
    lengths = heads[..., 2].flatten().to(torch.int64)
    heads[..., 0] = (lengths.cumsum(0) - lengths).view(heads.shape[:3])
    entries = torch.empty(int(lengths.sum()), entry_size(shaped=False), dtype=dtype, device=device)
    _runtime.launch(kernels.fill, table, heads, entries)
    return Table(heads, entries, 1.0, margin, float(STEPS_PER_PIXEL[kind]), False)


def row_lists(name: str, largest_px: float, like: Tensor) -> Table:
    """Lists for radii up to `largest_px`, of the dtype and on the device of `like`."""
    size = 8 * math.ceil((largest_px + 0.1) / 8)  # few sizes, so that the cache hits
    with torch.inference_mode(False):
        return _row_lists(name, size, like.dtype, like.device)


def lists_of(table: Table, picture: Picture, largest_px: float, nodes: tuple[float, ...] | None, opaque: bool) -> Lists:
    """A table with what else there is to a picture whose largest spread radius is given."""
    at = None if nodes is None else picture.spread.new_tensor(nodes)
    pad = math.ceil(table.extent * largest_px + table.margin_px) + 1
    farthest = table.extent * torch.linalg.vector_norm(picture.spread, math.inf, 1) + table.margin_px
    widest = farthest[border_index(len(farthest), pad, "replicate", farthest.device)]
    tall = min(_MOST_TALL, max(_LEAST_TALL, -(-picture.spread.shape[0] // (2 * _runtime.threads()))))
    return Lists(table, at, widest, pad, tall, opaque)


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


def _bands(height: int, bytes_a_row: int, bytes_a_padded_row: int, padding: int, unit: int = 1) -> Iterator[tuple[int, int]]:
    """[first, last) of bands of rows, in whole units, whose arrays fit in memory; some have `padding` rows more."""
    fitting = (_BAND_BYTES - padding * bytes_a_padded_row) // (bytes_a_row + bytes_a_padded_row)
    step = min(height, max(_LEAST_BAND, fitting))
    step = -(-height // -(-height // step))  # equal parts
    step = unit * -(-step // unit)
    for first in range(0, height, step):
        yield first, min(height, first + step)


def _lanes(lists: Lists, lanes: int) -> int:
    return lanes if lists.nodes is None else lanes + HIDDEN_LANES


def _packed(lists: Lists) -> int:
    return OPAQUE_LANES if lists.opaque else LANES


def forward_bands(picture: Picture, lists: Lists) -> Iterator[tuple[int, int]]:
    """Bands of rows of the picture: their sources, padded, and two arrays of sums each of P and of P·τ_k."""
    (height, width), size = picture.spread.shape, picture.spread.element_size()
    sources = (_packed(lists) + 5) * (width + 2 * lists.pad)
    return _bands(height, 2 * _lanes(lists, _packed(lists)) * width * size, sources * size, 2 * lists.pad, lists.tall)


def backward_bands(picture: Picture, lists: Lists) -> Iterator[tuple[int, int]]:
    """Bands of rows of padded sources: they and their gradients, and two arrays of cotangents, padded, each of P and P·τ_k."""
    (height, width), size = picture.spread.shape, picture.spread.element_size()
    sources, cotangents = (2 * LANES + 7) * (width + 2 * lists.pad), 2 * _lanes(lists, LANES) * (width + 4 * lists.pad)
    return _bands(height + 2 * lists.pad, sources * size, cotangents * size, 2 * lists.pad)


class Sources(NamedTuple):
    """A band of padded sources, interleaved."""

    values: Tensor  # [rows, W + 2·pad, LANES or OPAQUE_LANES]
    shares: Tensor  # [rows, W + 2·pad, 4], of a group of nodes
    place: Tensor  # [rows, W + 2·pad]
    widest: Tensor  # [rows]
    top: int


def pack(picture: Picture, top: int, bottom: int, lists: Lists, buffers: Buffers) -> Sources:
    shape = (bottom - top, picture.spread.shape[1] + 2 * lists.pad)
    values, place = buffers.get("values", *shape, _packed(lists)), buffers.get("place", *shape)
    shares = buffers.get("shares", *(shape if lists.nodes is not None else (1, 1)), 4)
    kernel = row_planes(lists.opaque, dtype_name(values), on_gpu(values)).pack
    arguments = (picture.planes, picture.spread, values, place, top, lists.pad, lists.table.steps)
    _runtime.launch(kernel, *arguments, parts_of_row(values, shape[1]))
    return Sources(values, shares, place, lists.widest[top:bottom], top)


def fold(d_values: Tensor, d_place: Tensor, d_nearer: Tensor, gradients: Picture, top: int, lists: Lists) -> None:
    """Add the gradients of a band of padded sources to those of a picture."""
    folded = (gradients.planes, gradients.spread, gradients.disparity)
    kernel = row_planes(False, dtype_name(d_values), on_gpu(d_values)).fold
    ways = parts_of_row(d_values, gradients.spread.shape[1])
    _runtime.launch(kernel, d_values, d_place, d_nearer, *folded, top, lists.pad, lists.table.steps, ways)


def _spread(sources: Sources, lists: Lists, wanted: Tensor, buffers: Buffers, result: Tensor | None = None) -> Tensor:
    """Write the sums of a band to the rows of `result`; without one, return those of P·τ_k, [rows, W, C], where wanted."""
    hidden = result is None
    height, width = (size - 2 * lists.pad for size in sources.place.shape)
    lanes, table = HIDDEN_LANES if hidden else _packed(lists), lists.table
    whole = buffers.get(f"whole, {lanes}", height, width, lanes)
    sums_ = whole.new_empty(1, 1, 1) if result is None else result
    if on_gpu(whole):
        kernel = row_tiles(table.shaped, hidden, lists.opaque, dtype_name(whole))
        arguments = (*sources[:4], table.heads, table.entries, wanted, whole, sums_, height, width, sources.top, lists.pad)
        _runtime.launch(kernel, *arguments)
        return whole
    step = buffers.get(f"step, {lanes}", height, width, lanes)
    kernels = rows(table.shaped, hidden, lists.opaque, dtype_name(step), on_gpu=False)
    if kernels.spread_tall is None:
        spread = (kernels.spread, *sources[:4], table.heads, table.entries, wanted, step, whole, sums_)
        _runtime.launch(*spread, sources.top, lists.pad, stride_of(-(-height // BLOCK)))
    else:
        tall = (kernels.spread_tall, sources.values, *sources[2:4], table.heads, table.entries, step, whole, sums_)
        _runtime.launch(*tall, lists.tall, sources.top, lists.pad, stride_of(-(-height // lists.tall)))
    return whole


def _segments(height: int, width: int, device: torch.device) -> Tensor:
    return torch.ones(height, -(-width // SEGMENT), dtype=torch.int32, device=device)


class InFocus(NamedTuple):
    """Where pixels are in focus, and what separates the occlusion there."""

    nodes: Tensor  # [T], disparities
    wanted: Tensor  # [H, segments], 1 where a segment holds any
    near: Tensor  # [H + 2·pad, segments], 1 where a source may reach one of those


def in_focus_of(picture: Picture, lists: Lists) -> InFocus | None:
    """Of a picture, for its rows and those of its padded sources; None where nothing is."""
    if lists.nodes is None:
        return None
    height, width = picture.spread.shape
    wanted = _segments(height, width, picture.spread.device)
    kernels = separable_occlusion(lists.table.shaped, dtype_name(picture.spread), on_gpu(picture.spread))
    _runtime.launch(kernels.wanted, picture.in_focus, wanted)
    around = -(-lists.pad // SEGMENT)
    rows_ = torch.nn.functional.pad(wanted.float().T[:, None], (2 * lists.pad,) * 2)
    rows_ = torch.nn.functional.max_pool1d(rows_, 2 * lists.pad + 1, 1)
    near = torch.nn.functional.max_pool1d(rows_.permute(2, 1, 0), 2 * around + 1, 1, around)
    return InFocus(lists.nodes, wanted, near[:, 0].to(torch.int32).contiguous())


def sums(picture: Picture, lists: Lists, result: Tensor) -> None:
    """Write the sums [5, H, W] of a picture."""
    height, width = picture.spread.shape
    name, buffers = dtype_name(picture.spread), Buffers(picture.spread)
    in_focus = in_focus_of(picture, lists)
    for first, last in forward_bands(picture, lists):
        sources = pack(picture, first, last + 2 * lists.pad, lists, buffers)
        _spread(sources, lists, _segments(last - first, width, result.device), buffers, result)
        for group, hidden in _hidden_sums(picture, lists, sources, in_focus, (first, last), buffers):
            arguments = (*picture, lists.nodes, group, hidden, *lists.table[:2], lists.table.steps)
            _runtime.launch(separable_occlusion(lists.table.shaped, name, on_gpu(result)).occlude, result, *arguments, first)
        _runtime.report(last, height)


def _hidden_sums(
    picture: Picture, lists: Lists, sources: Sources, in_focus: InFocus | None, band: tuple[int, int], buffers: Buffers
) -> Iterator[tuple[int, Tensor]]:
    """Number and S_k of each group of nodes, in the segments that hold pixels in focus; nothing where there are none."""
    if in_focus is None:
        return
    wanted = in_focus.wanted[slice(*band)]
    if not on_gpu(wanted) and not bool(wanted.any()):
        return
    for group in range(len(in_focus.nodes) // GROUP):
        _share(picture, lists, sources, in_focus, group)
        yield group, _spread(sources, lists, wanted, buffers)


def _share(picture: Picture, lists: Lists, sources: Sources, in_focus: InFocus, group: int) -> None:
    """Write the shares of a band of sources, where they count."""
    kernels = separable_occlusion(lists.table.shaped, dtype_name(picture.spread), on_gpu(picture.spread))
    near = in_focus.near[sources.top : sources.top + sources.place.shape[0]]
    _runtime.launch(kernels.shares, picture.disparity, in_focus.nodes, group, near, sources.shares, sources.top, lists.pad)


def pull(d_sums: Tensor, picture: Picture, lists: Lists, gradients: Picture) -> None:
    """Add the gradients of a picture, from those of its sums [5, H, W]."""
    buffers, all_planes = Buffers(d_sums), lists._replace(opaque=False)
    in_focus = in_focus_of(picture, lists)
    if in_focus is not None:
        kernel = separable_occlusion(lists.table.shaped, dtype_name(d_sums), on_gpu(d_sums)).occlude_adjoint
        for first, last in forward_bands(picture, lists):
            sources = pack(picture, first, last + 2 * lists.pad, lists, buffers)
            for group, hidden in _hidden_sums(picture, lists, sources, in_focus, (first, last), buffers):
                arguments = (*picture, in_focus.nodes, group, hidden, *lists.table[:2], lists.table.steps)
                _runtime.launch(kernel, d_sums, *arguments, *gradients, first)
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
    d_values = buffers.get("d_values", *sources.values.shape)
    d_place, d_nearer = (buffers.get(which, *sources.place.shape) for which in ("d_place", "d_nearer"))

    def cotangents(lanes: int) -> tuple[Tensor, Tensor]:
        shape = (last - first, width + 2 * edge, lanes)
        return buffers.get(f"d_whole, {lanes}", *shape), buffers.get(f"d_step, {lanes}", *shape)

    def launch(hidden: bool, d_whole: Tensor, d_step: Tensor) -> None:
        arguments = (*sources[:4], table.heads, table.entries, d_whole, d_step, before, d_values, d_place, d_nearer)
        kernel = rows(table.shaped, hidden, False, name, on_gpu(d_sums)).pull
        ways = parts_of_row(d_sums, sources.place.shape[1])
        _runtime.launch(kernel, *arguments, sources.top - first, pad, edge, stride_of(sources.place.shape[0]), ways)

    arrays = cotangents(LANES)
    ways = parts_of_row(d_sums, arrays[0].shape[1])
    _runtime.launch(row_planes(False, name, on_gpu(d_sums)).cotangent, d_sums, *arrays, before, first, edge, ways)
    _sum_up(*arrays, before)
    launch(False, *arrays)
    if in_focus is not None:
        kernels = separable_occlusion(table.shaped, name, on_gpu(d_sums))
        arrays = cotangents(HIDDEN_LANES)
        for group in range(len(in_focus.nodes) // GROUP):
            node = (picture.disparity, in_focus.nodes, group)
            _runtime.launch(kernels.cotangent, d_sums, picture.in_focus, *node, *arrays, before, first, edge, ways)
            _sum_up(*arrays, before)
            if not on_gpu(before) and not bool(before[:, -1].any()):
                break
            _share(picture, lists, sources, in_focus, group)
            launch(True, *arrays)
    fold(d_values, d_place, d_nearer, gradients, sources.top, lists)


def _sum_up(d_whole: Tensor, d_step: Tensor, before: Tensor) -> None:
    """Sums along rows of what kernels wrote: G, from the right, and counts, from the left. On a processor they made these."""
    if on_gpu(d_whole):
        torch.cumsum(d_whole.flip(1), 1, out=d_step)
        d_step.copy_(d_step.flip(1))
        before.copy_(before.cumsum(1))
