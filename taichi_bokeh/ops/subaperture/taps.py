"""Kernels as lists of taps, in the form that kernels/subaperture/cells.py reads, and images correlated with them."""

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.subaperture import cells as kernels
from taichi_bokeh.kernels.subaperture.cells import PIXELS
from taichi_bokeh.ops._common import dtype_name

Array = NDArray[Any]
Summation = Literal["auto", "taps", "integral images"]  # "auto": whichever costs less, kernel by kernel

_INTEGRAL_COST = 40  # of an integral image, in taps


class Taps(NamedTuple):
    """The taps of M cells, row by row.

    Attributes:
        integral: whether they are taps on the integral image instead of the pixels.
        dy, dx: [T], where a tap is relative to the pixel.
        weight: [T], float64.
        first: [M + 1], where a cell's taps begin.
        bounds: [M, 4], least and largest dy, least and largest dx at which the cell's kernel is not 0.
    """

    integral: bool
    dy: Tensor
    dx: Tensor
    weight: Tensor
    first: Tensor
    bounds: Tensor


class TapLayout(NamedTuple):
    """Taps as positions in an array whose rows are a given number of positions apart.

    Attributes:
        increments: [T] int32, from tap to tap; a cell's first from the pixel.
        weights: [T], of the array's dtype.
        first: [M + 1] int32.
        boxes: [M, 4] int32, from the pixel to the corners of what PIXELS pixels side by side can see, as an integral image
            wants them: above and left of it; above it at its right end; left of its last row; its last corner.
    """

    increments: Tensor
    weights: Tensor
    first: Tensor
    boxes: Tensor


def make_taps(dense: Tensor, summation: Summation, pixel_cost: float) -> Taps:
    """List the taps of M kernels [M, D, D], δ = 0 in the middle.

    Args:
        dense: float64.
        summation: what the taps are to be on.
        pixel_cost: cost of a tap on a pixel, where one on the integral image costs 1.
    """
    # In numpy, on one thread: torch parts arrays of this size, and on a busy machine waits for the slowest at each step.
    entries = dense.cpu().numpy()
    middle = dense.shape[1] // 2
    on_pixels = _listed(entries, entries, False, middle)
    if summation == "taps":
        return on_pixels
    wide = np.pad(entries, ((0, 0), (1, 1), (1, 1)))
    mixed = wide[:, :-1, :-1] - wide[:, 1:, :-1] - wide[:, :-1, 1:] + wide[:, 1:, 1:]
    on_integral = _listed(mixed, entries, True, middle + 1)
    if summation == "auto" and len(on_pixels.weight) * pixel_cost <= len(on_integral.weight) + _INTEGRAL_COST:
        return on_pixels
    return on_integral


def lay_out(taps: Taps, row: int, like: Tensor) -> TapLayout:
    """Lay taps out for an array like `like` with `row` positions a row."""
    offset = taps.dy * row + taps.dx
    increments = offset.clone()
    increments[1:] -= offset[:-1]
    starts = taps.first[:-1][taps.first[:-1] < taps.first[1:]]
    increments[starts] = offset[starts]
    top, bottom, left, right = taps.bounds.unbind(1)
    right = right + PIXELS - 1
    corners = ((top - 1, left - 1), (top - 1, right), (bottom, left - 1), (bottom, right))
    boxes = torch.stack([dy * row + dx for dy, dx in corners], 1)
    increments, first, boxes = (value.to(like.device, torch.int32).contiguous() for value in (increments, taps.first, boxes))
    return TapLayout(increments, taps.weight.to(like), first, boxes)


def pack(values: Tensor, integral: bool) -> Tensor:
    """Put every pixel, or that of the integral image, beside its neighbours: [H, W + PIXELS − 1, C] -> [H·W, PIXELS·C]."""
    if integral:
        values = values.to(torch.float64).cumsum(0).cumsum_(1)
    height, width, channels = values.shape
    result = values.new_empty(height * (width - PIXELS + 1), PIXELS * channels)
    _runtime.launch(kernels.pack(channels, dtype_name(values)), values.contiguous(), result)
    return result


class Target(NamedTuple):
    """Where sums are written.

    Attributes:
        result: [M, H, W/PIXELS, PIXELS·C].
        seen: int32 [h, w/PIXELS]: blocks of a part of the result, of which those that are 0 are left as they are.
        top, left: the part's first row and block.
    """

    result: Tensor
    seen: Tensor
    top: int = 0
    left: int = 0


def correlate(taps: Taps, source: Tensor, occupied: Tensor | None, target: Target, pad: int) -> None:
    """Write Σ_δ k_m(δ)·source(x + δ), or add it where `occupied` is given.

    Args:
        taps: those of M kernels.
        source: [h + 2·pad, w + 2·pad + PIXELS − 1, C]; w is a multiple of PIXELS.
        occupied: int32 integral image of where the source is not 0, [(h + 2·pad)·(w + 2·pad)].
        target: of h × w pixels.
        pad: more than the reach of the kernels.
    """
    row = source.shape[1] - PIXELS + 1
    values = pack(source, taps.integral)
    tables = lay_out(taps, row, values)
    kernel = kernels.sums(source.shape[-1], occupied is not None, dtype_name(values), dtype_name(target.result))
    counts = tables.first if occupied is None else occupied  # any int32 tensor, where it is not read
    layout = kernels.sums_layout()(row=row, origin=pad * row + pad, top=target.top, left=target.left)
    _runtime.launch(kernel, values, *tables, counts, target.seen, target.result, layout)


def _listed(values: Array, dense: Array, integral: bool, offset: int) -> Taps:
    """List the entries of `values` that are not rounding errors; entry (dy + offset, dx + offset) is that of (dy, dx)."""
    least = 1e-13 * dense.max((1, 2), keepdims=True)
    cell, row, column = (np.abs(values) > least).nonzero()
    count = np.bincount(cell, minlength=len(values))
    first = np.concatenate([[0], count.cumsum()])
    bounds = np.stack([_bounds(kernel) for kernel in dense])
    parts = (row - offset, column - offset, values[cell, row, column], first, bounds)
    return Taps(integral, *(torch.from_numpy(part) for part in parts))


def _bounds(kernel: Array) -> Array:
    middle = len(kernel) // 2
    lit = [np.flatnonzero(kernel.any(axis)) - middle for axis in (1, 0)]
    if not len(lit[0]):
        return np.zeros(4, np.int64)
    return np.array([end for offsets in lit for end in (offsets[0], offsets[-1])])
