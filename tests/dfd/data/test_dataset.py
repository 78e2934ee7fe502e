"""What was written is read, in any order and in any process; what is damaged is named, and skipped where that was asked for."""

import io
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from taichi_bokeh import Aperture
from taichi_bokeh.dfd.data import samples
from taichi_bokeh.dfd.data.augment import Augmentation, Noise, crop, flip, transpose, with_noise
from taichi_bokeh.dfd.data.dataset import DefocusDataset, split_names
from taichi_bokeh.dfd.observation import Sample, collate

HEIGHT, WIDTH = 12, 10


def make(name: str) -> Sample:
    generator = torch.Generator().manual_seed(int(name))
    return Sample(
        name=name,
        all_in_focus=torch.rand(3, HEIGHT, WIDTH, generator=generator),
        blurred=torch.rand(2, 3, HEIGHT, WIDTH, generator=generator),
        blur=torch.tensor([6.0, 7.0]),
        focus=torch.tensor([0.0, 1.0]),
        near=1.0,
        far=0.0,
        disparity=torch.rand(1, HEIGHT, WIDTH, generator=generator),
    )


def members(name: str) -> dict[str, bytes]:
    return samples.encode(make(name), "float32", {})


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def write_tar(path: Path, names: list[str], **changes: dict[str, bytes]) -> Path:
    """A tar of samples; those that `changes` names, as s1 for 1, have other members."""
    path.write_bytes(samples.tar_of((name, {**members(name), **changes.get(f"s{name}", {})}) for name in names))
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    write_tar(tmp_path / "shard-000000.tar", ["0", "1"])
    write_tar(tmp_path / "shard-000001.tar", ["2"])
    (tmp_path / "3.npz").write_bytes(samples.npz_of(members("3")))
    return tmp_path


