"""The renderer as a torch module, and a blur for it that can be learnt."""

from typing import Any

import torch
from torch import Tensor

from taichi_bokeh._checks import Bounded, require_float_tensor, require_number, require_shape, require_values
from taichi_bokeh._render import render, require_renderable
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens

_LINEAR = 40.0  # beyond which log(1 + exp(x)) is x, in float64 as well


class Positive(torch.nn.Module):
    """A number that is learnt and stays above 0, such as the blur of a lens: softplus(`raw`), log(1 + exp(raw)).

    Far above 1 a step of the optimiser changes it by about as much as a plain parameter, and below 1 by a share of itself. It
    goes wherever a module goes (parameters, state_dict, devices); called, it gives its value, for a `BokehRenderer` or a lens:

        blur = Positive(12.0)
        lens = ThinLens(blur(), focus=0.5)

    Args:
        value: what it begins with, > 0: a number, which becomes float32, or a float32 or float64 tensor [] or [B].

    Raises:
        TypeError: value is of another type or dtype.
        ValueError: value is not finite, or is 0 or below.
    """

    raw: torch.nn.Parameter

    def __init__(self, value: float | Tensor) -> None:
        super().__init__()
        self.raw = torch.nn.Parameter(_inverse_softplus(value))

    def forward(self) -> Tensor:
        """The value, [] or [B], > 0."""
        return torch.nn.functional.softplus(self.raw, threshold=_LINEAR)

    @torch.no_grad()
    def set(self, value: float | Tensor) -> None:
        """Go on from another value of the same shape; errors as of the constructor."""
        raw = _inverse_softplus(value)
        require_shape("value", raw, *self.raw.shape)
        self.raw.copy_(raw)

    def extra_repr(self) -> str:
        """What print shows between the module's brackets."""
        return str(self().detach())


def _inverse_softplus(value: float | Tensor) -> Tensor:
    """Computed in float64."""
    if not isinstance(value, Tensor):
        require_number("value", value, above=0.0)
        value = torch.tensor(float(value), dtype=torch.float32, device=torch.get_default_device())
    require_float_tensor("value", value)
    if value.ndim:
        require_shape("value", value, "B")
    require_values({"value": Bounded(value, at_least=torch.finfo(value.dtype).tiny)})
    exact = value.detach().double()
    return (exact + (-(-exact).expm1()).log()).to(value.dtype)


class BokehRenderer(torch.nn.Module):
    """`render` with a lens of its own.

    Args:
        blur, focus: number, tensor [] or [B]; a `torch.nn.Parameter` is registered as one and so can be learned, another
            tensor as a buffer, so that it moves with the module. A `Positive` is learned and stays above 0, as a blur must.
        aperture: shape of the lens opening; for profile "soft" and model "scatter-official", the disc.
        settings: `model`, `profile`, `algorithm`, `max_radius`, `cells`, `quality` and `occlusion`, as of `render`.
    """

    blur: float | Tensor | Positive
    focus: float | Tensor | Positive

    def __init__(
        self,
        blur: float | Tensor | Positive,
        focus: float | Tensor | Positive,
        *,
        aperture: Aperture | None = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        unknown = set(settings) - {"model", "profile", "algorithm", "max_radius", "cells", "quality", "occlusion"}
        if unknown:
            raise TypeError(f"{', '.join(sorted(unknown))}: not an argument of BokehRenderer")
        # A bad lens is refused here, not in forward.
        self.aperture = ThinLens(_value(blur), _value(focus), aperture or Aperture()).aperture
        require_renderable(self.aperture, settings.get("model", "scatter"), settings.get("profile"))
        self.settings = settings
        for name, value in (("blur", blur), ("focus", focus)):
            if isinstance(value, Tensor) and not isinstance(value, torch.nn.Parameter):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, rgb: Tensor, alpha: Tensor, disparity: Tensor) -> Tensor:
        """Picture [B, 3, H, W] of rgb [B, L, 3, H, W], alpha and disparity [B, L, 1, H, W]."""
        lens = ThinLens(_value(self.blur), _value(self.focus), self.aperture)
        return render(Layers(rgb, alpha, disparity), lens, **self.settings)

    def extra_repr(self) -> str:
        """What print shows between the module's brackets."""
        shown = {"blur": self.blur, "focus": self.focus, "aperture": self.aperture, **self.settings}
        return ", ".join(f"{name}={value}" for name, value in shown.items() if not isinstance(value, Positive))


def _value(number: float | Tensor | Positive) -> float | Tensor:
    return number() if isinstance(number, Positive) else number
