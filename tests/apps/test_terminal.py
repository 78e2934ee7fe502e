"""Text goes to any stream, and what cannot be written is no error."""

import errno
import io
import sys

import pytest

from taichi_bokeh.apps.cli import main
from taichi_bokeh.apps.errors import with_option
from taichi_bokeh.apps.terminal import AnyStream, any_terminal, fitted, print_result

SAID = "dïsc.png: 48×36 … 0.5 · |d − F|  █▏  写真 \udce9"


class Refusing(io.StringIO):
    """A stream behind which nothing can be written."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, "refused")


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", r"d?sc.png: 48x36 ... 0.5 * |d - F|  #|  ?? \xe9"),
        ("latin-1", r"dïsc.png: 48x36 ... 0.5 * |d - F|  #|  ?? \xe9"),
        ("cp1252", r"dïsc.png: 48x36 ... 0.5 * |d - F|  #|  ?? \xe9"),
        ("utf-8", r"dïsc.png: 48×36 … 0.5 · |d − F|  █▏  写真 \xe9"),
    ],
)
def test_signs_are_plain_outside_unicode_and_letters_stay_where_they_are_known(encoding, expected):
    assert fitted(SAID, encoding) == expected
    assert fitted(SAID, encoding).encode(encoding).decode(encoding) == expected
    written = io.BytesIO()
    stream = AnyStream(io.TextIOWrapper(written, encoding=encoding, errors="strict"))
    assert stream.write(SAID) == len(SAID)
    stream.flush()
    assert written.getvalue().decode(encoding) == expected


def test_bytes_of_a_name_go_back_to_a_terminal_that_takes_them():
    assert fitted("caf\udce9 写", "ascii", "surrogateescape") == "caf\udce9 ?"


def test_a_stream_that_is_closed_or_missing_takes_everything():
    closed = io.StringIO()
    closed.close()
    for stream in (AnyStream(None), AnyStream(closed)):
        assert stream.write("lost") == 4
        stream.flush()
        assert not stream.isatty()
        assert stream.failure is None
    with pytest.raises(io.UnsupportedOperation):
        AnyStream(None).fileno()


def test_a_result_for_a_full_disk_is_an_error_and_for_nobody_it_is_none(monkeypatch):
    for number, fails in ((errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EPIPE, False)):
        monkeypatch.setattr(sys, "stdout", Refusing(number))
        with any_terminal():
            sys.stdout.write("said")
            if fails:
                with pytest.raises(OSError, match="the answer could not be written to stdout: refused"):
                    print_result("asked for")
            else:
                print_result("asked for")


def test_the_streams_are_there_again_afterwards(capsys):
    before = sys.stdout, sys.stderr
    with any_terminal():
        assert (sys.stdout, sys.stderr) != before
    assert (sys.stdout, sys.stderr) == before
    assert main(["render", "--focus", "-1:0"]) == 2
    assert (sys.stdout, sys.stderr) == before
    assert "the following arguments are required" in capsys.readouterr().err


def test_messages_of_the_library_name_options_and_leave_names_of_files():
    options = ("cat_eye", "focal_length", "disparity", "photo")
    assert (
        with_option("cat_eye is 2; expected at most focal_length.", options)
        == "--cat-eye is 2; expected at most --focal-length."
    )
    assert with_option("aperture has cat_eye=0.5; expected 0", options) == "aperture has --cat-eye=0.5; expected 0"
    assert with_option("disparity has shape [2]", options) == "--disparity has shape [2]"
    for text in (
        "cat_eye.png is a folder",
        "photo is a folder",
        "parts/focal_length/a has none",
        "other_name is 3",
        "a.csv: cat_eye is 2",
    ):
        assert with_option(text, options) == text
