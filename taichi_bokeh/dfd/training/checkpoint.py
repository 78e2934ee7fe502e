"""A training under way, in one file: what it belongs to, and all that is needed to go on as if it had never stopped."""

import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from taichi_bokeh.io import write_atomically

NAME = "checkpoint.pt"
_FORMAT = 1  # to be raised when the file, or what a step with a given number does, changes
_DAMAGED = (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile)


def save_checkpoint(folder: Path, belongs_to: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Replace the folder's checkpoint. It is whole at any time, also if the process is killed.

    Args:
        folder: it exists.
        belongs_to: what a training must have in common with this one to go on from here; numbers, texts, tuples, mappings.
        state: tensors, numbers, texts, and lists and mappings of them.

    Raises:
        OSError: the file system refuses.
    """
    buffer = io.BytesIO()
    torch.save({"format": _FORMAT, "belongs_to": dict(belongs_to), "state": dict(state)}, buffer)
    write_atomically(folder / NAME, buffer.getvalue(), overwrite=True)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the folder's checkpoint belongs to, and its state, on the CPU; no code in it is run.

    Args:
        folder: where it is.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no checkpoint, is damaged, or is of another version.
    """
    path = Path(folder) / NAME
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; there is nothing to go on from")
    try:
        content = torch.load(io.BytesIO(path.read_bytes()), map_location="cpu", weights_only=True)
        version, belongs_to, state = content["format"], content["belongs_to"], content["state"]
    except _DAMAGED:
        raise ValueError(f"{path} is no checkpoint of a training, or is damaged") from None
    if version != _FORMAT:
        raise ValueError(f"{path} has format {version}; expected {_FORMAT}, that of this version of the program")
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


def require_same(folder: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """ValueError, which names the first difference, unless a checkpoint belongs to what is expected."""
    for name in (*expected, *(set(found) - set(expected))):
        if found.get(name) != expected.get(name):
            raise ValueError(
                f"{Path(folder) / NAME} is of a training with {name} {found.get(name)}; expected {expected.get(name)}"
            )
