"""An error as the one line that the command line prints of it. Imports nothing that is slow."""

import os
import sys

_OUTPUT = "taichi_bokeh.io.output"
_NAMED = 3  # files, if there are no more


def one_line(error: Exception) -> str:
    """What went wrong, for the user."""
    if isinstance(error, ModuleNotFoundError):
        return f"this command needs the package {error.name} (pip install 'taichi-bokeh[photo]')"
    if isinstance(error, MemoryError):
        return "not enough memory for a picture of this size"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    return " ".join(str(error).split())


def begin_writing() -> None:
    """A command begins: nothing was written by it, as there cannot be where the module that writes is not loaded yet."""
    if _OUTPUT in sys.modules:
        sys.modules[_OUTPUT].begin_writing()


def written_before() -> str:
    """The files that a command has written before it failed, as the end of its line; empty where there are none."""
    files = sys.modules[_OUTPUT].written_files() if _OUTPUT in sys.modules else []
    if not files:
        return ""
    if len(files) <= _NAMED:
        return f" (written before it: {', '.join(map(str, files))})"
    return f" (written before it: {len(files)} files, from {files[0]} to {files[-1]})"
