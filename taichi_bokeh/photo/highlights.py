"""Give clipped highlights back some of the light that the sensor did not count."""

import torch
from torch import Tensor

from taichi_bokeh._checks import require_float_tensor, require_number

_LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear light with the primaries of sRGB (ITU-R BT.709)


def boost_highlights(rgb: Tensor, gain: float, threshold: float) -> Tensor:
    """Raise what is brighter than a threshold, before it is blurred.

    A lamp that a photograph shows as white was many times brighter; blurred as it is, its disc would be faint. With the
    luminance Y, t = (Y − threshold)/(1 − threshold) between 0 and 1, and s = t²·(3 − 2t), the three colours are multiplied by
    1 + (gain − 1)·s: not at all up to the threshold, by the gain from white (Y = 1) on, and in between so that slopes have no
    jump. The order of luminances stays, and so do hues. Differentiable in rgb.

    Args:
        rgb: [..., 3, H, W], straight linear light, ≥ 0; float32 or float64.
        gain: how many times brighter white becomes, at least 1. 1 is off: ``rgb`` itself is returned.
        threshold: luminance in linear light from which on it is raised; at least 0, less than 1.

    Returns:
        The same shape, dtype and device.

    Raises:
        TypeError: an argument is of the wrong type or dtype.
        ValueError: ``rgb`` has not three colours, or a number is out of range.
    """
    require_float_tensor("rgb", rgb)
    if rgb.ndim < 3 or rgb.shape[-3] != 3:
        raise ValueError(f"rgb has shape {list(rgb.shape)}; expected [..., 3, H, W]")
    require_number("gain", gain, at_least=1.0)
    require_number("threshold", threshold, at_least=0.0)
    if threshold >= 1:
        raise ValueError(f"threshold is {threshold!r}; expected less than 1, the luminance of white")
    if gain == 1:
        return rgb
    luminance = (rgb * rgb.new_tensor(_LUMINANCE)[:, None, None]).sum(-3, keepdim=True)
    t = torch.clamp((luminance - threshold) / (1 - threshold), 0, 1)
    return rgb * (1 + (gain - 1) * t * t * (3 - 2 * t))
