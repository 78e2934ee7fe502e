"""The argument that says where to compute. Imports nothing that is slow."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def add_device(group: "argparse._ActionsContainer") -> None:
    """Add --device."""
    group.add_argument("--device", choices=("cpu", "cuda"), help="where to compute (a GPU if there is one)")


def device_of(name: str | None) -> "torch.device":
    """The device of this name, or without one a GPU if there is one.

    Raises:
        ValueError: it is not there.
    """
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device is cuda, but torch finds no GPU")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
