"""A file with a stack of maps, as networks write it for a video, is the disparity of a sequence."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from taichi_bokeh.apps import cli
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.sequence.footage import footage_of
from taichi_bokeh.io import write_image
from tests.apps.small_scene import square_before_grid

TOPS = (4, 7, 10)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Folders of three images and of their disparities, and the latter as one array."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "maps").mkdir()
    for number, top in enumerate(TOPS):
        write_image(f"in/f{number}.png", square_before_grid(top)[0])
        np.save(f"maps/f{number}.npy", square_before_grid(top)[1])
    return tmp_path


def frames(*words: str) -> list[np.ndarray] | None:
    lens = ("--blur", "6", "--focus", "0.5", "--model", "scatter", "--quiet", "--overwrite", "-o", "out_%d.npy")
    return [np.load(f"out_{number}.npy") for number in range(3)] if cli.main(["render", "in", *words, *lens]) == 0 else None


def stack() -> np.ndarray:
    return np.stack([square_before_grid(top)[1] for top in TOPS])


@pytest.mark.parametrize("name", ["depths.npz", "named.npz", "maps.npy", "maps.tif"])
def test_each_image_gets_its_own(folder, name):
    if name.endswith("npz"):
        np.savez(name, depths=stack(), other=stack() * 2)
    elif name.endswith("npy"):
        np.save(name, stack()[..., None])
    else:
        tifffile.imwrite(name, stack(), photometric="minisblack")
    expected = frames("--disparity", "maps")
    found = frames("--disparity", name, *(("--depth-layer", "depths") if name == "named.npz" else ()))
    np.testing.assert_array_equal(found, expected)


def test_as_many_are_needed(folder, capsys):
    np.savez("depths.npz", depths=stack()[:2])
    assert frames("--disparity", "depths.npz") is None
    assert "depths.npz has 2 images, and must have 3 as in" in capsys.readouterr().err


def test_relative_depth_is_told_for_all_images_together(folder):
    """One that happens to end below 1, or to begin above 0, is turned round as the others are."""
    depth = np.stack([np.linspace(low, high, 48 * 36).reshape(36, 48) for low, high in ((0, 0.7), (0.2, 1), (0.1, 0.8))])
    np.savez("depths.npz", depths=depth.astype(np.float32))
    request = PhotoRequest(photo=Path("in"), disparity=Path("depths.npz"), depth=True)
    footage = footage_of(request, None)
    assert footage.request.relative_depth
    for one, expected in zip(footage.photos(), depth, strict=True):
        found = one.map_code().disparity(np.load(one.disparity), "map")
        np.testing.assert_allclose(found, 1 - expected, atol=1e-6)
    np.savez("depths.npz", depths=(depth + 0.5).astype(np.float32))
    assert not footage_of(request, None).request.relative_depth
