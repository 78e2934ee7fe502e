"""Locks that end with the process that holds them, however it ends; their files exist as long as they are held.

They are advisory, and hold between the processes of a machine, and between machines on file systems that carry such locks (NFS
with its lock service, as it is mounted by default). Where there are none, as on Windows, a lock keeps nobody out: files are
still whole then, but work may be done twice.
"""

import contextlib
import errno
import hashlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


class Lock:
    """A lock that is held, see `acquire`."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path = path
        self._handle = handle

    def release(self) -> None:
        """Let others have it, and remove the file."""
        with contextlib.suppress(OSError):
            if is_at(self._handle, self._path):
                self._path.unlink()  # before others have it: whoever waited sees that it is a lock of nothing, and begins anew
        os.close(self._handle)


def acquire(path: Path, *, wait: bool = True) -> Lock | None:
    """Hold a lock; None where another process has it and it is not to be waited for.

    Args:
        path: its file, which is made; a folder's file is worth a name of its own for each thing to be locked.
        wait: until it is free.

    Raises:
        OSError: the file cannot be made; the error names the folder.
    """
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.fspath(path.parent)) from None
        try:
            is_held = lock_handle(handle, wait=wait)
            if is_held is not False and is_at(handle, path):
                _sign(handle)
                return Lock(path, handle)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        if is_held is False:
            return None
        # Its last holder has removed the file in the meantime: the lock is of nothing.


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock in a block; wait for it.

    Raises:
        OSError: as `acquire`.
    """
    lock = acquire(path)
    assert lock is not None  # it was waited for
    try:
        yield
    finally:
        lock.release()


@contextmanager
def sole_run(path: Path, what: str) -> Iterator[None]:
    """Hold a lock in a block that only one run may be in.

    Args:
        path: of the lock.
        what: is in use, for the message: "the folder results".

    Raises:
        BlockingIOError: another run is in it; the message tells which.
        OSError: as `acquire`.
    """
    lock = acquire(path, wait=False)
    if lock is None:
        raise BlockingIOError(f"{what} is in use by another run ({holder(path)}); wait until it has ended, or give another one")
    try:
        yield
    finally:
        lock.release()


def lock_of_folder(folder: Path, part: tuple[int, int] = (1, 1)) -> Path:
    """Name the lock of a folder of results, or of part i of n of the work in it."""
    index, count = part
    return folder / (".taichi-bokeh.lock" if count == 1 else f".taichi-bokeh-{index}-of-{count}.lock")


def lock_of_file(path: Path, folder: Path | None = None) -> Path:
    """Name the lock of a file, in its folder or another; short however long the file's own name is."""
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]
    return (path.parent if folder is None else folder) / f".taichi-bokeh-{digest}.lock"


def holder(path: Path) -> str:
    """Tell who holds a lock, as far as is known."""
    with contextlib.suppress(OSError, ValueError):
        return path.read_text(encoding="utf-8").strip() or "of which nothing is known"
    return "which has just ended"


def lock_handle(handle: int, *, wait: bool = False) -> bool | None:
    """Lock an open file; whether it worked, None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def is_at(handle: int, path: Path) -> bool:
    """Tell whether an open file has this name still."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(handle: int) -> None:
    """Write who holds the lock; on a full disk it stays empty."""
    text = f"process {os.getpid()} on {socket.gethostname()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}\n"
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.write(handle, text.encode())
