"""The sources of one layer as the row kernels read them: lists of their blur kernels, and bands of padded rows."""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.scatter.disc_table import GAUSS, SAMPLES_PER_PX, disc_table
from taichi_bokeh.kernels.scatter.occlusion import OcclusionStep
from taichi_bokeh.kernels.scatter.profile import profile as profile_of
from taichi_bokeh.kernels.scatter.rows.layout import LANES, OCCLUDED_LANES, OPAQUE_LANES, band_layout
from taichi_bokeh.kernels.scatter.rows.list_heads import BEGIN, LENGTH
from taichi_bokeh.kernels.scatter.rows.row_lists import entry_size
from taichi_bokeh.kernels.scatter.rows.row_sums import COLUMNS
from taichi_bokeh.kernels.scatter.rows.row_table import row_table
from taichi_bokeh.ops._common import border_index, dtype_name, on_gpu, parts_of_row
from taichi_bokeh.ops.scatter.plan import ScatterSources

_BAND_BYTES = 128 << 20  # what the arrays of a band may take: memory that has just been used is there and near
_MOST_BAND_BYTES = 512 << 20  # the same on a GPU, and where a band would have few rows for its padding, or for the threads
_LEAST_BAND = 64  # rows
_BAND_PADDINGS, _BAND_ROWS_A_THREAD = 8, 64  # how many are not few


class Table(NamedTuple):
    """Blur kernels as lists (kernels/scatter/rows/row_lists.py) for radii up to a largest."""

    heads: Tensor  # [rows, intervals, parts, 4] int32
    entries: Tensor  # [total, 4], of discs [blocks, 4·TAPS]
    extent: float  # a source of radius r counts for less than extent·|r| + margin px
    margin_px: float
    samples_per_px: float  # intervals a pixel of the radius
    shaped: bool


class RowPlan(NamedTuple):
    """By what the sums of one layer are taken by rows."""

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
    heads = torch.zeros(reach + 1, largest_px * SAMPLES_PER_PX[kind] + 1, 1, 4, dtype=torch.int32, device=device)
    _runtime.launch(kernels.count, table, heads)
    lengths = heads[..., LENGTH].flatten().to(torch.int64)
    heads[..., BEGIN] = (lengths.cumsum(0) - lengths).view(heads.shape[:3])
    entries = torch.empty(int(lengths.sum()), entry_size(shaped=False), dtype=dtype, device=device)
    _runtime.launch(kernels.fill, table, heads, entries)
    return Table(heads, entries, 1.0, margin, float(SAMPLES_PER_PX[kind]), False)


def row_lists(name: str, largest_px: float, like: Tensor) -> Table:
    """Lists for radii up to `largest_px`, of the dtype and on the device of `like`."""
    size = 8 * math.ceil((largest_px + 0.1) / 8)  # few sizes, so that the cache hits
    with torch.inference_mode(False):
        return _row_lists(name, size, like.dtype, like.device)


def plan_rows(
    table: Table,
    sources: ScatterSources,
    largest_px: float,
    nodes: tuple[float, ...] | None,
    occlusion: OcclusionStep,
    opaque: bool,
) -> RowPlan:
    """Add to a table what else there is to a layer of this largest radius."""
    at = None if nodes is None else sources.radius_px.new_tensor(nodes)
    pad = math.ceil(table.extent * largest_px + table.margin_px) + 1
    reach = _reach(sources.radius_px, pad) * table.extent + table.margin_px
    return RowPlan(table, at, occlusion, reach.amax(1), reach, pad, opaque)


