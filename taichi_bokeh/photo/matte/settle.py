"""Make a layer and the plate behind it add up to their image.

A matte and the colours of both sides are estimates, so that α·F + (1 − α)·B is the image I but for some pixels: a dark thread
in the rim is darker than the plate that shines through, and what is invented behind the rim is not what the image mixed in.
There F, B and α are changed by what costs least,

    α′·|F′ − F|² + s·α·|B′ − B|² + t·|F − B|²·(α′ − α)²,      α′·F′ + (1 − α′)·B′ = I,      0 ≤ F′, B′ ≤ max(I, F, B),

per colour, and α′ is one for all three. There always is a way: F′ = B′ = I. The upper bound keeps a highlight from being
divided by a small α.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

Reals = NDArray[np.float64]

#: (rgb [H, W, 3], alpha [H, W], front [H, W, 3], plate [H, W, 3]) → alpha, front and plate that mix to rgb.
Settle = Callable[[Array, Array, Array, Array], tuple[Array, Array, Array]]

STIFFNESS = 8.0  # s: an error of the plate is seen sharp through a blurred front; where α is small the image shows the plate
_TRUST = 40.0  # t, of the matte; from 16 to 100 it makes no difference to the benchmark's scenes
_STEPS = 16  # of the coverages that are tried
_FAITHFUL = 1e-3  # cost up to which the matte stays
ROUNDING = 1e-6  # of a mixture of float32, in light, and in parts of the image's
_BLOCK = 1 << 17  # pixels at once


def settle(rgb: Array, alpha: Array, front: Array, plate: Array) -> tuple[Array, Array, Array]:
    """Change a matte and the colours of its two sides as little as will do for their mixture to be the image.

    Args:
        rgb: [H, W, 3], the image, not negative.
        alpha: [H, W] in [0, 1], coverage of the front.
        front: [H, W, 3], not negative.
        plate: [H, W, 3], not negative.

    Returns:
        Alpha, front and plate, float32 arrays of their own. ``alpha·front + (1 − alpha)·plate`` differs from ``rgb`` by no more
        than 1e-6·(1 + rgb).
    """
    return _settled(rgb, alpha, front, plate, _with_least_change)


def settle_colours(rgb: Array, alpha: Array, front: Array, plate: Array) -> tuple[Array, Array, Array]:
    """The same for a matte that stays."""
    return _settled(rgb, alpha, front, plate, _with_the_matte_kept)


def mix_to(
    image: Reals, a: Reals, colours: tuple[Reals, Reals], limits: tuple[Reals, Reals], weight: Reals
) -> tuple[Reals, Reals]:
    """Colours nearest to given ones that mix to an image: a·F′ + (1 − a)·B′ = I, 0 ≤ F′ ≤ limit, 0 ≤ B′ ≤ limit.

    Args:
        image: [n, C], no brighter than a mixture of the limits.
        a: [n, 1] in [0, 1], coverage of the front.
        colours: those of the front and the plate, [n, C] each; what is not seen of them stays.
        limits: of the front and the plate, [n, C] each.
        weight: [n, 1], what a change of the plate counts; one of the front counts ``a``.

    Returns:
        Front and plate, [n, C] each.
    """
    (front, plate), b = colours, 1 - a
    weight = np.maximum(weight, 1e-3)
    lack = image - a * front - b * plate
    near = front + weight / (a * weight + b**2) * lack
    # Of what the plate can be follows what the front can be.
    share, rest = np.where(a > 0, a, 1), np.where(b > 0, b, 1)
    near = np.clip(near, np.maximum(image - b * limits[1], 0) / share, np.minimum(image / share, limits[0]))
    far = np.clip((image - a * near) / rest, 0, limits[1])
    return np.where(a > 0, near, front), np.where(b > 0, far, plate)


def _settled(
    rgb: Array, alpha: Array, front: Array, plate: Array, solve: Callable[..., tuple[Reals, Reals, Reals]]
) -> tuple[Array, Array, Array]:
    alpha, front, plate = (np.array(values, np.float32, order="C") for values in (alpha, front, plate))
    solid, clear = alpha >= 1, alpha <= 0
    front[solid], plate[clear] = rgb[solid], rgb[clear]
    mixed = np.flatnonzero(~(solid | clear))
    coverage, *colours = (values.reshape(alpha.size, -1) for values in (alpha, rgb, front, plate))
    for start in range(0, mixed.size, _BLOCK):
        where = mixed[start : start + _BLOCK]
        a, image, near, far = (values[where].astype(np.float64) for values in (coverage, *colours))
        off = (np.abs(image - a * near - (1 - a) * far) > ROUNDING * (1 + image)).any(axis=1)
        coverage[where[off]], colours[1][where[off]], colours[2][where[off]] = solve(image[off], a[off], near[off], far[off])
    return alpha, front, plate


def _with_the_matte_kept(image: Reals, alpha: Reals, front: Reals, plate: Reals) -> tuple[Reals, Reals, Reals]:
    limit = np.maximum(np.maximum(image, front), plate)
    return alpha, *mix_to(image, alpha, (front, plate), (limit, limit), STIFFNESS * alpha)


def _with_least_change(image: Reals, alpha: Reals, front: Reals, plate: Reals) -> tuple[Reals, Reals, Reals]:
    limit = np.maximum(np.maximum(image, front), plate)
    least = np.full(len(image), np.inf)
    best = alpha.copy(), front.copy(), plate.copy()
    for a in (alpha, *(np.full_like(alpha, step / _STEPS) for step in range(_STEPS + 1))):
        # Only where the colours have to change much.
        where = np.flatnonzero(least > _FAITHFUL)
        own, given, stiffness = alpha[where], (front[where], plate[where]), STIFFNESS * alpha[where]
        f, b = mix_to(image[where], a[where], given, (limit[where], limit[where]), stiffness)
        changes = a[where] * (f - given[0]) ** 2 + stiffness * (b - given[1]) ** 2
        cost = (changes + _TRUST * (given[0] - given[1]) ** 2 * (a[where] - own) ** 2).sum(axis=1)
        better = cost < least[where]
        for kept, tried in zip((least, *best), (cost, a[where], f, b), strict=True):
            kept[where[better]] = tried[better]
    return best
