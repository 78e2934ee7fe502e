"""A lock keeps others out as long as its process lives; what killed writers left is known from what is being written."""

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from taichi_bokeh.storage import locks, temporary
from taichi_bokeh.storage.locks import acquire, holder, lock_of_file, lock_of_folder, locked, sole_run
from taichi_bokeh.storage.temporary import remove_left_over, temporary_file

HOLDING = """
import pathlib, sys
from taichi_bokeh.storage.locks import acquire
acquire(pathlib.Path(sys.argv[1]))
print(flush=True)
input()
"""


def test_a_lock_keeps_others_out_and_leaves_nothing(tmp_path):
    path = lock_of_folder(tmp_path, (2, 3))
    with sole_run(path, "the folder"):
        assert acquire(path, wait=False) is None
        with pytest.raises(
            BlockingIOError, match=rf"the folder is in use by another run \(process {os.getpid()} on .*, since "
        ):
            sole_run(path, "the folder").__enter__()
    assert list(tmp_path.iterdir()) == []
    with locked(path):
        assert path.exists()
    assert holder(path) == "which has just ended"


def test_a_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "lock"
    words = [sys.executable, "-c", HOLDING, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        assert acquire(path, wait=False) is None
        assert re.match(f"process {process.pid} on ", holder(path))
        process.kill()
        process.wait()
        lock = acquire(path, wait=False)
        assert lock is not None
        lock.release()
    assert not path.exists()


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    lock_handle = locks.lock_handle

    def removed(handle: int, *, wait: bool = False) -> bool | None:
        monkeypatch.setattr(locks, "lock_handle", lock_handle)
        path.unlink()
        return lock_handle(handle, wait=wait)

    monkeypatch.setattr(locks, "lock_handle", removed)
    lock = acquire(path)
    assert path.exists()
    assert lock is not None
    lock.release()


def test_without_locks_work_goes_on_and_nothing_is_taken_for_left_over(tmp_path, monkeypatch):
    def none(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", none)
    with sole_run(tmp_path / "lock", "it"), sole_run(tmp_path / "lock", "it"), temporary_file(tmp_path) as path:
        remove_left_over(tmp_path)
        assert path.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_lock_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        acquire(tmp_path / "gone" / "lock")
    assert caught.value.filename == str(tmp_path / "gone")


def test_the_name_of_a_lock_is_short(tmp_path):
    assert len(lock_of_file(tmp_path / ("ぼ" * 85)).name) < 64
    assert lock_of_file(tmp_path / "a", tmp_path / "b").parent == tmp_path / "b"


def _left_over(folder: Path, name: str, age_s: float = 0) -> Path:
    path = folder / name
    path.write_bytes(b"part")
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age_s))
    return path


def test_only_what_a_killed_writer_left_is_removed(tmp_path):
    here, day = temporary._machine(), 24 * 3600.0
    gone = [
        _left_over(tmp_path, f".taichi-bokeh-{here}-abc_1234.part"),
        _left_over(tmp_path, f".taichi-bokeh-{here}-abc_1234.part.mp4"),
        _left_over(tmp_path, ".taichi-bokeh-00000000-abc_1234.part", age_s=1.1 * day),
        _left_over(tmp_path, ".taichi-bokeh.lock"),
        _left_over(tmp_path, ".taichi-bokeh-1-of-3.lock"),
    ]
    kept = [
        _left_over(tmp_path, ".taichi-bokeh-00000000-abc_1234.part", age_s=0.9 * day),  # of another machine
        _left_over(tmp_path, ".taichi-bokeh.txt"),
        _left_over(tmp_path, "taichi-bokeh.part"),
        _left_over(tmp_path, ".taichi-bokeh-notes.part.of.mine"),
        _left_over(tmp_path, ".hidden"),
    ]
    gone.remove(kept[0])
    lock = acquire(lock_of_file(tmp_path / "a"))
    assert lock is not None
    with temporary_file(tmp_path, ".mp4") as writing:
        remove_left_over(tmp_path)
        assert not any(path.exists() for path in gone)
        assert all(path.exists() for path in (*kept, writing, lock_of_file(tmp_path / "a")))
    lock.release()
    os.utime(kept[0], (0, 0))
    remove_left_over(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept[1:])


def test_a_folder_that_cannot_be_looked_through_is_no_error(tmp_path):
    remove_left_over(tmp_path / "gone")
