"""An error as the one line that the command line prints of it. Imports nothing that is slow."""

import os

from taichi_bokeh._extras import how_to_install


def one_line(error: Exception) -> str:
    """What went wrong, for the user."""
    if isinstance(error, ModuleNotFoundError):
        return f"this needs the package {error.name} ({how_to_install(error.name)})" if error.name else str(error)
    if isinstance(error, MemoryError):
        return "not enough memory for a picture of this size"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    return " ".join(str(error).split())
