"""However a run is stopped, parted or spread over processes, its accuracy is the same to the last digit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from taichi_bokeh.benchmark import results, run_file
from taichi_bokeh.benchmark.report import write_report
from taichi_bokeh.benchmark.results import load_all
from taichi_bokeh.benchmark.runner import Benchmark, UnitError, count, merge, run
from taichi_bokeh.benchmark.store import load_truth, scene_folder
from taichi_bokeh.report import pictures as report_pictures
from taichi_bokeh.synthetic.scenes import SceneSettings

BENCHMARK = Benchmark(3, rays=16, settings=SceneSettings(size=48), methods=("classical", "rays-4"))
UNITS = 6


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run(BENCHMARK, folder)
    write_report(folder)
    return folder


def assert_same_accuracy(folder: Path, expected: Path) -> None:
    write_report(folder)
    for suffix in ("csv", "md", "json"):
        assert (folder / f"accuracy.{suffix}").read_bytes() == (expected / f"accuracy.{suffix}").read_bytes()


def stop_after(units: int):
    def progress(done: int, total: int) -> None:
        assert total == UNITS
        if done == units:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("units", [0, 3])
def test_a_run_that_was_stopped_goes_on_and_computes_nothing_twice(whole, tmp_path, units):
    with pytest.raises(KeyboardInterrupt):
        run(BENCHMARK, tmp_path, progress=stop_after(units))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert count(BENCHMARK, tmp_path) == (units, UNITS)
    steps = []
    run(BENCHMARK, tmp_path, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(done, UNITS) for done in range(units, UNITS + 1)]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert_same_accuracy(tmp_path, whole)


def test_shards_merge_to_the_whole(whole, tmp_path):
    for part in (1, 2):
        run(replace(BENCHMARK, shard=(part, 2)), tmp_path / f"{part}")
    assert [r.scene for r in load_all(tmp_path / "2")] == ["001", "001"]
    merge([tmp_path / "2", tmp_path / "1"], tmp_path / "merged")
    assert_same_accuracy(tmp_path / "merged", whole)
    assert count(BENCHMARK, tmp_path / "merged") == (UNITS, UNITS)
    merge([tmp_path / "1"], tmp_path / "merged")
    assert_same_accuracy(tmp_path / "merged", whole)


@pytest.mark.slow
def test_two_processes_come_to_the_same(whole, tmp_path):
    steps = []
    run(BENCHMARK, tmp_path, processes=2, progress=lambda done, total: steps.append(done))
    assert steps == list(range(UNITS + 1))
    assert_same_accuracy(tmp_path, whole)


def test_more_scenes_and_methods_add_to_a_run(whole, tmp_path):
    run(replace(BENCHMARK, scenes=1, methods=("rays-4",)), tmp_path)
    run(BENCHMARK, tmp_path)
    assert_same_accuracy(tmp_path, whole)
    assert run_file.read(tmp_path).scenes == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rays": 17}, "is of another benchmark.*: rays is 16 there, and 17 here"),
        ({"settings": SceneSettings(size=48, seed=1)}, "seed is 0 there, and 1 here"),
        ({"settings": SceneSettings(size=49)}, "size is 48×48 there, and 49×49 here"),
        ({"settings": SceneSettings(size=48, hdr=True)}, "hdr is False there, and True here"),
        ({"backgrounds": Path(__file__).parent}, "backgrounds is not the same"),
    ],
)
def test_other_settings_are_refused_and_nothing_is_touched(whole, changed, message):
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=message):
        run(replace(BENCHMARK, **changed), whole)
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_runs_of_different_settings_are_not_merged(whole, tmp_path):
    run(replace(BENCHMARK, scenes=1, methods=("rays-1",), rays=8), tmp_path / "other")
    with pytest.raises(ValueError, match="rays is 8 there, and 16 here"):
        merge([whole, tmp_path / "other"], tmp_path / "merged")
    with pytest.raises(FileNotFoundError, match="is not the folder of a benchmark"):
        merge([whole, tmp_path], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="holds files of something else"):
        run(BENCHMARK, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(NotADirectoryError, match=r"thesis\.txt is a file"):
        run(BENCHMARK, tmp_path / "thesis.txt")


def test_a_damaged_result_is_named_and_kept(tmp_path):
    single = replace(BENCHMARK, scenes=1, methods=("rays-1",))
    run(single, tmp_path)
    path = results.unit_path(tmp_path, "000", "rays-1")
    path.write_text("{")
    with pytest.raises(ValueError, match=r"000\.rays-1\.json is damaged"):
        run(single, tmp_path)
    assert path.read_text() == "{"


def test_the_blur_that_is_best_is_no_worse_than_the_true_one_and_rays_help(tmp_path):
    run(replace(BENCHMARK, scenes=2, rays=256, methods=("classical", "rays-2", "rays-64")), tmp_path)
    records = {(r.scene, r.method): r for r in load_all(tmp_path)}
    for scene in ("000", "001"):
        few, many = records[scene, "rays-2"], records[scene, "rays-64"]
        assert many.psnr > few.psnr + 6
        for record in (few, many, records[scene, "classical"]):
            assert record.best_psnr >= record.psnr
            assert record.evaluations >= 3
            assert 0 < record.wall_s < 60
            assert 0 < record.band_share < 1


def test_pictures_of_another_program_are_measured_but_neither_searched_nor_timed(tmp_path, whole):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    truth = load_truth(scene_folder(whole, "000"), BENCHMARK.rays, 0)
    np.save(pictures / "000.npy", truth.permute(1, 2, 0).numpy())
    single = replace(BENCHMARK, scenes=1, methods=("rays-4",), external={"perfect": pictures})
    run(single, tmp_path / "run")
    perfect, rays = load_all(tmp_path / "run")
    assert (perfect.method, perfect.psnr, perfect.at_true["linear.frame.rmse"]) == ("perfect", 200.0, 0.0)
    assert (perfect.at_best, perfect.scale_best, perfect.evaluations, perfect.wall_s, perfect.cpu_s) == (
        None,
        None,
        0,
        None,
        None,
    )
    assert rays.accuracy == load_all(whole)[1].accuracy
    assert not report_pictures.load_error(report_pictures.error_path(tmp_path / "run", "perfect", "000")).any()
    with pytest.raises(UnitError, match=r"scene 001, method perfect: .* holds no picture of scene '001'"):
        run(replace(single, scenes=2), tmp_path / "run")
    assert count(replace(single, scenes=2), tmp_path / "run").done == 3


@pytest.mark.slow
def test_a_failure_in_a_process_names_its_unit(tmp_path):
    (tmp_path / "pictures").mkdir()
    failing = replace(BENCHMARK, scenes=1, methods=("theirs",), external={"theirs": tmp_path / "pictures"})
    with pytest.raises(UnitError, match="scene 000, method theirs"):
        run(failing, tmp_path / "run", processes=2)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scenes": 0}, "scenes is 0"),
        ({"rays": 0}, "rays is 0"),
        ({"shard": (3, 2)}, "shard is 3/2"),
        ({"shard": (0, 2)}, "shard is 0/2"),
    ],
)
def test_numbers_out_of_range_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(BENCHMARK, **changed)


def test_an_unknown_method_leaves_no_folder(tmp_path):
    with pytest.raises(ValueError, match="magic"):
        run(replace(BENCHMARK, methods=("magic",)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_machine_is_noted_once(whole):
    noted = json.loads((whole / run_file.NAME).read_text())["machines"]
    assert [machine["worker processes"] for machine in noted] == ["1"]
    assert noted[0]["cores"].isdecimal()
