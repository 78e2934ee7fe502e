"""Work that may be interrupted: where it is saved, and how often. Imports nothing that is slow."""

from dataclasses import dataclass
from pathlib import Path

from taichi_bokeh.apps.options.arguments import not_negative
from taichi_bokeh.apps.options.requests import opt


@dataclass(frozen=True)
class CheckpointRequest:
    """The file that a command saves its state to and goes on from."""

    GROUP = "work"

    checkpoint: Path | None = opt("save there at work and on Ctrl-C; if it exists, go on from it", "FILE", Path)
    checkpoint_every: float | None = opt("how often to save it (10)", "SECONDS", not_negative)
