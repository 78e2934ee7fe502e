"""Points of the lens through which rays are traced: low-discrepancy points of the disc, and their maps to other shapes.

Points are float64 [N, 2], x to the right and y down. A map keeps areas up to one factor, so that points which cover the
disc evenly cover the shape evenly:

    spiral | image_points  →  polygon  →  rotate  →  squeeze           ring_weights weighs the points of the disc
"""

from math import cos, pi, radians, sin, sqrt

import torch
from torch import Tensor

GOLDEN = (sqrt(5) - 1) / 2
PLASTIC = 1.324717957244746  # x³ = x + 1


def spiral(count: int, seed: int = 0) -> Tensor:
    """Choose points of Vogel's spiral, [count, 2], in an order in which every beginning covers the unit disc evenly.

    Point i has the radius √((i + ½)/count) and the angle i·(golden angle) + 2π·frac(seed·√2).

    Along the spiral the radius would grow from ray to ray, and a fixed stride is no way out: where it is a Fibonacci
    number, it always meets the same angle. So the points are ranked along a Z-order curve through (radius², angle), on
    which neighbours are near each other, and the ranks are visited in the order of the golden ratio's multiples.
    """
    k = torch.arange(count, dtype=torch.float64, device="cpu")
    radius_squared, turn = (k + 0.5) / count, k * (1 - GOLDEN) % 1
    rank = (k * GOLDEN % 1).argsort().argsort()
    order = _along_z_curve(radius_squared, turn)[rank]
    radius, angle = radius_squared[order].sqrt(), 2 * pi * (turn[order] + _fraction(seed, sqrt(2)))
    return torch.stack((radius * angle.cos(), radius * angle.sin()), -1)


def image_points(image: Tensor, count: int, seed: int = 0) -> Tensor:
    """Choose points [count, 2] of the square [−1, 1]² as dense as `image` [H, W] is bright; row 0 is the top, y = −1.

    The R2 sequence (½ + k/p, ½ + k/p²), p the plastic number, shifted for each seed, goes through the inverse cumulative
    distribution of the rows and then of the columns within the row; within a pixel the points are uniform.
    """
    height, width = image.shape
    k = torch.arange(count, dtype=torch.float64, device="cpu")
    across = (0.5 + k / PLASTIC + _fraction(seed, sqrt(2))) % 1
    down = (0.5 + k / PLASTIC**2 + _fraction(seed, sqrt(3))) % 1
    row, y = _inverse_cdf(image.sum(1)[None], torch.zeros(count, dtype=torch.int64, device="cpu"), down)
    column, x = _inverse_cdf(image, row, across)
    return torch.stack((2 * (column + x) / width - 1, 2 * (row + y) / height - 1), -1)


def polygon(points: Tensor, blades: int, roundness: float) -> Tensor:
    """Map the unit disc to the regular polygon in it with a corner at the right, blended with the disc by `roundness`.

    With φ the angle from the middle of a side, a = π/blades half the angle of a side and q the roundness, the rim is at

        R(φ) = (1 − q)·cos a/cos φ + q,        |φ| ≤ a

    Equal areas lie at equal steps of F(φ) = ∫₀^φ R², so the angle ψ of a point goes to φ with F(φ)/F(a) = ψ/a, and the
    radius is multiplied by R(φ).
    """
    half = pi / blades
    straight = (1 - roundness) * cos(half)
    radius, angle = points.norm(dim=-1), torch.atan2(points[:, 1], points[:, 0])
    middle = ((angle / (2 * half)).floor() + 0.5) * 2 * half
    side = angle - middle

    def rim(phi: Tensor) -> Tensor:
        return straight / phi.cos() + roundness

    def area(phi: Tensor) -> Tensor:
        tangent = phi.tan()
        return straight**2 * tangent + 2 * straight * roundness * tangent.asinh() + roundness**2 * phi

    phi = torch.full_like(side, half)
    wanted = side.abs() / half * area(phi)
    for _ in range(8):  # Newton: F is convex, so from the corner it comes down to the root without overshooting
        phi = phi - (area(phi) - wanted) / rim(phi).square()
    angle, radius = middle + phi.copysign(side), radius * rim(phi)
    return torch.stack((radius * angle.cos(), radius * angle.sin()), -1)


