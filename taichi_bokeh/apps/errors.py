"""An error as the one line that the command line prints of it. Imports nothing that is slow."""

import os
import re
from collections.abc import Collection

_ARGUMENT = re.compile(r"(?<![\w./-])[a-z]+(?:_[a-z]+)+(?!\.?[\w/-])")  # a word that only a program has, and no file's name
_ABOUT_AN_ARGUMENT = re.compile(r"([a-z]+) (?:is|has|holds) ")
_POSITIONAL = ("photo", "source", "files")
_NOT_TO_BE_REPLACED = re.compile(r"overwriting was not asked for|(?:give )?overwrite=True(?: replaces it)?")  # to Python


def one_line(error: Exception) -> str:
    """What went wrong, for the user."""
    if isinstance(error, ModuleNotFoundError):
        return f"this command needs the package {error.name} (pip install 'taichi-bokeh[photo]')"
    if is_out_of_memory(error):
        return "not enough memory for a picture of this size, or for so large a blur"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    text = " ".join(str(error).split())
    return _NOT_TO_BE_REPLACED.sub("--overwrite replaces it", text) if isinstance(error, FileExistsError) else text


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory; torch says so by a RuntimeError."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocate" in str(error))


def with_option(text: str, options: Collection[str]) -> str:
    """A message of the library about its arguments, as one about the options of these names: cat_eye is --cat-eye."""
    named = _ARGUMENT.sub(lambda found: _option(found[0]) if found[0] in options else found[0], text)
    first = _ABOUT_AN_ARGUMENT.match(named)
    if first is None or first[1] not in options or first[1] in _POSITIONAL:
        return named
    return _option(first[1]) + named[first.end(1) :]


def _option(argument: str) -> str:
    return f"--{argument.replace('_', '-')}"
