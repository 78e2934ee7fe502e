"""Differentiable defocus: what turns an all-in-focus picture with a disparity map into a blurred picture.

Depth from defocus compares such a picture with the one that a camera took. The layers here share one interface, so that the
optimisation, the training and the comparison take any of them.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from taichi_bokeh._autocast import in_full_precision
from taichi_bokeh._checks import require_float_tensor, require_same_kind, require_shape
from taichi_bokeh.layers import Layers
from taichi_bokeh.models import Model
from taichi_bokeh.optics.thin_lens import ThinLens


class DefocusLayer(torch.nn.Module, ABC):
    """Blurs an all-in-focus picture by its disparity, differentiable in both and in the lens's blur and focus.

    Attributes:
        title: what tables call it.
    """

    title: str

    @abstractmethod
    def forward(self, all_in_focus: Tensor, disparity: Tensor, lens: ThinLens) -> Tensor:
        """The blurred picture [B, 3, H, W].

        Args:
            all_in_focus: [B, 3, H, W], linear light, ≥ 0; float32 or float64.
            disparity: [B, 1, H, W], of the same dtype and device.
            lens: blur in px per unit of disparity, and focus; numbers, [] or [B].

        Raises:
            TypeError, ValueError: an argument is not what it must be; the message names it.
        """


def require_pair(all_in_focus: Tensor, disparity: Tensor) -> None:
    """TypeError or ValueError unless these are a picture [B, 3, H, W] and its disparity [B, 1, H, W]."""
    require_float_tensor("all_in_focus", all_in_focus)
    require_shape("all_in_focus", all_in_focus, "B", 3, "H", "W")
    require_float_tensor("disparity", disparity)
    batch, _, height, width = all_in_focus.shape
    require_shape("disparity", disparity, batch, 1, height, width)
    require_same_kind("disparity", disparity, "all_in_focus", all_in_focus)


def single_layer(all_in_focus: Tensor, disparity: Tensor) -> Layers:
    """The picture as one opaque layer: all that is known of it, and nothing of what it hides."""
    require_pair(all_in_focus, disparity)
    return Layers(all_in_focus[:, None], torch.ones_like(disparity)[:, None], disparity[:, None])


class RenderedDefocus(DefocusLayer):
    """The picture as a single layer, rendered by a model: it has the occlusion inside it that the model has.

    Args:
        model: such as `Scatter()`, or `SubAperture(4)`, which has none.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model, self.title = model, model.title

    @in_full_precision
    def forward(self, all_in_focus: Tensor, disparity: Tensor, lens: ThinLens) -> Tensor:
        """See `DefocusLayer`."""
        return self.model.render(single_layer(all_in_focus, disparity), lens)
