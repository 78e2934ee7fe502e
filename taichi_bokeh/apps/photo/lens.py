"""The lens and the aperture that requests describe."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from taichi_bokeh.apps.options.aperture import ApertureRequest
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.apps.options.requests import given_options
from taichi_bokeh.io import read_alpha
from taichi_bokeh.io.exr import Frame
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.biconvex_lens import BiconvexLens, from_abbe
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.photo.measure import disparity_at, disparity_in

_REFRACTIVE_INDEX = 1.5
_M_PER_MM = 1e-3


def aperture_of(request: ApertureRequest) -> Aperture:
    """Make the aperture.

    Raises:
        ValueError, OSError: a control is out of range, or the image of the aperture cannot be read.
    """
    given = given_options(request)
    if given.get("blades"):
        given.setdefault("roundness", 0.0)
    if (image := given.pop("aperture_image", None)) is not None:
        given["image"] = torch.from_numpy(read_alpha(image))
    return Aperture(**given)


def focus_of(request: LensRequest, disparity: NDArray[np.float32], frame: Frame | None = None) -> float:
    """Find the disparity in focus, in a photograph with this disparity [H, W]; of a ramp, that of its beginning.

    Pixels are counted from the corner of what is shown of it.

    Raises:
        ValueError: what is to be in focus lies outside the photograph, or is not in front of a camera.
    """
    lens = request.at_start()
    if lens.focus is not None:
        return _number(lens.focus)
    if lens.focus_distance is not None:
        return 1 / _number(lens.focus_distance)
    disparity = disparity if frame is None else frame.shown(disparity, np.nan)
    where: Any = lens.focus_box if lens.focus_at is None else lens.focus_at
    option = "--focus-box" if lens.focus_at is None else "--focus-at"
    try:
        there = disparity_in(disparity, *where) if lens.focus_at is None else disparity_at(disparity, *where)
    except ValueError as error:
        raise ValueError(f"{option} {error}") from None
    if lens.blur is None and there <= 0:
        given = ",".join(map(str, where))
        raise ValueError(f"{option} {given}: the disparity there is {there:g}/m, and must be above 0 to be in focus")
    return there


def lens_of(
    request: LensRequest, aperture: Aperture, focus: float, image_width: int, frame: Frame | None = None
) -> ThinLens | BiconvexLens:
    """Make the lens.

    Args:
        request: the blur, or the camera.
        aperture: its shape.
        focus: the disparity in focus; of a camera in 1/m.
        image_width: of the photograph, in pixels.
        frame: of the photograph, whose width is then that of what is shown; where its pixels are not square, the blur is one
            that is round on the display, its radius in pixels of the height for --blur, of the width for a camera.

    Raises:
        ValueError: the plane in focus is not one that the lens can have.
    """
    if request.blur is not None:
        return _on_pixels(ThinLens(_number(request.blur), focus, aperture), frame, 1.0)
    try:
        lens = _real_lens(request, aperture, focus, image_width if frame is None else frame.display.shape[1])
        return _on_pixels(lens, frame, 1.0 if frame is None else frame.pixel_aspect)
    except ArithmeticError:
        raise ValueError("the camera cannot be computed: one of its numbers is far too large or too small") from None


def _on_pixels(lens: ThinLens | BiconvexLens, frame: Frame | None, heights: float) -> ThinLens | BiconvexLens:
    """Make a lens for pixels that are not square; its blur is given in so many heights of a pixel.

    Raises:
        ValueError: a lens of glass cannot.
    """
    if frame is None or frame.pixel_aspect == 1:
        return lens
    if isinstance(lens, BiconvexLens):
        raise ValueError(f"its pixels are {frame.pixel_aspect:g} times as wide as high; --lens biconvex needs square ones")
    squeeze, aspect = lens.aperture.squeeze, frame.pixel_aspect
    height, width = min(1.0, squeeze), min(1.0, 1 / squeeze)  # of the aperture, the longer side 1
    given: Any = lens.blur
    blur = given * (heights * max(height, width / aspect))
    return replace(lens, blur=blur, aperture=replace(lens.aperture, squeeze=squeeze * aspect))


def _real_lens(request: LensRequest, aperture: Aperture, focus: float, image_width: int) -> ThinLens | BiconvexLens:
    focal_length_m, sensor_width_m = (_number(mm) * _M_PER_MM for mm in (request.focal_length, request.sensor_width))
    if request.lens == "thin":
        return ThinLens.from_camera(focal_length_m, _number(request.f_number), 1 / focus, sensor_width_m, image_width, aperture)
    refractive_index: float | tuple[float, float, float] = request.refractive_index or _REFRACTIVE_INDEX
    if request.abbe is not None:
        refractive_index = from_abbe(request.refractive_index or _REFRACTIVE_INDEX, request.abbe)
    return BiconvexLens.from_focal_length(
        focal_length_m, _number(request.f_number), refractive_index, 1 / focus, sensor_width_m, image_width, aperture
    )


def thin_lens_of(
    request: LensRequest, aperture: Aperture, focus: float, image_width: int, frame: Frame | None = None
) -> ThinLens:
    """Make the lens of a command that knows the thin one only; as `lens_of`."""
    lens = lens_of(request, aperture, focus, image_width, frame)
    assert isinstance(lens, ThinLens)  # add_lens offered no other
    return lens


def _number(value: Any) -> float:
    """A number of a lens that has been checked, and is not between two others."""
    return float(value)
