"""However a data set is made, in parts, in processes or after an interruption, its files are the same to the last byte."""

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.dfd.data.cameras import DERED
from taichi_bokeh.dfd.data.dataset import DefocusDataset
from taichi_bokeh.dfd.data.generate import MANIFEST, GenerateSettings, count, generate, make_sample
from taichi_bokeh.dfd.data.scenes import DefocusSceneSettings, make_scene
from taichi_bokeh.synthetic.pictures import Pictures

SETTINGS = GenerateSettings(5, DefocusSceneSettings(size=32, focal_plane="any"), rays=16, samples_per_file=2)
NAMES = ["shard-000000.tar", "shard-000001.tar", "shard-000002.tar"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "whole"
    generate(SETTINGS, folder)
    return folder


def test_the_files_are_a_web_dataset(whole):
    assert list(contents(whole)) == [MANIFEST, *NAMES]
    with tarfile.open(whole / NAMES[0]) as tar:
        ends = ("all_in_focus.npy", "blurred.npy", "disparity.npy", "json")
        assert tar.getnames() == [f"0-00000{index}.{end}" for index in (0, 1) for end in ends]
        assert {info.mtime for info in tar} == {0}
        meta = json.load(tar.extractfile("0-000001.json"))
        assert np.load(io.BytesIO(tar.extractfile("0-000001.blurred.npy").read())).shape == (1, 3, 32, 32)
    assert meta["focal_plane"] == "near"
    assert meta["focus"] == [1.0]
    assert meta["rays"] == 16
    assert 0 <= meta["weak_texture"] <= 1
    with tarfile.open(whole / NAMES[2]) as tar:
        assert len(tar.getnames()) == 4


def test_a_sample_is_the_scene_as_the_ray_tracer_sees_it(whole):
    scene = make_scene(3, SETTINGS.scene, Pictures())
    sample = DefocusDataset(whole)[3]
    assert sample.name == scene.name
    assert torch.equal(sample.all_in_focus, scene.all_in_focus)
    assert torch.equal(sample.disparity[0], scene.disparity_map)
    assert sample.blur.item() == pytest.approx(scene.blur)
    dense = tb.trace(scene.layers, scene.lens(), rays=1024)[0]
    assert (sample.blurred[0] - dense).square().mean().sqrt() < 0.03
    assert (sample.all_in_focus - dense).square().mean().sqrt() > 0.05


def test_shards_of_one_folder_make_the_whole(whole, tmp_path):
    for part in (2, 1):
        generate(SETTINGS, tmp_path, shard=(part, 2))
    assert contents(tmp_path) == contents(whole)


@pytest.mark.slow
def test_two_processes_come_to_the_same(whole, tmp_path):
    steps = []
    generate(SETTINGS, tmp_path, lambda done, total: steps.append((done, total)), workers=2)
    assert steps == [(done, 5) for done in range(6)]
    assert contents(tmp_path) == contents(whole)


@pytest.mark.parametrize("samples", [0, 1, 3])
def test_a_run_that_was_stopped_goes_on_after_the_last_whole_file(whole, tmp_path, samples):
    def stop(done: int, total: int) -> None:
        if done == samples:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(SETTINGS, tmp_path, stop)
    kept = samples - samples % 2
    assert count(SETTINGS, tmp_path) == (kept, 5)
    assert set(contents(tmp_path)) == {MANIFEST, *NAMES[: kept // 2]}
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    steps = []
    generate(SETTINGS, tmp_path, lambda done, total: steps.append(done))
    assert steps == list(range(kept, 6))
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert contents(tmp_path) == contents(whole)


def test_a_folder_of_npz_holds_the_same_samples(whole, tmp_path):
    generate(replace(SETTINGS, file_format="folder", scenes=2), tmp_path)
    assert list(contents(tmp_path)) == ["0-000000.npz", "0-000001.npz", MANIFEST]
    with np.load(tmp_path / "0-000001.npz") as file:
        assert file["disparity"].shape == (1, 32, 32)
    for one, other in zip(DefocusDataset(tmp_path), DefocusDataset(whole), strict=False):
        assert torch.equal(one.blurred, other.blurred)
        assert one.name == other.name


def test_half_precision_is_half_as_large_and_near(whole, tmp_path):
    generate(replace(SETTINGS, picture_type="float16", scenes=2), tmp_path)
    exact, half = (DefocusDataset(folder)[0] for folder in (whole, tmp_path))
    assert half.blurred.dtype == torch.float32
    assert torch.equal(half.blurred, exact.blurred.half().float())
    assert torch.equal(half.disparity, exact.disparity)


def test_a_focal_stack_has_the_cameras_lenses_and_a_ray_pattern_for_each_picture():
    settings = GenerateSettings(1, DefocusSceneSettings(size=24), camera="dered", rays=4)
    sample, facts = make_sample(0, settings, Pictures())
    assert sample.blurred.shape == (5, 3, 24, 24)
    assert sample.focus.tolist() == pytest.approx([lens.focus for lens in DERED.lenses])
    assert sample.blur.tolist() == pytest.approx([lens.blur for lens in DERED.lenses])
    assert (sample.near, sample.far) == (DERED.near, DERED.far)
    assert "focal_plane" not in facts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rays": 17}, "is of another data set.*: rays is 16 there, and 17 here"),
        ({"scenes": 6}, "scenes is 5 there, and 6 here"),
        ({"camera": "dered"}, "camera is normalised there, and dered here"),
        ({"scene": DefocusSceneSettings(size=40)}, "scene.size is 32 there, and 40 here"),
    ],
)
def test_a_folder_of_other_settings_is_refused_and_left_alone(whole, change, message):
    before = contents(whole)
    with pytest.raises(ValueError, match=message):
        generate(replace(SETTINGS, **change), whole)
    assert contents(whole) == before


def test_folders_of_something_else_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        generate(SETTINGS, tmp_path / "a" / "b")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds files of something else"):
        generate(SETTINGS, tmp_path)
    with pytest.raises(NotADirectoryError, match="is a file"):
        generate(SETTINGS, tmp_path / "notes.txt")
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(ValueError, match=r"dataset.json is damaged"):
        generate(SETTINGS, tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scenes": 0}, ValueError, "scenes is 0; expected at least 1"),
        ({"rays": 1.5}, TypeError, "rays is of type float"),
        ({"scene": None}, TypeError, "scene is of type NoneType"),
        ({"camera": "leica"}, ValueError, "camera is 'leica'"),
        ({"file_format": "zip"}, ValueError, "file_format is 'zip'; expected one of 'tar', 'folder'"),
        ({"picture_type": "uint8"}, ValueError, "picture_type is 'uint8'"),
    ],
)
def test_bad_settings_are_named(change, error, message):
    with pytest.raises(error, match=message):
        replace(SETTINGS, **change)


def test_a_shard_is_one_of_its_number(tmp_path):
    with pytest.raises(ValueError, match="shard is 3/2"):
        generate(SETTINGS, tmp_path, shard=(3, 2))
