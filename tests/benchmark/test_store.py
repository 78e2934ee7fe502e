"""Scenes and truths on disk: exact, whole or absent, and never overwritten."""

import json

import numpy as np
import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.benchmark import store
from taichi_bokeh.io import read_image
from taichi_bokeh.synthetic.scene import Scene

SIZE = (18, 24)


def scene_of(seed=0, blur=6.0, name="003"):
    generator = torch.Generator().manual_seed(seed)
    rgb = torch.rand(1, 3, 3, *SIZE, generator=generator)
    alpha = torch.rand(1, 3, 1, *SIZE, generator=generator)
    alpha[:, -1] = 1
    disparity = torch.tensor([1.1, 0.7, 0.1])[None, :, None, None, None].expand_as(alpha).contiguous()
    return Scene(name, tb.Layers(rgb, alpha, disparity), blur, float(disparity[0, 1, 0, 0, 0]), "middle")


def content_of(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture
def scene():
    return scene_of()


@pytest.fixture
def folder(tmp_path, scene):
    folder = store.scene_folder(tmp_path / "run", scene.name)
    store.save_scene(folder, scene, {"kind": "noise"})
    return folder


def test_a_scene_comes_back_bit_for_bit(tmp_path, folder, scene):
    assert folder == tmp_path / "run" / "scenes" / "003"
    assert sorted(content_of(folder)) == ["all-in-focus.png", "depth.npy", "layers.npz", "scene.json"]
    loaded = store.load_scene(folder)
    for name in ("rgb", "alpha", "disparity"):
        assert torch.equal(getattr(loaded.layers, name), getattr(scene.layers, name))
    assert (loaded.name, loaded.blur, loaded.focus, loaded.focal_plane) == ("003", scene.blur, scene.focus, "middle")
    assert json.loads((folder / "scene.json").read_text())["description"] == {"kind": "noise"}


def test_picture_and_depth_are_those_of_the_scene(folder, scene):
    picture = read_image(folder / "all-in-focus.png").rgb.transpose(2, 0, 1)
    np.testing.assert_allclose(picture, scene.all_in_focus, atol=1e-4)  # 16 bits
    depth_m = np.load(folder / "depth.npy")
    assert depth_m.dtype == np.float32
    np.testing.assert_allclose(depth_m * scene.disparity_map.numpy(), 1, rtol=1e-6)


def test_saving_again_touches_nothing(folder, scene):
    before = content_of(folder)
    store.save_scene(folder, scene_of(), {"kind": "noise"})
    assert content_of(folder) == before


@pytest.mark.parametrize(
    ("other", "what"), [(scene_of(seed=1), "digest"), (scene_of(blur=6.5), "blur"), (scene_of(name="004"), "name")]
)
def test_the_folder_of_another_scene_is_left_as_it_is(folder, other, what):
    before = content_of(folder)
    with pytest.raises(ValueError, match=f"is of another scene, and is left as it is: {what} is"):
        store.save_scene(folder, other, {})
    assert content_of(folder) == before


def test_files_without_an_owner_are_left_as_they_are(tmp_path, scene):
    (tmp_path / "depth.npy").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"holds depth\.npy but no scene\.json"):
        store.save_scene(tmp_path, scene, {})
    assert list(content_of(tmp_path)) == ["depth.npy"]


@pytest.mark.parametrize("writes", range(4))
def test_a_run_killed_between_two_files_is_completed_by_the_next(tmp_path, scene, monkeypatch, writes):
    left = iter([True] * writes)

    def dying(write):
        def wrapped(*args, **kwargs):
            if not next(left, False):
                raise KeyboardInterrupt
            return write(*args, **kwargs)

        return wrapped

    folder = tmp_path / "003"
    with monkeypatch.context() as patch:
        for name in ("write_json", "write_atomically", "write_image"):
            patch.setattr(store, name, dying(getattr(store, name)))
        with pytest.raises(KeyboardInterrupt):
            store.save_scene(folder, scene, {})
    assert len(content_of(folder)) == writes
    store.save_scene(folder, scene, {})
    assert len(content_of(folder)) == 4
    assert torch.equal(store.load_scene(folder).layers.rgb, scene.layers.rgb)


@pytest.mark.parametrize("name", ["layers.npz", "scene.json"])
@pytest.mark.parametrize("keep", [0, 100])
def test_a_damaged_scene_is_refused_and_kept(folder, scene, name, keep):
    (folder / name).write_bytes((folder / name).read_bytes()[:keep])
    before = content_of(folder)
    with pytest.raises(ValueError, match="damaged"):
        store.load_scene(folder)
    with pytest.raises(ValueError, match="damaged"):
        store.save_scene(folder, scene, {})
    assert content_of(folder) == before


