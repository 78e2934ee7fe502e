"""``taichi-bokeh demo``: its options, and the request that they make. Imports nothing that is slow."""

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from taichi_bokeh.apps.options.arguments import BLUR_HELP, not_negative
from taichi_bokeh.apps.options.output import add_quiet
from taichi_bokeh.apps.options.requests import request_of


@dataclass(frozen=True)
class DemoRequest:
    """The demo. Fields are the options of the same names."""

    output: Path = Path("taichi-bokeh-demo")
    blur: float = 32.0
    overwrite: bool = False
    quiet: bool = False


def add_demo(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    demo = commands.add_parser(
        "demo",
        help="refocus a real photograph that comes with scikit-image",
        description="Refocus a real stereo photograph with measured disparity (Middlebury 2014, from scikit-image):\n"
        "fill the holes of the disparity, split the photograph into layers, render a near and a far focus.",
        epilog="example: taichi-bokeh demo -o images --blur 45",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.set_defaults(run="taichi_bokeh.apps.photo.demo:demo", request=partial(request_of, DemoRequest))
    demo.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=DemoRequest.output, help="folder for the images (%(default)s)"
    )
    demo.add_argument("--blur", metavar="K", type=not_negative, default=DemoRequest.blur, help=BLUR_HELP + " (%(default)g)")
    demo.add_argument("--overwrite", action="store_true", help="replace images of an earlier run")
    add_quiet(demo)
