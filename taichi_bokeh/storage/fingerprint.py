"""What a result depends on, as one short text: values, and what is in the files that they name."""

import hashlib
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor


def value_digest(value: Any) -> str:
    """Make a SHA-256 of a value: tensors, arrays, dataclasses, lists and tuples count by their content, all else by its `repr`.

    A path counts by the content of the file, or of all files in the folder, where there is one; a value with a method
    ``content`` by what that returns.
    """
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Compute the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path, suffix: str = "") -> str:
    """Compute the SHA-256 of the names and contents of all files in a folder and below that end in `suffix`."""
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
    elif hasattr(value, "content"):
        _feed(digest, value.content())
    elif is_dataclass(value):
        for field in fields(value):
            digest.update(f"{field.name}=".encode())
            _feed(digest, getattr(value, field.name))
    elif isinstance(value, tuple | list):
        for item in value:
            _feed(digest, item)
    elif isinstance(value, Path):
        content = f"file {file_digest(value)}" if value.is_file() else str(value)
        text = f"folder {folder_digest(value)}" if value.is_dir() else content
        digest.update(text.encode(errors="surrogateescape"))
    else:
        digest.update(repr(value).encode())
    digest.update(b")")
