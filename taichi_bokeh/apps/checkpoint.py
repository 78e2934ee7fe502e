"""``--checkpoint``: the file that a command saves its state to and goes on from."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from taichi_bokeh.apps.errors import one_line
from taichi_bokeh.apps.options.checkpoint import CheckpointRequest
from taichi_bokeh.io import check_output
from taichi_bokeh.storage.locks import lock_of_file, sole_run
from taichi_bokeh.storage.resumable import Checkpoint

_EVERY_S = 10.0


def checkpoint_of(request: CheckpointRequest, what: str, belongs_to: Callable[[], Mapping[str, Any]]) -> Checkpoint | None:
    """The checkpoint that was asked for; its record is made only then."""
    if request.checkpoint is None:
        return None
    every_s = _EVERY_S if request.checkpoint_every is None else request.checkpoint_every
    return Checkpoint(request.checkpoint, what, belongs_to(), every_s)


def check_checkpoint(request: CheckpointRequest, *outputs: Path) -> None:
    """Refuse a checkpoint that cannot be written.

    Raises:
        ValueError: it is an output, or `--checkpoint-every` is given without it.
        OSError: it is a folder, or would lie in none.
    """
    if request.checkpoint is None:
        if request.checkpoint_every is not None:
            raise ValueError("--checkpoint-every needs --checkpoint: there is no file to save to")
        return
    path = request.checkpoint
    for output in outputs:
        if path.resolve() == output.resolve():
            raise ValueError(f"--checkpoint {path} is an output of the command, and must be a file of its own")
    check_output(path, overwrite=True)


def alone_with(path: Path | None) -> AbstractContextManager[None]:
    """Keep other runs from a checkpoint in a block, if there is one.

    Raises:
        OSError: another run has it, or its folder takes no files.
    """
    return nullcontext() if path is None else sole_run(lock_of_file(path), f"--checkpoint {path}")


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
