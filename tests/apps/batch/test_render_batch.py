"""A batch is what ``render`` makes of each photograph; it can be killed, divided, spread, and what fails is told."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from taichi_bokeh.apps import cli
from taichi_bokeh.apps.batch import processes as batch_processes
from taichi_bokeh.apps.batch.job import Job, Outcome, run_job
from taichi_bokeh.apps.batch.list import read_items
from taichi_bokeh.apps.batch.processes import run_in_processes, visible_gpus
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.apps.options.output import OutputRequest
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.options.render import RenderRequest
from taichi_bokeh.io import write_image
from taichi_bokeh.storage import temporary
from taichi_bokeh.storage.locks import acquire, lock_of_folder
from tests.apps.small_scene import picture, square_before_grid

COUNT = 4
LENS = ("--blur", "6", "--focus", "0.5", "--cells", "4", "--quiet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder ``in`` with four photographs, each with its disparity beside it."""
    (tmp_path / "in").mkdir()
    for number in range(COUNT):
        rgb, disparity = square_before_grid(3 + 3 * number)
        write_image(tmp_path / "in" / f"p{number}.png", rgb)
        np.save(tmp_path / "in" / f"p{number}_disparity.npy", disparity)
    return tmp_path


def _words(folder: Path, *options: str, source: str = "in", out: str = "out") -> list[str]:
    return ["render-batch", str(folder / source), "--out", str(folder / out), *LENS, *options]


def _job(output: str) -> Job:
    return Job(RenderRequest(photo=PhotoRequest(Path("photo.png")), lens=LensRequest(), output=OutputRequest(Path(output))))


def _batch(folder: Path, *options: str, **where: str) -> int:
    return cli.main(_words(folder, *options, **where))


def _process(words: list[str], **keywords: object) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "taichi_bokeh", *words], stderr=subprocess.PIPE, text=True, **keywords)


def _results(folder: Path, out: str = "out", suffix: str = ".png") -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / out).glob(f"*{suffix}"))}


def _report(folder: Path, name: str = "out/report.json") -> dict:
    return json.loads((folder / name).read_text())


def test_every_picture_is_that_of_render_and_the_second_run_keeps_them(folder):
    assert _batch(folder, "--format", "npy") == 0
    for number in range(COUNT):
        one = picture(folder, photo=f"in/p{number}.png", disparity=f"in/p{number}_disparity.npy", blur=6, output="out.npy")
        np.testing.assert_array_equal(np.load(folder / "out" / f"p{number}.npy"), one)
    assert {path.name for path in (folder / "out").iterdir()} == {
        "records",
        "report.json",
        *(f"p{i}.npy" for i in range(COUNT)),
    }
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").glob("*.npy")}
    assert _batch(folder, "--format", "npy") == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "out").glob("*.npy")} == before
    report = _report(folder)
    assert (report["total"], report["done"], report["kept"], report["failed"]) == (COUNT, 0, COUNT, 0)


def test_what_fails_is_told_and_the_rest_goes_on(folder, capsys):
    (folder / "in" / "p1.png").write_bytes(b"no picture")
    (folder / "in" / "p2_disparity.npy").unlink()
    loud = [word for word in _words(folder) if word != "--quiet"]
    assert cli.main(loud) == 1
    assert set(_results(folder)) == {"p0.png", "p3.png"}
    report = _report(folder)
    assert (report["done"], report["failed"]) == (2, 2)
    errors = {failure["name"]: failure["error"] for failure in report["failures"]}
    assert "p1.png cannot be read" in errors["p1.png"]
    assert "no disparity for p2.png" in errors["p2.png"]
    printed = capsys.readouterr().out
    assert "failed: p1.png: " in printed
    assert "rendered: 2, there already: 0, failed: 2; see " in printed
    rgb, disparity = square_before_grid(3)
    write_image(folder / "in" / "p1.png", rgb, overwrite=True)
    np.save(folder / "in" / "p2_disparity.npy", disparity)
    assert _batch(folder) == 0
    assert (_report(folder)["done"], _report(folder)["kept"]) == (2, 2)


def test_a_killed_batch_goes_on_and_ends_in_the_same_files(folder):
    assert _batch(folder, out="whole") == 0
    with _process(_words(folder)) as process:
        while not list((folder / "out").glob("*.png")):
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    left = _results(folder)
    assert 1 <= len(left) < COUNT
    (folder / "out" / "records" / f".taichi-bokeh-{temporary._machine()}-abcd.part").write_bytes(b"half")
    (folder / "out" / "records" / "p3.png.part").mkdir(exist_ok=True)  # as earlier versions left it
    (folder / "out" / "records" / "p3.png.part" / ".p3.png.half").write_bytes(b"half")
    assert _batch(folder) == 0
    assert _report(folder)["kept"] == len(left)
    assert _results(folder) == _results(folder, "whole")
    assert [path.name for path in sorted((folder / "out" / "records").iterdir())] == [f"p{i}.png.json" for i in range(COUNT)]