def assert_equal(one: Sample, other: Sample) -> None:
    assert (one.name, one.near, one.far) == (other.name, other.near, other.far)
    for name in ("all_in_focus", "blurred", "blur", "focus", "disparity"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_every_sample_is_read_as_it_was_written(folder):
    dataset = DefocusDataset(folder)
    dataset.validate()
    assert len(dataset) == 4
    assert sorted(dataset.names) == ["0", "1", "2", "3"]
    for number in (2, 0, 3, 1, -1):
        assert_equal(dataset[number], make(dataset.names[number]))
    with pytest.raises(IndexError, match="sample 4 of 4"):
        dataset[4]
    assert dataset.skipped == []


def test_the_source_may_be_files(folder):
    assert DefocusDataset(folder / "3.npz").names == ["3"]
    assert DefocusDataset([folder / "shard-000001.tar", str(folder / "3.npz")]).names == ["2", "3"]
    with pytest.raises(ValueError, match="sample 2 is both in"):
        DefocusDataset([folder / "shard-000001.tar"] * 2)


def test_workers_that_are_spawned_read_it_too(folder):
    dataset = DefocusDataset(folder, transform=Augmentation(size_px=8))
    loader = DataLoader(dataset, batch_size=2, num_workers=1, multiprocessing_context="spawn", collate_fn=collate)
    batches = list(loader)
    assert [observation.batch for observation, _ in batches] == [2, 2]
    assert batches[0][1].shape == (2, 1, 8, 8)


def test_it_can_be_pickled(folder):
    dataset = pickle.loads(pickle.dumps(DefocusDataset(folder)))
    assert_equal(dataset[1], make(dataset.names[1]))


def test_a_file_that_changes_its_order_is_still_read(tmp_path):
    parts = members("5")
    swapped = dict(reversed(parts.items()))
    (tmp_path / "5.npz").write_bytes(samples.npz_of(swapped))
    assert_equal(DefocusDataset(tmp_path)[0], make("5"))


NAN = np.full((3, HEIGHT, WIDTH), np.nan, np.float32)
DAMAGES = {
    "NaN": ({"all_in_focus.npy": npy(NAN)}, "all_in_focus holds NaN"),
    "negative": ({"all_in_focus.npy": npy(-np.ones_like(NAN))}, "all_in_focus has values from -1.0"),
    "shape": (
        {"all_in_focus.npy": npy(np.zeros((3, 4, 5), np.float32))},
        r"blurred has shape .*; expected \[1, S, 3, 4, 5\]",
    ),
    "dimensions": ({"blurred.npy": npy(np.zeros((3, 4, 5), np.float32))}, r"blurred has shape \[1, 3, 4, 5\]"),
    "type": ({"disparity.npy": npy(np.zeros((1, HEIGHT, WIDTH)))}, "disparity.npy holds float64"),
    "no array": ({"disparity.npy": b"nothing"}, "disparity.npy is damaged"),
    "cut array": ({"disparity.npy": npy(NAN[:1])[:-20]}, "disparity.npy is damaged"),
    "json": ({"json": b"{"}, "Expecting property name"),
    "blur": (
        {"json": b'{"blur": [0, 1], "focus": [0, 0], "near": 1, "far": 0}'},
        "blur is 0; expected more than 0",
    ),
    "count": ({"json": b'{"blur": [1], "focus": [0, 0], "near": 1, "far": 0}'}, r"blur has shape \[1, 1\]; expected \[1, 2\]"),
    "range": ({"json": b'{"blur": [1, 1], "focus": [0, 0], "near": 1, "far": 1}'}, "far is 1.0; expected less than near, 1.0"),
    "key": ({"json": b'{"focus": [0, 0], "near": 1, "far": 1}'}, "has no 'blur'"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_sample_is_named(tmp_path, damage):
    change, message = DAMAGES[damage]
    path = write_tar(tmp_path / "shard-000000.tar", ["0", "1", "2"], s1=change)
    dataset = DefocusDataset(tmp_path)
    for read in (lambda: dataset[1], dataset.validate):
        with pytest.raises(ValueError, match=message) as caught:
            read()
        assert str(path) in str(caught.value)
        assert "sample 1" in str(caught.value)
    lenient = DefocusDataset(tmp_path, on_error="skip")
    lenient.validate()
    assert lenient.names == ["0", "2"]
    ((file, reason),) = lenient.skipped
    assert file == path
    assert "sample 1" in reason


@pytest.mark.parametrize(("cut", "kept"), [(0, ["0", "1"]), (600, ["0"]), (2500, ["0"])])
def test_a_truncated_tar_is_noticed_and_what_is_whole_in_it_is_kept(folder, cut, kept):
    path = folder / "shard-000000.tar"
    last = samples.index(path)[0][-1].members["json"]
    end = last.offset + -(-last.size // 512) * 512  # of the data; what a tar ends with comes after
    path.write_bytes(path.read_bytes()[: end - cut])
    with pytest.raises(ValueError, match=r"shard-000000.tar: is truncated or damaged"):
        DefocusDataset(folder)
    dataset = DefocusDataset(folder, on_error="skip")
    assert {file for file, _ in dataset.skipped} == {path}
    assert sorted(dataset.names) == [*kept, "2", "3"]
    dataset.validate()
    for number, name in enumerate(dataset.names):
        assert_equal(dataset[number], make(name))


def test_a_cut_npz_and_one_that_is_compressed_are_named(tmp_path):
    whole = samples.npz_of(members("1"))
    (tmp_path / "1.npz").write_bytes(whole[:-30])
    with pytest.raises(ValueError, match=r"1.npz: is truncated or damaged \(File is not a zip file\)"):
        DefocusDataset(tmp_path)
    np.savez_compressed(tmp_path / "1.npz", disparity=np.zeros(3))
    with pytest.raises(ValueError, match=r"disparity.npy is compressed"):
        DefocusDataset(tmp_path)


def test_a_sample_without_all_its_members_is_named(tmp_path):
    np.savez(tmp_path / "1.npz", disparity=np.zeros(3))
    with pytest.raises(ValueError, match=r"1.npz: sample 1 has no all_in_focus.npy, blurred.npy, json"):
        DefocusDataset(tmp_path)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no samples"):
        DefocusDataset(tmp_path)
    with pytest.raises(FileNotFoundError, match="is no file"):
        DefocusDataset(tmp_path / "none")
    with pytest.raises(ValueError, match="split is 'test'"):
        DefocusDataset(tmp_path, "test")


def test_splits_are_disjoint_stable_and_of_about_the_share():
    names = [f"0-{index:06d}" for index in range(2000)]
    train, validation = split_names(names, 0.1)
    assert sorted(train + validation) == names
    assert 150 < len(validation) < 250
    assert split_names(names[:500], 0.1)[1] == [name for name in validation if name in names[:500]]
    assert split_names(names, 0.1, seed=1)[1] != validation
    assert split_names(names, 0.0)[1] == []
    assert split_names(names, 1.0)[0] == []
    with pytest.raises(ValueError, match="validation_share is 2; expected at most 1"):
        split_names(names, 2)


def test_the_parts_of_a_data_set_make_the_whole(folder):
    parts = [set(DefocusDataset(folder, part).names) for part in ("train", "validation")]
    assert parts[0] | parts[1] == {"0", "1", "2", "3"}
    assert not parts[0] & parts[1]
    assert parts[1] == set(split_names(["0", "1", "2", "3"])[1])


def test_noise_is_the_same_at_each_reading_and_another_for_each_sample(folder):
    noisy = DefocusDataset(folder, noise=Noise(read=0.1))
    first = noisy[0].blurred - make(noisy.names[0]).blurred
    second = noisy[1].blurred - make(noisy.names[1]).blurred
    assert torch.equal(noisy[0].blurred, noisy[0].blurred)
    assert not torch.allclose(first, second)
    other = DefocusDataset(folder, noise=Noise(read=0.1), seed=1)[0].blurred
    assert not torch.equal(other, noisy[0].blurred)
    assert torch.equal(noisy[0].disparity, make(noisy.names[0]).disparity)


def test_noise_has_the_variance_that_it_says():
    picture = torch.full((1, 400, 400), 0.5, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    noisy = Noise(read=0.02, photons=1000).added(picture, generator)
    assert noisy.var().item() == pytest.approx(0.02**2 + 0.5 / 1000, rel=0.02)
    assert noisy.mean().item() == pytest.approx(0.5, abs=3e-4)
    assert (Noise(read=1.0).added(picture, generator) >= 0).all()
    assert torch.equal(Noise().added(picture), picture)
    with pytest.raises(ValueError, match="photons is 0"):
        Noise(photons=0)


def test_all_that_belongs_together_is_turned_and_cut_together():
    sample = make("4")
    flipped = flip(sample, (-1,))
    assert torch.equal(flipped.blurred, sample.blurred.flip(-1))
    assert torch.equal(flipped.disparity, sample.disparity.flip(-1))
    assert torch.equal(transpose(sample).all_in_focus, sample.all_in_focus.mT)
    part = crop(sample, 2, 3, 5, 4)
    assert torch.equal(part.disparity, sample.disparity[:, 2:7, 3:7])
    assert torch.equal(part.blurred, sample.blurred[..., 2:7, 3:7])
    assert flip(replace(sample, disparity=None), (-1,)).disparity is None
    noisy = with_noise(sample, Noise(read=0.1))
    assert not torch.equal(noisy.all_in_focus, sample.all_in_focus)
    with pytest.raises(ValueError, match=r"sample 4 is 12 × 10 px; expected a part within it"):
        crop(sample, 10, 0, 3, 3)
    with pytest.raises(ValueError, match="axes is"):
        flip(sample, (0,))


def test_an_opening_that_is_no_disc_is_not_flipped():
    half = Aperture(blades=3, roundness=0)
    for refused in (
        lambda: flip(make("0"), (-1,), half),
        lambda: transpose(make("0"), half),
        lambda: Augmentation(aperture=half),
    ):
        with pytest.raises(ValueError, match=r"aperture is no disc \(blades\)"):
            refused()
    sample = make("0")
    torch.manual_seed(0)
    assert_equal(Augmentation(flips=False, aperture=half)(sample), sample)


def test_augmentation_takes_every_turn_and_follows_from_torchs_seed():
    sample = make("6")
    augment = Augmentation(size_px=6, noise=Noise(read=0.01))
    torch.manual_seed(3)
    first = augment(sample)
    torch.manual_seed(3)
    assert_equal(augment(sample), first)
    turns = {tuple(Augmentation()(crop(sample, 0, 0, 4, 4)).disparity.flatten().tolist()) for _ in range(200)}
    assert len(turns) == 8
    corners = {float(Augmentation(size_px=9, flips=False)(sample).disparity[0, 0, 0]) for _ in range(200)}
    assert corners == set(sample.disparity[0, :4, :2].flatten().tolist())
