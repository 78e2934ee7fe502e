"""How a source of radius r weighs a pixel at an offset, from the definitions."""

import numpy as np
import torch
from torch import Tensor

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


def _tent(t: Tensor) -> Tensor:
    return (1 - t.abs()).clamp(min=0)


def _tent_integral(t: Tensor) -> Tensor:
    t = t.clamp(-1, 1)
    return 0.5 + t - 0.5 * t * t.abs()


def _crossings(a: Tensor, b: Tensor, r: Tensor) -> Tensor:
    """Angles in order, [..., 9], where the circle of radius r crosses the lines of the pixel tent that is centred at (a, b)."""
    low, high = ((b - 1) / r).clamp(-1, 1), ((b + 1) / r).clamp(-1, 1)
    cuts = [low, high, (b / r).clamp(-1, 1)]
    for line in (a - 1, a, a + 1):
        height = (1 - (line / r) ** 2).clamp(min=0).sqrt()
        cuts += [height, -height]
    between = torch.minimum(torch.maximum(torch.stack(cuts, -1), low[..., None]), high[..., None])
    return between.sort(-1).values.asin()


def disc_profile(dx: Tensor, dy: Tensor, radius: Tensor) -> Tensor:
    """The disc of `radius` convolved with the bilinear pixel tent, over the disc's area: ≥ 0, sums to 1 over all offsets.

    dx, dy and radius broadcast, in px; a radius of 0 gives 1 at the offset (0, 0). Between the crossings the integrand is
    smooth, so Gauss–Legendre quadrature is exact to rounding; the crossings cancel in the derivative and are held fixed.
    """
    dx, dy, radius = torch.broadcast_tensors(dx, dy, radius)
    a, b = torch.maximum(dx.abs(), dy.abs()), torch.minimum(dx.abs(), dy.abs())
    r = radius.clamp(min=1e-9)
    cuts = _crossings(a, b, r.detach())
    nodes, weights = (torch.as_tensor(v, dtype=r.dtype, device=r.device) for v in (_NODES, _WEIGHTS))
    half = (cuts[..., 1:, None] - cuts[..., :-1, None]) / 2
    angle = cuts[..., :-1, None] + half * (1 + nodes)
    r, a, b = (value[..., None, None] for value in (r, a, b))
    x = angle.cos()  # in units of the radius
    span = (_tent_integral(r * x - a) - _tent_integral(-r * x - a)) / r
    return (weights * half * _tent(b - r * angle.sin()) * span * x).sum((-2, -1)) / torch.pi


def logistic_profile(distance: Tensor, radius: Tensor, floor: float = 0.0) -> Tensor:
    """1 / (1 + 10·exp(3(ρ − r))), Dr.Bokeh's softened disc; the released code adds a `floor` of 1e-6 to the denominator."""
    return 0.1 / (0.1 + torch.exp((3 * (distance - radius)).clamp(max=80)) + floor)


def open_rim(offset: Tensor, radius: Tensor, field: Tensor) -> Tensor:
    """Share of the point −o/r of the aperture that the rim of the lens leaves open: see kernels/scatter/any_aperture.py.

    offset: o in px, [..., 2]; radius: signed, px, [...]; field: 2·cat_eye times the pixel's field, [..., 2].
    """
    size = radius.abs()
    seen = field * size[..., None] - offset * torch.where(radius < 0, -1.0, 1.0)[..., None]
    t = (size.clamp(min=2.0) - (seen.square().sum(-1) + 1e-12).sqrt()).clamp(-1, 1)
    return 0.5 + t - 0.5 * t * t.abs()
