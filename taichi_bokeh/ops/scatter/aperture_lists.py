"""Row lists for any aperture: its kernel at each node of the radius, from its raster, cut into rows.

The kernels are those of kernels/scatter/rows/row_lists.py.

E(o; r) = πr²·k(o), k the kernel of the whole aperture (optics/psf.py), so that a source's channels are the disc's.
Between nodes E is the cubic Hermite polynomial through the values and slopes.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.scatter.rows.list_heads import BEGIN, EDGES, WEIGHTS
from taichi_bokeh.kernels.scatter.rows.row_table import LEAST_EDGES_RADIUS_PX
from taichi_bokeh.ops.scatter.bands import Table
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.psf import Cells, divide, kernel_reach

SAMPLES_PER_PX = 16
_MARGIN_PX = 1.5  # along a row or a column a kernel reaches extent·r + 1 px
_NEGLIGIBLE = 1e-6  # of the plateau
_DELTA_PX = 1e-3  # for slopes
_LIST_COST = 4  # of a list, in entries


def shape_table(aperture: Aperture, largest_px: float, like: Tensor, weights_only: bool) -> Table:
    """Lists for radii up to `largest_px`, of edges where these are fewer, unless `weights_only`; without the cat-eye."""
    size = 4 * math.ceil((largest_px + 0.2) / 4)  # few sizes, so that the cache hits
    with torch.inference_mode(False):
        return _table(divide(aperture, 1), size, like.dtype, like.device, weights_only)


@lru_cache(maxsize=8)
def _table(cells: Cells, largest_px: int, dtype: torch.dtype, device: torch.device, weights_only: bool) -> Table:
    count = largest_px * SAMPLES_PER_PX
    middle = kernel_reach(largest_px + _DELTA_PX, cells.extent)
    heads, entries, begin = [], [], 0
    start = _node(cells, 0)
    for interval in range(count):
        _runtime.look_in()
        stop = _node(cells, interval + 1)
        edges_allowed = not weights_only and interval >= LEAST_EDGES_RADIUS_PX * SAMPLES_PER_PX
        low, low_slope = (_widened(value, stop[0].shape[0]) for value in start)
        head, entry = _lists(_hermite(low, low_slope, *stop), edges_allowed)
        head[..., BEGIN] += begin
        begin += len(entry)
        heads.append(torch.nn.functional.pad(head, (0, 0, 0, 0, *[middle - head.shape[0] // 2] * 2)))
        entries.append(entry)
        start = stop
    table = torch.stack(heads, 1).to(device, torch.int32).contiguous(), torch.cat(entries).to(device, dtype)
    return Table(*table, cells.extent, _MARGIN_PX, float(SAMPLES_PER_PX), True)


def _node(cells: Cells, node: int) -> tuple[Tensor, Tensor]:
    """E at a node, and its slope a step, [D, D] in float64."""
    radius_px = node / SAMPLES_PER_PX
    around = [_weights(cells, radius_px + delta) for delta in (-_DELTA_PX, 0.0, _DELTA_PX)]
    below, value, above = (_widened(weights, around[2].shape[0]) for weights in around)
    return value, (above - below) / (2 * _DELTA_PX * SAMPLES_PER_PX)


def _weights(cells: Cells, radius_px: float) -> Tensor:
    return math.pi * radius_px**2 * cells.kernels(abs(radius_px))[0]


def _widened(kernel: Tensor, size: int) -> Tensor:
    return torch.nn.functional.pad(kernel, [(size - kernel.shape[0]) // 2] * 4)


def _hermite(start: Tensor, start_slope: Tensor, stop: Tensor, stop_slope: Tensor) -> Tensor:
    """[D, D, 4]: powers of t from 0 at `start` to 1 at `stop`."""
    rise = stop - start
    return torch.stack([start, start_slope, 3 * rise - 2 * start_slope - stop_slope, start_slope + stop_slope - 2 * rise], -1)


def _lists(weights: Tensor, edges_allowed: bool) -> tuple[Tensor, Tensor]:
    """Heads [D, 2, 4] and entries [total, 4] of one interval; weights [D, D, 4]."""
    middle = weights.shape[0] // 2
    kinds = torch.full((len(weights),), WEIGHTS, dtype=torch.int64, device="cpu")
    ends = torch.zeros(len(weights), 2, 2, dtype=torch.int64, device="cpu")  # of two stretches; weights have one
    ends[:, 0] = _stretch(_listed(weights))
    values = weights
    if edges_allowed:
        wide = torch.nn.functional.pad(weights, (0, 0, 1, 1))
        edges = wide[:, 1:] - wide[:, :-1]  # [D, D + 1]: at dx, E(dx) − E(dx − 1)
        two = _stretches(_listed(edges))
        shorter = (two[..., 1] - two[..., 0]).sum(1) + _LIST_COST < ends[:, 0, 1] - ends[:, 0, 0]
        kinds[shorter] = EDGES
        ends[shorter] = two[shorter]
        values = torch.where(shorter[:, None, None], edges, torch.nn.functional.pad(weights, (0, 0, 0, 1)))
    lengths = ends[..., 1] - ends[..., 0]
    begin = (lengths.flatten().cumsum(0) - lengths.flatten()).view_as(lengths)
    head = torch.stack([begin, ends[..., 0] - middle, lengths, kinds[:, None].expand_as(begin)], -1)
    column = torch.arange(values.shape[1], device=values.device)
    rows = values[:, None].expand(-1, 2, -1, -1)
    return head, rows[(column >= ends[..., :1]) & (column < ends[..., 1:])]


def _listed(values: Tensor) -> Tensor:
    return values.abs().amax(-1) > _NEGLIGIBLE


def _stretch(listed: Tensor) -> Tensor:
    """[first, last + 1) of what is listed in each row, [D, 2]; empty where nothing is."""
    size = listed.shape[1]
    some = listed.any(1)
    first = torch.where(some, listed.to(torch.uint8).argmax(1), 0)
    last = torch.where(some, size - listed.flip(1).to(torch.uint8).argmax(1), 0)
    return torch.stack([first, last], 1)


def _stretches(listed: Tensor) -> Tensor:
    """The same in two stretches, [D, 2, 2], cut at the longest gap; the second is empty where there is none."""
    size = listed.shape[1]
    column = torch.arange(size, device=listed.device).expand_as(listed)
    latest = torch.where(listed, column, -1).cummax(1).values
    before = torch.nn.functional.pad(latest[:, :-1], (1, 0), value=-1)
    gap = torch.where(listed & (before >= 0), column - before, 0)
    length, at = gap.max(1)
    stretch = _stretch(listed)
    cut = length > 1
    left = torch.stack([stretch[:, 0], torch.where(cut, before.gather(1, at[:, None])[:, 0] + 1, stretch[:, 1])], 1)
    right = torch.stack([torch.where(cut, at, 0), torch.where(cut, stretch[:, 1], 0)], 1)
    return torch.stack([left, right], 1)
