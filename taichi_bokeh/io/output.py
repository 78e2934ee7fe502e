"""Write files whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_output(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Refuse an output that cannot or must not be written, before any work is done for it.

    Raises:
        FileExistsError: there is such a file already and ``overwrite`` is false.
        FileNotFoundError: its folder does not exist.
        IsADirectoryError: it is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, and must be the name of a file to write")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already, and is kept: overwriting was not asked for")
    return path


def write_atomically(path: str | os.PathLike[str], content: bytes, overwrite: bool = False) -> None:
    """Write a file under a temporary name in its folder, then rename it: nobody ever sees a part of it.

    Raises:
        OSError: as ``check_output``, or the file system refuses.
    """
    path = check_output(path, overwrite)
    try:
        with _renamed(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None  # else it names no file, or the temporary one


@contextmanager
def whole_file(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield the name of a file to write in the same folder, which becomes `path` when all went well and else goes.

    For what is too large to be written at once. It has the suffix of `path`, and is empty.

    Raises:
        OSError: as `check_output`, or the file system refuses.
    """
    check_output(path, overwrite)
    with _renamed(path, path.suffix) as temporary:
        yield temporary
        check_output(path, overwrite)  # somebody else may have written it in the meantime


@contextmanager
def _renamed(path: Path, suffix: str = "") -> Iterator[Path]:
    """An empty file beside `path`, which takes its name at the end, or goes if there is an error."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp makes files that only their owner may read
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