def polygon_rim(points: Tensor, blades: int, roundness: float) -> Tensor:
    """Tell how far from the middle the rim of `polygon` is, in the direction of each point [..., 2]; [...]."""
    half = pi / blades
    angle = torch.atan2(points[..., 1], points[..., 0])
    side = angle - ((angle / (2 * half)).floor() + 0.5) * 2 * half
    return (1 - roundness) * cos(half) / side.cos() + roundness


def image_values(image: Tensor, points: Tensor) -> Tensor:
    """Find the pixel of `image` [H, W] that each point [..., 2] of the square [−1, 1]² lies in, 0 outside; [...]."""
    height, width = image.shape
    column, row = ((points + 1) / 2 * points.new_tensor([width, height])).floor().long().unbind(-1)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return torch.where(inside, image[row.clamp(0, height - 1), column.clamp(0, width - 1)], 0.0)


def rotate(points: Tensor, degrees: float) -> Tensor:
    """Rotate clockwise as seen in the image, from x (right) towards y (down)."""
    cosine, sine = cos(radians(degrees)), sin(radians(degrees))
    return points @ points.new_tensor([[cosine, sine], [-sine, cosine]])


def squeeze(points: Tensor, height_over_width: float, inverse: bool = False) -> Tensor:
    """Shrink the width or the height, whichever makes the disc an ellipse of this ratio that stays within the disc."""
    factors = points.new_tensor([min(1.0, 1 / height_over_width), min(1.0, height_over_width)])
    return points / factors if inverse else points * factors


def ring_weights(points: Tensor, ring: float) -> Tensor:
    """Compute the brightness 1 + ring·(2ρ² − 1) of points [N, 2] of the unit disc; its mean over the disc is 1."""
    return 1 + ring * (2 * points.square().sum(-1) - 1)


def cat_eye_transmission(points: Tensor, field: Tensor, cat_eye: float) -> Tensor:
    """Tell which points of the aperture the rim of the lens leaves open, seen from a position in the image.

    Open is what lies in the unit disc round −2·cat_eye·field as well:

        |u + 2·cat_eye·field|² ≤ 1

    A lens is a tube. Its front rim stands before the aperture, and seen from aside the two discs no longer cover each
    other: the rim is displaced away from the side that is looked at. What is left is a lemon, longest at right angles
    to the direction of the centre (tangential), and a highlight beyond the focus is cut on its outer side. Nearer than
    the focus the radius has the other sign, and the same points u draw the point mirror, cut on the inner side.

    Args:
        points: u, [..., 2]; may be broadcast against field.
        field: position of the pixel from the image's centre over half the image's diagonal, [..., 2], |field| ≤ 1.
        cat_eye: from 0 (no rim: all points are open) to 1 (closed in the very corners).

    Returns:
        1 where a ray passes and 0 where it does not, [...], of the dtype of `points`.
    """
    if cat_eye == 0:
        return torch.ones_like((points + field)[..., 0])
    return ((points + 2 * cat_eye * field).square().sum(-1) <= 1).to(points.dtype)


def _fraction(seed: int, irrational: float) -> float:
    """Compute frac(seed·irrational) in [0, 1), in whole numbers so that a large seed counts like a small one."""
    return (int(seed) * int(irrational % 1 * 2**64) % 2**64 >> 11) / 2**53


def _along_z_curve(first: Tensor, second: Tensor) -> Tensor:
    """Find indices that sort points of [0, 1)² along the curve which visits quarters of quarters one after the other.

    Along it, the bits of both coordinates in turn make one increasing number.
    """
    first, second = ((value * 65536).long() for value in (first, second))
    code = torch.zeros_like(first)
    for bit in range(16):
        code |= (first >> bit & 1) << 2 * bit + 1 | (second >> bit & 1) << 2 * bit
    return code.argsort(stable=True)


def _inverse_cdf(weights: Tensor, row: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Find where the share `target` of the weights [R, N] in `row` is reached: the index, and how far into its interval.

    The rows, one unit apart, make one long increasing sequence, so that all are searched at once.
    """
    rows, size = weights.shape
    sums = weights.cumsum(1)
    upper = torch.where(sums[:, -1:] > 0, sums / sums[:, -1:], 1.0)
    target = target.clamp(max=1 - 1e-9)  # stays in its row when the row is added
    sequence = (upper + torch.arange(rows, dtype=upper.dtype, device=upper.device)[:, None]).flatten()
    index = torch.searchsorted(sequence, target + row, right=True)
    high = upper.flatten()[index]
    low = torch.where(index % size > 0, upper.flatten()[index - 1], 0.0)
    return index % size, ((target - low) / (high - low)).clamp(0, 1)
