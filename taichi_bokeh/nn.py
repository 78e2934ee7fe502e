"""The renderer as a torch module."""

from typing import Any

import torch
from torch import Tensor

from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.render import render, require_renderable


class BokehRenderer(torch.nn.Module):
    """`render` with a lens of its own.

    Args:
        blur, focus: number, tensor [] or [B]; a `torch.nn.Parameter` is registered as one and so can be learned, another
            tensor as a buffer, so that it moves with the module.
        aperture: shape of the lens opening; for profile "soft" and model "scatter-official", the disc.
        settings: `model`, `profile`, `algorithm`, `max_radius`, `cells`, `quality` and `occlusion`, as of `render`.
    """

    blur: float | Tensor
    focus: float | Tensor

    def __init__(
        self, blur: float | Tensor, focus: float | Tensor, *, aperture: Aperture | None = None, **settings: Any
    ) -> None:
        super().__init__()
        unknown = set(settings) - {"model", "profile", "algorithm", "max_radius", "cells", "quality", "occlusion"}
        if unknown:
            raise TypeError(f"{', '.join(sorted(unknown))}: not an argument of BokehRenderer")
        self.aperture = ThinLens(blur, focus, aperture or Aperture()).aperture  # refuses a bad lens here, not in forward
        require_renderable(self.aperture, settings.get("model", "scatter"), settings.get("profile"))
        self.settings = settings
        for name, value in (("blur", blur), ("focus", focus)):
            if isinstance(value, Tensor) and not isinstance(value, torch.nn.Parameter):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, rgb: Tensor, alpha: Tensor, disparity: Tensor) -> Tensor:
        """Picture [B, 3, H, W] of rgb [B, L, 3, H, W], alpha and disparity [B, L, 1, H, W]."""
        return render(Layers(rgb, alpha, disparity), ThinLens(self.blur, self.focus, self.aperture), **self.settings)

    def extra_repr(self) -> str:
        """What print shows between the module's brackets."""
        shown = {"blur": self.blur, "focus": self.focus, "aperture": self.aperture, **self.settings}
        return ", ".join(f"{name}={value}" for name, value in shown.items())
