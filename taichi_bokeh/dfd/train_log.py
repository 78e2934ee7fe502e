"""What a training tells: a line of JSON for each step that is logged, and TensorBoard where it is asked for."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from taichi_bokeh._extras import how_to_install
from taichi_bokeh.io import write_atomically

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

NAME = "log.jsonl"


@dataclass(frozen=True)
class Report:
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
        self._writer = _writer(folder / "tensorboard", first) if tensorboard else None
        path = folder / NAME
        kept = [line for line in _lines(path) if _step(path, line) <= first]
        write_atomically(path, "".join(kept).encode(), overwrite=True)
        self._file = path.open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._file.close()
        if self._writer is not None:
            self._writer.close()

    def write(self, report: Report) -> None:
        """Add a report."""
        values = {name: value for name, value in asdict(report).items() if value is not None}
        self._file.write(json.dumps(values) + "\n")
        self._file.flush()
        if self._writer is not None:
            for name, value in values.items():
                if name != "step":
                    self._writer.add_scalar(name, value, report.step)


def _lines(path: Path) -> list[str]:
    """Whole lines; a process that was killed may have left a part of one."""
    if not path.exists():
        return []
    return [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]


def _step(path: Path, line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{path} is damaged: {line.strip()!r} is no line of a training's log") from None


def _writer(folder: Path, first: int) -> "SummaryWriter":
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ValueError(
            f"tensorboard is asked for, but the package tensorboard is not installed ({how_to_install('tensorboard')})"
        ) from None
    return SummaryWriter(str(folder), purge_step=first + 1)
