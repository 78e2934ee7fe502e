"""The model that renders, and where it computes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from taichi_bokeh.apps.options.arguments import whole, whole_or_auto
from taichi_bokeh.apps.options.requests import opt, option

if TYPE_CHECKING:
    import torch

    from taichi_bokeh.models import Model

#: As in taichi_bokeh.models, which would take seconds to import.
MODELS, DEFAULT_CELLS = ("subaperture", "scatter", "scatter-official"), 16


@dataclass(frozen=True)
class ModelRequest:
    """A model with its options, and the device."""

    GROUP = "model"

    model: str = opt(
        "how layers are blurred and put together (%(default)s); scatter-official knows the disc only",
        choices=MODELS,
        default=MODELS[0],
    )
    cells: int | Literal["auto"] | None = opt(
        f"cells of the aperture, for subaperture: more are finer ({DEFAULT_CELLS})", "N|auto", whole_or_auto
    )
    profile: str | None = opt("edge of the blur disc, for scatter (disc)", choices=("disc", "soft"))
    algorithm: str = opt(
        "every weight of the blur, or time linear in the radius, or what costs less (%(default)s)",
        choices=("auto", "exact", "fast"),
        default="auto",
    )
    draft: bool = opt("merge what is far out of focus, for scatter: rough, and fast", default=False)
    max_radius: int | None = opt("look no further than R pixels, for scatter models (as far as needed)", "R", whole)
    device: str | None = opt("where to compute (a GPU if there is one)", choices=("cpu", "cuda"))

    def build(self) -> "Model":
        """Build the model.

        Raises:
            ValueError: the model has no such option, or not with this value; in one line.
        """
        from taichi_bokeh.models import FIELDS, model_of

        options = vars(self) | {"quality": "draft" if self.draft else None}
        names = {name for fields in FIELDS.values() for name in fields}
        given = {name: options[name] for name in names if options.get(name) is not None}
        for name in given.keys() - set(FIELDS[self.model]):
            owners = " or ".join(model for model, fields in FIELDS.items() if name in fields)
            raise ValueError(f"{_option(name)} is for --model {owners}: {self.model} has no such option")
        try:
            return model_of(self.model, **given)
        except ValueError as error:  # which begins with the name of the field
            name, _, rest = str(error).partition(" ")
            raise ValueError(f"{_option(name)} {rest}, for --model {self.model}") from None


def _option(field: str) -> str:
    return "--draft" if field == "quality" else option(field)


def device_of(name: str | None) -> "torch.device":
    """The device of this name, or without one a GPU if there is one.

    Raises:
        ValueError: it is not there.
    """
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device is cuda, but torch finds no GPU")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
