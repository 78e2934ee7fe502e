"""The checkpoint of a training: its file, and the weights in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from taichi_bokeh.storage.resumable import Checkpoint, read_checkpoint

NAME, WHAT = "checkpoint.pt", "training"
_FORMAT = 2  # to be raised when the file, or what a step with a given number does, changes


def checkpoint_in(folder: Path, belongs_to: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint of a training with this record in a folder."""
    return Checkpoint(Path(folder) / NAME, WHAT, {"format": _FORMAT, **belongs_to})


def load_checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the record and the state of whatever training is in a folder, on the CPU; no code in it is run.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no checkpoint, is damaged, or is of another version.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; there is nothing to go on from")
    belongs_to, state = read_checkpoint(path, WHAT)
    if belongs_to.get("format") != _FORMAT:
        raise ValueError(
            f"{path} has format {belongs_to.get('format')}; expected {_FORMAT}, that of this version of the program"
        )
    return belongs_to, state


def load_weights(folder: Path, network: torch.nn.Module) -> int:
    """Give a network the weights of a training's checkpoint.

    Returns:
        How many steps they were trained.

    Raises:
        FileNotFoundError, ValueError: as `load_checkpoint`, or the training was one of another network.
    """
    belongs_to, state = load_checkpoint(folder)
    try:
        network.load_state_dict(state["network"])
    except RuntimeError:
        raise ValueError(
            f"{Path(folder) / NAME} is of a training of {belongs_to['network']}, whose weights do not fit a "
            f"{type(network).__qualname__}"
        ) from None
    return len(state["losses"])
