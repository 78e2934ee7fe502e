"""Files are written whole or not at all, and what the system refuses is one error that names the file."""

import errno
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from taichi_bokeh.apps import cli
from taichi_bokeh.io import read_disparity, read_image, read_metadata, write_atomically, write_image, write_map

PICTURES = ("a.png", "a.jpg", "a.tif", "a.npy", "a.pfm", "a.exr")
MAPS = ("a.exr", "a.pfm", "a.npy", "a.tif")


def on_a_full_disk(path: Path, content: bytes) -> int:
    """Take the first bytes, then be full; as the system does, without the file's name."""
    with path.open("wb") as file:
        file.write(content[:7])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("name", [*PICTURES, *(f"map_{name}" for name in MAPS)])
def test_a_full_disk_is_one_error_and_leaves_everything_as_it_was(tmp_path, monkeypatch, name, existing):
    path = tmp_path / name
    if existing:
        path.write_bytes(b"precious")
    monkeypatch.setattr(Path, "write_bytes", on_a_full_disk)
    write, shape = (write_map, (4, 4)) if name.startswith("map_") else (write_image, (4, 4, 3))
    with pytest.raises(OSError, match="No space left on device") as caught:
        write(path, np.ones(shape, np.float32), overwrite=True)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(name, b"precious")] * existing


def test_a_file_that_the_system_cuts_short_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource", reason="limits of a process are POSIX")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        with pytest.raises(OSError, match="File too large") as caught:
            write_atomically(tmp_path / "a.bin", bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert caught.value.filename == str(tmp_path / "a.bin")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture that this user may not read; where it may read everything, the system call is made to refuse."""
    path = tmp_path / "a.png"
    write_image(path, np.ones((4, 4, 3), np.float32))
    path.chmod(0)
    if os.access(path, os.R_OK):

        def refuse(self: Path) -> bytes:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

        monkeypatch.setattr(Path, "read_bytes", refuse)
    return path


@pytest.mark.parametrize("reader", [read_image, read_disparity, read_metadata])
def test_an_unreadable_file_is_refused_by_the_system(unreadable, reader):
    with pytest.raises(PermissionError, match=r"Permission denied: '.*a\.png'"):
        reader(unreadable)


def test_the_command_line_names_the_unreadable_file_in_one_line(unreadable, capsys):
    assert cli.main(["inspect", str(unreadable)]) == 2
    assert capsys.readouterr().err == f"taichi-bokeh: error: {unreadable}: Permission denied\n"


def test_a_folder_that_takes_no_files_is_named_by_the_file(tmp_path, monkeypatch):
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path / ".a.png.temporary"))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(PermissionError, match=r"Permission denied: '.*/a\.png'"):
        write_atomically(tmp_path / "a.png", b"content")
