"""The model that renders, and where it computes. Imports nothing that is slow."""

import argparse
from dataclasses import dataclass
from typing import Literal

from taichi_bokeh.apps.options.arguments import whole, whole_or_auto
from taichi_bokeh.apps.options.device import add_device


@dataclass(frozen=True)
class ModelRequest:
    """A model with its options, and the device. Fields are the options of the same names."""

    model: str = "subaperture"
    cells: int | Literal["auto"] | None = None
    profile: str | None = None
    algorithm: str = "auto"
    draft: bool = False
    max_radius: int | None = None
    device: str | None = None

    def check(self) -> None:
        """Refuse what the model does not have.

        Raises:
            ValueError: which option, in one line.
        """
        model = self.model
        if self.draft and model != "scatter":
            raise ValueError(f"--draft is for --model scatter: {model} has none")
        if self.algorithm == "fast" and model == "scatter-official":
            raise ValueError("--algorithm fast is not for --model scatter-official: it has only exact")
        if self.profile is not None and model != "scatter":
            raise ValueError(f"--profile is for --model scatter: the blur discs of {model} have no other edge")
        if model == "subaperture" and self.max_radius is not None:
            raise ValueError("--max-radius is for the scatter models: give --model scatter or scatter-official with it")
        if model != "subaperture" and self.cells is not None:
            raise ValueError(f"--cells is for --model subaperture: {model} does not divide the aperture")


def add_model(command: argparse.ArgumentParser) -> None:
    """Add the group that says how to render."""
    model = command.add_argument_group("model")
    model.add_argument(
        "--model",
        choices=("subaperture", "scatter", "scatter-official"),
        default=ModelRequest.model,
        help="how layers are blurred and put together (%(default)s); scatter-official knows the disc only",
    )
    model.add_argument(
        "--cells", metavar="N|auto", type=whole_or_auto, help="cells of the aperture, for subaperture: more are finer (16)"
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
