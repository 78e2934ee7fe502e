"""What a training tells: a line of JSON for each step that is logged, and TensorBoard where it is asked for."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from taichi_bokeh._extras import how_to_install
from taichi_bokeh.io import write_atomically

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

NAME = "log.jsonl"
_EVENTS = "tensorboard"


@dataclass(frozen=True)
class TrainStep:
    """A step that was done.

    Attributes:
        step: its number, from 1.
        loss: the mean over the global batch: supervised, px of the circle of confusion.
        learning_rate: that it was done with.
        gradient_norm: before clipping; None where a gradient was too large for float16, and the step was left out.
        validation_rmse_px: root mean squared error on the validation set, px of the circle of confusion, mean over its
            samples; None where it was not measured after this step.
    """

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float | None
    validation_rmse_px: float | None = None


class TrainLog:
    """Writes reports into a folder; a context manager.

    Args:
        folder: it exists.
        first: the number of steps that are done; what an interrupted run has logged after them is forgotten.
        tensorboard: whether to write events for TensorBoard, too, into the folder ``tensorboard``.

    Raises:
        ValueError: TensorBoard is asked for and not installed, or the log that is there is damaged.
        OSError: the file system refuses.
    """

    def __init__(self, folder: Path, first: int, tensorboard: bool) -> None:
        self._writer = _writer(folder / _EVENTS, first) if tensorboard else None
        path = folder / NAME
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # a process that was killed may have left a part of a line
        kept = [line for line in whole.splitlines(keepends=True) if _step(path, line) <= first]
        write_atomically(path, "".join(kept).encode(), overwrite=True)
        self._path = path
        self._file = path.open("ab", buffering=0)  # no part of a line waits for the end, where it could still fail

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._file.close()
        if self._writer is not None:
            with suppress(OSError) if error is not None else nullcontext(), self._of_events():
                self._writer.close()

    def write(self, report: TrainStep) -> None:
        """Add a report.

        Raises:
            OSError: the file system refuses; the log ends with the last whole line.
        """
        values = {name: value for name, value in asdict(report).items() if value is not None}
        self._append(f"{json.dumps(values)}\n".encode())
        if self._writer is not None:
            with self._of_events():
                for name, value in values.items():
                    if name != "step":
                        self._writer.add_scalar(name, value, report.step)

    @contextmanager
    def _of_events(self) -> Iterator[None]:
        """Name TensorBoard's folder where its writer, which writes in a thread of its own, tells of an error there."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.fspath(self._path.with_name(_EVENTS))) from None

    def _append(self, line: bytes) -> None:
        end = self._file.tell()
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            self._file.truncate(end)
            raise OSError(error.errno, error.strerror, os.fspath(self._path)) from None


def _step(path: Path, line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{path} is damaged: {line.strip()!r} is no line of a training's log") from None


def _writer(folder: Path, first: int) -> "SummaryWriter":
    try:
        from tensorboard.summary.writer import event_file_writer
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError(
            f"tensorboard is asked for, but the package tensorboard is not installed ({how_to_install('tensorboard')})"
        ) from None
    _quieten(event_file_writer._AsyncWriterThread)
    return SummaryWriter(str(folder), purge_step=first + 1)


def _quieten(kind: type[threading.Thread]) -> None:
    """Let such threads end without a traceback when the file system refuses: the writer raises the error again."""
    before = threading.excepthook

    def hook(arguments: threading.ExceptHookArgs) -> None:
        if not (isinstance(arguments.thread, kind) and isinstance(arguments.exc_value, OSError)):
            before(arguments)

    threading.excepthook = hook
