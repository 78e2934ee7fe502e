"""Write files whole or not at all."""

import os
import tempfile
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
        _write(path, content)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None  # else it names no file, or the temporary one


def _write(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # mkstemp makes files that only their owner may read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
