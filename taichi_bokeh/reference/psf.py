"""The image of a point of light through an aperture and through its cells, from the definitions in docs/mathematics.md.

Of the package's aperture only its brightness at a point (`Aperture.transmission`) and its extent are used.
"""

import math
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor

from taichi_bokeh._autocast import product
from taichi_bokeh.optics.aperture import Aperture, aperture_of, shape_of

SAMPLES = 512  # across the aperture
_FINE = 16  # points across a sample that an edge may cross
_EDGE = 0.05  # of brightness between a sample and its neighbours: more than the ring's slope


def raster(aperture: Aperture) -> Tensor:
    """Take the mean brightness over each of SAMPLES² squares of [−extent, extent]², row 0 at the top; float64 on the CPU."""
    image = None if aperture.image is None else tuple(map(tuple, aperture.image.tolist()))
    return _raster(tuple(shape_of(aperture)), image)


@lru_cache(maxsize=8)
def _raster(shape: tuple[float, ...], image: tuple[tuple[float, ...], ...] | None) -> Tensor:
    with torch.inference_mode(False):
        aperture = aperture_of(list(shape), None if image is None else torch.tensor(image, dtype=torch.float64, device="cpu"))
        y, x = torch.meshgrid(*[_middles(SAMPLES) * aperture.extent] * 2, indexing="ij")
        centres = torch.stack([x, y], -1)
        values = aperture.transmission(centres)
        around = torch.nn.functional.pad(values, (1, 1, 1, 1))[None]  # beyond the square it is dark
        highest, lowest = (sign * torch.nn.functional.max_pool2d(sign * around, 3, 1)[0] for sign in (1, -1))
        offsets = torch.cartesian_prod(*[_middles(_FINE) * aperture.extent / SAMPLES] * 2)
        for some in (highest - lowest > _EDGE).nonzero().split(1024):
            at = tuple(some.T)
            values[at] = aperture.transmission(centres[at][:, None] + offsets).mean(1)
        return values


def _middles(count: int) -> Tensor:
    """Split [−1, 1] into equal parts and return their middles."""
    return (2 * torch.arange(count, dtype=torch.float64, device="cpu") + 1) / count - 1


class CellPSF(NamedTuple):
    """An aperture divided into M cells.

    Attributes:
        light: [SAMPLES, SAMPLES], mean brightness of the samples.
        extent: half the width of the square that the samples cover.
        boxes: rows and columns of each cell.
        groups: [M], the group that each cell belongs to.
    """

    light: Tensor
    extent: float
    boxes: list[tuple[slice, slice]]
    groups: Tensor

    @classmethod
    def of(cls, aperture: Aperture, count: int) -> "CellPSF":
        """Divide an aperture into `count` cells, or fewer where it has fewer samples."""
        light = raster(aperture)
        boxes: list[tuple[slice, slice]] = []
        groups: list[int] = []
        _divide(light, (slice(0, SAMPLES), slice(0, SAMPLES)), count, boxes, groups, None)
        return cls(light, aperture.extent, boxes, torch.tensor(groups, dtype=torch.int64, device="cpu"))

    @property
    def shares(self) -> Tensor:
        """Sum up the light of each cell and divide by all of it, [M]."""
        return torch.stack([self.light[box].sum() for box in self.boxes]) / self.light.sum()

    def kernels(self, radius_px: float) -> Tensor:
        """Compute k_m(δ) for a signed radius, [M, D, D], δ = 0 in the middle."""
        means = tent_means(self._rim(radius_px), SAMPLES, self._reach(radius_px))
        return self._sums(means, means)

    def kernel_slopes(self, radius_px: float) -> Tensor:
        """Compute ∂k_m(δ)/∂r, [M, D, D]: the mean of the slopes on both sides, which differ at r = 0 alone."""
        means_of = partial(tent_means, samples=SAMPLES, reach=self._reach(radius_px))
        both = []
        for side in (1e-12, -1e-12):
            rim = self._rim(radius_px + side)
            means, slopes, *_ = torch.func.jvp(means_of, (rim,), (torch.full_like(rim, self.extent),))
            both.append(self._sums(slopes, means) + self._sums(means, slopes))
        return (both[0] + both[1]) / 2

    def _rim(self, radius_px: float) -> Tensor:
        return torch.tensor(radius_px * self.extent, dtype=torch.float64, device="cpu")

    def _reach(self, radius_px: float) -> int:
        return int(abs(radius_px) * self.extent) + 1

    def _sums(self, down: Tensor, across: Tensor) -> Tensor:
        """Compute Σ_{u ∈ m} light(u)·down(δ_y, u_y)·across(δ_x, u_x) / Σ_u light(u), [M, D, D]."""
        parts = [down[:, rows] @ self.light[rows, columns] @ across[:, columns].mT for rows, columns in self.boxes]
        return torch.stack(parts) / self.light.sum()


