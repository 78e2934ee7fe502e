"""A trace that may be interrupted: its state in a file, with what it belongs to."""

import hashlib
import io
import json
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from taichi_bokeh._trace import Lens, TraceState
from taichi_bokeh.apps.errors import one_line
from taichi_bokeh.io import check_output, write_atomically
from taichi_bokeh.layers import Layers
from taichi_bokeh.storage.locks import lock_of_file, sole_run

_FORMAT = 1  # to be raised when the file, or what a ray with a given number adds to the sums, changes
_DAMAGED = (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Checkpoint:
    """A file that a trace is saved to and resumed from; only by a trace of the same scene, lens, rays and seed.

    Args:
        path: the file, an npz whatever its name.
        every_s: `save_if_due` saves when so many seconds have passed since the last time, or since the beginning.
        layers: the scene.
        lens: the lens.
        rays: how many will be traced a pixel.
        seed: that of the lens samples.
    """

    def __init__(self, path: Path, every_s: float, layers: Layers, lens: Lens, rays: int, seed: int) -> None:
        self.path = path
        self._every_s = every_s
        self._saved_at_s = time.monotonic()
        self._belongs_to = {
            "format": _FORMAT,
            "rays": rays,
            "seed": seed,
            "size": f"{layers.width}×{layers.height}",
            "lens": _digest(lens),
            "scene": _digest(layers),
        }

    def load(self) -> TraceState | None:
        """What the file holds; None where there is none.

        Raises:
            ValueError: it is no checkpoint, is damaged, or belongs to another trace. It is left as it is.
        """
        if not self.path.exists():
            return None
        content = self.path.read_bytes()
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                entries = {name: _entry(archive, name) for name in ("belongs_to", "sums", "passed", "done")}
            found = json.loads(str(entries["belongs_to"]))
            self._compare(found)
            return _state(entries, found)
        except _Foreign as error:
            raise ValueError(f"{self.path} is the checkpoint of another trace, and is left as it is: {error}") from None
        except _DAMAGED:
            raise ValueError(f"{self.path} is damaged or no checkpoint of a trace, and is left as it is") from None

    def save(self, state: TraceState) -> None:
        """Replace the file, or make it."""
        sums, passed = state.sums.cpu().numpy(), state.passed.cpu().numpy()
        buffer = io.BytesIO()
        np.savez(buffer, belongs_to=np.array(json.dumps(self._belongs_to)), sums=sums, passed=passed, done=state.done)
        write_atomically(self.path, buffer.getvalue(), overwrite=True)
        self._saved_at_s = time.monotonic()

    def save_if_due(self, state: TraceState) -> None:
        """Save if the last time is long enough ago."""
        if time.monotonic() - self._saved_at_s >= self._every_s:
            self.save(state)

    def remove(self) -> None:
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)

    def _compare(self, found: dict[str, Any]) -> None:
        for name, expected in self._belongs_to.items():
            if found[name] == expected:
                continue
            if name == "format":
                raise _Foreign("another version of this program wrote it")
            if name in ("lens", "scene"):
                raise _Foreign(f"its {name} is not the same")
            option = f"--{name}" if name in ("rays", "seed") else f"the picture's {name}"
            raise _Foreign(f"{option} is {found[name]} there, and {expected} here")


class _Foreign(Exception):
    """A checkpoint of something else."""


def check_checkpoint(path: Path, output: str) -> None:
    """Refuse a checkpoint that cannot be written.

    Raises:
        ValueError: it is the picture to be written.
        OSError: it is a folder, or would lie in none.
    """
    if path.resolve() == Path(output).resolve():
        raise ValueError(f"--checkpoint {path} is the picture to write (-o), and must be a file of its own")
    check_output(path, overwrite=True)


def alone_with(path: str | None) -> AbstractContextManager[None]:
    """Keep other runs from a checkpoint in a block, if there is one.

    Raises:
        OSError: another run has it, or its folder takes no files.
    """
    return nullcontext() if path is None else sole_run(lock_of_file(Path(path)), f"--checkpoint {path}")


def save_after(error: BaseException, save: Callable[[], None]) -> None:
    """Save what there is when something went wrong.

    Raises:
        OSError: that went wrong, too; the message tells of both.
    """
    try:
        save()
    except OSError as second:
        first = one_line(error) if isinstance(error, Exception) else "interrupted"
        raise OSError(f"{first}; then {one_line(second)}") from None


def _entry(archive: zipfile.ZipFile, name: str) -> Any:
    with archive.open(f"{name}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _state(entries: dict[str, Any], found: dict[str, Any]) -> TraceState:
    sums, passed, done = (torch.from_numpy(np.array(entries[name])) for name in ("sums", "passed", "done"))
    if sums.shape[:3] != passed.shape[:3] or not 0 <= int(done) <= found["rays"]:
        raise ValueError("the entries do not fit each other")
    return TraceState(sums, passed, int(done), found["rays"], found["seed"])


def _digest(value: Any) -> str:
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: "hashlib._Hash", value: Any) -> None:
    """Add all that two values may differ in, field by field."""
    digest.update(f"{type(value).__name__}(".encode())
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif is_dataclass(value):
        for field in fields(value):
            digest.update(f"{field.name}=".encode())
            _feed(digest, getattr(value, field.name))
    elif isinstance(value, tuple | list):
        for item in value:
            _feed(digest, item)
    else:
        digest.update(repr(value).encode())
    digest.update(b")")