def _reach(radius_px: Tensor, pad: int) -> Tensor:
    """Largest radius of every COLUMNS of padded sources, [H + 2·pad, blocks]."""
    (height, width), device = radius_px.shape, radius_px.device
    columns = torch.arange(-pad, width + pad, device=device)
    columns = torch.nn.functional.pad(columns, (0, -len(columns) % COLUMNS), value=width).clamp_(0, width - 1)
    largest = radius_px.abs()[:, columns].view(height, -1, COLUMNS).amax(2)
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
    rows = min(height, max(_LEAST_BAND, small, min(large, enough)))
    rows = -(-height // -(-height // rows))  # equal parts
    for first in range(0, height, rows):
        yield first, min(height, first + rows)


def _occluded_lanes(plan: RowPlan) -> int:
    """Lanes of P·τ_k."""
    return 0 if plan.nodes is None else OCCLUDED_LANES


def _channel_lanes(plan: RowPlan) -> int:
    return OPAQUE_LANES if plan.opaque else LANES


def forward_bands(sources: ScatterSources, plan: RowPlan) -> Iterator[tuple[int, int]]:
    """Bands of rows of the image: their sources P and P·τ_k, padded, and two arrays of the sums of either."""
    height, width = sources.radius_px.shape
    of_sums = 2 * max(_channel_lanes(plan) * (width + 4 * plan.pad), _occluded_lanes(plan) * width)
    of_sources = (_channel_lanes(plan) + _occluded_lanes(plan) + 1) * (width + 2 * plan.pad)
    return _bands(sources.radius_px, height, of_sums, of_sources, 2 * plan.pad)


def backward_bands(sources: ScatterSources, plan: RowPlan) -> Iterator[tuple[int, int]]:
    """Bands of rows of padded sources: P, P·τ_k and their gradients, and two arrays of the gradients of either's sums."""
    height, width = sources.radius_px.shape
    of_sources, of_sums = 2 * (LANES + _occluded_lanes(plan)) + 4, 2 * max(LANES, _occluded_lanes(plan))
    per_row = of_sources * (width + 2 * plan.pad), of_sums * (width + 4 * plan.pad)
    return _bands(sources.radius_px, height + 2 * plan.pad, *per_row, 2 * plan.pad)


class Band(NamedTuple):
    """A band of padded sources, interleaved."""

    values: Tensor  # [rows, W + 2·pad, LANES or OPAQUE_LANES, or OCCLUDED_LANES of a group of nodes]
    node_coordinate: Tensor  # [rows, W + 2·pad]: radius in nodes of the table
    widest: Tensor  # [rows]: of RowPlan
    reach: Tensor  # [rows, blocks]
    top: int  # the first row, of the padded sources


def pack(sources: ScatterSources, top: int, bottom: int, plan: RowPlan, buffers: Buffers) -> Band:
    """Lay out the sources of rows top … bottom − 1 as the row kernels read them."""
    shape = (bottom - top, sources.radius_px.shape[1] + 2 * plan.pad)
    values, node_coordinate = buffers.get("values", *shape, _channel_lanes(plan)), buffers.get("node_coordinate", *shape)
    kernel = band_layout(plan.opaque, dtype_name(values), on_gpu(values)).pack
    arguments = (sources.channels, sources.radius_px, values, node_coordinate, top, plan.pad, plan.table.samples_per_px)
    _runtime.launch(kernel, *arguments, parts_of_row(values, shape[1]))
    return Band(values, node_coordinate, plan.widest[top:bottom], plan.reach[top:bottom], top)


def pack_adjoint(
    d_values: Tensor, d_node_coordinate: Tensor, d_source_disparity: Tensor, gradients: ScatterSources, top: int, plan: RowPlan
) -> None:
    """Add the gradients of a band of padded sources to those of its layer."""
    of_layer = (gradients.channels, gradients.radius_px, gradients.disparity)
    kernel = band_layout(False, dtype_name(d_values), on_gpu(d_values)).pack_adjoint
    row_parts = parts_of_row(d_values, gradients.radius_px.shape[1])
    _runtime.launch(
        kernel, d_values, d_node_coordinate, d_source_disparity, *of_layer, top, plan.pad, plan.table.samples_per_px, row_parts
    )
