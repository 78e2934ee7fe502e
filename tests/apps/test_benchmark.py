"""``taichi-bokeh benchmark`` runs, goes on where it was killed or interrupted, and refuses in one line what it cannot do."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taichi_bokeh.apps import cli
from taichi_bokeh.benchmark import methods

SCENES = ("--scenes", "4", "--size", "64", "--rays", "16")
METHODS = ("--methods", "classical,rays-4")
UNITS = 8


def benchmark(out: Path, *options: str) -> int:
    return cli.main(["benchmark", *options, "--out", str(out)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of a run that was left in peace."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert benchmark(folder, *SCENES, *METHODS, "--quiet") == 0
    return folder


def assert_same_accuracy(folder: Path, expected: Path) -> None:
    for suffix in ("csv", "md", "json"):
        assert (folder / f"accuracy.{suffix}").read_bytes() == (expected / f"accuracy.{suffix}").read_bytes()


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    """A run in a process of its own that has finished some units."""
    words = [sys.executable, "-m", "taichi_bokeh", "benchmark", *SCENES, *METHODS, *options, "--out", str(folder)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not any((folder / "results").glob("*.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return process


def test_everything_is_in_the_folder(whole):
    names = {path.name for path in whole.iterdir()}
    tables = {f"{part}.{suffix}" for part in ("accuracy", "timing", "summary") for suffix in ("csv", "json", "md")}
    assert names == {"run.json", "report.html", "scenes", "pictures", "results", *tables}
    assert len(list((whole / "results").iterdir())) == UNITS
    assert len((whole / "accuracy.csv").read_text().splitlines()) == UNITS + 1


def test_a_killed_run_goes_on_to_the_same_numbers(whole, tmp_path, capsys):
    process = started(tmp_path)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    done = len(list((tmp_path / "results").glob("*.json")))
    assert benchmark(tmp_path, *SCENES, *METHODS) == 0
    printed = capsys.readouterr()
    assert f"{done} of {UNITS} units are done" in printed.out
    assert "Classical scatter of RGBD" in printed.out
    assert printed.err == ""
    assert_same_accuracy(tmp_path, whole)


@pytest.mark.slow
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_stops_all_processes_and_says_how_to_go_on(whole, tmp_path):
    process = started(tmp_path, "--workers", "2")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    done, total = re.fullmatch(  # a line of progress before it comes on a busy machine
        r"(?:bench.*\n)?taichi-bokeh: interrupted: (\d+) of (\d+) units are in .*; the same command goes on from there\n",
        err,
    ).groups()
    assert (int(done), int(total)) == (len(list((tmp_path / "results").glob("*.json"))), UNITS)
    assert benchmark(tmp_path, *SCENES, *METHODS, "--quiet") == 0
    assert_same_accuracy(tmp_path, whole)


def test_shards_are_merged_and_the_report_is_written_again(whole, tmp_path, capsys):
    for part in ("1/2", "2/2"):
        assert benchmark(tmp_path / part[0], *SCENES, *METHODS, "--shard", part, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    merged = tmp_path / "merged"
    assert benchmark(merged, "--quiet", "--merge", str(tmp_path / "1"), str(tmp_path / "2")) == 0
    assert_same_accuracy(merged, whole)
    for name in ("accuracy.csv", "report.html"):
        (merged / name).unlink()
    assert benchmark(merged, "--report-only") == 0
    assert str(merged / "report.html") in capsys.readouterr().out.replace("\n", "")
    assert_same_accuracy(merged, whole)
    assert (merged / "report.html").stat().st_size > 10_000


def test_the_methods_are_listed_by_name_and_title(capsys):
    assert cli.main(["benchmark", "--list-methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == list(methods.DEFAULT)
    assert [line.split(maxsplit=1)[1] for line in lines[:-1]] == [method.title for method in methods.build(methods.DEFAULT, {})]
    assert "rays-N" in lines[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seed", "1"), "seed is 0 there, and 1 here"),
        (("--methods", "classical,magic"), "'magic'"),
        (("--methods", ","), "--methods names none"),
        (("--methods", "classical,classical"), "2 times"),
        (("--external", "mine"), "not NAME=DIR"),
        (("--external", "mine=nowhere"), "nowhere is not a folder"),
        (("--external", "classical=."), "built-in"),
        (("--external", "a=.", "--external", "a=."), "twice"),
        (("--foregrounds", "nowhere"), "--foregrounds nowhere is not a folder"),
        (("--shard", "3/2"), "3/2"),
        (("--shard", "half"), "not I/N"),
        (("--scenes", "0"), "--scenes"),
        (("--size", "8"), "size is 8"),
        (("--workers", "0"), "--workers"),
        (("--merge", "nowhere", "--report-only"), "not allowed"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(whole, capsys, options, message):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    assert benchmark(whole, *SCENES, *METHODS, *options) == 2
    assert_one_line(capsys, message)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def assert_one_line(capsys, message: str) -> None:
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("taichi-bokeh: error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err


def test_folders_that_do_not_fit_are_refused(tmp_path, capsys):
    assert cli.main(["benchmark"]) == 2
    assert_one_line(capsys, "--out DIR is missing")
    (tmp_path / "thesis.txt").write_text("precious")
    assert benchmark(tmp_path, *SCENES, *METHODS) == 2
    assert_one_line(capsys, "holds files of something else")
    assert benchmark(tmp_path, "--report-only") == 2
    assert_one_line(capsys, "has no run.json")
    assert benchmark(tmp_path / "new", "--merge", str(tmp_path)) == 2
    assert_one_line(capsys, "has no run.json")
    assert benchmark(tmp_path / "new", "--report-only", "--seed", "3") == 2
    assert_one_line(capsys, "--seed has no meaning with --report-only")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_failing_unit_is_named(tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    words = [
        "--scenes",
        "1",
        "--size",
        "48",
        "--rays",
        "1",
        "--methods",
        "rays-1",
        "--external",
        f"mine={tmp_path / 'pictures'}",
    ]
    assert benchmark(tmp_path / "run", *words) == 2
    assert_one_line(capsys, "scene 000, method mine: ")
    assert (tmp_path / "run" / "results" / "000.rays-1.json").exists()
