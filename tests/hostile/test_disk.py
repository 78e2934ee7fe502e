"""No room, no permission, no folder, another run in it: one line that names the file, nothing half-written, the rest kept."""

import errno
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path

import numpy as np
import pytest
import torch

from taichi_bokeh.apps import cli
from taichi_bokeh.dfd.training.log import TrainLog, TrainStep
from taichi_bokeh.io import write_atomically, write_image
from taichi_bokeh.storage.locks import lock_of_folder, sole_run
from tests.apps.small_scene import square_before_grid, write_scene

LENS = "--disparity disparity.npy --blur 6 --focus 0.5 --quiet"
SMALL = "--scenes 2 --size 24 --rays 4 --quiet"
#: Commands by what they write; all of them into the folder in which they are run.
COMMANDS = {
    "png": f"render photo.png {LENS} --cells 4 -o new/out.png",
    "tif": f"render photo.png {LENS} --cells 4 -o new/out.tif",
    "exr": f"render photo.png {LENS} --cells 4 -o new/out.exr",
    "layers": f"render photo.png {LENS} --cells 4 -o new/out.jpg --save-layers new/parts --show-focus new/focus.png",
    "pictures": f"render photo.png {LENS} --cells 4 --blur 1:6 --frames 3 -o new/out_%d.png",
    "checkpoint": f"trace photo.png {LENS} --rays 4 --checkpoint new/state --checkpoint-every 0 -o new/out.npy",
    "generate": f"dfd generate {SMALL} --per-file 1 --out new/set",
    "benchmark": f"benchmark {SMALL} --methods classical --out new/run",
    "train": "dfd train --data set --supervised --steps 2 --batch 2 --crop 24 --network tests.dfd.pairs:tiny --device cpu "
    "--quiet --checkpoint-every 1 --out new/training",
    "eval": "dfd eval --data set --device cpu --rays 0 --pictures 1 --quiet --out new/scores",
    "table": "dfd table --scenes 1 --size 32 --rays 8 --retrace-rays 8 --steps 2 --pictures 1 --methods sweep --quiet "
    "--out new/table",
    "optimize": "dfd optimize --sharp photo.png --blurred blurred.npy --blur 4 --focus 0 --steps 2 --device cpu "
    "--allow-saturated -o new/map.npy --confidence new/sure.npy --preview new/map.png",
    "preview": f"preview photo.png {LENS.removesuffix(' --quiet')} --offscreen --script actions.json -o new/frames",
}
LIMITED = {
    "mp4": f"render photo.png {LENS} --cells 4 --blur 1:6 --frames 3 -o new/out.mp4",
    "mkv": f"render photo.png {LENS} --cells 4 --blur 1:6 --frames 3 -o new/out.mkv",
    "cache": f"render photo.png {LENS} --cells 4 --cache new/layers -o new/out.png",
}
PROBLEMS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_scene(tmp_path_factory.mktemp("inputs"))
    rgb, _ = square_before_grid()
    np.save(folder / "blurred.npy", (rgb + np.roll(rgb, 1, 0) + np.roll(rgb, 1, 1)) / 3)
    (folder / "actions.json").write_text(json.dumps([{"key": "h"}]))
    assert cli.main(["dfd", "generate", *SMALL.split(), "--scenes", "2", "--size", "32", "--out", str(folder / "set")]) == 0
    return folder


