"""The point spread function of an aperture, cut into cells: the image that a point of light makes through each of them.

The aperture is a raster t of N × N samples on the square [−E, E]², E its extent. A cell is a rectangle of samples; cells hold
about equal shares A_m of the light. Where the circle of confusion has the signed radius r, the rays of a pixel through cell m
meet the layer at δ from the pixel, with the weights

    k_m(δ) = Σ_{u ∈ m} t(u)·⟨Λ(δ_x − r·u_x)⟩·⟨Λ(δ_y − r·u_y)⟩ / Σ_u t(u)

where Λ(s) = max(0, 1 − |s|) is the tent of bilinear interpolation and ⟨·⟩ the mean over the sample's width r·2E/N. So k_m is
the cell at the scale r, convolved with the tent: it sums to A_m, tends to a single pixel as r → 0, and is constant between the
edges of an evenly lit cell.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh._checks import require_float_tensor, require_integer, require_number, require_shape
from taichi_bokeh.optics.lens_samples import cat_eye_transmission

if TYPE_CHECKING:
    from taichi_bokeh.optics.aperture import Aperture

Array = NDArray[np.float64]

SAMPLES = 512  # across the aperture: 6 a pixel at a radius of 40 px
_POINT_PX = 1e-4  # a sample narrower than this counts as a point where a slope is taken: differences over it lose digits
_SPARSE_WORTH = 1 << 18  # products of a sum, from which on those with 0 are left out


class Box(NamedTuple):
    """A rectangle of samples: rows top … bottom − 1, columns left … right − 1."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True, eq=False)
class Cells:
    """A raster of the aperture and its division.

    Attributes:
        transmission: [N, N], float64 on the CPU, row 0 at the top (y = −extent).
        extent: half the width of the square that the raster spans, in units of the aperture's radius.
        boxes: the M cells.
        groups: for each cell, which group of three to five neighbours it belongs to; G groups, numbered from 0.
    """

    transmission: Tensor
    extent: float
    boxes: tuple[Box, ...]
    groups: tuple[int, ...]

    @property
    def count(self) -> int:
        """Number of cells, M."""
        return len(self.boxes)

    @property
    def gain(self) -> float:
        """Factor of the extrapolation from G groups to M cells, 1/(M/G − 1): the error falls as 1/cells. 0 with few cells."""
        ratio = self.count / (max(self.groups) + 1)
        return 1 / (ratio - 1) if ratio >= 3 else 0.0

    @cached_property
    def shares(self) -> Tensor:
        """A_m, the part of the light that passes each cell, [M]; their sum is 1."""
        light = torch.stack([self.transmission[b.top : b.bottom, b.left : b.right].sum() for b in self.boxes])
        return light / self._light

    @cached_property
    def _light(self) -> Tensor:
        return self.transmission.sum().clamp(min=torch.finfo(torch.float64).tiny)  # a rim may shut it altogether

    def seen_from(self, field: tuple[float, float], cat_eye: float) -> "Cells":
        """See the same cells behind the rim of the lens (`cat_eye_transmission`); some may be shut."""
        points = sample_points(self.transmission.shape[0], self.extent)
        open_ = cat_eye_transmission(points, points.new_tensor(field), cat_eye)
        return Cells(self.transmission * open_, self.extent, self.boxes, self.groups)

    def kernels(self, radius_px: float) -> Tensor:
        """Compute k_m(δ), [M, D, D] with D odd and δ = 0 in the middle; a cell that is shut has zeros.

        Args:
            radius_px: signed radius of the circle of confusion.
        """
        means = _tent_means(radius_px * self.extent, len(self.transmission), kernel_reach(radius_px, self.extent))
        return torch.from_numpy(self._separable_sums(means, means))

    def kernel_slopes(self, radius_px: float) -> Tensor:
        """Compute ∂k_m(δ)/∂r, [M, D, D] in 1/px, laid out as `kernels`; at a kink, as at r = 0, the mean of both sides.

        Args:
            radius_px: signed radius of the circle of confusion.
        """
        size, reach = len(self.transmission), kernel_reach(radius_px, self.extent)
        means = _tent_means(radius_px * self.extent, size, reach)
        slopes = self.extent * _tent_mean_slopes(radius_px * self.extent, size, reach)
        return torch.from_numpy(self._separable_sums(slopes, means) + self._separable_sums(means, slopes))

    def _separable_sums(self, down: Array, across: Array) -> Array:
        """Compute Σ_{u ∈ m} t(u)·down(δ_y, u_y)·across(δ_x, u_x) / Σ_u t(u) for every cell, [M, D, D]."""
        transmission = self.transmission.numpy()
        result = np.zeros((len(self.boxes), len(down), len(across)))
        for kernel, box, share in zip(result, self.boxes, self.shares, strict=True):
            if share == 0:
                continue
            rows, columns = _lit(down, box.top, box.bottom), _lit(across, box.left, box.right)
            through = transmission[box.top : box.bottom, box.left : box.right]
            kernel[rows.at, columns.at] = _sums(columns.weights, _sums(rows.weights, through).T).T
        result /= float(self._light)
        return result


