"""Depth edges, moved to where the all-in-focus picture has them.

A plane sweep compares windows as wide as the blur, so that a surface that is blurred, or that hides one that is, spreads over
its edge by about the radius r of the circle of confusion. What the sweep says there is worth little, but the edge of a surface
is almost always an edge of the sharp picture. So the estimate is kept where it is sure,

    x is not sure, where on the near side of the nearest jump of the disparity, within 0.7·r of it, or beside it on the far side

and the sure parts, each of which is free of jumps, are cut into slices of one jump and grow over the rest by a watershed of the
picture's gradient: two of them meet on the strongest edge between them. Each slice continues its own disparity, by push–pull.
Without the slices, what stands on the ground would be one part with the wall to which the ground leads, and the two would not
meet but go over into each other.

Source of the watershed: F. Meyer, Topographic distance and watershed lines (1994), as scikit-image has it.
"""

from math import pi
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from taichi_bokeh._checks import require_float_tensor, require_shape
from taichi_bokeh.dfd.losses import to_gamma
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.photo.fill.push_pull import push_pull

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int64]

_JUMP_PX = 1.0  # of the circle of confusion: a larger step between neighbours is a jump
_REACH = 0.7  # of the circle of confusion at a jump: how far the near side may have spread
_GRADIENT_PX = 0.8  # standard deviation of the Gaussian of the picture's gradient
_FEWEST = 0.25  # of the largest circle of confusion's area: a smaller sure part is an error of the sweep
_THIN = 0.5  # of a part too thin to have sure pixels, those so much of its half width from its edge count as sure


class Snapped(NamedTuple):
    """A disparity map whose jumps lie on edges of the picture.

    Attributes:
        disparity: [B, 1, H, W].
        sure: bool [B, 1, H, W], where it is the estimate's.
    """

    disparity: Tensor
    sure: Tensor


@torch.no_grad()
def snap_to_edges(observation: Observation, disparity: Tensor) -> Snapped:
    """Move the jumps of an estimated disparity to edges of the all-in-focus picture.

    Args:
        observation: of B views.
        disparity: [B, 1, H, W], as a plane sweep finds it.

    Raises:
        TypeError, ValueError: disparity is no such tensor.
    """
    require_float_tensor("disparity", disparity)
    require_shape("disparity", disparity, observation.batch, 1, *observation.all_in_focus.shape[-2:])
    pictures = to_gamma(observation.all_in_focus).double().cpu().numpy()
    found = []
    for view, picture in enumerate(pictures):
        most = int(observation.blur[view].argmax())
        blur, focus = float(observation.blur[view, most]), float(observation.focus[view, most])
        found.append(_snap(disparity[view, 0].double().cpu().numpy(), picture, blur, focus))
    maps = torch.from_numpy(np.stack([map_ for map_, _ in found]))[:, None].to(disparity)
    sure = torch.from_numpy(np.stack([mask for _, mask in found]))[:, None].to(disparity.device)
    return Snapped(torch.where(sure, disparity, maps), sure)


def _snap(disparity: Array, picture: Array, blur: float, focus: float) -> tuple[Array, Mask]:
    """The disparity [H, W] of one view, and where it is sure; picture [3, H, W], gamma values."""
    jump = _JUMP_PX / blur
    radius_px = blur * np.abs(disparity - focus)
    fewest = _FEWEST * pi * float(radius_px.max()) ** 2
    sure = _sure(disparity, jump, radius_px)
    sure |= _cores_of_thin(_without_jumps(disparity, np.ones_like(sure), jump), sure, fewest)
    markers = _without_jumps(disparity, sure, jump)
    markers[np.bincount(markers.ravel())[markers] < fewest] = 0
    if markers.max() == 0:
        return disparity, np.ones_like(sure)
    sure = markers > 0
    slices = _without_jumps(np.floor(disparity / jump), sure, 0.0)
    return _grown(disparity, slices, _gradient(picture)), sure


def _sure(disparity: Array, jump: float, radius_px: Array) -> Mask:
    low, high = ndimage.minimum_filter(disparity, 3), ndimage.maximum_filter(disparity, 3)
    beside = high - low > jump
    near = beside & (disparity > (high + low) / 2)
    far = beside & ~near
    if not near.any() or not far.any():
        return ~beside
    to_near, nearest = ndimage.distance_transform_edt(~near, return_indices=True)
    to_far = ndimage.distance_transform_edt(~far)
    reach = _REACH * ndimage.maximum_filter(radius_px, 3)[tuple(nearest)] + 1
    return np.where(to_near < to_far, to_near >= reach, to_far > 0)


def _without_jumps(disparity: Array, among: Mask, jump: float) -> Labels:
    """Number the parts of a mask whose neighbouring pixels differ by no jump, from 1; 0 elsewhere."""
    index = np.arange(disparity.size).reshape(disparity.shape)
    rows, columns = [], []
    for axis in (0, 1):
        length = disparity.shape[axis]
        here, there = index.take(range(length - 1), axis), index.take(range(1, length), axis)
        joined = np.abs(np.diff(disparity, axis=axis)) <= jump
        joined &= among.ravel()[here] & among.ravel()[there]
        rows.append(here[joined])
        columns.append(there[joined])
    i, k = np.concatenate(rows), np.concatenate(columns)
    graph = sparse.coo_array((np.ones(len(i), np.bool_), (i, k)), shape=(disparity.size, disparity.size))
    labels = connected_components(graph, directed=False)[1].reshape(disparity.shape).astype(np.int64) + 1
    number = np.unique(np.where(among, labels, 0), return_inverse=True)[1].reshape(disparity.shape).astype(np.int64)
    return number + int(among.all())  # where there is no pixel outside, the first number is that of a part


def _cores_of_thin(parts: Labels, sure: Mask, fewest: float) -> Mask:
    """The middle of every part that has no sure pixel, but is no speck."""
    count = np.bincount(parts.ravel())
    lost = (np.bincount(parts.ravel(), weights=sure.ravel()) == 0) & (count >= 4 * fewest)
    lost[0] = False
    cores = np.zeros_like(sure)
    boxes: list[Any] = ndimage.find_objects(parts)
    for number in np.flatnonzero(lost):
        box = boxes[number - 1]
        depth = ndimage.distance_transform_edt(np.pad(parts[box] == number, 1))[1:-1, 1:-1]  # outside of the box is outside
        cores[box] |= (depth > 0) & (depth >= _THIN * float(depth.max()))
    return cores


def _gradient(picture: Array) -> Array:
    """Magnitude of the gradient of [3, H, W], over the channels, [H, W]."""
    squares = [ndimage.gaussian_gradient_magnitude(channel, _GRADIENT_PX) ** 2 for channel in picture]
    return np.asarray(np.sqrt(sum(squares)))


def _grown(disparity: Array, markers: Labels, gradient: Array) -> Array:
    """Let the parts grow over the rest, and continue the disparity of each."""
    from skimage.segmentation import watershed

    owner = watershed(gradient, markers)
    result = disparity.copy()
    boxes: list[Any] = ndimage.find_objects(owner)
    for number, box in enumerate(boxes, 1):
        if box is None:
            continue
        known = markers[box] == number
        new = (owner[box] == number) & ~known
        if new.any():
            filled = push_pull(np.where(known, disparity[box], 0).astype(np.float32)[..., None], known.astype(np.float32))
            result[box][new] = filled[..., 0][new]
    return result
