"""An error as the one line that the command line prints of it. Imports nothing that is slow."""

import os
import re
import sys
from collections.abc import Collection

from taichi_bokeh._extras import missing

_ARGUMENT = re.compile(r"(?<![\w./-])[a-z]+(?:_[a-z]+)+(?!\.?[\w/-])")  # a word that only a program has, and no file's name
_ABOUT_AN_ARGUMENT = re.compile(r"([a-z][a-z_]*) (?:is|has|holds) ")
_APERTURE = "aperture"  # an argument whose parts are options
_POSITIONAL = ("photo", "source", "files")
_NOT_TO_BE_REPLACED = re.compile(r"overwriting was not asked for|(?:give )?overwrite=True(?: replaces it)?")  # to Python
_OUTPUT = "taichi_bokeh.storage.atomic_files"
_NAMED = 3  # files, if there are no more


def one_line(error: Exception) -> str:
    """What went wrong, for the user."""
    if isinstance(error, ModuleNotFoundError):
        return missing(error.name) if error.name else str(error)
    if is_out_of_memory(error):
        return "not enough memory for an image of this size, or for so large a blur"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    text = " ".join(str(error).split())
    return _NOT_TO_BE_REPLACED.sub("--overwrite replaces it", text) if isinstance(error, FileExistsError) else text


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory; torch says so by a RuntimeError."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocate" in str(error))


def with_option(text: str, options: Collection[str]) -> str:
    """A message of the library about its arguments, as one about the options of these names: cat_eye is --cat-eye."""
    first = _ABOUT_AN_ARGUMENT.match(text)
    if first is None or first[1] in _POSITIONAL or first[1] not in (*options, _APERTURE):
        return text
    rest = _ARGUMENT.sub(lambda found: _option(found[0]) if found[0] in options else found[0], text[first.end(1) :])
    return (first[1] if first[1] == _APERTURE else _option(first[1])) + rest


def _option(argument: str) -> str:
    return f"--{argument.replace('_', '-')}"


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
