"""Worker processes do all jobs, and say when they cannot."""

import time

import pytest

from taichi_bokeh._cores import cores
from taichi_bokeh.storage.atomic_files import begin_writing, written_files
from taichi_bokeh.storage.workers import in_processes
from tests.benchmark.records import squares


def test_every_job_is_done_once_and_the_cores_are_shared():
    results = list(in_processes(squares, [2, "threads", 3, 5, "threads"], 2))
    threads = max(1, cores() // 2)
    assert sorted(value for value in results if isinstance(value, int)) == [2, 3, 4, 5, 9, 25]
    assert [value for value in results if not isinstance(value, int)] == [(str(threads), threads)] * 2


def test_what_a_worker_has_written_is_known_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begin_writing()
    assert list(in_processes(squares, ["write"], 1)) == ["written"]
    assert written_files() == [tmp_path / "written"]


def test_no_jobs_are_no_work():
    assert list(in_processes(squares, [], 4)) == []


def test_what_a_job_raises_is_raised_here():
    with pytest.raises(ValueError, match="no such square"):
        list(in_processes(squares, ["fail"], 1))


def test_a_worker_that_dies_is_missed():
    with pytest.raises(ChildProcessError, match=r"the worker at die died \(exit code 7\)"):
        list(in_processes(squares, ["die"], 1))


def test_leaving_early_ends_the_workers():
    units = in_processes(squares, list(range(10_000)), 1)
    assert next(units) == 0
    start = time.monotonic()
    units.close()
    assert time.monotonic() - start < 10
    assert list(units) == []
