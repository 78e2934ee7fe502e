"""The disparity of what lies at a pixel or in a box of a photograph."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def disparity_at(disparity: Array, column: int, row: int) -> float:
    """Return the median of the 5×5 pixels round one, as far as they lie in the photograph.

    Args:
        disparity: [H, W], any unit.
        column: of the pixel, from 0 at the left.
        row: of the pixel, from 0 at the top.

    Raises:
        ValueError: the pixel lies outside.
    """
    height, width = disparity.shape
    if not (0 <= column < width and 0 <= row < height):
        raise ValueError(f"{column},{row} lies outside the photograph, which has {width} columns and {height} rows")
    return float(np.median(disparity[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]))


def disparity_in(disparity: Array, column: int, row: int, width: int, height: int) -> float:
    """Return the median of a box of pixels.

    Args:
        disparity: [H, W], any unit.
        column: of its first pixels, from 0 at the left.
        row: of its first pixels, from 0 at the top.
        width: in px.
        height: in px.

    Raises:
        ValueError: it reaches outside.
    """
    rows, columns = disparity.shape
    if min(column, row) < 0 or column + width > columns or row + height > rows:
        where = f"{column},{row},{width},{height}"
        raise ValueError(f"{where} reaches outside the photograph, which has {columns} columns and {rows} rows")
    return float(np.median(disparity[row : row + height, column : column + width]))
