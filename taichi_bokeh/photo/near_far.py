"""More or less blur on one side of the plane in focus than the lens would give."""

import torch
from torch import Tensor

from taichi_bokeh._checks import require_float_tensor, require_number


def scale_near_and_far(disparity: Tensor, focus: float, near: float = 1.0, far: float = 1.0) -> Tensor:
    """Move disparities away from the focus or towards it, each side by a factor of its own.

    As the radius of the circle of confusion is blur·(disparity − focus), a factor on the difference is one on the radius. The
    order of disparities stays. Differentiable in disparity.

    Args:
        disparity: any shape; float32 or float64.
        focus: the disparity in focus.
        near: factor for what is nearer than the focus, ≥ 0. 1 leaves it bit for bit.
        far: the same for what is farther.

    Returns:
        focus + factor·(disparity − focus), of the same shape, dtype and device; ``disparity`` itself where both factors are 1.

    Raises:
        TypeError: an argument is of the wrong type or dtype.
        ValueError: a number is not finite, or a factor is negative.
    """
    require_float_tensor("disparity", disparity)
    require_number("focus", focus)
    for name, factor in (("near", near), ("far", far)):
        require_number(name, factor, at_least=0.0)
    from_focus = disparity - focus
    if near != 1:
        disparity = torch.where(from_focus > 0, focus + near * from_focus, disparity)
    if far != 1:
        disparity = torch.where(from_focus < 0, focus + far * from_focus, disparity)
    return disparity
