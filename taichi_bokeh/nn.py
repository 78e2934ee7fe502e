"""The renderer as a torch module, and a blur for it that can be learnt."""

from typing import Any, overload

import torch
from torch import Tensor

from taichi_bokeh._checks import Bounded, require_float_tensor, require_number, require_shape, require_type, require_values
from taichi_bokeh.layers import Layers
from taichi_bokeh.models import Model, model_of
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import Learnt, ThinLens, value_of

_LINEAR = 40.0  # beyond which log(1 + exp(x)) is x, in float64 as well


class Positive(torch.nn.Module):
    """A number that is learnt and stays above 0, such as the blur of a lens: softplus(`raw`), log(1 + exp(raw)).

    Far above 1 a step of the optimiser changes it by about as much as a plain parameter, and below 1 by a share of itself. It
    goes wherever a module goes (parameters, state_dict, devices). Called, it gives its value; a lens takes it as it is, and
    calls it in every rendering:

        blur = Positive(12.0)
        lens = ThinLens(blur, focus=0.5)

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
        """Give the value, [] or [B], > 0."""
        return torch.nn.functional.softplus(self.raw, threshold=_LINEAR)

    def __float__(self) -> float:
        return float(self())

    @torch.no_grad()
    def set(self, value: float | Tensor) -> None:
        """Go on from another value of the same shape; errors as of the constructor."""
        raw = _inverse_softplus(value)
        require_shape("value", raw, *self.raw.shape)
        self.raw.copy_(raw)

    def extra_repr(self) -> str:
        """Say what print shows between the module's brackets."""
        return str(self().detach())


def _inverse_softplus(value: float | Tensor) -> Tensor:
    """Invert softplus, in float64."""
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
    """A model with a lens of its own: `BokehRenderer(lens, model)`, or `BokehRenderer(blur, focus, aperture=…, model=…)`.

    Args:
        lens: its blur and focus may be learnt: see below.
        blur, focus: number, tensor [] or [B]; a `torch.nn.Parameter` is registered as one and so can be learned, another
            tensor as a buffer, so that it moves with the module. A `Positive` is learned and stays above 0, as a blur must.
        aperture: its shape; the disc by default.
        model, fields: as of `render`.
    """

    blur: float | Tensor | Learnt
    focus: float | Tensor | Learnt

    @overload
    def __init__(self, lens: ThinLens, model: str | Model = ..., **fields: Any) -> None: ...

    @overload
    def __init__(
        self,
        blur: float | Tensor | Learnt,
        focus: float | Tensor | Learnt,
        *,
        aperture: Aperture | None = ...,
        model: str | Model = ...,
        **fields: Any,
    ) -> None: ...

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__()
        has_lens = "lens" in named or (bool(given) and isinstance(given[0], ThinLens))
        lens, self.model = (_of_lens if has_lens else _of_numbers)(*given, **named)
        self.aperture = lens.aperture
        self.model.require_renderable(self.aperture)  # refused here, not in forward
        for name, value in (("blur", lens.blur), ("focus", lens.focus)):
            if isinstance(value, Tensor) and not isinstance(value, torch.nn.Parameter):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    def forward(self, rgb: Tensor, alpha: Tensor, disparity: Tensor) -> Tensor:
        """Render the image [B, 3, H, W] of rgb [B, L, 3, H, W], alpha and disparity [B, L, 1, H, W]."""
        return self.model.render(
            Layers(rgb, alpha, disparity), ThinLens(value_of(self.blur), value_of(self.focus), self.aperture)
        )

    def extra_repr(self) -> str:
        """Say what print shows between the module's brackets."""
        shown = {"blur": self.blur, "focus": self.focus, "aperture": self.aperture, "model": self.model}
        return ", ".join(f"{name}={value}" for name, value in shown.items() if not isinstance(value, Positive))


def _of_lens(lens: ThinLens, model: str | Model | None = None, **fields: Any) -> tuple[ThinLens, Model]:
    require_type("lens", lens, ThinLens, "a ThinLens")
    return lens, model_of(model, **fields)


def _of_numbers(
    blur: float | Tensor | Learnt,
    focus: float | Tensor | Learnt,
    *,
    aperture: Aperture | None = None,
    model: str | Model | None = None,
    **fields: Any,
) -> tuple[ThinLens, Model]:
    return ThinLens(blur, focus, aperture or Aperture()), model_of(model, **fields)
