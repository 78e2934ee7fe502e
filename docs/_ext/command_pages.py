"""The page of the command line, made from what every command says to ``--help``."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

from taichi_bokeh.apps.cli import _parser as command_line

_WIDTH = "96"


def write_page(app: Any) -> None:
    """Write ``api/generated/command-line.rst``."""
    os.environ["COLUMNS"] = _WIDTH
    page = Path(app.srcdir) / "api" / "generated" / "command-line.rst"
    page.parent.mkdir(parents=True, exist_ok=True)
    text = "The command line\n================\n\nWhat ``taichi-bokeh COMMAND --help`` prints, for every command.\n"
    for parser in _with_commands(command_line()):
        underline = "-" * len(parser.prog)
        text += f"\n{parser.prog}\n{underline}\n\n.. code-block:: none\n\n{indent(parser.format_help(), '   ')}"
    if not page.is_file() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")


def _with_commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _with_commands(command)


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx: after the pages of the API, which clear their folder of what they did not write."""
    app.connect("builder-inited", write_page, priority=900)
    return {"parallel_read_safe": True}
