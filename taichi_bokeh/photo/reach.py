"""What lies near a set of pixels, without the distances of those that lie far."""

import numpy as np
from numpy.typing import NDArray

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