def _divide(
    light: Tensor,
    box: tuple[slice, slice],
    count: int,
    boxes: list[tuple[slice, slice]],
    groups: list[int],
    group: int | None,
) -> None:
    """Cut a box of samples in two parts again and again, and list its cells and the group of each."""
    part = light[box]
    if group is None and (count <= 5 or part.numel() == 1):
        group = max(groups, default=-1) + 1
    if count == 1 or part.numel() == 1:
        boxes.append(box)
        assert group is not None
        groups.append(group)
        return
    rows, columns = part.sum(1), part.sum(0)
    axis = 0 if _variance(rows) > _variance(columns) else 1
    if part.shape[axis] == 1:
        axis = 1 - axis
    cumulative = (rows, columns)[axis].cumsum(0)
    first = count // 2
    cut = 1 + int((cumulative[:-1] - first / count * cumulative[-1]).abs().argmin())
    start, end = box[axis].start, box[axis].stop
    for ends, share in ((slice(start, start + cut), first), (slice(start + cut, end), count - first)):
        half = (ends, box[1]) if axis == 0 else (box[0], ends)
        _divide(light, half, share, boxes, groups, group)


def _variance(light: Tensor) -> float:
    """Compute the variance of the position, in samples², of light along a line."""
    position = torch.arange(len(light), dtype=light.dtype, device=light.device)
    total = light.sum().clamp(min=torch.finfo(light.dtype).tiny)
    mean = (light * position).sum() / total
    return float((light * (position - mean) ** 2).sum() / total)


def tent_means(radius: Tensor, samples: int, reach: int) -> Tensor:
    """Take the mean of the tent at δ − s over the s that each sample of [−radius, radius] covers.

    radius [...], signed, in px; the result is [..., 2·reach + 1, samples]. For a radius of up to 1 px no sample lies across
    a kink of the tent, so that the mean is the value in the sample's middle.
    """
    delta = torch.arange(-reach, reach + 1, dtype=radius.dtype, device=radius.device)[:, None]
    middles = _middles(samples).to(radius) * radius[..., None, None]
    points = (1 - (middles - delta).abs()).clamp(min=0)
    large = torch.where(radius.abs() > 1, radius, 2.0)[..., None, None]
    edges = (2 * torch.arange(samples + 1, dtype=radius.dtype, device=radius.device) / samples - 1) * large
    c = (edges - delta).clamp(-1, 1)
    integral = 0.5 + c - 0.5 * c * c.abs()
    means = (integral[..., 1:] - integral[..., :-1]) * samples / (2 * large)
    return torch.where((radius.abs() > 1)[..., None, None], means, points)


def shape_profiles(radius: Tensor, aperture: Aperture, reach: int) -> Tensor:
    """Draw the image of a point of light for signed radii [P], [P, D, D]; each sums to 1.

    A point of positive radius, nearer than the focus, shows the aperture mirrored: at the offset o from it, u = −o/r.
    """
    means = tent_means(radius * aperture.extent, SAMPLES, reach)
    light = raster(aperture).to(radius)
    return product(product(means, light / light.sum()), means.mT).flip(1, 2)


def node_radii(largest_px: float) -> list[float]:
    """List the radii of the nodes on both sides of 0, up to the second beyond `largest_px`."""
    radii = [0.0, 0.5]
    while radii[-2] <= largest_px:
        j = len(radii)
        radii.append(0.5 * j if j <= 8 else 4 * math.exp((j - 8) / 8))
    return [-radius for radius in reversed(radii[1:])] + radii


def grid_cell_px(radius_px: float) -> int:
    """Find the power of two that makes the radius less than 32 cells of a grid."""
    cell = 1
    while abs(radius_px) >= 32 * cell:
        cell *= 2
    return cell