def test_layers_of_another_scene_are_noticed(tmp_path, folder):
    store.save_scene(tmp_path / "other", scene_of(seed=1), {})
    (folder / "layers.npz").write_bytes((tmp_path / "other" / "layers.npz").read_bytes())
    with pytest.raises(ValueError, match=r"layers\.npz is .*not the one that scene\.json describes"):
        store.load_scene(folder)


def test_a_folder_without_a_scene_is_told_apart_from_a_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no scene\.json"):
        store.load_scene(tmp_path)


def test_a_truth_comes_back_bit_for_bit(folder):
    assert store.load_truth(folder, 64, 2) is None
    truth = torch.rand(3, *SIZE) * 3
    store.save_truth(folder, truth, rays=64, seed=2)
    assert torch.equal(store.load_truth(folder, 64, 2), truth)
    shown = read_image(folder / "truth.png").rgb.transpose(2, 0, 1)
    np.testing.assert_allclose(shown, truth.clamp(0, 1), atol=0.01)
    np.testing.assert_array_equal(np.load(folder / "truth.npy"), truth)


@pytest.mark.parametrize(
    ("rays", "seed", "message"), [(65, 2, "of another truth.*rays is 64.*65"), (64, 3, "of another truth.*seed is 2.*3")]
)
def test_a_truth_of_other_rays_or_seed_is_refused_and_kept(folder, rays, seed, message):
    store.save_truth(folder, torch.rand(3, *SIZE), rays=64, seed=2)
    before = content_of(folder)
    with pytest.raises(ValueError, match=message):
        store.load_truth(folder, rays, seed)
    with pytest.raises(ValueError, match=message):
        store.save_truth(folder, torch.rand(3, *SIZE), rays, seed)
    assert content_of(folder) == before


def test_a_truth_that_is_there_stays(folder):
    store.save_truth(folder, torch.rand(3, *SIZE), rays=64, seed=2)
    before = content_of(folder)
    store.save_truth(folder, torch.rand(3, *SIZE), rays=64, seed=2)
    assert content_of(folder) == before


def test_the_truth_of_another_scene_is_refused(tmp_path, folder):
    store.save_scene(tmp_path / "other", scene_of(seed=1), {})
    store.save_truth(tmp_path / "other", torch.rand(3, *SIZE), rays=64, seed=2)
    for name in ("truth.json", "truth.npy"):
        (folder / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(ValueError, match=r"is of another truth.*: scene is not the same"):
        store.load_truth(folder, 64, 2)


@pytest.mark.parametrize("cut", [0, 60, 500])
def test_a_damaged_truth_is_refused(folder, cut):
    store.save_truth(folder, torch.rand(3, *SIZE), rays=64, seed=2)
    file = folder / "truth.npy"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"truth\.npy is damaged"):
        store.load_truth(folder, 64, 2)


def test_a_single_wrong_bit_of_the_truth_is_noticed(folder):
    store.save_truth(folder, torch.rand(3, *SIZE), rays=64, seed=2)
    content = bytearray((folder / "truth.npy").read_bytes())
    content[-1] ^= 1
    (folder / "truth.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"not the truth that truth\.json describes"):
        store.load_truth(folder, 64, 2)


def test_a_truth_without_an_owner_is_left_as_it_is(folder):
    np.save(folder / "truth.npy", np.zeros((3, *SIZE), np.float32))
    with pytest.raises(ValueError, match=r"truth\.npy but no truth\.json"):
        store.load_truth(folder, 64, 2)


def test_an_unfinished_truth_is_none_and_can_be_saved_with_other_rays(folder):
    store.save_truth(folder, torch.rand(3, *SIZE), rays=64, seed=2)
    (folder / "truth.npy").unlink()
    (folder / "truth.png").unlink()
    assert store.load_truth(folder, 64, 2) is None
    truth = torch.rand(3, *SIZE)
    store.save_truth(folder, truth, rays=128, seed=2)
    assert torch.equal(store.load_truth(folder, 128, 2), truth)


@pytest.mark.parametrize(
    ("truth", "rays", "error", "message"),
    [
        (torch.rand(3, 5, 5), 8, ValueError, "truth has shape"),
        (torch.full((3, *SIZE), torch.nan), 8, ValueError, "truth holds NaN"),
        (np.zeros((3, *SIZE)), 8, TypeError, "truth is of type ndarray"),
        (torch.rand(3, *SIZE), 0, ValueError, "rays is 0"),
    ],
)
def test_what_is_no_truth_of_the_scene_is_refused(folder, truth, rays, error, message):
    with pytest.raises(error, match=message):
        store.save_truth(folder, truth, rays, 0)


def test_a_truth_needs_its_scene(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no scene\.json"):
        store.save_truth(tmp_path, torch.rand(3, *SIZE), 8, 0)