def point_spread(aperture: "Aperture", radius_px: float | Tensor, size: int | None, field: tuple[float, float]) -> Tensor:
    """Do what `Aperture.psf` says, and raise what it raises."""
    if isinstance(radius_px, Tensor):
        require_float_tensor("radius_px", radius_px)
        require_shape("radius_px", radius_px)
    else:
        require_number("radius_px", radius_px)
        radius_px = torch.tensor(radius_px, dtype=torch.float32, device="cpu")
    if size is None:
        size = 2 * kernel_reach(float(radius_px.detach()), aperture.extent) + 1
    require_odd_size(size)
    cells = divide(aperture, 1)
    return _point_spread(radius_px, cells.seen_from(field, aperture.cat_eye) if aperture.cat_eye else cells, size)


def require_odd_size(size: object) -> None:
    """Raise TypeError or ValueError unless an image of a point may be so many pixels wide."""
    require_integer("size", size, at_least=1)
    if isinstance(size, int) and size % 2 == 0:
        raise ValueError(f"size is {size}; expected an odd number, so that the point is in the middle of a pixel")


def splat(position: Tensor, weight: Tensor, size: int) -> Tensor:
    """Add weights [N] to pixels [size, size] as tents round positions [N, 2], x right and y down, in px from the middle.

    What lies outside is left out. Differentiable in the positions.
    """
    corner = position.detach().floor()
    total = position.new_zeros((size + 2) ** 2)
    for down in (0, 1):
        for right in (0, 1):
            pixel = corner + corner.new_tensor([right, down])
            share = (1 - (position - pixel).abs()).prod(-1)
            column, row = (pixel + size // 2 + 1).clamp(0, size + 1).long().unbind(-1)
            total = total.index_add(0, row * (size + 2) + column, weight * share)
    return total.view(size + 2, size + 2)[1:-1, 1:-1]


class _PointSpread(torch.autograd.Function):
    """The image of a point, [size, size], as a function of the radius []."""

    @staticmethod
    def forward(ctx: Any, radius_px: Tensor, cells: Cells, size: int) -> Tensor:
        ctx.save_for_backward(radius_px)
        ctx.cells, ctx.size = cells, size
        means = _tent_means(float(radius_px) * cells.extent, len(cells.transmission), size // 2)
        return _whole_kernel(cells, means, means).to(radius_px)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (radius_px,) = ctx.saved_tensors
        cells, scale = ctx.cells, float(radius_px) * ctx.cells.extent
        means = _tent_means(scale, len(cells.transmission), ctx.size // 2)
        slopes = cells.extent * _tent_mean_slopes(scale, len(cells.transmission), ctx.size // 2)
        slope = _whole_kernel(cells, slopes, means) + _whole_kernel(cells, means, slopes)
        return (grad * slope.to(grad)).sum(), None, None


_point_spread: Callable[[Tensor, Cells, int], Tensor] = _PointSpread.apply


def _whole_kernel(cells: Cells, down: Array, across: Array) -> Tensor:
    """Compute Σ_u t(u)·down(−δ_y, u_y)·across(−δ_x, u_x) / Σ_u t(u): a pixel at δ from a point sees it through −δ/r."""
    kernel = _sums(across, _sums(down, cells.transmission.numpy()).T).T / float(cells._light)
    return torch.from_numpy(kernel[::-1, ::-1].copy())


def kernel_reach(radius_px: float, extent: float) -> int:
    """Tell how many pixels from its middle a kernel of this radius may differ from 0."""
    return int(abs(radius_px) * extent) + 1


def divide(aperture: "Aperture", cells: int) -> Cells:
    """Raster the aperture, without its cat-eye, and divide it: each part again and again across its longer side.

    "Longer" is by the spread of the light, and a part that holds c cells is cut where its light divides as ⌊c/2⌋ : ⌈c/2⌉.
    An aperture of too few samples has fewer cells than were asked for.
    """
    return _divided(_Key(aperture), cells)


class _Key:
    """An aperture as the key of a cache; one with an image by the image's values."""

    def __init__(self, aperture: "Aperture") -> None:
        self.aperture = aperture
        image = aperture.image
        self._image = None if image is None else np.asarray(image).tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.aperture == other.aperture

    def __hash__(self) -> int:
        return hash(self._image) if self._image is not None else hash(self.aperture)


@lru_cache(maxsize=16)
def _divided(key: _Key, cells: int) -> Cells:
    with torch.inference_mode(False):
        transmission = raster(key.aperture, SAMPLES)
        boxes: list[Box] = []
        groups: list[int] = []
        _divide(transmission, Box(0, SAMPLES, 0, SAMPLES), cells, boxes, groups)
        return Cells(transmission, key.aperture.extent, tuple(boxes), tuple(groups))


def raster(aperture: "Aperture", size: int) -> Tensor:
    """Take the transmission of the aperture, without its cat-eye, as means over size × size squares of [−extent, extent]²."""
    extent = aperture.extent
    corners = aperture.transmission(sample_points(size, extent, corners=True))
    quads = torch.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, :-1], corners[1:, 1:]])
    centres = sample_points(size, extent)
    values = aperture.transmission(centres)
    # Only squares that an edge crosses need more than their middle.
    everything = torch.cat([quads, values[None]])
    crossed = everything.amax(0) - everything.amin(0) > 0.02
    fine = 16
    offsets = sample_points(fine, extent / size).reshape(-1, 2)
    for part in crossed.nonzero().split(4096):
        rows, columns = part.unbind(1)
        points = centres[rows, columns][:, None] + offsets
        values[rows, columns] = aperture.transmission(points).mean(1)
    return values


@lru_cache(maxsize=4)
def sample_points(size: int, extent: float, corners: bool = False) -> Tensor:
    """List the centres (or corners) of the squares of [−extent, extent]², x right and y down, [size (+ 1), size (+ 1), 2]."""
    steps = torch.arange(size + corners, dtype=torch.float64, device="cpu") + (0.0 if corners else 0.5)
    line = (2 * steps / size - 1) * extent
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], -1)


