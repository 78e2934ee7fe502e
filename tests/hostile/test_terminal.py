"""The commands work on terminals that have few letters, or are closed, full, gone, dumb or narrow."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from taichi_bokeh.io import write_image

RENDER = ["render", "photo.png", "--disparity", "disparity.npy", "--blur", "3", "--focus", "1", "--model", "scatter"]

# Runs commands one after the other in one process, which saves the imports, and writes the exit codes to a file.
SEVERAL = """
import json, sys
from taichi_bokeh.apps.cli import main
codes = []
for words in json.loads(sys.argv[1]):
    try:
        codes.append(main(words))
    except SystemExit as end:
        codes.append(end.code)
with open("codes.json", "w") as file:
    json.dump(codes, file)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    disparity = np.where(np.arange(24)[None] < 12, 1.0, 0.5) * np.ones((16, 1))
    np.save(tmp_path / "disparity.npy", disparity.astype(np.float32))
    write_image(tmp_path / "photo.png", np.full((16, 24, 3), 0.5, np.float32))
    return tmp_path


def run(folder: Path, *commands: list[str], shell: str = 'exec "$@"', **environment: str) -> tuple[list[int], object]:
    """Exit codes of the commands, and the process that ran them, its own exit code 0."""
    words = [sys.executable, "-c", SEVERAL, json.dumps(commands)]
    done = subprocess.run(
        ["bash", "-c", shell, "bash", *words],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "codes.json").read_text(encoding="utf-8")), done


@pytest.mark.parametrize(
    "encoding", [*(pytest.param(name, marks=pytest.mark.slow) for name in ("cp1252", "latin-1")), "ascii:strict"]
)
def test_all_text_can_be_printed_in_few_letters(folder, encoding):
    strange = "caf\udce9.png"  # not UTF-8: the byte e9
    os.rename(folder / "photo.png", folder / "写真.png")
    (folder / strange).write_bytes((folder / "写真.png").read_bytes())
    commands = [
        ["inspect", "写真.png", "disparity.npy", strange],
        ["render", "--help"],
        ["dfd", "train", "--help"],
        [*RENDER[:1], "写真.png", *RENDER[2:], "-o", "出力.png"],
        [*RENDER[:1], strange, *RENDER[2:], "-o", "bok\udce9h.png", "--explain"],
        ["render", "無い.png", *RENDER[2:], "-o", "out.png"],
        ["inspect", "無い.png"],
    ]
    codes, done = run(folder, *commands, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert codes == [0, 0, 0, 0, 0, 2, 2]
    printed, errors = (text.decode(encoding.partition(":")[0]) for text in (done.stdout, done.stderr))
    assert "written: ??.png" in printed
    assert "taichi-bokeh: error: ??.png does not exist" in errors
    assert "Traceback" not in errors
    assert (folder / "出力.png").exists()
    assert (folder / "bok\udce9h.png").exists()


def test_closed_streams_spoil_no_result(folder):
    codes, done = run(
        folder,
        [*RENDER, "-o", "out.npy"],
        ["inspect", "photo.png"],
        ["--version"],
        ["inspect", "none"],
        shell='exec "$@" >&- 2>&- <&-',
    )
    assert codes == [0, 0, 0, 2]
    assert np.load(folder / "out.npy").shape == (16, 24, 3)
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.slow
def test_a_full_stdout_spoils_only_what_was_to_be_printed(folder):
    commands = [*RENDER, "-o", "out.npy"], ["inspect", "photo.png"], ["--help"], ["benchmark", "--list-methods"]
    codes, done = run(folder, *commands, shell='exec "$@" >/dev/full')
    assert codes == [0, 2, 2, 2]
    assert np.load(folder / "out.npy").shape == (16, 24, 3)
    line = "taichi-bokeh: error: the answer could not be written to stdout: No space left on device"
    assert done.stderr.decode().splitlines() == [line] * 3


def test_a_reader_that_has_gone_is_no_error(folder):
    shell = 'set -o pipefail; { "$@"; echo "exit $?" >&2; } | true'
    codes, done = run(folder, [*RENDER, "-o", "out.npy"], ["inspect", *["photo.png"] * 40], ["render", "--help"], shell=shell)
    assert codes == [0, 0, 0]
    assert done.stderr == b"exit 0\n"


BARS = """
import os, sys, time
from taichi_bokeh.apps import progress
from taichi_bokeh.apps.benchmark import _print_summary
from taichi_bokeh.apps.cli import _parser
from taichi_bokeh.apps.terminal import any_terminal

progress._FIRST_LINE_AFTER_S = 0.01
for columns, terminal in (("", "xterm"), ("0", "xterm"), ("1", "xterm"), ("20", "xterm"), ("", "dumb"), ("", "")):
    for name, value in (("COLUMNS", columns), ("TERM", terminal)):
        os.environ.pop(name, None)
        if value:
            os.environ[name] = value
    with any_terminal():
        with progress.progress_bar("写真 [/1]", False, "M rays", 0.5) as update:
            update(1, 10)
            time.sleep(0.05)
            sys.stdout.write("said\\n")
        with progress.progress_with_note("optimising", False, 30.0) as show:
            show(3, 10, "loss 0.5")
        _parser().format_help()
        _print_summary([])
"""


@pytest.mark.parametrize(
    ("columns", "environment"),
    [pytest.param(0, {}, marks=pytest.mark.slow), (20, {"NO_COLOR": "1", "PYTHONIOENCODING": "ascii:strict"})],
)
def test_dumb_and_narrow_terminals_break_nothing(columns, environment):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = subprocess.Popen([sys.executable, "-c", BARS], stdout=theirs, stderr=theirs, env=os.environ | environment)
    os.close(theirs)
    printed = b""
    try:
        while piece := os.read(ours, 4096):
            printed += piece
    except OSError:  # so ends a terminal on Linux
        pass
    os.close(ours)
    assert child.wait(timeout=60) == 0, printed.decode(errors="replace")
    assert printed.count(b"said") == 6
    assert b"[/1]: 10 % after 0:00" in printed  # on the terminal that has no bars
