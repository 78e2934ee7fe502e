"""Work that is resumed: its state in a whole file, or its results in a folder, each with a record of what it belongs to.

A record maps names to numbers, texts, None, and lists and mappings of these; a digest stands for what is long. What is
damaged, or has another record, is refused and left as it is, and the message names the first entry that differs.
"""

import json
import pickle
import re
import time
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from taichi_bokeh.storage.atomic_files import whole_file, write_atomically

Record = Mapping[str, Any]

#: What reading a damaged file may raise.
DAMAGED = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError, EOFError, RuntimeError),
    *(pickle.UnpicklingError, zipfile.BadZipFile, zlib.error),
)
_is_digest = re.compile(r"[0-9a-f]{64}").fullmatch


class Checkpoint:
    """A file of the state of some work, from which a later run goes on; only one with the same record.

    Args:
        path: the file.
        what: the work, for messages, such as "trace".
        belongs_to: its record; an entry "format" tells the versions of the program apart.
        every_s: `save_if_due` saves when so many seconds have passed since the last time, or since the beginning.
    """

    def __init__(self, path: Path, what: str, belongs_to: Record, every_s: float = 0.0) -> None:
        self.path, self._what, self._belongs_to, self._every_s = path, what, dict(belongs_to), every_s
        self._saved_at_s = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """Read the state, on the CPU; None where there is no file. No code in it is run.

        Raises:
            ValueError: it is no checkpoint, is damaged, or belongs to something else.
        """
        if not self.path.exists():
            return None
        found, state = read_checkpoint(self.path, self._what)
        require_same(self.path, self._what, found, self._belongs_to)
        return state

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the file, or make it.

        Args:
            state: tensors, numbers, texts, None, and lists and mappings of them.

        Raises:
            OSError: the file system refuses.
        """
        with whole_file(self.path, overwrite=True) as temporary, temporary.open("wb") as file:
            try:
                torch.save({"belongs_to": self._belongs_to, "state": dict(state)}, file)
            except RuntimeError as error:  # of the end of the archive, which torch writes even after a full disk
                raise error.__context__ or error from None
        self._saved_at_s = time.monotonic()

    def save_if_due(self, state: Mapping[str, Any]) -> None:
        """Save if the last time is long enough ago."""
        if time.monotonic() - self._saved_at_s >= self._every_s:
            self.save(state)

    def remove(self) -> None:
        """Delete the file, if there is one."""
        self.path.unlink(missing_ok=True)


def read_checkpoint(path: Path, what: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the record and the state of a `Checkpoint`, on the CPU.

    Raises:
        ValueError: it is none, or is damaged.
    """
    try:
        with path.open("rb") as file:
            with zipfile.ZipFile(file) as archive:  # torch does not look at the checksums that it writes
                if archive.testzip() is not None:
                    raise zipfile.BadZipFile
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
        return dict(content["belongs_to"]), dict(content["state"])
    except DAMAGED:
        raise damaged(path, f"no checkpoint of a {what}") from None


def damaged(path: Path, instead: str) -> ValueError:
    """Make the error of a file that is damaged, or is something else instead."""
    return ValueError(f"{path} is damaged or {instead}, and is left as it is; remove it to have it made again")


def require_same(path: Path, what: str, found: Record, expected: Record) -> None:
    """Raise ValueError, which names the first difference, unless what lies at `path` has the record that is expected."""
    difference = _difference(found, expected)
    if difference is not None:
        raise ValueError(f"{path} is of another {what}, and is left as it is: {difference}")


def check_folder(folder: Path) -> None:
    """Refuse the name of a folder that neither exists nor can be made.

    Raises:
        NotADirectoryError: it is that of a file.
        FileNotFoundError: the folder that it would lie in does not exist.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, and must be a folder")
    if not folder.absolute().parent.is_dir():
        raise FileNotFoundError(f"{folder} cannot be made: there is no folder {folder.parent}")


def check_record(folder: Path, name: str, what: str, record: Record) -> None:
    """Refuse a folder in which work can neither begin nor go on.

    Args:
        folder: new, empty, or one that holds a file `name`.
        name: of the file with the record, JSON.
        what: the work, for messages, such as "benchmark".
        record: of the work.

    Raises:
        ValueError: the record there is another one, or is damaged.
        OSError: the folder holds something else, or is none.
    """
    check_folder(folder)
    found = read_json(folder / name)
    if found is not None:
        require_same(folder, what, found, record)
    elif folder.is_dir() and any(not file.name.startswith(".") for file in folder.iterdir()):  # with a dot: being written
        raise FileExistsError(f"{folder} holds files of something else; give a new folder, or that of a {what} ({name})")


def open_record(folder: Path, name: str, what: str, record: Record) -> None:
    """Make a folder with a record, or go on in it.

    Raises:
        ValueError, OSError: as `check_record`, or the file system refuses.
    """
    check_record(folder, name, what, record)
    folder.mkdir(exist_ok=True)
    if not (folder / name).exists():
        write_json(folder / name, record, overwrite=True)  # another shard may have written the same meanwhile


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a mapping; None where there is no file.

    Raises:
        ValueError: it is damaged.
    """
    if not path.exists():
        return None
    try:
        return dict(json.loads(path.read_bytes()))
    except DAMAGED:
        raise damaged(path, "no JSON of a mapping") from None


def write_json(path: Path, values: Record, overwrite: bool = False) -> None:
    """Write a mapping, without NaN.

    Raises:
        OSError: the file system refuses, or there is such a file already and it is not to be replaced.
    """
    write_atomically(path, (json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode(), overwrite)


def _difference(found: Record, expected: Record, within: str = "") -> str | None:
    for name in {**expected, **found}:
        there, here = found.get(name), expected.get(name)
        if there == here:
            continue
        if name == "format":
            return "another version of this program wrote it"
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            return _difference(there, here, f"{within}{name}.")
        if any(isinstance(value, str) and _is_digest(value) for value in (there, here)):
            return f"{within}{name} is not the same"
        there, here = ("not given" if value is None else value for value in (there, here))
        return f"{within}{name} is {there} there, and {here} here"
    return None
