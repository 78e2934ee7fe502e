"""The antialiased edge between a layer and what lies behind it: coverage, and the colours of both sides.

In the rim a pixel of the image is the mixture  I = α·F + (1 − α)·B.  F is taken from inside the layer and B from well
outside the rim, α is the mixture that comes closest to I, and what remains is shared out so that the equation holds as
far as it can without spoiling the plate.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taichi_bokeh.io.require import require_coverage, require_light, require_mask, require_plane
from taichi_bokeh.photo.fill.push_pull import push_pull
from taichi_bokeh.photo.reach import within

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

_RIM_PX = 1.5  # so far from an outline a pixel's centre may lie and the pixel be a mixture
_THIN_PX = 3  # from the next sure pixel on, a part of a side is thin
_PLATE_STIFFNESS = 8.0  # an error of the plate is seen sharp through a blurred front; one of the front only tints it
_NOISE = 0.03  # colour difference (linear light) of the two sides below which a mixture cannot be read
_DOUBT = 40.0  # how much more than noise a colour counts that is no mixture of the two sides


def outline_matte(rgb: Array, near: Mask, edge_px: Array) -> Array:
    """Coverage of a layer whose outline is known to about a pixel: 1 inside, 0 outside, in the rim as the image shows.

    Args:
        rgb: [H, W, 3], linear light.
        near: [H, W], the pixels of the layer.
        edge_px: [H, W], distance of each pixel to the outline, px, 0.5 at the pixels beside it; inf without one.

    Returns:
        float32 [H, W] in [0, 1].
    """
    rgb = require_light("rgb", rgb)
    near, edge_px = require_mask("near", near, rgb), require_plane("edge_px", edge_px, rgb)
    rim = edge_px <= _RIM_PX
    if not rim.any():
        return near.astype(np.float32)
    front = push_pull(rgb, _known(near & ~rim, near.astype(np.float32), 0.1))
    back = push_pull(rgb, _known(~near & (edge_px > _RIM_PX + 1), (~near).astype(np.float32), 1e-3))
    return np.where(rim, _mixture(rgb, front, back, near, edge_px), near).astype(np.float32)


def separate_colours(rgb: Array, alpha: Array) -> tuple[Array, Array]:
    """The colours of both sides of a matte, hair and other wide soft edges included.

    Args:
        rgb: [H, W, 3], linear light.
        alpha: [H, W] in [0, 1], coverage of the front.

    Returns:
        Front and back, float32 [H, W, 3] each, defined everywhere. ``alpha·front + (1 − alpha)·back`` is the image, but
        for single pixels of the edge.
    """
    rgb = require_light("rgb", rgb)
    alpha = require_coverage("alpha", alpha, rgb)
    solid, clear = alpha >= 0.99, alpha <= 0.01
    front = push_pull(rgb, _known(solid, alpha**4, 0.1))
    back = push_pull(rgb, _known(clear, (1 - alpha) ** 4, 0.1))
    front, back = _share_remainder(rgb, alpha, front, back, ~solid & ~clear)
    front[solid], back[clear] = rgb[solid], rgb[clear]
    return front, back


def _known(sure: Mask, otherwise: Array, thin_weight: float) -> Array:
    """Weights to fill a side's colour from: 1 where sure, and a little where its parts are too thin to hold a sure pixel.

    Those parts (spokes, hair) get ``thin_weight`` of ``otherwise``, which is also taken if nothing is sure at all.
    """
    if not sure.any():
        return otherwise if otherwise.any() else np.ones_like(otherwise)
    lost = ~within(sure, _THIN_PX)
    return np.where(sure, 1, np.where(lost, thin_weight * otherwise, 0)).astype(np.float32)


def _mixture(rgb: Array, front: Array, plate: Array, near: Mask, edge_px: Array) -> Array:
    """Coverage of the rim's pixels, read from their colour where front and plate differ, else from the outline."""
    difference = front - plate
    strength = (difference**2).sum(axis=2)
    read = np.clip(((rgb - plate) * difference).sum(axis=2) / np.maximum(strength, 1e-12), 0, 1)
    rest = ((rgb - plate - read[..., None] * difference) ** 2).sum(axis=2)
    trust = strength / (strength + _NOISE**2 + _DOUBT * rest)
    outline = ndimage.gaussian_filter(near.astype(np.float32), 0.6)
    alpha = trust * read + (1 - trust) * outline
    # The outline may be misplaced by about a pixel, not more: inside it the layer is solid, outside it absent.
    inside_px = np.where(near, edge_px, 1 - edge_px) - 0.5
    return np.clip(alpha, np.clip((inside_px - 0.5) / 1.5, 0, 1), np.clip((inside_px + 2) / 1.5, 0, 1))


def _share_remainder(rgb: Array, alpha: Array, front: Array, plate: Array, where: Mask) -> tuple[Array, Array]:
    """Add what α·F + (1 − α)·B lacks of the image to F and B by the least change, the plate's counting for more.

    An excess may stay that only a plate far too dark could take up: that would show, the rim being brighter does not.
    """
    front, plate = front.copy(), plate.copy()
    a = alpha[where][:, None]
    for _ in range(2):  # again, because of what was clipped at 0
        lack = rgb[where] - a * front[where] - (1 - a) * plate[where]
        lack /= a**2 + (1 - a) ** 2 / _PLATE_STIFFNESS
        front[where] = np.maximum(front[where] + a * lack, 0)
        plate[where] = np.maximum(plate[where] + (1 - a) / _PLATE_STIFFNESS * lack, 0)
    return front, plate
