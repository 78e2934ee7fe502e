"""``taichi-bokeh dfd``: depth from defocus."""

from typing import Any

from taichi_bokeh.apps.dfd.generate import add_generate
from taichi_bokeh.apps.dfd.optimize_options import add_optimize
from taichi_bokeh.apps.dfd.table import add_table
from taichi_bokeh.apps.dfd.train import add_eval, add_train


def add_dfd(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    parser = commands.add_parser(
        "dfd", help="depth from defocus: make data, train, evaluate", description="Depth from defocus."
    )
    steps = parser.add_subparsers(dest="dfd_command", required=True, metavar="STEP")
    for add in (add_optimize, add_generate, add_train, add_eval, add_table):
        add(steps)