@pytest.fixture
def work(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the inputs, in which commands run; what they write goes into "new"."""
    folder = tmp_path / "work"
    shutil.copytree(inputs, folder)
    (folder / "new").mkdir()
    monkeypatch.chdir(folder)
    return folder


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _counting(monkeypatch: pytest.MonkeyPatch, at: int, fail: Callable[[Path, bytes], None]) -> list[Path]:
    """Let writing fail at the call of that number, and from then on; the calls are listed."""
    calls: list[Path] = []
    write, save = Path.write_bytes, torch.save

    def writing(path: Path, content: bytes) -> int:
        calls.append(path)
        if len(calls) > at:
            write(path, content[:7])
            fail(path, content)
        return write(path, content)

    def saving(content: object, file: BufferedWriter) -> None:
        calls.append(Path(file.name))
        if len(calls) > at:
            file.write(b"PK")
            fail(Path(file.name), b"")
        save(content, file)

    monkeypatch.setattr(Path, "write_bytes", writing)
    monkeypatch.setattr(torch, "save", saving)
    return calls


def _refused(problem: int) -> Callable[[Path, bytes], None]:
    def fail(_: Path, __: bytes) -> None:
        raise OSError(problem, os.strerror(problem))  # as the system does, without a name

    return fail


@pytest.mark.parametrize("command", COMMANDS)
def test_whatever_is_written_last_or_first_fails_in_one_line(work, monkeypatch, capsys, command):
    words = COMMANDS[command].split()
    with monkeypatch.context() as patch:
        calls = _counting(patch, 1 << 30, _refused(0))
        assert cli.main(words) == 0, capsys.readouterr().err
    whole = _names(work / "new") | {"state"}
    assert calls
    for at, problem in zip(sorted({0, len(calls) // 2, len(calls) - 1}), PROBLEMS, strict=False):
        shutil.rmtree(work / "new")
        (work / "new").mkdir()
        capsys.readouterr()
        with monkeypatch.context() as patch:
            _counting(patch, at, _refused(problem))
            assert cli.main(words) == 2, (at, command)
        printed = capsys.readouterr().err
        assert printed.count("\n") == 1, printed
        assert os.strerror(problem) in printed
        assert any(Path(name).name in printed for name in whole), printed
        left = _names(work / "new")
        assert left <= whole, "something half-written or temporary was left"
        assert ("written before it: " in printed) == bool(left), printed


@pytest.mark.parametrize("command", LIMITED)
def test_a_file_that_grows_too_large_fails_in_one_line(work, capsys, command):
    (work / "new" / "other.txt").write_text("mine")
    with _limited(1000):
        assert cli.main(LIMITED[command].split()) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1, printed
    assert os.strerror(errno.EFBIG) in printed
    assert "new/layers/" in printed if command == "cache" else f"new/out.{command}" in printed
    assert _names(work / "new") == {"other.txt"}


@contextmanager
def _limited(size: int) -> Iterator[None]:
    """Files of this process may not grow larger, in bytes."""
    resource = pytest.importorskip("resource", reason="limits of a process are POSIX")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


@contextmanager
def _little_room(folder: Path) -> Iterator[None]:
    """A disk of 32 KiB on the folder where this user may mount one; elsewhere files may grow to 4 KiB."""
    words = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(folder)]
    mounted = os.name == "posix" and shutil.which("mount") and subprocess.run(words, capture_output=True).returncode == 0
    if not mounted:
        with _limited(4096):
            yield
        return
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", ["out.tif", "out.npy", "out.mp4", "layers"])
def test_a_small_disk(work, capsys, name):
    write_image(work / "large.png", np.random.default_rng(0).random((150, 150, 3), np.float32))
    np.save(work / "large.npy", np.tile(np.linspace(0.2, 1, 150, dtype=np.float32), (150, 1)))
    output = {"out.mp4": "--frames 12 --focus 0.2:1 -o new/out.mp4", "layers": "--focus 1 --cache new/layers -o out.png"}
    words = "render large.png --disparity large.npy --blur 1 --model scatter --quiet "
    words += output.get(name, f"--focus 1 -o new/{name}")
    with _little_room(work / "new"):
        assert cli.main(words.split()) == 2
        printed = capsys.readouterr().err
        assert _names(work / "new") == set()
    assert printed.count("\n") == 1
    assert f"new/{name}" in printed
    assert os.strerror(errno.ENOSPC) in printed or os.strerror(errno.EFBIG) in printed


def test_a_batch_tells_which_pictures_failed_and_goes_on(work, monkeypatch, capsys):
    for number in range(3):
        shutil.copy("photo.png", f"new/{number}.png")
        shutil.copy("disparity.npy", f"new/{number}_disparity.npy")
    words = ["render-batch", "new", "--blur", "6", "--focus", "0.5", "--cells", "4", "--out", "out"]
    with monkeypatch.context() as patch:
        _counting(patch, 3, _refused(errno.ENOSPC))  # a record and a result, then a record only
        assert cli.main(words) == 2
    printed = capsys.readouterr()
    assert "failed: 1.png: " in printed.out or printed.err.count("\n") == 1
    assert f"out/report.json: {os.strerror(errno.ENOSPC)}" in printed.err
    assert "out/0.png" in printed.err
    assert _names(work / "out") == {"0.png", "records/0.png.json", "records/1.png.json"}
    assert cli.main(words) == 0
    assert _names(work / "out") == {f"{i}.png" for i in range(3)} | {f"records/{i}.png.json" for i in range(3)} | {
        "report.json"
    }


@pytest.mark.parametrize("command", ["layers", "pictures", "checkpoint", "generate", "train"])
def test_a_folder_that_vanishes_in_the_middle(work, monkeypatch, capsys, command):
    def vanish(path: Path, _: bytes) -> None:
        shutil.rmtree(work / "new")
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    _counting(monkeypatch, 1, vanish)
    assert cli.main(COMMANDS[command].split()) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert os.strerror(errno.ENOENT) in printed
    assert ".taichi-bokeh" not in printed
    assert not (work / "new").exists()


@pytest.mark.parametrize("command", [*COMMANDS, *LIMITED])
def test_a_folder_that_takes_no_files(work, monkeypatch, capsys, command):
    folder = work / "new"
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):  # the superuser: the system is made to refuse
        monkeypatch.setattr("tempfile.mkstemp", _no_permission)
    assert cli.main((COMMANDS | LIMITED)[command].split()) == 2
    printed = capsys.readouterr().err
    folder.chmod(0o755)
    assert printed.count("\n") == 1
    assert os.strerror(errno.EACCES) in printed
    assert "new" in printed
    assert ".part" not in printed
    assert _names(folder) == set()


def _no_permission(*, dir: Path, **_: object) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), f"{dir}/.taichi-bokeh.part")


@pytest.mark.parametrize("command", ["generate", "benchmark", "train", "table"])
def test_a_folder_in_which_another_run_is_at_work(work, capsys, command):
    words = COMMANDS[command].split()
    folder = work / words[-1]
    folder.mkdir()
    with sole_run(lock_of_folder(folder), "it"):
        assert cli.main(words) == 2
        printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert f"{words[-1]} is in use by another run (process {os.getpid()} on " in printed
    if command != "table":  # which has begun with its file of settings
        assert _names(folder) == set()
    assert cli.main(words) == 0
    assert not list(folder.rglob(".*"))


def test_an_older_file_survives_a_full_disk(work, monkeypatch, capsys):
    (work / "new" / "out.png").write_bytes(b"precious")
    _counting(monkeypatch, 0, _refused(errno.ENOSPC))
    assert cli.main([*COMMANDS["png"].split(), "--overwrite"]) == 2
    assert os.strerror(errno.ENOSPC) in capsys.readouterr().err
    assert (work / "new" / "out.png").read_bytes() == b"precious"


def test_a_log_ends_with_a_whole_line(tmp_path):
    with TrainLog(tmp_path, 0, tensorboard=False) as log:
        log.write(TrainStep(1, 0.5, 0.001, 1.0))
        size = (tmp_path / "log.jsonl").stat().st_size
        with _limited(size + 10), pytest.raises(OSError, match="File too large") as caught:
            log.write(TrainStep(2, 0.5, 0.001, 1.0))
    assert caught.value.filename == str(tmp_path / "log.jsonl")
    assert (tmp_path / "log.jsonl").stat().st_size == size


def test_events_that_cannot_be_written_are_an_error_of_their_folder(tmp_path, capsys):
    with _limited(4000), pytest.raises(OSError, match="File too large") as caught:
        _log_steps(tmp_path, 41)
    assert caught.value.filename == str(tmp_path / "tensorboard")
    assert capsys.readouterr().err == ""


def _log_steps(folder: Path, count: int) -> None:
    with TrainLog(folder, 0, tensorboard=True) as log:
        for step in range(1, count + 1):
            log.write(TrainStep(step, 0.5, 0.001, 1.0))


def test_what_another_has_written_meanwhile_is_kept(tmp_path, monkeypatch):
    write = Path.write_bytes

    def late(path: Path, content: bytes) -> int:
        write(tmp_path / "a.bin", b"of another")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", late)
    with pytest.raises(FileExistsError, match=r"a\.bin exists already"):
        write_atomically(tmp_path / "a.bin", b"mine")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.bin", b"of another")]
