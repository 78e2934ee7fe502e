"""The lens and its opening that the arguments of ``taichi-bokeh trace`` and ``render`` describe."""

from argparse import Namespace

import numpy as np
import torch
from numpy.typing import NDArray

from taichi_bokeh.apps.scene import disparity_at
from taichi_bokeh.io import read_alpha
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.biconvex_lens import BiconvexLens, from_abbe
from taichi_bokeh.optics.thin_lens import ThinLens

Array = NDArray[np.float32]

_CAMERA = ("f_number", "focal_length", "sensor_width")
_GLASS = ("refractive_index", "abbe")
_SHAPE = ("blades", "rotation", "roundness", "squeeze", "cat_eye", "ring")
_REFRACTIVE_INDEX = 1.5
_M_PER_MM = 1e-3


def check_camera(arguments: Namespace) -> None:
    """Refuse a lens described in part, or in two ways.

    Raises:
        ValueError: which option is one too many or one too few, in one line.
    """
    camera = [name for name in (*_CAMERA, "focus_distance") if getattr(arguments, name) is not None]
    if arguments.blur is None and not camera:
        raise ValueError(
            "the lens is not described: give --blur with --focus or --focus-at, "
            "or --f-number, --focal-length and --sensor-width with --focus-distance or --focus-at"
        )
    if arguments.blur is None:
        _check_real_camera(arguments)
    elif camera:
        raise ValueError(f"{_option(camera[0])} describes a camera, --blur a lens without one: give one or the other")
    elif arguments.lens == "biconvex":
        raise ValueError("--lens biconvex needs a camera (--f-number, --focal-length, --sensor-width) instead of --blur")
    elif arguments.focus is None and arguments.focus_at is None:
        raise ValueError("--blur needs the disparity in focus as well: --focus or --focus-at")
    for name in _GLASS:
        if arguments.lens == "thin" and getattr(arguments, name) is not None:
            raise ValueError(f"{_option(name)} is of the glass of --lens biconvex: a thin lens has none")


def aperture_of(arguments: Namespace) -> Aperture:
    """The opening.

    Raises:
        ValueError, OSError: a control is out of range, or the picture of the opening cannot be read.
    """
    given = {name: getattr(arguments, name) for name in _SHAPE if getattr(arguments, name) is not None}
    if given.get("blades"):
        given.setdefault("roundness", 0.0)
    if arguments.aperture_image is not None:
        given["image"] = torch.from_numpy(read_alpha(arguments.aperture_image))
    return Aperture(**given)


def lens_of(arguments: Namespace, aperture: Aperture, disparity: Array) -> ThinLens | BiconvexLens:
    """The lens, for a photograph with this disparity [H, W].

    Raises:
        ValueError: the plane in focus is not one that the lens can have.
    """
    if arguments.blur is not None:
        focus = arguments.focus if arguments.focus_at is None else disparity_at(disparity, *arguments.focus_at)
        return ThinLens(arguments.blur, focus, aperture)
    focal_length_m, sensor_width_m = (value * _M_PER_MM for value in (arguments.focal_length, arguments.sensor_width))
    focus_distance_m = _focus_distance_m(arguments, disparity)
    image_width = disparity.shape[1]
    if arguments.lens == "thin":
        return ThinLens.from_camera(focal_length_m, arguments.f_number, focus_distance_m, sensor_width_m, image_width, aperture)
    refractive_index = arguments.refractive_index or _REFRACTIVE_INDEX
    if arguments.abbe is not None:
        refractive_index = from_abbe(refractive_index, arguments.abbe)
    return BiconvexLens.from_focal_length(
        focal_length_m, arguments.f_number, refractive_index, focus_distance_m, sensor_width_m, image_width, aperture
    )


def _check_real_camera(arguments: Namespace) -> None:
    missing = [name for name in _CAMERA if getattr(arguments, name) is None]
    if missing:
        raise ValueError(f"a camera needs {_option(missing[0])} as well")
    if arguments.focus is not None:
        raise ValueError("--focus goes with --blur: a camera needs --focus-distance or --focus-at")
    if arguments.focus_distance is None and arguments.focus_at is None:
        raise ValueError("a camera needs --focus-distance or --focus-at as well")


def _focus_distance_m(arguments: Namespace, disparity: Array) -> float:
    if arguments.focus_at is None:
        return float(arguments.focus_distance)
    x, y = arguments.focus_at
    there = disparity_at(disparity, x, y)
    if there <= 0:
        raise ValueError(f"--focus-at {x},{y}: the disparity there is {there:g}/m, and must be above 0 to be in focus")
    return 1 / there


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