def _divide(transmission: Tensor, box: Box, cells: int, boxes: list[Box], groups: list[int], group: int = -1) -> None:
    """Append the cells of `box` to `boxes`, and the group of each, a new one where none is given, to `groups`."""
    if (box.bottom - box.top) * (box.right - box.left) == 1:
        cells = 1
    if group < 0 and cells <= 5:
        group = max(groups, default=-1) + 1
    if cells == 1:
        boxes.append(box)
        groups.append(group)
        return
    part = transmission[box.top : box.bottom, box.left : box.right]
    by_row, by_column = part.sum(1), part.sum(0)
    across_rows = _variance(by_row) > _variance(by_column)
    if len(by_row if across_rows else by_column) < 2:
        across_rows = not across_rows
    first = cells // 2
    at = _cut(by_row if across_rows else by_column, first / cells)
    if across_rows:
        halves = box._replace(bottom=box.top + at), box._replace(top=box.top + at)
    else:
        halves = box._replace(right=box.left + at), box._replace(left=box.left + at)
    for half, count in zip(halves, (first, cells - first), strict=True):
        _divide(transmission, half, count, boxes, groups, group)


class _Lit(NamedTuple):
    at: slice  # which pixels of an axis some samples reach
    weights: Array  # [pixels, samples]


def _lit(weights: Array, first: int, last: int) -> _Lit:
    part = weights[:, first:last]
    reached = np.flatnonzero(part.any(1))
    at = slice(int(reached[0]), int(reached[-1]) + 1)
    return _Lit(at, part[at])