def test_a_result_that_was_cut_short_or_is_not_ours_is_not_taken_for_one(folder):
    assert _batch(folder) == 0
    results = _results(folder)
    (folder / "out" / "p0.png").write_bytes(results["p0.png"][:-20])
    (folder / "out" / "records" / "p1.png.json").write_text("{")
    assert _batch(folder) == 1
    assert [failure["name"] for failure in _report(folder)["failures"]] == ["p0.png", "p1.png"]
    assert "is kept: --overwrite replaces it" in _report(folder)["failures"][0]["error"]
    assert (folder / "out" / "p0.png").read_bytes() == results["p0.png"][:-20]
    assert _batch(folder, "--overwrite") == 0
    assert _report(folder)["kept"] == 2
    assert _results(folder) == results


def test_other_options_and_other_files_are_other_results(folder):
    assert _batch(folder) == 0
    results = _results(folder)
    assert _batch(folder, "--blades", "6") == 1
    assert _results(folder) == results
    assert _batch(folder, "--blades", "6", "--overwrite") == 0
    assert not set(_results(folder).values()) & set(results.values())
    np.save(folder / "in" / "p2_disparity.npy", square_before_grid(0)[1])
    assert _batch(folder, "--blades", "6") == 1
    assert [failure["name"] for failure in _report(folder)["failures"]] == ["p2.png"]


def test_shards_make_the_whole(folder):
    assert _batch(folder, out="whole") == 0
    for index in (1, 2, 3):
        assert _batch(folder, "--shard", f"{index}/3") == 0
    assert _results(folder) == _results(folder, "whole")
    assert [_report(folder, f"out/report-{index}-of-3.json")["total"] for index in (1, 2, 3)] == [2, 1, 1]


@pytest.mark.slow
def test_processes_make_the_same_files_and_one_that_dies_fails_alone(folder, monkeypatch):
    assert _batch(folder, out="whole") == 0
    assert _batch(folder, "--workers", "2") == 0
    assert _results(folder) == _results(folder, "whole")

    def dying(jobs, count, device, under_way):
        for job in jobs:
            under_way[job.name] = job
            if job.name == "b":
                raise ChildProcessError("the worker at b died (exit code -9)")
            yield Outcome(under_way.pop(job.name).name, "", "done")

    monkeypatch.setattr(batch_processes, "_outcomes", dying)
    jobs = [_job(name) for name in "abc"]
    found = {outcome.name: outcome for outcome in run_in_processes(jobs, 1, "cpu")}
    assert {name: outcome.status for name, outcome in found.items()} == {"a": "done", "b": "failed", "c": "done"}
    assert "exit code -9" in found["b"].error


def test_processes_that_cannot_even_start_are_an_error(monkeypatch):
    def dead(*_: object):
        raise ChildProcessError("died")
        yield

    monkeypatch.setattr(batch_processes, "_outcomes", dead)
    with pytest.raises(ChildProcessError):
        list(run_in_processes([_job("a")], 2, "cpu"))


