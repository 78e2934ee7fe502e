"""What lies near a set of pixels, without the distances of those that lie far."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


def within(mask: Mask, reach_px: float) -> Mask:
    """Pixels whose distance to the nearest of ``mask`` is at most ``reach_px``, [H, W].

    The distance is that of pixels' centres. The work grows with the reach: a row of a disc at a time.
    """
    height, width = mask.shape
    result = mask.copy()
    beside = mask.copy()  # reached along its own row, by ever more columns
    columns = 0
    for rows in range(int(reach_px), -1, -1):
        half = int(np.sqrt(reach_px**2 - rows**2))
        for step in range(columns + 1, min(half, width - 1) + 1):
            beside[:, step:] |= mask[:, :-step]
            beside[:, :-step] |= mask[:, step:]
        columns = max(columns, half)
        if rows == 0:
            result |= beside
        elif rows < height:
            result[rows:] |= beside[:-rows]
            result[:-rows] |= beside[rows:]
    return result


def distance_within(mask: Mask, reach_px: float) -> Array:
    """Distance in px of each pixel to the nearest of ``mask``, [H, W]; inf where it is more than ``reach_px``."""
    result = np.full(mask.shape, np.inf, np.float32)
    if not mask.any():
        return result
    if np.isinf(reach_px):
        return ndimage.distance_transform_edt(~mask).astype(np.float32)
    sides = range(int(reach_px) + 1)
    for squared in sorted({a * a + b * b for a in sides for b in sides if a * a + b * b <= reach_px**2}, reverse=True):
        result[within(mask, np.sqrt(squared))] = np.sqrt(squared)
    return result
