"""What a file holds, and what is looked for in it."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.colours import Coding
from taichi_bokeh.io.exr.frame import Frame

Use = Literal["image", "disparity", "depth"]

_FAR = 0.05  # weight of what is farther off


class DamagedFileError(ValueError):
    """A file is not whole, or of no known format: what a package said of it."""


class Wanted(NamedTuple):
    """What is looked for in a file of several things.

    Attributes:
        use: what for.
        layer: the layer of an OpenEXR file, the array of an npz file; None: the only one that is fit.
        number: the frame of a stack, from 0; None: there is only one.
    """

    use: Use = "image"
    layer: str | None = None
    number: int | None = None


ANYTHING = Wanted()


class Contents(NamedTuple):
    """The numbers of a file, upright.

    Attributes:
        values: [H, W] or [H, W, C], in the file's own type; alpha, the last of 2 or 4 channels, is straight.
        format: the name of the format, "PNG".
        profile: the embedded ICC profile, for colours; None where there is none.
        coding: how its colours are coded, by what else the file says; None: as sRGB, or as the profile says.
        frame: where the values of an OpenEXR file lie, and the primaries of its colours.
        is_cmyk: the four channels are inks, 255 is all of one.
        channels: the names of all channels of an OpenEXR file; elsewhere empty.
        is_depth: the file calls the values depth.
        frames: how many it has, of which this is one.
        name: of the array of an npz file.
    """

    values: NDArray[Any]
    format: str
    profile: bytes | None = None
    is_cmyk: bool = False
    channels: tuple[str, ...] = ()
    is_depth: bool = False
    coding: Coding | None = None
    frame: Frame | None = None
    frames: int = 1
    name: str = ""


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


def is_upright_already(stored: tuple[int, ...], turned: tuple[int, ...], picture: tuple[int, ...]) -> bool:
    """Tell whether a map [h, w] that says nothing of its turn has the shape of the upright picture, and turned has it not.

    >>> is_upright_already((40, 30), (30, 40), (400, 300))
    True
    """
    before, after, wanted = (size[1] / size[0] for size in (stored, turned, picture))
    return abs(before / wanted - 1) < abs(after / wanted - 1)


def unpremultiplied(values: NDArray[Any]) -> NDArray[Any]:
    """Give the colours divided by the alpha in the last channel, in the same type; where alpha is 0, as they are.

    Integers of little alpha leave the quotient open, by one over alpha: of what they may stand for, what is nearest to the
    colours round about is taken.
    """
    alpha = values[..., -1:].astype(np.float64)
    is_whole = np.issubdtype(values.dtype, np.integer)
    top = float(np.iinfo(values.dtype).max) if is_whole else 1.0
    colours = values[..., :-1].astype(np.float64)
    straight = np.divide(colours * top, alpha, where=alpha > 0, out=colours.copy())
    if is_whole:
        straight = np.minimum(np.rint(straight), top)
        faint = (alpha > 0) & (alpha < top / 2)
        if faint.any():
            around = _around(straight, (alpha / top) ** 2)
            share = np.maximum(alpha, 1)
            nearest = np.clip(around, (colours - 1) * top / share, (colours + 1) * top / share)
            straight = np.where(faint, np.clip(np.rint(nearest), 0, top), straight)
    with np.errstate(over="ignore"):  # infinite colours are refused where they must be finite
        return np.concatenate([straight, alpha], axis=-1).astype(values.dtype)


def _around(colours: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the colours [H, W, C] near each pixel by their weights [H, W, 1], farther off where little weight is near."""
    height, width = weights.shape[:2]
    if height * width == 1:
        return colours
    total = np.concatenate([colours * weights, weights], axis=-1)
    padded = np.pad(total, ((0, height % 2), (0, width % 2), (0, 0)))
    halved = padded.reshape(padded.shape[0] // 2, 2, padded.shape[1] // 2, 2, -1).sum(axis=(1, 3)) / 4
    mean = np.divide(halved[..., :-1], halved[..., -1:], where=halved[..., -1:] > 0, out=np.zeros_like(halved[..., :-1]))
    far = _around(mean, halved[..., -1:]).repeat(2, 0).repeat(2, 1)[:height, :width]
    return (total[..., :-1] + _FAR * far) / (weights + _FAR)
