"""What no lens does: highlights raised, and blur of its own on either side of the focus. Imports nothing that is slow."""

import argparse
from dataclasses import dataclass

from taichi_bokeh.apps.options.arguments import below_white, highlight_gain, not_negative


@dataclass(frozen=True)
class LookRequest:
    """What no lens does. Fields are the options of the same names."""

    highlights: float = 1.0
    highlight_threshold: float | None = None
    near_blur: float = 1.0
    far_blur: float = 1.0

    def check(self) -> None:
        """Refuse a threshold of nothing.

        Raises:
            ValueError: in one line.
        """
        if self.highlight_threshold is not None and self.highlights == 1:
            raise ValueError("--highlight-threshold needs --highlights, the gain: without one nothing is raised")


def add_look(command: argparse.ArgumentParser) -> None:
    """Add the group of what no lens does."""
    look = command.add_argument_group("look")
    look.add_argument(
        "--highlights", metavar="GAIN", type=highlight_gain, default=1.0, help="how many times brighter white becomes (1: off)"
    )
    look.add_argument(
        "--highlight-threshold", metavar="Y", type=below_white, help="linear luminance from which on colours are raised (0.7)"
    )
    look.add_argument(
        "--near-blur", metavar="S", type=not_negative, default=1.0, help="factor of the blur before the focus (1: off)"
    )
    look.add_argument("--far-blur", metavar="S", type=not_negative, default=1.0, help="factor of the blur behind it (1: off)")
