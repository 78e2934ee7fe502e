"""What a result depends on, as one short text: options, and what is in the files that they name."""

import hashlib
import importlib.util
from argparse import Namespace
from collections.abc import Collection
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

_WORDS = frozenset(
    {"model", "algorithm", "profile", "device", "lens", "ease", "matte", "inpaint", "depth_unit"}
)  # texts that are no files


def fingerprint(arguments: Namespace, without: Collection[str], **beside: Any) -> str:
    """SHA-256 of the options, in hexadecimal.

    A text that names a file counts by the file's content, one that names a folder by that of all its files, and one of the form
    ``module:function`` or ``file.py:function`` by that one file beside its name (what it imports is not looked at). An option
    that is None does not count.

    Args:
        arguments: the options.
        without: names of those on which the result does not depend. Every other counts, new ones too.
        beside: more that it depends on.
    """
    digest = hashlib.sha256()
    options = {name: value for name, value in vars(arguments).items() if name not in without and value is not None}
    for name, value in sorted(options.items()) + sorted(beside.items()):
        content = _content(value) if isinstance(value, str) and name not in _WORDS else repr(value)
        digest.update(f"{name}={content};".encode())
    return digest.hexdigest()


def value_digest(value: Any) -> str:
    """SHA-256 of a value: tensors, arrays, dataclasses, lists and tuples count by their content, all else by its `repr`."""
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(text: str) -> str:
    path = Path(text)
    if path.is_file():
        return f"file {file_digest(path)}"
    if path.is_dir():
        return f"folder {folder_digest(path)}"
    module, colon, _ = text.rpartition(":")
    if colon and Path(module).is_file():
        return f"{text!r} {file_digest(Path(module))}"
    if colon and all(part.isidentifier() for part in module.split(".")):
        try:
            found = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            found = None
        if found is not None and found.origin is not None and Path(found.origin).is_file():
            return f"{text!r} {file_digest(Path(found.origin))}"
    return repr(text)


def folder_digest(folder: Path, suffix: str = "") -> str:
    """SHA-256 of the names and contents of all files in a folder and below that end in `suffix`."""
    files = sorted(path for path in folder.rglob(f"*{suffix}") if path.is_file())
    parts = [f"{path.relative_to(folder).as_posix()}={file_digest(path)}" for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _feed(digest: "hashlib._Hash", value: Any) -> None:
    """Add a value, field by field."""
    digest.update(f"{type(value).__name__}(".encode())
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif is_dataclass(value):
        for field in fields(value):
            digest.update(f"{field.name}=".encode())
            _feed(digest, getattr(value, field.name))
    elif isinstance(value, tuple | list):
        for item in value:
            _feed(digest, item)
    else:
        digest.update(repr(value).encode())
    digest.update(b")")
