"""Files are written whole or not at all, and what the system refuses is one error that names the file."""

import errno
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from taichi_bokeh.apps import cli
from taichi_bokeh.io import check_output, read_disparity, read_image, read_metadata, write_atomically, write_image, write_map
from taichi_bokeh.storage.atomic_files import whole_file

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


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "ぼ" * 83 + "ab.png", "a" * 251 + ".npy"], ids=["latin", "bytes", "npy"])
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path, name):
    write_image(tmp_path / name, np.ones((4, 4, 3), np.float32))
    with whole_file(tmp_path / name, overwrite=True) as temporary:
        assert temporary.suffix == Path(name).suffix
        temporary.write_bytes(b"whole")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"whole")]


def test_a_name_that_is_too_long_is_refused_before_work(tmp_path):
    with pytest.raises(OSError, match="File name too long"):
        check_output(tmp_path / ("a" * 256))


def test_a_link_stays_and_what_it_names_is_written(tmp_path):
    (tmp_path / "store").mkdir()
    for name in ("there", "gone"):
        (tmp_path / name).symlink_to(tmp_path / "store" / name)
    (tmp_path / "store" / "there").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        write_atomically(tmp_path / "there", b"new")
    for name in ("there", "gone"):
        write_atomically(tmp_path / name, b"new", overwrite=name == "there")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "store" / name).read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()) == ["gone", "there"]


def test_links_that_lead_nowhere_are_refused_and_kept(tmp_path):
    (tmp_path / "round").symlink_to(tmp_path / "round")
    (tmp_path / "far").symlink_to(tmp_path / "no" / "folder")
    with pytest.raises(OSError, match="symbolic links"):
        write_atomically(tmp_path / "round", b"new")
    with pytest.raises(FileNotFoundError, match=r"far cannot be written: there is no folder .*no"):
        write_atomically(tmp_path / "far", b"new")
    assert all(path.is_symlink() for path in tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o666])
def test_a_file_that_is_replaced_leaves_its_permissions(tmp_path, mode):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(mode)
    before = path.stat()
    write_atomically(path, b"new", overwrite=True)
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_permissions_of_a_group_are_not_given_to_another(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(0o664)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chown", refuse)
    write_atomically(path, b"new", overwrite=True)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_new_file_has_the_permissions_of_new_files(tmp_path):
    mask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a.bin", b"new")
    finally:
        os.umask(mask)
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o640


def test_another_hard_link_keeps_what_it_had(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    write_atomically(tmp_path / "a", b"new", overwrite=True)
    assert (tmp_path / "b").read_bytes() == b"old"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_device_or_a_pipe_is_no_output(tmp_path, overwrite):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(OSError, match="is a device or a pipe"):
            write_atomically(path, b"new", overwrite)
    assert (tmp_path / "pipe").is_fifo()


def test_files_of_a_file_system_without_hard_links_are_written(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", refuse)
    write_atomically(tmp_path / "a.bin", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.bin", b"new")]
