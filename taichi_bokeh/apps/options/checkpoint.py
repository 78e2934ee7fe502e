"""Work that may be interrupted: where it is saved, and how often. Imports nothing that is slow."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from taichi_bokeh.apps.options.arguments import not_negative


@dataclass(frozen=True)
class CheckpointRequest:
    """The file that a command saves its state to and goes on from. Fields are the options of the same names."""

    checkpoint: Path | None = None
    checkpoint_every: float | None = None


def add_checkpoint(work: argparse._ArgumentGroup) -> None:
    """Add the file, and how often it is saved."""
    work.add_argument(
        "--checkpoint", metavar="FILE", type=Path, help="save there at work and on Ctrl-C; if it exists, go on from it"
    )
    work.add_argument("--checkpoint-every", metavar="SECONDS", type=not_negative, help="how often to save it (10)")
