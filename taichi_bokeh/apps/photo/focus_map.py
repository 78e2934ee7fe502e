"""An image of what is sharp and what is not, for ``--show-focus``."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from taichi_bokeh.apps.options.output import OutputRequest
from taichi_bokeh.apps.options.render import RenderRequest
from taichi_bokeh.apps.photo.rendering import nearer_and_farther
from taichi_bokeh.io import check_output, read_image, srgb_decode, srgb_encode, write_image
from taichi_bokeh.io.images import check_format
from taichi_bokeh.optics.thin_lens import ThinLens

Array = NDArray[np.float32]

_SHARP_PX = 1.0  # a circle of confusion of this radius is hardly more than a pixel
_NEAR = np.array([1.0, 0.5, 0.1], np.float32)  # tints, sRGB
_FAR = np.array([0.2, 0.5, 1.0], np.float32)
_FAINTEST, _STRONGEST = 0.25, 0.75  # part of the tint in a pixel that is just not sharp, and in the most blurred one
_SHADE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def check_focus_map(path: Path | None, output: OutputRequest) -> None:
    """Refuse a file that cannot or must not be written.

    Raises:
        ValueError, OSError: why, in one line.
    """
    if path is None:
        return
    if path == output.output:
        raise ValueError(f"--show-focus {path} is the image to write (-o), and must be a file of its own")
    check_format(path)
    check_output(path, output.overwrite)


def focus_map(rgb: Array, radius_px: Array) -> Array:
    """What is sharp in its colours, the rest in grey, tinted: orange what is nearer than the focus, blue what is farther.

    Args:
        rgb: the photograph, [H, W, 3], linear light.
        radius_px: signed radius of the circle of confusion, [H, W]. Up to 1 px is sharp; the tint grows with its logarithm.

    Returns:
        [H, W, 3], linear light in [0, 1].
    """
    colour = srgb_encode(np.clip(rgb, 0, 1))
    grey = (colour @ _SHADE)[..., None]
    size = np.abs(radius_px)
    largest = max(float(size.max()), 2 * _SHARP_PX)
    depth = np.log(np.maximum(size, _SHARP_PX) / _SHARP_PX) / np.log(largest / _SHARP_PX)
    part = (_FAINTEST + (_STRONGEST - _FAINTEST) * depth)[..., None]
    tint = np.where(radius_px[..., None] > 0, _NEAR, _FAR) * (0.25 + 0.75 * grey)
    image = np.where(size[..., None] <= _SHARP_PX, colour, (1 - part) * 0.8 * grey + part * tint)
    return srgb_decode(image)


def write_focus_map(request: RenderRequest, path: Path, disparity: Array, lens: ThinLens) -> None:
    """Write the map of the photograph, which has this disparity [H, W].

    Raises:
        OSError: the file exists or cannot be written.
    """
    blur, focus = float(lens.blur), float(lens.focus)
    radius_px = (blur * (nearer_and_farther(torch.from_numpy(disparity), focus, request.look) - focus)).numpy()
    image = focus_map(read_image(request.photo.photo).rgb, radius_px)
    write_image(path, image, overwrite=request.output.overwrite)
