"""Photographs that EXIF turns, beside maps that may lie as the camera stored them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.apps.common import Say
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.io.formats.contents import upright
from taichi_bokeh.io.formats.metadata import read_orientation
from taichi_bokeh.photo.resize import may_fit

Array = NDArray[np.float32]


def turned_as_photo(disparity: Array, file: Path, rgb: Array, request: PhotoRequest, say: Say) -> Array:
    """Turn the map [h, w] of a file where that was asked for; else name the photograph's turn where it may be missing.

    Raises:
        ValueError: the map has the shape of the photograph before EXIF turned it, and not that of the upright one.
    """
    orientation = 1 if file == request.photo else read_orientation(request.photo)
    if orientation == 1:
        if request.turn_depth:
            say(f"--turn-depth does nothing: EXIF does not turn {request.photo}")
        return disparity
    if read_orientation(file) != 1:
        return disparity  # it says itself how it lies, and was turned
    if request.turn_depth:
        return upright(disparity, orientation)
    is_upright, as_stored = may_fit(disparity.shape, rgb.shape), may_fit(disparity.shape[::-1], rgb.shape)
    if orientation >= 5 and as_stored and not is_upright:
        raise ValueError(
            f"{file} is {disparity.shape[1]}×{disparity.shape[0]} pixels, and {request.photo} is {rgb.shape[1]}×{rgb.shape[0]} "
            f"once EXIF has turned it (orientation {orientation}): the map lies as it was stored; --turn-depth turns it, too"
        )
    if orientation < 5 or as_stored:
        say(
            f"EXIF turns {request.photo} (orientation {orientation}), and the shape of {file} does not tell whether it "
            "is turned: it is taken to be upright; --turn-depth turns it, too"
        )
    return disparity
