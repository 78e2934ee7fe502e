"""A camera's numbers ask for disparity in 1/m: what is known not to be is told."""

from pathlib import Path

import numpy as np

from taichi_bokeh.apps.common import Say
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.photo.scene import depth_network
from taichi_bokeh.io.arrays import read_contents
from taichi_bokeh.io.depth.code import SCALED, looks_relative
from taichi_bokeh.io.formats.contents import Use
from taichi_bokeh.io.phones import find_parts

_NEAREST = 50.0  # 1/m
_FAR = 100.0  # m, of half the pixels
_MOST = 0.99  # of the pixels


def warn_of_unit(request: PhotoRequest, lens: LensRequest, say: Say) -> None:
    """Say that the blur of a camera will be a guess, where disparity is in another unit than 1/m.

    Raises:
        ValueError, OSError: what is wrong with a file or a network, in one line.
    """
    if lens.blur is not None:
        return
    reason = _other_unit(request, say)
    if reason:
        need = "a camera's numbers need disparity in 1/m"
        say(f"warning: {reason}, and {need}: how strong the blur is, is a guess (--blur sets it)")


def _other_unit(request: PhotoRequest, say: Say) -> str:
    """What the disparity is in, if it is known not to be in 1/m; else nothing."""
    if request.stereo is not None:
        return "the disparity of two views is in pixels"
    if request.depth_model is not None:
        output = getattr(depth_network(request, say), "output", None)
        is_relative = output == "relative disparity" and not request.depth
        return f"what {request.depth_model} gives is scaled to [0, 1]" if is_relative else ""
    if request.is_own_depth:
        depth = find_parts(request.photo).first("depth")
        return "" if depth is None or depth.is_per_metre else f"the depth that {request.photo} holds has a unit of its own"
    if request.disparity is None or request.map_code().is_per_metre:
        return ""
    return _of_numbers(request, request.disparity)


def _of_numbers(request: PhotoRequest, file: Path) -> str:
    """What the numbers of a file, of which no option tells the unit, cannot be in 1/m by."""
    use: Use = "depth" if request.depth or request.inverse_depth else "disparity"
    values = read_contents(file, use, request.depth_layer, request.depth_frame).values
    if values.dtype in SCALED:
        return f"the integers of {file} are scaled to [0, 1] (--depth-unit or --disparity-range says what they are)"
    finite = values[np.isfinite(values)]
    if not finite.size:
        return ""
    if looks_relative(finite):
        return f"{file} fills [0, 1], so it is relative (--disparity-range says what 0 and 1 are)"
    if request.depth:
        middle = float(np.median(finite))
        return f"half the depths of {file} are beyond {middle:.4g}: in mm rather (--depth-unit mm)" if middle >= _FAR else ""
    largest = float(np.quantile(finite, _MOST))
    if largest > _NEAREST:
        return f"the disparity of {file} goes up to {largest:.4g}, which in 1/m is nearer than 2 cm: in px rather (--calib)"
    return f"the disparity of {file} is negative" if request.invert_disparity or finite.max() < 0 else ""
