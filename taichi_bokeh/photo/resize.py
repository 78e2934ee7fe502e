"""Bring a disparity map to the size of its image, with the edges where the image has them."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taichi_bokeh.io.require import require_light, require_plane
from taichi_bokeh.photo.split import JUMP

Array = NDArray[np.float32]

_BLOCKS = (64, 32, 16, 14, 8)  # in px: networks take images in whole ones
_MOST_STRETCHED = 0.05  # of the aspect ratio


def resize_disparity(disparity: Array, rgb: Array) -> Array:
    """Resample a disparity map of another resolution.

    To a larger image: bilinear on a surface. Where the four samples round a pixel belong to two surfaces, or one of them is
    a hole, the pixel takes the sample whose colour is most like its own: nothing between two surfaces is made up. To a
    smaller image: the nearest sample.

    Args:
        disparity: [h, w], any unit, larger is nearer; NaN marks a hole.
        rgb: [H, W, 3], linear light, of the same aspect ratio to within a pixel.

    Returns:
        float32 [H, W]; NaN where the sample taken is a hole.

    Raises:
        ValueError: the aspect ratios differ.
    """
    rgb, disparity = require_light("rgb", rgb), require_plane("disparity", disparity)
    if not same_aspect(disparity.shape, rgb.shape):
        raise ValueError(f"disparity has shape {disparity.shape}; expected the aspect ratio of rgb, {rgb.shape[:2]}")
    return stretch_disparity(disparity, rgb)


def stretch_disparity(disparity: Array, rgb: Array) -> Array:
    """Resample as `resize_disparity`, of whatever aspect ratio: the map is stretched over the whole image.

    Args:
        disparity: [h, w], any unit, larger is nearer; NaN marks a hole.
        rgb: [H, W, 3], linear light.
    """
    if disparity.shape == rgb.shape[:2]:
        return disparity
    rows, columns = (_positions(length, small) for length, small in zip(rgb.shape, disparity.shape, strict=False))
    if disparity.shape[0] >= rgb.shape[0]:
        return disparity[np.ix_(np.rint(rows).astype(int), np.rint(columns).astype(int))].astype(np.float32)
    colour = np.sqrt(np.maximum(rgb, 0)).astype(np.float32)
    small_colour = _sampled(colour, *disparity.shape)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = (rows - top)[:, None], (columns - left)[None]
    mean = np.zeros(rgb.shape[:2], np.float32)
    low, high = np.full_like(mean, np.inf), np.full_like(mean, -np.inf)
    taken, least = np.zeros_like(mean), np.full_like(mean, np.inf)
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        at = np.ix_(np.minimum(top + y, disparity.shape[0] - 1), np.minimum(left + x, disparity.shape[1] - 1))
        sample, weight = disparity[at], (down if y else 1 - down) * (right if x else 1 - right)
        mean += (weight * sample).astype(np.float32)
        low, high = np.fmin(low, sample), np.fmax(high, sample)
        # Of samples alike in colour the nearer one is taken.
        unlike = np.linalg.norm(colour - small_colour[at], axis=2) - 0.1 * weight
        taken, least = np.where(unlike < least, sample, taken), np.minimum(unlike, least)
    span = np.nanmax(disparity) - np.nanmin(disparity)
    one_surface = (high - low <= 2 * JUMP * span) & np.isfinite(mean)
    return np.where(one_surface, mean, taken).astype(np.float32)


def same_aspect(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether two images [H, W, ...] have one aspect ratio, to within a pixel of the smaller."""
    return abs(a[0] * b[1] - a[1] * b[0]) <= max(*a[:2], *b[:2])


def rounded_to(small: tuple[int, ...], image: tuple[int, ...]) -> int | None:
    """Find to whose multiples a network has rounded the sides of a map [h, w] of a whole image [H, W, ...], in pixels.

    None: it has not the image's shape even so, or has it exactly.

    >>> rounded_to((280, 504), (900, 1600))
    14
    """
    height, width = (a / b for a, b in zip(small[:2], image[:2], strict=True))
    if same_aspect(small, image) or abs(height / width - 1) > _MOST_STRETCHED:
        return None
    by_a_pixel = 1 / image[0] + 1 / image[1]
    whole = [side for side in _BLOCKS if small[0] % side == small[1] % side == 0]
    return next((side for side in whole if abs(height - width) <= side * by_a_pixel), None)


def may_fit(small: tuple[int, ...], image: tuple[int, ...]) -> bool:
    """Whether a map [h, w] may be one of a whole image [H, W, ...], its sides rounded or not."""
    return same_aspect(small, image) or rounded_to(small, image) is not None


def _positions(length: int, small: int) -> NDArray[np.float64]:
    """Where the centres of ``length`` pixels lie among the centres of ``small`` ones."""
    return np.clip((np.arange(length) + 0.5) * small / length - 0.5, 0, small - 1)


def _sampled(colour: Array, height: int, width: int) -> Array:
    """The image's mean colour round each pixel of a smaller one, [height, width, 3]."""
    reach = [max(1, round(side / small)) for side, small in zip(colour.shape, (height, width), strict=False)]
    smooth = ndimage.uniform_filter(colour, size=(*reach, 1), mode="nearest")
    rows, columns = (_positions(small, side) for small, side in zip((height, width), colour.shape, strict=False))
    return smooth[np.ix_(np.rint(rows).astype(int), np.rint(columns).astype(int))]
