"""``taichi-bokeh dfd``: depth from defocus.

Its commands raise ValueError, OSError or ModuleNotFoundError with what is wrong, in one line; those that take long also
KeyboardInterrupt, with what was done and how to go on.
"""

from typing import Any

from taichi_bokeh.apps.dfd import generate, optimize_options, table, train
from taichi_bokeh.apps.options.requests import add_command

_STEPS = (
    ("optimize", optimize_options.OptimizeRequest, "optimize:optimize_photos", optimize_options.TEXTS),
    ("generate", generate.GenerateRequest, "generate:generate_command", generate.TEXTS),
    ("train", train.TrainRequest, "train:train_command", train.TRAIN_TEXTS),
    ("eval", train.EvalRequest, "train:eval_command", train.EVAL_TEXTS),
    ("table", table.TableRequest, "table:table_command", table.TEXTS),
)


def add_dfd(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    parser = commands.add_parser(
        "dfd", help="depth from defocus: make data, train, evaluate", description="Depth from defocus."
    )
    steps = parser.add_subparsers(dest="dfd_command", required=True, metavar="STEP")
    for name, kind, run, texts in _STEPS:
        add_command(steps, name, kind, f"taichi_bokeh.apps.dfd.{run}", texts=texts)
