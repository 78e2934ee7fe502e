"""The sub-aperture model, straight from its equations (docs/mathematics.md), one cell, layer and node after the other."""

import torch
from torch import Tensor

from taichi_bokeh._autocast import product
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.reference.psf import CellPSF, grid_cell_px, node_radii
from taichi_bokeh.reference.scatter.layers import composite

PRIOR = 1e-3
_NEARLY_FLAT_PX = 1e-3


def _convolved(planes: Tensor, kernels: Tensor) -> Tensor:
    """Compute Σ_δ k_m(δ)·p(x + δ) with replicated edges: planes [C, H, W] and kernels [M, D, D] to [M, C, H, W]."""
    reach = kernels.shape[-1] // 2
    height, width = planes.shape[-2:]
    rows, columns = (torch.arange(-reach, size + reach, device=planes.device).clamp(0, size - 1) for size in (height, width))
    padded = planes[:, rows][:, :, columns]
    return torch.nn.functional.conv2d(padded[:, None], kernels[:, None].to(planes)).movedim(1, 0)


def _convolved_on_a_grid(planes: Tensor, cells: CellPSF, radius_px: float) -> Tensor:
    """Sum with the kernels of a node, on the grid of its radius: of means over its squares of pixels, and interpolated."""
    cell_px = grid_cell_px(radius_px)
    kernels = cells.kernels(radius_px / cell_px)
    if cell_px == 1:
        return _convolved(planes, kernels)
    reach = kernels.shape[-1] // 2
    tents = []
    for axis in (1, 2):
        size = planes.shape[axis]
        grid = torch.arange(-1, size // cell_px + 2, device=planes.device)  # all from which a pixel is interpolated
        pixels = torch.arange(cell_px * (-1 - reach), cell_px * (len(grid) - 1 + reach), device=planes.device)
        planes = planes.index_select(axis, pixels.clamp(0, size - 1)).unflatten(axis, (-1, cell_px)).mean(axis + 1)
        coordinate = (torch.arange(size, dtype=planes.dtype, device=planes.device) + 0.5) / cell_px - 0.5
        tents.append((1 - (coordinate[:, None] - grid).abs()).clamp(min=0))
    sums = torch.nn.functional.conv2d(planes[:, None], kernels[:, None].to(planes)).movedim(1, 0)
    return product(product(tents[0], sums), tents[1].mT)


def _sums(texture: Tensor, radius: Tensor, cells: CellPSF) -> Tensor:
    """Sum texture and weight through every cell, [M, 5, H, W]; texture [4, H, W], radius [H, W]."""
    planes = torch.cat([texture, torch.ones_like(radius)[None]])
    low, high = (float(value) for value in radius.detach().aminmax())
    if high - low <= _NEARLY_FLAT_PX:  # one kernel and, for what each radius differs by, its slope
        middle = (low + high) / 2
        offsets = _convolved(planes * (radius - middle), cells.kernel_slopes(middle))
        return _convolved(planes, cells.kernels(middle)) + offsets
    total = planes.new_zeros(())
    radii = node_radii(max(-low, high))
    for before, node, after in zip(radii, radii[1:], radii[2:], strict=False):
        if before < high and low < after:
            tent = torch.minimum((radius - before) / (node - before), (after - radius) / (after - node)).clamp(min=0)
            total = total + _convolved_on_a_grid(planes * tent, cells, node)
    shares = cells.shares.to(radius)[:, None, None, None]
    return total + PRIOR * shares * total.sum(0)


def _cells_added(sums: Tensor, shares: Tensor) -> Tensor:
    """Compute Σ_m A_m·composite of cell m, [3, H, W]; sums [L, M, 5, H, W], shares [M]."""
    open_ = shares > 0
    mean = (sums[:, open_, :4] / sums[:, open_, 4:]).transpose(0, 1)
    return (shares[open_, None, None, None] * composite(mean[:, :, :3], mean[:, :, 3])).sum(0)


def subaperture(rgb: Tensor, alpha: Tensor, radius: Tensor, aperture: Aperture, count: int) -> Tensor:
    """Render [B, 3, H, W] of rgb [B, L, 3, H, W], alpha [B, L, 1, H, W] and signed radius [B, L, H, W] in px; no cat-eye."""
    if not bool(radius.isfinite().all()):
        raise ValueError("the blur radius is not finite: blur, focus or disparity hold NaN or infinity")
    cells = CellPSF.of(aperture, count)
    groups, shares = cells.groups.to(rgb.device), cells.shares.to(rgb)
    group_shares = shares.new_zeros(int(groups.max()) + 1).index_add(0, groups, shares)
    ratio = len(shares) / len(group_shares)
    gain = 1 / (ratio - 1) if ratio >= 3 else 0.0
    textures = torch.cat([alpha * rgb, alpha], 2)
    images = []
    for texture, plane in zip(textures, radius, strict=True):
        sums = torch.stack([_sums(one, r, cells) for one, r in zip(texture, plane, strict=True)])
        fine = _cells_added(sums, shares)
        of_groups = sums.new_zeros(len(sums), len(group_shares), *sums.shape[2:]).index_add(1, groups, sums)
        coarse = _cells_added(of_groups, group_shares)
        extrapolated = fine + gain * (fine - coarse)
        images.append(torch.maximum(extrapolated, fine / 2))
    return torch.stack(images)
