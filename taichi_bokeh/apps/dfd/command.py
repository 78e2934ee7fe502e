"""``taichi-bokeh dfd``: depth from defocus."""

from argparse import Namespace
from typing import Any

from taichi_bokeh.apps.dfd.generate import add_generate, generate_command
from taichi_bokeh.apps.dfd.optimize_options import add_optimize
from taichi_bokeh.apps.dfd.table import add_table, table_command
from taichi_bokeh.apps.dfd.train import add_eval, add_train, eval_command, train_command

_COMMANDS = {"generate": generate_command, "train": train_command, "eval": eval_command, "table": table_command}


def add_dfd(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    parser = commands.add_parser(
        "dfd", help="depth from defocus: make data, train, evaluate", description="Depth from defocus."
    )
    steps = parser.add_subparsers(dest="dfd_command", required=True, metavar="STEP")
    parser.set_defaults(run="taichi_bokeh.apps.dfd.command:dfd")
    add_optimize(steps)
    add_generate(steps)
    add_train(steps)
    add_eval(steps)
    add_table(steps)


def dfd(arguments: Namespace) -> None:
    """Run the step; see ``taichi-bokeh dfd --help``.

    Raises:
        ValueError, OSError, ModuleNotFoundError: what is wrong, in one line.
        KeyboardInterrupt: with what was done, and how to go on.
    """
    _COMMANDS[arguments.dfd_command](arguments)
