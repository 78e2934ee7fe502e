"""Write files whole or not at all.

A symbolic link stays one: the file that it names is written. A file that is replaced leaves its permissions to the new one, and
its owner and group where the system lets them be given. Other hard links to it keep what they had.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from taichi_bokeh.storage.temporary import remove_left_over, temporary_file

_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)  # where an error does not say of which file

_written: dict[Path, None] = {}  # in this order
_tidied: set[Path] = set()


def begin_writing() -> None:
    """Forget what was written, and which folders were looked through for what killed writers have left: a command begins."""
    _written.clear()
    _tidied.clear()


def written_files() -> list[Path]:
    """List the files that were written since the command began and are still there, in order."""
    return [path for path in _written if path.exists()]


def note_written(paths: Iterable[Path]) -> None:
    """Add files to `written_files` that another process has written for this one."""
    _written.update(dict.fromkeys(paths))


def check_output(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Refuse an output that cannot or must not be written, before any work is done for it.

    Raises:
        FileExistsError: there is such a file already and ``overwrite`` is false.
        FileNotFoundError: its folder does not exist.
        IsADirectoryError: it is a folder.
        PermissionError: its folder takes no files from this user.
        OSError: it is a device or a pipe, a link to itself, or its name is too long.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, and must be the name of a file to write")
    target = _target(path)
    if not target.parent.is_dir():
        parent = target.parent if path.is_symlink() else path.parent
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {parent}")
    if path.exists() and not path.is_file():
        raise OSError(f"{path} is a device or a pipe, and must be the name of a file to write")
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} exists already, and is kept: overwriting was not asked for")
    _require_room(path, target.parent)
    return path


def write_atomically(path: str | os.PathLike[str], content: bytes, overwrite: bool = False) -> None:
    """Write a file under a temporary name in its folder, then rename it: nobody ever sees a part of it.

    Raises:
        OSError: as ``check_output``, or the file system refuses.
    """
    path = check_output(path, overwrite)
    with _becoming(path, "", overwrite) as temporary:
        temporary.write_bytes(content)


@contextmanager
def whole_file(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield the name of a file to write in the same folder, which becomes `path` when all went well and else goes.

    For what is too large to be written at once. It has the suffix of `path`, and is empty.

    Raises:
        OSError: as `check_output`, or the file system refuses.
    """
    check_output(path, overwrite)
    with _becoming(path, path.suffix, overwrite) as temporary:
        yield temporary


@contextmanager
def _becoming(path: Path, suffix: str, overwrite: bool) -> Iterator[Path]:
    """Open an empty file in the folder of `path`, which takes its name at the end, or goes if there is an error."""
    target = _target(path)
    if target.parent not in _tidied:
        remove_left_over(target.parent)
        _tidied.add(target.parent)
    temporary = None
    try:
        with temporary_file(target.parent, suffix) as temporary:
            yield temporary
            _dress(temporary, target)
            _take_place(temporary, target, path, overwrite)
    except OSError as error:
        if not _is_of(error, temporary):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None  # else it names no file, or the temporary one
    _written[path] = None


def _is_of(error: OSError, temporary: Path | None) -> bool:
    """Tell whether an error is of the file that is written, and not of another that is read meanwhile."""
    if error.errno is None:
        return False
    if error.filename is None:
        return error.errno in _OF_WRITING
    return temporary is None or os.fspath(error.filename) == os.fspath(temporary)


def _take_place(temporary: Path, target: Path, path: Path, overwrite: bool) -> None:
    if not overwrite:
        try:
            os.link(temporary, target)  # unlike a renaming it never replaces what somebody else has written meanwhile
            return
        except FileExistsError:
            raise FileExistsError(f"{path} exists already, and is kept: it was written in the meantime") from None
        except OSError:  # a file system without hard links
            check_output(path, overwrite)
    temporary.replace(target)


def _dress(temporary: Path, target: Path) -> None:
    """Give a file the permissions of the one that it replaces, or those of a new one."""
    try:
        old = target.stat()
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        return
    mode = stat.S_IMODE(old.st_mode) & 0o777
    if hasattr(os, "chown") and not _given(temporary, old.st_uid, old.st_gid) and not _given(temporary, -1, old.st_gid):
        mode = mode & ~0o070 | (mode & 0o007) << 3  # the group is another one, which may do no more than everybody
    temporary.chmod(mode)


def _given(path: Path, owner: int, group: int) -> bool:
    """Tell whether the system lets a file be given to them."""
    try:
        os.chown(path, owner, group)
    except OSError:
        return False
    return True


def _target(path: Path) -> Path:
    """Find the file that is to be written: that which a link names.

    Raises:
        OSError: a link that leads to itself.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))
    return target


def _require_room(path: Path, folder: Path) -> None:
    """Refuse a folder that takes no files, and a name that is too long for it, as far as the system tells beforehand."""
    if os.name != "posix":
        return
    facts = os.statvfs(folder)
    problem = 0
    if len(os.fsencode(path.name)) > facts.f_namemax:
        problem = errno.ENAMETOOLONG
    elif facts.f_flag & os.ST_RDONLY:
        problem = errno.EROFS
    elif not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        problem = errno.EACCES
    if problem:
        raise OSError(problem, os.strerror(problem), os.fspath(path))
