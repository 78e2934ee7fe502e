"""The folder in which Taichi keeps compiled kernels between runs, and whether it can. Nothing here imports taichi.

Taichi 1.7.4 aborts the process where neither HOME nor XDG_CACHE_HOME is set, where it may not look into the folder, and at an
index whose lengths are wrong; it raises when the process ends where the folder cannot be made; and it neither reads nor writes
a folder that a killed process left locked.
"""

import contextlib
import os
import struct
import tempfile
import time
from pathlib import Path

_LOCK, _INDEX = "ticache.lock", "ticache.tcb"
_LONGEST_LOCKED_S = 60.0  # reading and writing take milliseconds
_HEAD = struct.Struct("<Q3HQQ")  # of the index: its size, Taichi's version, bytes of kernels, number of kernels
_KERNEL = struct.Struct("<Q65sQ65s3Q")  # their key twice, each after its length; size, time made, time used
_KEY_LENGTH, _VERSION = 65, (1, 7, 4)


def find_home() -> None:
    """Set XDG_CACHE_HOME where HOME is missing, empty or relative: to ~/.cache as the system knows it, which others take then.

    Where the system does not know the user either, it is set to a folder that nobody can make. To be called before taichi is
    imported.
    """
    variables = os.environ
    if os.name != "posix" or os.path.isabs(variables.get("XDG_CACHE_HOME", variables.get("HOME", ""))):
        return
    home = variables.get("HOME", "")
    if not os.path.isabs(home):
        home = _home_of_user()
    variables["XDG_CACHE_HOME"] = os.path.join(home, ".cache") if home else os.devnull


def prepare() -> bool:
    """Make the folder, and take out what a broken run left in it; where that cannot be, have Taichi go without.

    To be called before Taichi starts, and before it ends, as it crashes then where the folder has gone.

    Returns:
        Whether there is anything to write at the end.
    """
    if os.environ.get("TI_OFFLINE_CACHE") == "0":
        return False
    folder = _folder()
    if folder is None or _is_usable(folder):
        return True
    # As variables and not as settings, of which Taichi would print that they override the user's own.
    os.environ["TI_OFFLINE_CACHE"] = "0"
    os.environ["TI_OFFLINE_CACHE_FILE_PATH"] = os.path.abspath(os.sep)  # it must be let in, and writes nothing there
    return False


def _is_usable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        _remove_old_lock(folder / _LOCK)
        if not (folder / _LOCK).exists():  # else another process writes the index, and Taichi leaves it alone
            _remove_broken_index(folder / _INDEX)
    except OSError:
        return False
    return True


def _home_of_user() -> str:
    import pwd  # not on Windows

    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""
    return home if os.path.isabs(home) else ""


def _folder() -> Path | None:
    """Find where Taichi keeps its kernels; None: where only Taichi knows."""
    own = os.environ.get("TI_OFFLINE_CACHE_FILE_PATH")
    if own:
        return Path(own)
    if os.name != "posix":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ["HOME"], ".cache")
    return Path(home, "taichi", "ticache")


def _remove_old_lock(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if time.time() - path.stat().st_mtime > _LONGEST_LOCKED_S:
            path.unlink()


def _remove_broken_index(path: Path) -> None:
    """Remove a broken index: without one Taichi begins a new one, and one of another version it leaves alone itself."""
    try:
        index = path.read_bytes()
    except FileNotFoundError:
        return
    if not _is_whole(index):
        path.unlink(missing_ok=True)


def _is_whole(index: bytes) -> bool:
    if len(index) < _HEAD.size:
        return False
    size, *version, _, count = _HEAD.unpack_from(index)
    if tuple(version) != _VERSION:
        return True
    if not size == len(index) == _HEAD.size + count * _KERNEL.size:
        return False
    kernels = _KERNEL.iter_unpack(index[_HEAD.size :])
    return all(first == second == _KEY_LENGTH for first, _, second, *_ in kernels)
