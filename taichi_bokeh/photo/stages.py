"""The stages between a photograph and its layers, each of which can be replaced by a callable of one's own."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.photo.clean import clean_disparity
from taichi_bokeh.photo.fill.push_pull import push_pull
from taichi_bokeh.photo.matte.outline import outline_matte, separate_colours
from taichi_bokeh.photo.split import choose_cuts

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: (disparity [H, W] with NaN for holes, rgb [H, W, 3]) → disparity [H, W], finite, with steps at the edges of objects.
Clean = Callable[[Array, Array], Array]
#: (disparity [H, W], the number of cuts, or None for as many as pay) → disparities to cut at, at most so many.
Split = Callable[[Array, int | None], Sequence[float]]
#: (rgb [H, W, 3], near [H, W]: the layer's pixels, edge_px [H, W]: distance to its outline) → alpha [H, W] in [0, 1].
Matte = Callable[[Array, Mask, Array], Array]
#: (rgb [H, W, 3], alpha [H, W]) → colours of the front and of the back, [H, W, 3] each, defined everywhere.
Colours = Callable[[Array, Array], tuple[Array, Array]]
#: (rgb [H, W, 3], known [H, W]) → rgb [H, W, 3], the known pixels as they were and the others invented.
Inpaint = Callable[[Array, Mask], Array]


@dataclass(frozen=True)
class Stages:
    """What `to_layers` calls, in this order; all arrays are float32, colours linear light, masks bool.

    Attributes:
        clean: fills the holes of the disparity and makes its blurred edges steps; called once.
        split: chooses where to cut; called once.
        matte: finds the coverage of the layer that a cut lifts off; called for each cut, nearest first, with the image
            that the layers before have left. Not called for a matte that is given.
        colours: tells the colours of that layer from those behind it, where a pixel mixes both; called for each layer but
            the last.
        inpaint: invents what that layer hides; called for each layer but the last.
    """

    clean: Clean = clean_disparity
    split: Split = choose_cuts
    matte: Matte = outline_matte
    colours: Colours = separate_colours
    inpaint: Inpaint = push_pull


def checked(stage: str, result: Array, shape: tuple[int, ...], at_least: float = -math.inf, at_most: float = math.inf) -> Array:
    """What a stage returned, as float32.

    Raises:
        ValueError: its shape is not ``shape``, or a value is not finite or out of bounds.
    """
    result = np.asarray(result, np.float32)
    if result.shape != shape:
        raise ValueError(f"stages.{stage} returned an array of shape {result.shape}; expected {shape}")
    if not np.isfinite(result).all():
        raise ValueError(f"stages.{stage} returned NaN or infinite values; expected finite values")
    low, high = float(result.min()), float(result.max())
    if low < at_least or high > at_most:
        expected = f"values in [{at_least:g}, {at_most:g}]" if at_most < math.inf else f"at least {at_least:g}"
        raise ValueError(f"stages.{stage} returned values from {low:g} to {high:g}; expected {expected}")
    return result
