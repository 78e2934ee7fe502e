"""An image and its disparity in, the image that a fast lens would have taken out."""

from typing import Any

from torch import Tensor

from taichi_bokeh._autocast import in_full_precision
from taichi_bokeh._doors.arrays import ImageT, take_image, take_plane
from taichi_bokeh._doors.from_rgbd import Count, layers_of_light
from taichi_bokeh._render import render
from taichi_bokeh.models import DEFAULT, Model
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens


@in_full_precision
def refocus(
    image: ImageT,
    disparity: Any,
    blur: float | Tensor = 30.0,
    focus: float | Tensor = 0.5,
    *,
    aperture: Aperture = Aperture(),
    layers: Count = "auto",
    model: str | Model = DEFAULT.name,
) -> ImageT:
    """Render the shallow depth of field of one image with its disparity: split it into layers, blur these, encode the result.

    For several renderings of one image split it once, by `Layers.from_rgbd`, and call `render`.

        import numpy as np
        import taichi_bokeh as tb

        image8 = np.full((48, 64, 3), 90, np.uint8)
        image8[8:40, 20:44] = 220
        disparity = np.full((48, 64), 0.2, np.float32)
        disparity[8:40, 20:44] = 0.8
        near8 = tb.refocus(image8, disparity, blur=10, focus=0.8)

    Args:
        image: numpy [H, W, 3], or torch [3, H, W] or [B, 3, H, W]; uint8 or uint16 on the sRGB curve, or float32 or float64 in
            linear light, ≥ 0.
        disparity: larger is nearer; numpy [H, W], or torch [H, W], [1, H, W] or [B, 1, H, W]. uint8 and uint16 are scaled to
            [0, 1], as `io.read_disparity` scales those of files. NaN marks a hole, which is filled.
        blur: radius of the circle of confusion in px for each unit of disparity from the focus, ≥ 0; number, [] or [B].
        focus: the disparity in focus; number, [] or [B].
        aperture: the shape of the highlights.
        layers: into how many the image is split, as of `Layers.from_rgbd`; "one" is fast and differentiable, and lets colours
            of what is sharp bleed into the blur.
        model: as of `render`.

    Returns:
        The image, of the kind, layout, dtype and device of `image`. Integers are clipped to white; floats are not.

    Raises:
        TypeError, ValueError: an argument is not what it must be; the message names it.
    """
    light = take_image("image", image, srgb=True)
    scene = layers_of_light("image", light.values, take_plane("disparity", disparity, light.values, unit=True), layers)
    result: ImageT = light.restore(render(scene, ThinLens(blur, focus, aperture), model))
    return result
