"""Files under temporary names, which a writer that is killed leaves behind and a later one removes.

Their names are short, as that of the file to be may be as long as the file system allows, and tell on which machine they are
being written. There a writer holds a lock on its file: what nobody has locked is left over. Files of other machines, whose
locks a network file system may not show, are taken for left over a day after the last byte. Files of locks are removed alike.
"""

import contextlib
import hashlib
import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taichi_bokeh.storage.locks import is_at, lock_handle

_NAME = re.compile(r"\.taichi-bokeh-([0-9a-f]{8})-[a-z0-9_]+\.part(\.\w+)?", re.ASCII)
_LOCK = re.compile(r"\.taichi-bokeh(-[0-9a-z-]+)?\.lock", re.ASCII)
_LONGEST_SUFFIX = 16
_FORGOTTEN_AFTER_S = 24 * 3600.0


@contextmanager
def temporary_file(folder: Path, suffix: str = "") -> Iterator[Path]:
    """Yield a new, empty file, which its owner alone may read; it goes at the end, unless it has got another name by then.

    Args:
        folder: where.
        suffix: of its name, left out if it is a long one.

    Raises:
        OSError: the file system refuses.
    """
    path, handle = _made(folder, suffix if len(os.fsencode(suffix)) <= _LONGEST_SUFFIX else "")
    try:
        yield path
    finally:
        with contextlib.suppress(OSError):  # the folder may be gone
            path.unlink()
        os.close(handle)  # and with it the lock


def remove_left_over(folder: Path) -> None:
    """Remove what writers that were killed have left in a folder, but nothing that is being written, nor anything else."""
    try:
        with os.scandir(folder) as entries:
            paths = [Path(entry.path) for entry in entries if entry.name.startswith(".taichi-bokeh")]
    except OSError:  # what is wrong with the folder is said when something is written into it
        return
    for path in paths:
        name = _NAME.fullmatch(path.name)
        if name is not None or _LOCK.fullmatch(path.name):
            with contextlib.suppress(OSError):
                _remove_if_left_over(path, is_foreign=name is not None and name[1] != _machine())


def _made(folder: Path, suffix: str) -> tuple[Path, int]:
    """Make a new file, and the handle that holds the lock."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".taichi-bokeh-{_machine()}-", suffix=f".part{suffix}", dir=folder)
        path = Path(name)
        if lock_handle(handle) is not False and is_at(handle, path):
            return path, handle
        os.close(handle)  # another process was quick to take it for left over, and removes it


def _remove_if_left_over(path: Path, *, is_foreign: bool) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        is_free = lock_handle(handle)
        is_forgotten = time.time() - os.fstat(handle).st_mtime > _FORGOTTEN_AFTER_S
        if is_free is not False and (is_forgotten or (is_free and not is_foreign)):
            path.unlink()
    finally:
        os.close(handle)


def _machine() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]
