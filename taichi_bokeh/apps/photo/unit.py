"""A camera's numbers ask for disparity in 1/m: what is known not to be is told."""

import numpy as np

from taichi_bokeh.apps.common import Say
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.photo.scene import depth_network
from taichi_bokeh.io.arrays import read_contents
from taichi_bokeh.io.phones import find_parts


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
    if request.disparity is None or request.disparity.suffix.lower() == ".exr" or request.depth_unit is not None:
        return ""
    kind = read_contents(request.disparity).values.dtype
    return f"the integers of {request.disparity} are scaled to [0, 1]" if kind in (np.bool_, np.uint8, np.uint16) else ""
