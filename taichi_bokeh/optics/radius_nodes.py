"""The radii at which kernels are tabulated, and the grids on which kernels of large radii are summed.

Where the radius varies from pixel to pixel, a pixel's kernel is interpolated linearly between those of radii on both sides, the
nodes. The node coordinate of a radius is j on node j, and linear in between. The sums over kernels of large radii are taken on
grids coarser than the pixels (`grid_cell_px`).
"""

import math

import torch
from torch import Tensor

EVEN_SPACING_PX, EVEN_NODES = 0.5, 8  # of the nodes up to 4 px
FINE_PX = 32  # radii below this are summed on the grid of the pixels


def node_radius_px(node: Tensor) -> Tensor:
    """Return the radii of nodes j: ½ px apart up to 4 px, about an eighth of the radius beyond; odd in j."""
    beyond = (node.abs() - EVEN_NODES).clamp(min=0)
    size = EVEN_SPACING_PX * node.abs().clamp(max=EVEN_NODES) * (beyond / EVEN_NODES).exp()
    return size.copysign(node)


def node_coordinate(radius_px: Tensor) -> tuple[Tensor, Tensor]:
    """Return the node coordinates of radii, and their slope along the radius in 1/px; both of the shape of the radii."""
    size = radius_px.abs() / EVEN_SPACING_PX
    beyond = EVEN_NODES * (1 + (size.clamp(min=EVEN_NODES) / EVEN_NODES).log())
    below = torch.where(size > EVEN_NODES, beyond, size).copysign(radius_px).floor()
    first = node_radius_px(below)
    slope = 1 / (node_radius_px(below + 1) - first)
    return below + (radius_px - first) * slope, slope


def nodes(low_px: float, high_px: float) -> list[tuple[int, float]]:
    """List number and radius of the nodes that radii from `low_px` to `high_px` lie between."""
    low, high = node_coordinate(torch.tensor([low_px, high_px], dtype=torch.float64, device="cpu"))[0].tolist()
    numbers = torch.arange(math.floor(low - 1e-3), math.ceil(high + 1e-3) + 1, device="cpu")
    return list(zip(numbers.tolist(), node_radius_px(numbers.double()).tolist(), strict=True))


def grid_cell_px(radius_px: float) -> int:
    """Return the width in px of a cell of the grid on which kernels of a node of this radius are summed.

    It is the power of two for which the radius is 16 to 32 cells. What the grid blurs has a standard deviation of at most
    0.65 of its cells, 0.04 of the radius; kernels are interpolated between nodes that differ by 0.125 of it.
    """
    return 1 if abs(radius_px) < FINE_PX else 2 ** (math.floor(math.log2(abs(radius_px) / FINE_PX)) + 1)
