"""Kernels of aperture cells as lists of taps, in the form that kernels/cells.py reads."""

from typing import NamedTuple

import torch
from torch import Tensor

from taichi_bokeh.kernels.cells import PIXELS

_INTEGRAL_COST = 40  # of an integral image, in taps


class Taps(NamedTuple):
    """The taps of M cells, row by row.

    Attributes:
        order: 0 for taps on the pixels, 2 on their integral image.
        dy, dx: [T], where a tap is relative to the pixel.
        weight: [T], float64.
        first: [M + 1], where a cell's taps begin.
        bounds: [M, 4], least and largest dy, least and largest dx at which the cell's kernel is not 0.
    """

    order: int
    dy: Tensor
    dx: Tensor
    weight: Tensor
    first: Tensor
    bounds: Tensor


class PlacedTaps(NamedTuple):
    """Taps on an array whose rows are a given number of positions apart.

    Attributes:
        steps: [T] int32, from tap to tap; a cell's first from the pixel.
        weights: [T], of the array's dtype.
        first: [M + 1] int32.
        boxes: [M, 4] int32, from the pixel to the corners of what PIXELS pixels side by side can see, as an integral image
            wants them: above and left of it; above it at its right end; left of its last row; its last corner.
    """

    steps: Tensor
    weights: Tensor
    first: Tensor
    boxes: Tensor


def make_taps(kernels: Tensor, order: int | None, pixel_cost: float) -> Taps:
    """Taps of kernels [M, D, D], δ = 0 in the middle; without an order the one that costs less.

    Args:
        kernels: float64.
        order: 0, 2 or None.
        pixel_cost: cost of a tap on a pixel, where one on the integral image costs 1.
    """
    middle = kernels.shape[1] // 2
    direct = _listed(kernels, kernels, 0, middle)
    if order == 0:
        return direct
    wide = torch.nn.functional.pad(kernels, (1, 1, 1, 1))
    mixed = wide[:, :-1, :-1] - wide[:, 1:, :-1] - wide[:, :-1, 1:] + wide[:, 1:, 1:]
    integral = _listed(mixed, kernels, 2, middle + 1)
    if order is None and len(direct.weight) * pixel_cost <= len(integral.weight) + _INTEGRAL_COST:
        return direct
    return integral


def place(taps: Taps, row: int, like: Tensor) -> PlacedTaps:
    """For an array like `like` with `row` positions a row."""
    offset = taps.dy * row + taps.dx
    steps = offset.clone()
    steps[1:] -= offset[:-1]
    starts = taps.first[:-1][taps.first[:-1] < taps.first[1:]]
    steps[starts] = offset[starts]
    top, bottom, left, right = taps.bounds.unbind(1)
    right = right + PIXELS - 1
    corners = ((top - 1, left - 1), (top - 1, right), (bottom, left - 1), (bottom, right))
    boxes = torch.stack([dy * row + dx for dy, dx in corners], 1)
    steps, first, boxes = (value.to(like.device, torch.int32).contiguous() for value in (steps, taps.first, boxes))
    return PlacedTaps(steps, taps.weight.to(like), first, boxes)


def _listed(values: Tensor, kernels: Tensor, order: int, offset: int) -> Taps:
    """The entries of `values` that are not rounding errors; entry (dy + offset, dx + offset) is that of (dy, dx)."""
    least = 1e-13 * kernels.amax((1, 2), keepdim=True)
    cell, row, column = (values.abs() > least).nonzero().unbind(1)
    count = torch.bincount(cell, minlength=values.shape[0])
    first = torch.cat([count.new_zeros(1), count.cumsum(0)])
    bounds = torch.stack([_bounds(kernel) for kernel in kernels])
    return Taps(order, row - offset, column - offset, values[cell, row, column], first, bounds)


def _bounds(kernel: Tensor) -> Tensor:
    middle = kernel.shape[0] // 2
    lit = [kernel.sum(axis).nonzero().flatten() - middle for axis in (1, 0)]
    if not len(lit[0]):
        return torch.zeros(4, dtype=torch.int64)
    return torch.stack([end for places in lit for end in (places[0], places[-1])])
