"""An optimisation of photographs that may be interrupted: its state in a file, with what it belongs to."""

import io
import pickle
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh.io import write_atomically

_FORMAT = 1  # to be raised when the file, or what a step with a given number does, changes
_DAMAGED = (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile)
_FILES = ("sharp", "blurred", "stack", "aperture-image")  # of which the content is compared


class Saved(NamedTuple):
    """What is needed to go on.

    Attributes:
        blur: [1, S], from which the optimisation started.
        focus: [1, S].
        disparity: [1, 1, H, W], from which it started.
        confidence: [1, 1, H, W].
        state: `Optimization.state_dict`.
    """

    blur: Tensor
    focus: Tensor
    disparity: Tensor
    confidence: Tensor
    state: dict[str, Any]

    @property
    def done(self) -> int:
        """How many steps are behind it."""
        return len(self.state["losses"])


class OptimizeCheckpoint:
    """A file that an optimisation is saved to and resumed from; only by one with the same options and pictures.

    Args:
        path: the file.
        every_s: `save_if_due` saves when so many seconds have passed since the last time, or since the beginning.
        belongs_to: by the names of the options what the result depends on: numbers, texts, lists of them, and None.
    """

    def __init__(self, path: Path, every_s: float, belongs_to: Mapping[str, Any]) -> None:
        self.path = path
        self._every_s = every_s
        self._saved_at_s = time.monotonic()
        self._belongs_to = dict(belongs_to)

    def load(self) -> Saved | None:
        """What the file holds, on the CPU; None where there is none. No code in it is run.

        Raises:
            ValueError: it is no checkpoint, is damaged, or belongs to something else. It is left as it is.
        """
        if not self.path.exists():
            return None
        try:
            content = _content(self.path.read_bytes())
            version, found, saved = content["format"], dict(content["belongs_to"]), Saved(**content["saved"])
            done = saved.done
        except _DAMAGED:
            raise ValueError(f"{self.path} is damaged or no checkpoint of dfd optimize, and is left as it is") from None
        problem = self._difference(version, found)
        if problem is not None:
            raise ValueError(f"{self.path} is the checkpoint of another optimisation, and is left as it is: {problem}")
        if not 0 <= done <= found["steps"]:
            raise ValueError(f"{self.path} is damaged, and is left as it is: {done} of {found['steps']} steps are done there")
        return saved

    def save(self, saved: Saved) -> None:
        """Replace the file, or make it."""
        buffer = io.BytesIO()
        torch.save({"format": _FORMAT, "belongs_to": self._belongs_to, "saved": saved._asdict()}, buffer)
        write_atomically(self.path, buffer.getvalue(), overwrite=True)
        self._saved_at_s = time.monotonic()

    def save_if_due(self, saved: Saved) -> None:
        """Save if the last time is long enough ago."""
        if time.monotonic() - self._saved_at_s >= self._every_s:
            self.save(saved)

    def remove(self) -> None:
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)

    def _difference(self, version: object, found: Mapping[str, Any]) -> str | None:
        if version != _FORMAT:
            return "another version of this program wrote it"
        for name, expected in self._belongs_to.items():
            if found.get(name) == expected:
                continue
            if name in _FILES:
                return f"--{name} is not the same"
            return f"--{name} is {_text(found.get(name))} there, and {_text(expected)} here"
        return None


def _content(file: bytes) -> dict[str, Any]:
    """What was saved. Torch itself does not look at the checksums that it writes."""
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        if archive.testzip() is not None:
            raise zipfile.BadZipFile("a checksum is wrong")
    content: dict[str, Any] = torch.load(io.BytesIO(file), map_location="cpu", weights_only=True)
    return content


def _text(value: object) -> str:
    return "not given" if value is None else str(value)
