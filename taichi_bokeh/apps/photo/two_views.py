"""Disparity of two views: in one file, side by side in one picture, or in two files."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.apps.common import Say
from taichi_bokeh.apps.options.photo import CROSS_EYED, STEREO_IN_FILE
from taichi_bokeh.io import read_image
from taichi_bokeh.io.phones import find_parts, read_part
from taichi_bokeh.photo.stereo import match_views

Array = NDArray[np.float32]

_HARDLY, _POORLY = 0.1, 0.4  # shares of pixels that pass the check: less is no pair, less is to be looked at
_WIDEST_VIEW = 1.2  # width over height of a picture that is not two beside each other


class Views(NamedTuple):
    """A picture with its disparity.

    Attributes:
        rgb: [H, W, 3], linear light.
        disparity: [H, W], px of the width; NaN where the views do not agree.
        columns: of the photograph, which may be two views beside each other, that the picture takes.
    """

    rgb: Array
    disparity: Array
    columns: slice


def read_views(photo: Path, rgb: Array, how: Path | str, say: Say) -> Views:
    """Find the disparity of a photograph and of its other view.

    Args:
        photo: the file.
        rgb: its picture, [H, W, 3].
        how: the file of the right view; or that the views are in the photograph's file, or side by side in its picture.
        say: is told how sure the disparity is.

    Raises:
        ValueError, OSError: there is no other view, it is of another size, or of another scene.
    """
    columns, is_right = slice(0, rgb.shape[1]), True
    if isinstance(how, Path):
        other = read_image(how).rgb
        _require_size(how, other, photo, rgb)
    elif how == STEREO_IN_FILE and (found := _view_in_file(photo, rgb, say)) is not None:
        other, is_right = found
    else:
        columns, other_columns = _halves(photo, rgb, how, say)
        rgb, other = rgb[:, columns], rgb[:, other_columns]
    if is_right:
        disparity, sure, rows_px = match_views(rgb, other)
    else:  # mirrored, the right view of a pair is a left one
        disparity, sure, rows_px = match_views(rgb[:, ::-1], other[:, ::-1])
        disparity = disparity[:, ::-1]
    if sure < _HARDLY:
        raise ValueError(
            f"{photo} and its other view agree in {sure:.0%} of the pixels: they are hardly two views of one scene"
        )
    say(
        f"disparity from two views: they agree in {sure:.0%} of the pixels, the rest is filled"
        + (f"; one view lies {abs(rows_px):.1f} px higher, which was undone" if rows_px else "")
        + ("; that is little: look at it with --show-focus" if sure < _POORLY else "")
    )
    return Views(np.ascontiguousarray(rgb), np.ascontiguousarray(disparity), columns)


def _view_in_file(photo: Path, rgb: Array, say: Say) -> tuple[Array, bool] | None:
    """The other view in the photograph's file, and whether it is the right one; where it does not say, it is taken to be."""
    views = [part for part in find_parts(photo).found if part.kind == "view"]
    for part in sorted(views, key=lambda part: part.is_right is None):
        values = np.asarray(read_part(part, photo), np.float32)
        if values.shape == rgb.shape:
            if part.is_right is None:
                say(f"{photo} holds a second picture, and does not say from which side: it is taken for the right one")
            return values, part.is_right is not False
    return None


def _halves(photo: Path, rgb: Array, how: str, say: Say) -> tuple[slice, slice]:
    """The columns of the left view and of the right one in a picture that is both beside each other."""
    height, width = rgb.shape[:2]
    if how == STEREO_IN_FILE:
        if width < _WIDEST_VIEW * height:
            raise ValueError(
                f"{photo} holds one view, and is no two side by side: --stereo FILE takes the right view from a file"
            )
        say(f"{photo} holds one picture: it is taken for two views side by side, the left one at the left")
    half = width // 2
    left, right = slice(0, half), slice(width - half, width)
    return (right, left) if how == CROSS_EYED else (left, right)


def _require_size(file: Path, other: Array, photo: Path, rgb: Array) -> None:
    if other.shape != rgb.shape:
        sizes = [f"{view.shape[1]}×{view.shape[0]}" for view in (other, rgb)]
        raise ValueError(f"{file} is {sizes[0]} pixels, and must be {sizes[1]} as {photo}, whose right view it is")
