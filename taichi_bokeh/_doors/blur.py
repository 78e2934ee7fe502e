"""Blur with a radius for each pixel."""

from typing import Any

import torch

from taichi_bokeh._autocast import in_full_precision
from taichi_bokeh._checks import Bounded, require_values
from taichi_bokeh._doors.arrays import ImageT, take_image, take_plane
from taichi_bokeh._render import render
from taichi_bokeh.layers import Layers
from taichi_bokeh.models import DEFAULT, Model
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens


@in_full_precision
def blur(image: ImageT, radius_px: Any, aperture: Aperture = Aperture(), *, model: str | Model = DEFAULT.name) -> ImageT:
    """Blur an image with a circle of confusion of its own radius for every pixel; differentiable in image and radius.

    The image is one layer: it knows nothing of what an object hides, for which `refocus` has several.

        import torch
        import taichi_bokeh as tb

        image = torch.rand(1, 3, 48, 64)
        radius_px = torch.linspace(-6, 6, 64).expand(48, 64)  # sharp in the middle
        blurred = tb.blur(image, radius_px, tb.Aperture(blades=6, roundness=0.2))

    Args:
        image: numpy [H, W, 3], or torch [3, H, W] or [B, 3, H, W]; uint8 or uint16 on the sRGB curve, or float32 or float64 in
            linear light, ≥ 0.
        radius_px: signed, positive for what is nearer than the focus, whose highlights are the point mirror of the aperture;
            number, numpy [H, W], or torch [H, W], [1, H, W] or [B, 1, H, W].
        aperture: the shape of the highlights.
        model: as of `render`.

    Returns:
        The image, of the kind, layout, dtype and device of `image`. Integers are clipped to white; floats are not.

    Raises:
        TypeError, ValueError: an argument is not what it must be; the message names it.
    """
    light = take_image("image", image, srgb=True)
    if isinstance(radius_px, int | float) and not isinstance(radius_px, bool):
        radius_px = torch.full(light.values.shape[2:], float(radius_px), dtype=light.values.dtype, device=light.values.device)
    radius = take_plane("radius_px", radius_px, light.values, unit=False)
    require_values({"radius_px": Bounded(radius)})
    layers = Layers(light.values[:, None], torch.ones_like(radius)[:, None], radius[:, None])
    result: ImageT = light.restore(render(layers, ThinLens(1.0, 0.0, aperture), model))
    return result