def test_each_process_gets_a_gpu_of_its_own(monkeypatch):
    assert visible_gpus({}, lambda: 3) == ["0", "1", "2"]
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "5, GPU-ab"}, lambda: pytest.fail("all were counted")) == ["5", "GPU-ab"]
    with pytest.raises(ValueError, match="no GPU is visible"):
        visible_gpus({"CUDA_VISIBLE_DEVICES": ""}, lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    start = batch_processes._Start("cuda", 3)
    seen = []
    for _ in range(3):
        start()
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
    assert seen == ["4", "7", "4"]


@pytest.mark.slow
def test_two_dask_workers_make_the_same_files(folder):
    (folder / "in" / "p1.png").write_bytes(b"no picture")
    assert _batch(folder, out="whole") == 1
    with _process(_words(folder, "--dask", "local:2")) as process:
        _, printed = process.communicate(timeout=200)
    assert (process.returncode, printed) == (1, "")
    assert _results(folder) == _results(folder, "whole")
    assert _report(folder)["failures"] == _report(folder, "whole/report.json")["failures"]


def test_a_list_names_files_and_the_lens_of_each(folder):
    (folder / "maps").mkdir()
    for number in range(COUNT):
        (folder / "in" / f"p{number}_disparity.npy").rename(folder / "maps" / f"p{number}.npy")
    rows = [
        {"photo": "in/p0.png", "disparity": "maps/p0.npy", "name": "near", "focus": "0.8", "blur": "3", "focus_at": ""},
        {"photo": "in/p0.png", "disparity": "maps/p0.npy", "name": "far", "focus": "", "blur": "", "focus_at": "2,2"},
    ]
    with (folder / "list.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    lines = [{key: value for key, value in row.items() if value} for row in rows]
    lines[0] |= {"focus": 0.8, "blur": 3}
    lines[1] |= {"focus_at": [2, 2]}
    (folder / "list.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    (folder / "list.txt").write_text("in/p0.png\tmaps/p0.npy\nin/p1.png\n")
    assert _batch(folder, "--format", "npy", source="list.csv") == 0
    for name, options in (("near", {"focus": 0.8, "blur": 3}), ("far", {"focus": 0.2, "blur": 6})):
        one = picture(folder, photo="in/p0.png", disparity="maps/p0.npy", **options)
        np.testing.assert_allclose(np.load(folder / "out" / f"{name}.npy"), one, atol=1e-6)
    assert read_items(folder / "list.jsonl", None) == read_items(folder / "list.csv", None)
    with_folder = read_items(folder / "list.txt", folder / "maps")
    assert [item.disparity for item in with_folder] == [folder / "maps" / "p0.npy", folder / "maps" / "p1.npy"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.csv", b"photo, disparity \r\n in/p0.png , in/p1_disparity.npy\r\n"),
        ("list.csv", b"\xef\xbb\xbfphoto,disparity,\n\n,,\n# a comment, with a comma\nin/p0.png,in/p1_disparity.npy,\n  \n"),
        ("list.csv", b'# first\n"photo", "disparity"\n"in/p0.png", "in/p1_disparity.npy"\n'),
        ("list.csv", b"photo,disparity\rin/p0.png,in/p1_disparity.npy\r"),
        ("list.txt", b"\xef\xbb\xbf# a comment\n\n in/p0.png \t in/p1_disparity.npy \r\n \t \n"),
        ("list.jsonl", b'# a comment\r\n{"photo": "in/p0.png", "disparity": "in/p1_disparity.npy", "focus": null}\r\n\r\n'),
    ],
)
def test_a_list_may_be_as_people_and_spreadsheets_write_it(folder, name, content):
    (folder / name).write_bytes(content)
    (item,) = read_items(folder / name, None)
    assert (item.photo, item.disparity) == (folder / "in" / "p0.png", folder / "in" / "p1_disparity.npy")


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_name_may_hold_what_only_python_takes_for_the_end_of_a_line(folder, odd):
    name = f"a{odd}b.png"
    (folder / "list.jsonl").write_text(json.dumps({"photo": name}, ensure_ascii=False), encoding="utf-8")
    (folder / "list.csv").write_text(f"photo\n{name}\n", encoding="utf-8")
    (folder / "list.txt").write_text(name, encoding="utf-8")
    for path in (folder / "list.jsonl", folder / "list.csv", folder / "list.txt"):
        assert [item.photo for item in read_items(path, None)] == [folder / name]


def test_side_cars_are_passed_over_and_two_disparities_are_named(folder, capsys):
    for name in ("p0_disparity.json", "p0_disparity.xmp", "._p0.png", "._p0_disparity.npy", "Thumbs.db"):
        (folder / "in" / name).write_bytes(b"beside")
    assert _batch(folder) == 0
    write_image(folder / "in" / "p1_disparity.tif", square_before_grid()[0])
    assert _batch(folder) == 1
    (failure,) = _report(folder)["failures"]
    assert failure["error"].endswith("in has several files for p1.png: p1_disparity.npy and p1_disparity.tif")


def test_names_may_be_long_or_not_utf_8(folder):
    names = [b"\xff".decode(errors="surrogateescape"), "n" * 251]
    for old, name in zip(("p0", "p1"), names, strict=True):
        shutil.move(folder / "in" / f"{old}.png", folder / "in" / f"{name}.png")
    assert _batch(folder, "--disparity-dir", str(folder / "in")) == 1  # they have no disparities
    assert {failure["name"] for failure in _report(folder)["failures"]} >= {f"{name}.png" for name in names}
    (folder / "maps").mkdir()
    for path in (folder / "in").glob("*.png"):
        np.save(folder / "maps" / f"{path.stem}.npy", square_before_grid()[1])
    for _ in range(2):
        assert _batch(folder, "--disparity-dir", str(folder / "maps"), out="new") == 0
    assert _report(folder, "new/report.json")["kept"] == COUNT
    assert not list((folder / "new").rglob(".*"))


def test_a_run_tells_of_another_and_waits_for_its_pictures(folder, capsys):
    (folder / "out" / "records").mkdir(parents=True)
    lock = acquire(lock_of_folder(folder / "out" / "records"))
    assert lock is not None
    loud = [word for word in _words(folder) if word != "--quiet"]
    assert cli.main(loud) == 0
    lock.release()
    assert f"another run (process {os.getpid()} on " in capsys.readouterr().out


def test_an_unforeseen_error_is_an_outcome_too(folder):
    job = _job(str(folder / "out.png"))  # no lens, no disparity
    outcome = run_job(job)
    assert (outcome.name, outcome.status) == ("out.png", "failed")
    assert outcome.error


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("list.csv", "photo,depth\nin/p0.png,x\n", "list.csv, line 2 has depth; expected photo, disparity"),
        ("list.csv", "photo,focus\nin/p0.png,near\n", "line 2: 'near' is not a number"),
        ("list.csv", "photo,focus\n,1\n", "line 2 names no photo"),
        ("list.csv", 'photo,focus,focus_at\nin/p0.png,1,"2,2"\n', "line 2: focus and focus_at are both given"),
        ("list.csv", "photo,name\nin/p0.png,../up\n", "name '../up' is no plain file name"),
        ("list.csv", "photo\n", "holds no photographs"),
        ("list.jsonl", '{"photo": 1\n', "line 1 is not JSON"),
        ("list.jsonl", "[1]\n", "line 1 is not an object"),
        ("list.txt", "in/p0.png\nin/P0.png\n", "would both become P0; give them names in a list"),
        ("list.txt", b"\xff\xfe\x00", "is no text in UTF-8"),
        ("list.txt", "a.png\tb.npy\tc.png\n", "line 1 has 3 values; expected a photo and, after a tab, its disparity"),
        ("list.txt", "\tb.npy\n", "line 1 names no photo"),
        ("list.csv", "photo,disparity\na.png,b.npy,c\n", "line 2 has 3 values for 2 columns"),
        ("list.csv", "photo,,\na.png,b.npy\n", "line 2 has b.npy in a column without a name"),
        ("list.csv", "photo,blur,blur\na.png,1,2\n", "line 1 names blur twice"),
        ("list.csv", 'photo\n"a.png\n', "line 2: unexpected end of data"),
        ("list.jsonl", '{"photo": ["a", "b"]}', 'line 1: photo is ["a", "b"], and must be a text'),
    ],
)
def test_a_list_that_is_wrong_is_refused_before_any_work(folder, capsys, name, content, message):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert _batch(folder, source=name) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("taichi-bokeh: error: ")
    assert printed.count("\n") == 1
    assert message in printed
    assert not (folder / "out").exists()


