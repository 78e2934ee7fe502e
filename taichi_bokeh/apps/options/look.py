"""What no lens does: highlights raised, and blur of its own on either side of the focus. Imports nothing that is slow."""

from dataclasses import dataclass

from taichi_bokeh.apps.options.arguments import below_white, highlight_gain, not_negative
from taichi_bokeh.apps.options.requests import opt


@dataclass(frozen=True)
class LookRequest:
    """What no lens does."""

    GROUP = "look"

    highlights: float = opt("how many times brighter white becomes (1: off)", "GAIN", highlight_gain, default=1.0)
    highlight_threshold: float | None = opt("linear luminance from which on colours are raised (0.7)", "Y", below_white)
    near_blur: float = opt("factor of the blur before the focus (1: off)", "S", not_negative, default=1.0)
    far_blur: float = opt("factor of the blur behind it (1: off)", "S", not_negative, default=1.0)

    def check(self) -> None:
        """Refuse a threshold of nothing.

        Raises:
            ValueError: in one line.
        """
        if self.highlight_threshold is not None and self.highlights == 1:
            raise ValueError("--highlight-threshold needs --highlights, the gain: without one nothing is raised")
