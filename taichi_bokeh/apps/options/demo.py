"""``taichi-bokeh demo``: its options. Imports nothing that is slow."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taichi_bokeh.apps.options.arguments import BLUR_HELP, not_negative
from taichi_bokeh.apps.options.requests import add_command, opt

_TEXTS = {
    "help": "refocus a real photograph that comes with scikit-image",
    "description": "Refocus a real stereo photograph with measured disparity (Middlebury 2014, from scikit-image):\n"
    "fill the holes of the disparity, split the photograph into layers, render a near and a far focus.",
    "epilog": "example: taichi-bokeh demo -o images --blur 45",
}


@dataclass(frozen=True)
class DemoRequest:
    """The demo."""

    output: Path = opt(
        "folder for the images (%(default)s)", "DIR", Path, default=Path("taichi-bokeh-demo"), names=["-o", "--output"]
    )
    blur: float = opt(BLUR_HELP + " (%(default)g)", "K", not_negative, default=32.0)
    overwrite: bool = opt("replace images of an earlier run", default=False)
    quiet: bool = opt("print nothing", default=False)


def add_demo(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    add_command(commands, "demo", DemoRequest, "taichi_bokeh.apps.photo.demo:demo", texts=_TEXTS)
