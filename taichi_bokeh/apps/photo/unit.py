"""A camera's numbers ask for disparity in 1/m: what is known not to be is told."""

from pathlib import Path

import numpy as np

from taichi_bokeh.apps.common import Say
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.photo.scene import depth_network
from taichi_bokeh.io.arrays import read_bytes, read_contents
from taichi_bokeh.io.depth.code import SCALED, looks_relative
from taichi_bokeh.io.exr import is_deep
from taichi_bokeh.io.phones import find_parts

_NEAREST = 50.0  # 1/m
_NOTHING = 1e9  # m: farther is what renderers write where there is nothing
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
    elif (file := _file_of(request)) is not None and not request.map_code().is_per_metre:
        unit = "depth in metres (--depth-unit" if request.is_depth else "disparity in 1/m (--calib, --disparity-range"
        say(f"{file} is taken as {unit} says otherwise), which a camera's numbers need")


def _other_unit(request: PhotoRequest, say: Say) -> str:
    """What the disparity is in, if it is known not to be in 1/m; else nothing."""
    if request.stereo is not None:
        return "the disparity of two views is in pixels"
    if request.depth_model is not None:
        output = getattr(depth_network(request, say), "output", None)
        is_relative = output == "relative disparity" and not request.depth
        return f"what {request.depth_model} gives is scaled to [0, 1]" if is_relative else ""
    if (file := _file_of(request)) is not None:
        return "" if request.map_code().is_per_metre else _of_numbers(request, file)
    if request.is_own_depth:
        depth = find_parts(request.photo).first("depth")
        return "" if depth is None or depth.is_per_metre else f"the depth that {request.photo} holds has a unit of its own"
    return ""


def _file_of(request: PhotoRequest) -> Path | None:
    """The file of a map that does not tell its unit."""
    is_own = request.is_own_exr and not is_deep(read_bytes(request.photo))
    return request.photo if is_own else request.disparity


def _of_numbers(request: PhotoRequest, file: Path) -> str:
    """What the numbers of a file, of which no option tells the unit, cannot be in 1/m by."""
    values = read_contents(file, request.map_code().use, request.depth_layer, request.depth_frame).values
    if values.dtype in SCALED:
        return f"the integers of {file} are scaled to [0, 1] (--depth-unit or --disparity-range says what they are)"
    finite = values[np.isfinite(values)]
    if not finite.size:
        return ""
    if looks_relative(finite):
        return f"{file} fills [0, 1], so it is relative (--disparity-range says what 0 and 1 are)"
    if request.is_depth:
        middle = float(np.median(finite[finite < _NOTHING])) if (finite < _NOTHING).any() else 0.0
        return f"half the depths of {file} are beyond {middle:.4g}: in mm rather (--depth-unit mm)" if middle >= _FAR else ""
    largest = float(np.quantile(finite, _MOST))
    if largest > _NEAREST:
        return f"the disparity of {file} goes up to {largest:.4g}, which in 1/m is nearer than 2 cm: in px rather (--calib)"
    return f"the disparity of {file} is negative" if request.invert_disparity or finite.max() < 0 else ""
