"""The model that renders, and where it computes."""

import argparse
from dataclasses import dataclass
from typing import Literal

from taichi_bokeh.apps.options.arguments import whole, whole_or_auto
from taichi_bokeh.apps.options.device import add_device
from taichi_bokeh.apps.options.requests import option
from taichi_bokeh.models import DEFAULT, FIELDS, MODELS, Model, model_of


@dataclass(frozen=True)
class ModelRequest:
    """A model with its options, and the device. Fields are the options of the same names."""

    model: str = DEFAULT.name
    cells: int | Literal["auto"] | None = None
    profile: str | None = None
    algorithm: str = "auto"
    draft: bool = False
    max_radius: int | None = None
    device: str | None = None

    def build(self) -> Model:
        """Build the model.

        Raises:
            ValueError: the model has no such option, or not with this value; in one line.
        """
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


def add_model(command: argparse.ArgumentParser) -> None:
    """Add the group that says how to render."""
    model = command.add_argument_group("model")
    model.add_argument(
        "--model",
        choices=tuple(MODELS),
        default=ModelRequest.model,
        help="how layers are blurred and put together (%(default)s); scatter-official knows the disc only",
    )
    model.add_argument(
        "--cells",
        metavar="N|auto",
        type=whole_or_auto,
        help=f"cells of the aperture, for subaperture: more are finer ({DEFAULT.cells})",
    )
    model.add_argument("--profile", choices=("disc", "soft"), help="edge of the blur disc, for scatter (disc)")
    model.add_argument(
        "--algorithm",
        choices=("auto", "exact", "fast"),
        default=ModelRequest.algorithm,
        help="every weight of the blur, or time linear in the radius, or what costs less (%(default)s)",
    )
    model.add_argument("--draft", action="store_true", help="merge what is far out of focus, for scatter: rough, and fast")
    model.add_argument(
        "--max-radius", metavar="R", type=whole, help="look no further than R pixels, for scatter models (as far as needed)"
    )
    add_device(model)