def _sums(weights: Array, light: Array) -> Array:
    """Multiply weights @ light, of which `weights` is 0 but near its diagonal.

    On one thread: torch and BLAS part arrays as small as these, and on a busy machine wait for the slowest at each step.
    """
    if weights.size * light.shape[1] < _SPARSE_WORTH:
        return np.einsum("rs,sc->rc", weights, light)
    from scipy import sparse  # its import takes longer than all that small kernels need

    result: Array = sparse.csr_array(weights) @ light
    return result


def _variance(light: Tensor) -> float:
    """Compute the variance of the position, in samples², of light [N] along a line."""
    position = torch.arange(light.shape[0], dtype=light.dtype, device=light.device)
    total = light.sum().clamp(min=torch.finfo(light.dtype).tiny)
    mean = (light * position).sum() / total
    return float((light * (position - mean) ** 2).sum() / total)


def _cut(light: Tensor, share: float) -> int:
    """Tell how many samples from the beginning hold this share of the light, at least 1 and not all."""
    sums = light.cumsum(0)
    return int((sums[:-1] - share * sums[-1]).abs().argmin()) + 1


def _tent_means(radius_px: float, size: int, reach: int) -> Array:
    """Compute the mean of Λ(δ − s) over the s that each sample covers at this scale, [2·reach + 1, size]."""
    delta = np.arange(-reach, reach + 1, dtype=np.float64)[:, None]
    edges = (2 * np.arange(size + 1, dtype=np.float64) / size - 1) * radius_px
    width = edges[1] - edges[0]
    if abs(width) < 1e-6:
        return (1 - np.abs(delta - (edges[:-1] + edges[1:]) / 2)).clip(min=0)
    below = _tent_integral(edges - delta)
    return (below[:, 1:] - below[:, :-1]) / width


def _tent_mean_slopes(radius_px: float, size: int, reach: int) -> Array:
    """Compute the derivative of `_tent_means` along the radius, [2·reach + 1, size]."""
    delta = np.arange(-reach, reach + 1, dtype=np.float64)[:, None]
    edges = 2 * np.arange(size + 1, dtype=np.float64) / size - 1
    width = (edges[1] - edges[0]) * radius_px
    if abs(width) < _POINT_PX:
        middle = (edges[:-1] + edges[1:]) / 2
        s = middle * radius_px - delta
        slope = -np.sign(s) * np.where(np.abs(s) < 1, 1.0, np.where(np.abs(s) == 1, 0.5, 0.0))
        return np.asarray(slope * middle)
    tents = edges * (1 - np.abs(edges * radius_px - delta)).clip(min=0)
    return (tents[:, 1:] - tents[:, :-1]) / width - _tent_means(radius_px, size, reach) / radius_px


def _tent_integral(s: Array) -> Array:
    """Compute ∫_{−∞}^s Λ."""
    s = s.clip(-1, 1)
    return 0.5 + s - 0.5 * s * np.abs(s)
