"""The command ``taichi-bokeh``: arguments in, exit code out. What a command needs is imported when it runs."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from taichi_bokeh._version import __version__
from taichi_bokeh.apps.dfd.command import add_dfd
from taichi_bokeh.apps.errors import begin_writing, is_out_of_memory, one_line, with_option, written_before
from taichi_bokeh.apps.options.batch import add_render_batch
from taichi_bokeh.apps.options.benchmark import add_benchmark
from taichi_bokeh.apps.options.demo import add_demo
from taichi_bokeh.apps.options.preview import add_preview
from taichi_bokeh.apps.options.render import add_render
from taichi_bokeh.apps.options.trace import add_trace
from taichi_bokeh.apps.photo.extract import add_extract
from taichi_bokeh.apps.photo.inspect import add_inspect
from taichi_bokeh.apps.terminal import any_terminal, print_result

_PROG = "taichi-bokeh"


class _UsageError(ValueError):
    """The arguments are wrong."""


#: How numbers, ranges and lists of them begin that begin with a minus: -1, -.5, -1:0, -5,-5,20,20, -inf; no option does.
_NEGATIVE = re.compile(r"-(?:\.?[0-9]|inf|nan)", re.IGNORECASE)


class _Parser(argparse.ArgumentParser):
    """One that takes every word that begins as a negative number does for a value, and prints on any terminal."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._negative_number_matcher = _NEGATIVE

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message} (try {self.prog} --help)")

    def _print_message(self, message: str, file: Any = None) -> None:
        if message:  # help or the version: `error` has the rest
            print_result(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments without the program's name; default: those of the process.

    Returns:
        0 when it worked, whether or not what it said could be printed; 1 when it did its work but some of it failed, as told
        (render-batch); 2, with one line on stderr, when an argument or a file is not as it must be, or what was asked for is
        text (inspect, --help) and the disk behind stdout is full; 130 after Ctrl-C.
    """
    os.environ.setdefault("TI_ENABLE_PYBUF", "0")  # else Taichi tells of a stdout other than the one it knows
    with any_terminal():
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    arguments = argparse.Namespace()
    begin_writing()
    try:
        arguments = _parser().parse_args(argv)
        module, _, command = arguments.run.partition(":")
        return getattr(import_module(module), command)(arguments.request(arguments)) or 0
    except KeyboardInterrupt as interruption:
        sys.stderr.write(": ".join(filter(None, (_PROG, "interrupted", str(interruption)))) + "\n")
        return 130
    except (ValueError, TypeError, OSError, MemoryError, ModuleNotFoundError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        sys.stderr.write(f"{_PROG}: error: {with_option(one_line(error), vars(arguments))}{written_before()}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROG,
        description="Render the lens blur that a real camera would have made.",
        epilog="Start with: taichi-bokeh demo",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_demo(commands)
    add_render(commands)
    add_preview(commands)
    add_render_batch(commands)
    add_inspect(commands)
    add_extract(commands)
    add_trace(commands)
    add_benchmark(commands)
    add_dfd(commands)
    return parser
