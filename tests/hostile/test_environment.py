"""Machines unlike ours: no home, a folder for compiled kernels that cannot be used or is broken, users that nobody knows."""

import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taichi_bokeh import _kernel_cache

_KERNEL = """
import taichi_bokeh
from taichi_bokeh import _runtime
import torch
ti = _runtime.ti
@ti.kernel
def double(x: ti.types.ndarray(dtype=ti.f32, ndim=1)):
    for i in x:
        x[i] = 2 * x[i]
values = torch.arange(3.0)
_runtime.launch(double, values)
print(values.tolist())
"""
_NOT_HERE = ("HOME", "XDG_CACHE_HOME", "TI_OFFLINE_CACHE", "TI_OFFLINE_CACHE_FILE_PATH")


def launched(folder: Path, variables: dict[str, str], ending: str = "") -> None:
    """A process that launches a kernel in an environment of these variables alone says its result and nothing else."""
    script = folder / "script.py"
    script.write_text(_KERNEL + ending)
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_HERE} | variables
    packages = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment | {"PYTHONPATH": packages},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0.0, 2.0, 4.0]\n", "")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of compiled kernels as a process leaves it."""
    folder = tmp_path_factory.mktemp("cache") / "good"
    launched(folder.parent, {"TI_OFFLINE_CACHE_FILE_PATH": str(folder)})
    assert {path.suffix for path in folder.iterdir()} == {".tic", ".tcb"}
    return folder


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HOME": os.devnull},
        *(
            pytest.param(variables, marks=pytest.mark.slow)
            for variables in (
                {"HOME": ""},
                {"HOME": os.devnull, "XDG_CACHE_HOME": "beside"},
                {"HOME": os.devnull, "TI_OFFLINE_CACHE": "1"},
            )
        ),
    ],
    ids=str,
)
def test_without_a_home_it_runs_and_says_nothing(tmp_path, variables):
    launched(tmp_path, variables)
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_or_is_a_file(tmp_path):
    (tmp_path / "file").write_text("precious")
    launched(tmp_path, {"TI_OFFLINE_CACHE_FILE_PATH": str(tmp_path / "file")})
    launched(tmp_path, {"TI_OFFLINE_CACHE_FILE_PATH": str(tmp_path / "file" / "below")})
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.slow
def test_a_folder_of_ones_own_is_used_whatever_it_is_called(tmp_path):
    folder = tmp_path / "ein Ördner"
    launched(tmp_path, {"HOME": os.devnull, "TI_OFFLINE_CACHE_FILE_PATH": str(folder)})
    assert any(folder.glob("*.tic"))


@pytest.mark.parametrize("mode", [0o000, 0o555])
def test_a_folder_that_may_not_be_written_is_done_without(good, tmp_path, monkeypatch, mode):
    """By the permissions of a folder, which hold for all but root, for whom making the file is refused."""
    folder = tmp_path / "folder"
    shutil.copytree(good, folder)
    monkeypatch.setenv("TI_OFFLINE_CACHE", "1")
    monkeypatch.setenv("TI_OFFLINE_CACHE_FILE_PATH", str(folder))
    if os.geteuid() == 0:

        def refuse(**_: object) -> None:
            raise PermissionError(13, "Permission denied", str(folder))

        monkeypatch.setattr(_kernel_cache.tempfile, "TemporaryFile", refuse)
    folder.chmod(mode)
    try:
        _kernel_cache.prepare()
    finally:
        folder.chmod(0o755)
    assert os.environ["TI_OFFLINE_CACHE"] == "0"
    assert os.environ["TI_OFFLINE_CACHE_FILE_PATH"] == os.path.abspath(os.sep)


def _wrong_length(index: bytes) -> bytes:
    """As a flipped bit leaves it: the first kernel's name is said to have terabytes."""
    return index[:30] + struct.pack("<Q", 2**41) + index[38:]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(_wrong_length, id="wrong length"),
        pytest.param(lambda index: index[:-9], id="cut", marks=pytest.mark.slow),
        pytest.param(lambda index: b"\xff" * len(index), id="garbage", marks=pytest.mark.slow),
    ],
)
def test_a_broken_index_is_made_anew(good, tmp_path, damage):
    folder = tmp_path / "folder"
    shutil.copytree(good, folder)
    index = folder / "ticache.tcb"
    index.write_bytes(damage(index.read_bytes()))
    launched(tmp_path, {"TI_OFFLINE_CACHE_FILE_PATH": str(folder)})
    assert index.stat().st_size == (good / "ticache.tcb").stat().st_size


def test_broken_kernels_are_compiled_again(good, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(good, folder)
    kernels = sorted(folder.glob("*.tic"))
    for kernel in kernels:
        kernel.write_bytes(kernel.read_bytes()[:-100])
    launched(tmp_path, {"TI_OFFLINE_CACHE_FILE_PATH": str(folder)})


def test_a_lock_that_a_killed_process_left_is_taken_away_and_a_new_one_is_not(good, tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    shutil.copytree(good, folder)
    monkeypatch.setenv("TI_OFFLINE_CACHE_FILE_PATH", str(folder))
    monkeypatch.delenv("TI_OFFLINE_CACHE", raising=False)
    lock = folder / "ticache.lock"
    lock.touch()
    (folder / "ticache.tcb").write_bytes(b"half of an ind")  # its owner writes it
    _kernel_cache.prepare()
    assert lock.exists()
    assert (folder / "ticache.tcb").exists()
    os.utime(lock, (time.time() - 3600,) * 2)
    _kernel_cache.prepare()
    assert not lock.exists()
    assert not (folder / "ticache.tcb").exists()


@pytest.mark.slow
def test_a_folder_that_goes_while_it_works_is_nothing_to_speak_of(tmp_path):
    folder = tmp_path / "above" / "folder"
    ending = f"import shutil; shutil.rmtree({str(folder.parent)!r}); open({str(folder.parent)!r}, 'w')"
    launched(tmp_path, {"TI_OFFLINE_CACHE_FILE_PATH": str(folder)}, ending)
    assert folder.parent.read_bytes() == b""


def test_a_home_that_is_there_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    _kernel_cache.find_home()
    assert "XDG_CACHE_HOME" not in os.environ


def test_a_user_without_a_name_has_no_home(monkeypatch):
    import pwd

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "")  # so that what is set below goes with the test
    _kernel_cache.find_home()
    assert os.environ["XDG_CACHE_HOME"] == os.devnull