@pytest.mark.parametrize(
    ("options", "where", "message"),
    [
        ((), {"source": "missing"}, "missing does not exist"),
        ((), {"out": "in"}, "is the folder of the photographs"),
        ((), {"out": "in/p0.png"}, "is a file, and must be a folder"),
        ((), {"out": "no/where"}, "there is no folder"),
        (("--shard", "3/2"), {}, "--shard 3/2: the part must be one from 1 to 2"),
        (("--workers", "2", "--dask", "local:2"), {}, "not allowed with argument"),
        (("--dask", "local:0"), {}, "at least one worker"),
        (("--format", "gif"), {}, "suffix"),
        (("--blades", "2"), {}, "blades is 2"),
        (("--model", "scatter"), {}, "--cells is for --model subaperture"),
        (("--focus-at", "1,1"), {}, "not allowed with argument --focus"),
        (("--blur", "1:2"), {}, "'1:2' is not a number"),
        (("--disparity-dir", "missing"), {}, "missing is no folder"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_no_result_is_written(folder, capsys, options, where, message):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert _batch(folder, *options, **where) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("taichi-bokeh: error: ")
    assert printed.count("\n") == 1
    assert message in printed
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_report_of_somebody_else_is_kept(folder, capsys):
    (folder / "out").mkdir()
    (folder / "out" / "report.json").write_text("{}")
    assert _batch(folder) == 2
    assert "is no report of this command" in capsys.readouterr().err
    assert (folder / "out" / "report.json").read_text() == "{}"
