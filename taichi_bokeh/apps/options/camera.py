"""The lens and its opening that the arguments of ``taichi-bokeh trace`` and ``render`` describe."""

from argparse import Namespace

import numpy as np
import torch
from numpy.typing import NDArray

from taichi_bokeh.apps.photo.scene import disparity_at
from taichi_bokeh.io import read_alpha
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.biconvex_lens import BiconvexLens, from_abbe
from taichi_bokeh.optics.thin_lens import ThinLens

Array = NDArray[np.float32]

_CAMERA = ("f_number", "focal_length", "sensor_width")
_MEASURED = ("focus_at", "focus_box")  # a focus that the disparity map tells
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
            "the lens is not described: give --blur with --focus, --focus-at or --focus-box, "
            "or --f-number, --focal-length and --sensor-width with --focus-distance, --focus-at or --focus-box"
        )
    is_measured = any(getattr(arguments, name) is not None for name in _MEASURED)
    if arguments.blur is None:
        _check_real_camera(arguments, is_measured)
    elif camera:
        raise ValueError(f"{_option(camera[0])} describes a camera, --blur a lens without one: give one or the other")
    elif arguments.lens == "biconvex":
        raise ValueError("--lens biconvex needs a camera (--f-number, --focal-length, --sensor-width) instead of --blur")
    elif arguments.focus is None and not is_measured:
        raise ValueError("--blur needs the disparity in focus as well: --focus, --focus-at or --focus-box")
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


def focus_of(arguments: Namespace, disparity: Array) -> float:
    """The disparity in focus, in a photograph with this disparity [H, W].

    Raises:
        ValueError: what is to be in focus lies outside the picture, or is not in front of a camera.
    """
    if arguments.focus is not None:
        return float(arguments.focus)
    if arguments.focus_distance is not None:
        return 1 / float(arguments.focus_distance)
    if arguments.focus_at is not None:
        option, where = "--focus-at", arguments.focus_at
        there = disparity_at(disparity, *where)
    else:
        option, where = "--focus-box", arguments.focus_box
        there = _disparity_in(disparity, *where)
    if arguments.blur is None and there <= 0:
        place = ",".join(map(str, where))
        raise ValueError(f"{option} {place}: the disparity there is {there:g}/m, and must be above 0 to be in focus")
    return there


def lens_of(arguments: Namespace, aperture: Aperture, focus: float, image_width: int) -> ThinLens | BiconvexLens:
    """The lens.

    Args:
        arguments: the blur, or the camera.
        aperture: its opening.
        focus: the disparity in focus; of a camera in 1/m.
        image_width: of the photograph, in pixels.

    Raises:
        ValueError: the plane in focus is not one that the lens can have.
    """
    if arguments.blur is not None:
        return ThinLens(arguments.blur, focus, aperture)
    try:
        return _real_lens(arguments, aperture, focus, image_width)
    except ArithmeticError:
        raise ValueError("the camera cannot be computed: one of its numbers is far too large or too small") from None


def _real_lens(arguments: Namespace, aperture: Aperture, focus: float, image_width: int) -> ThinLens | BiconvexLens:
    focal_length_m, sensor_width_m = (value * _M_PER_MM for value in (arguments.focal_length, arguments.sensor_width))
    if arguments.lens == "thin":
        return ThinLens.from_camera(focal_length_m, arguments.f_number, 1 / focus, sensor_width_m, image_width, aperture)
    refractive_index = arguments.refractive_index or _REFRACTIVE_INDEX
    if arguments.abbe is not None:
        refractive_index = from_abbe(refractive_index, arguments.abbe)
    return BiconvexLens.from_focal_length(
        focal_length_m, arguments.f_number, refractive_index, 1 / focus, sensor_width_m, image_width, aperture
    )


def thin_lens_of(arguments: Namespace, aperture: Aperture, focus: float, image_width: int) -> ThinLens:
    """The lens of a command that knows the thin one only; as `lens_of`."""
    lens = lens_of(arguments, aperture, focus, image_width)
    assert isinstance(lens, ThinLens)  # add_lens offered no other
    return lens


def _check_real_camera(arguments: Namespace, is_measured: bool) -> None:
    missing = [name for name in _CAMERA if getattr(arguments, name) is None]
    if missing:
        raise ValueError(f"a camera needs {_option(missing[0])} as well")
    if arguments.focus is not None:
        raise ValueError("--focus goes with --blur: a camera needs --focus-distance, --focus-at or --focus-box")
    if arguments.focus_distance is None and not is_measured:
        raise ValueError("a camera needs --focus-distance, --focus-at or --focus-box as well")


def _disparity_in(disparity: Array, x: int, y: int, width: int, height: int) -> float:
    """Median disparity of a box of `width` by `height` pixels, the top left one in column x, row y."""
    rows, columns = disparity.shape
    if min(x, y) < 0 or x + width > columns or y + height > rows:
        raise ValueError(
            f"--focus-box {x},{y},{width},{height} reaches outside the picture, which has {columns} columns and {rows} rows"
        )
    return float(np.median(disparity[y : y + height, x : x + width]))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
