"""Depth, matte and sharp original that a photograph's own file holds, at the photograph's size."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taichi_bokeh.apps.common import Say
from taichi_bokeh.io.phones import Parts, find_parts, read_part
from taichi_bokeh.photo.resize import stretch_disparity

Array = NDArray[np.float32]

_LARGEST_CROP = 0.02  # of a side: by so much the shape of a part may differ from the picture's


class OwnDepth(NamedTuple):
    """What the file of a photograph holds.

    Attributes:
        rgb: the photograph, [H, W, 3], linear light: the sharp original, where the phone has blurred the picture.
        disparity: [H, W]; NaN at holes.
        alpha: the matte of a portrait, [H, W], None where there is none.
    """

    rgb: Array
    disparity: Array
    alpha: Array | None


def read_own_depth(photo: Path, rgb: Array, with_matte: bool, say: Say) -> OwnDepth:
    """Read what a photograph's file holds of depth.

    Args:
        photo: the file.
        rgb: its picture, [H, W, 3].
        with_matte: a matte is of use.
        say: is told what was taken.

    Raises:
        ValueError: it holds no depth, or depth that cannot be read or is of another shape.
    """
    parts = find_parts(photo)
    depth = parts.first("depth")
    if depth is None:
        raise ValueError(
            f"how far things are is not given, and {_reason(photo, parts)}: --disparity FILE takes a disparity map (with "
            "--depth a depth map), --depth-model MODEL a network that estimates one, --stereo two views"
        )
    say(f"depth from the photograph's own file: {depth.text}")
    original = parts.first("original")
    if original is not None:
        sharp = np.asarray(read_part(original, photo), np.float32)
        if _same_shape(sharp.shape, rgb.shape):
            say(f"the picture is taken from the {original.text}, as the phone has blurred the other")
            rgb = sharp
    disparity = read_part(depth, photo)
    if np.isnan(disparity).all():
        raise ValueError(f"{photo} holds depth of which every pixel is a hole")
    _require_shape(photo, "depth", disparity.shape, rgb.shape)
    matte = next((part for part in parts.found if part.name.lower() == "matte_portrait"), None) if with_matte else None
    alpha = None
    if matte is not None:
        plane = read_part(matte, photo)
        _require_shape(photo, "matte", plane.shape, rgb.shape)
        say(f"matte of the foreground from the same file: {matte.text}; --no-own-matte leaves it out")
        alpha = _resized(plane, rgb.shape[:2])
    return OwnDepth(rgb, stretch_disparity(disparity, rgb), alpha)


def _reason(photo: Path, parts: Parts) -> str:
    return f"{photo} holds none" + "".join(f"; {problem}" for problem in parts.problems)


def _require_shape(photo: Path, what: str, found: tuple[int, ...], picture: tuple[int, ...]) -> None:
    if not _same_shape(found, picture):
        sizes = f"{found[1]}×{found[0]} pixels, and its picture {picture[1]}×{picture[0]}"
        raise ValueError(f"{photo} holds a {what} of {sizes}: it is not of the whole picture")


def _same_shape(found: tuple[int, ...], picture: tuple[int, ...]) -> bool:
    rounding = 1 / min(found[:2]) + 1 / min(picture[:2])
    return abs(found[1] * picture[0] / (found[0] * picture[1]) - 1) <= _LARGEST_CROP + rounding


def _resized(plane: Array, size: tuple[int, ...]) -> Array:
    """Bring a matte to another size, bilinear."""
    if plane.shape == size:
        return plane
    scale = [wanted / found for wanted, found in zip(size, plane.shape, strict=True)]
    return np.clip(ndimage.zoom(plane, scale, order=1, mode="nearest", grid_mode=True), 0, 1).astype(np.float32)
