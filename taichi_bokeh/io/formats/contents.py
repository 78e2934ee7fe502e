"""What a file holds, before it is known what for."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class DamagedFileError(ValueError):
    """A file is not whole, or of no known format: what a package said of it."""


class Contents(NamedTuple):
    """The numbers of a file, upright.

    Attributes:
        values: [H, W] or [H, W, C], in the file's own type; alpha, the last of 2 or 4 channels, is straight.
        format: the name of the format, "PNG".
        profile: the embedded ICC profile, for colours; None where there is none.
        is_cmyk: the four channels are inks, 255 is all of one.
        channels: the names of all channels of an OpenEXR file; elsewhere empty.
        is_depth: the file says that the values are depth.
    """

    values: NDArray[Any]
    format: str
    profile: bytes | None = None
    is_cmyk: bool = False
    channels: tuple[str, ...] = ()
    is_depth: bool = False


def upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo what the tag Orientation says of EXIF and TIFF (1 to 8); of others, nothing.

    >>> upright(np.array([[1, 2]]), 6).tolist()
    [[1], [2]]
    """
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)  # the file's first row is a column
    down_to_up = orientation in (3, 4, 7, 8)
    right_to_left = orientation in (2, 3, 6, 7)
    turned = values[:: -1 if down_to_up else 1, :: -1 if right_to_left else 1]
    return np.ascontiguousarray(turned)


def unpremultiplied(values: NDArray[Any]) -> NDArray[Any]:
    """Give the colours divided by the alpha in the last channel, in the same type; where alpha is 0, as they are."""
    alpha = values[..., -1:].astype(np.float64)
    top = float(np.iinfo(values.dtype).max) if np.issubdtype(values.dtype, np.integer) else 1.0
    colours = values[..., :-1].astype(np.float64)
    straight = np.divide(colours * top, alpha, where=alpha > 0, out=colours.copy())
    if np.issubdtype(values.dtype, np.integer):
        straight = np.minimum(np.rint(straight), top)
    with np.errstate(over="ignore"):  # infinite colours are refused where they must be finite
        return np.concatenate([straight, alpha], axis=-1).astype(values.dtype)
