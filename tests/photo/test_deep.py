"""Deep images: their samples come to layers with the coverages that they have."""

from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from taichi_bokeh.apps import cli
from taichi_bokeh.io import read_disparity, read_image
from taichi_bokeh.io.exr import read_deep
from taichi_bokeh.photo.deep import cuts_of, deep_layers

_HEIGHT, _WIDTH = 24, 32
_SQUARE = np.s_[8:16, 10:20]


def _write(path: Path, *sheets: tuple[float, float, tuple[float, float, float], object], **header: object) -> None:
    """Sheets of one depth, coverage and colour each, in a part of the image; given in any order."""
    names = ("R", "G", "B", "A", "Z")
    lists: dict[str, list[list[list[float]]]] = {name: [[[] for _ in range(_WIDTH)] for _ in range(_HEIGHT)] for name in names}
    for depth, alpha, colour, where in sheets:
        there = np.zeros((_HEIGHT, _WIDTH), bool)
        there[where] = True
        for y, x in np.argwhere(there):
            for name, value in zip(names, (*(alpha * one for one in colour), alpha, depth), strict=True):
                lists[name][y][x].append(value)
    channels = {}
    for name, rows in lists.items():
        channels[name] = np.empty((_HEIGHT, _WIDTH), object)
        for at in np.ndindex(_HEIGHT, _WIDTH):
            channels[name][at] = np.array(rows[at[0]][at[1]], np.float32)
    start = {"compression": OpenEXR.ZIPS_COMPRESSION, "type": OpenEXR.deepscanline}
    OpenEXR.File(start | header, channels, num_threads=0).write(str(path))


_BACK = (4.0, 1.0, (0.2, 0.4, 0.6), np.s_[:, :])
_FOG = (2.0, 0.5, (1.0, 1.0, 1.0), np.s_[:, :16])
_NEAR = (1.0, 1.0, (0.9, 0.1, 0.1), _SQUARE)


def test_samples_become_layers_of_their_depth_and_coverage(tmp_path):
    _write(tmp_path / "a.exr", _BACK, _NEAR, _FOG)
    layers, coverage = deep_layers(read_deep((tmp_path / "a.exr").read_bytes())).cut_out
    assert layers.count == 4
    np.testing.assert_allclose(layers.disparity[0, :3, 0, 2, 2], [1, 0.5, 0.25])
    np.testing.assert_allclose(layers.alpha[0, :3, 0, 2, 2], [0, 0.5, 1])
    np.testing.assert_allclose(layers.alpha[0, :3, 0, 10, 12], [1, 0.5, 1], atol=0.1)  # the fog goes on behind
    np.testing.assert_allclose(layers.alpha[0, :3, 0, 2, 30], [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(layers.rgb[0, 2, :, 10, 12], [0.2, 0.4, 0.6], rtol=1e-5)
    assert coverage[0, :3].min() == 1
    assert coverage[0, 3].max() == 0


def test_without_blur_the_layers_composite_to_the_image(tmp_path):
    _write(tmp_path / "a.exr", _BACK, _NEAR, _FOG)
    image = read_image(tmp_path / "a.exr")
    np.testing.assert_allclose(image.rgb[2, 2], [0.6, 0.7, 0.8], rtol=1e-5)
    np.testing.assert_allclose(image.rgb[10, 12], [0.9, 0.1, 0.1], rtol=1e-5)
    layers, _ = deep_layers(read_deep((tmp_path / "a.exr").read_bytes())).cut_out
    np.testing.assert_allclose(layers.all_in_focus()[0].permute(1, 2, 0), image.rgb, atol=1e-5)


def test_as_a_map_it_is_the_mean_depth_of_what_is_seen(tmp_path):
    _write(tmp_path / "a.exr", _BACK, _NEAR, _FOG)
    disparity = read_disparity(tmp_path / "a.exr", depth=True)
    np.testing.assert_allclose([disparity[10, 12], disparity[2, 30], disparity[2, 2]], [1, 0.25, 0.375], rtol=1e-5)


def test_a_deep_image_is_rendered_by_itself_and_keeps_its_transparency(tmp_path):
    _write(tmp_path / "a.exr", _NEAR, _FOG)
    words = ["render", f"{tmp_path}/a.exr", "--blur", "6", "--focus", "1", "-o", f"{tmp_path}/b.exr", "--quiet"]
    assert cli.main(words) == 0
    rgb, alpha = read_image(tmp_path / "b.exr")
    assert alpha is not None
    assert alpha[12, 15] == pytest.approx(1, abs=1e-3)
    assert alpha[2, 30] == pytest.approx(0, abs=1e-3)
    assert alpha[2, 2] == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_allclose(rgb[12, 15], [0.9, 0.1, 0.1], atol=1e-3)
    assert 0.05 < alpha[2, 16] < 0.45  # the edge of the fog is out of focus


def test_an_opaque_deep_image_stays_opaque(tmp_path):
    _write(tmp_path / "a.exr", _BACK, _NEAR)
    words = ["render", f"{tmp_path}/a.exr", "--blur", "6", "--focus", "0.25", "-o", f"{tmp_path}/b.npy", "--quiet"]
    assert cli.main(words) == 0
    found = np.load(tmp_path / "b.npy")
    assert found.shape == (_HEIGHT, _WIDTH, 3)
    np.testing.assert_allclose(found[0, 0], [0.2, 0.4, 0.6], atol=1e-4)


def test_what_a_deep_image_has_itself_is_not_given(tmp_path, capsys):
    _write(tmp_path / "a.exr", _BACK)
    words = ["render", f"{tmp_path}/a.exr", "--blur", "6", "--focus", "1", "--alpha", "m.png", "-o", f"{tmp_path}/b.exr"]
    assert cli.main(words) == 2
    assert "--alpha is for flat images" in capsys.readouterr().err


def test_cuts_lie_between_what_is_far_apart():
    disparity = np.array([0.1, 0.11, 0.5, 0.52, 0.9])
    cuts = cuts_of(disparity, np.ones(5), 3)
    assert len(cuts) == 2
    assert 0.11 < cuts[0] <= 0.5
    assert 0.52 < cuts[1] <= 0.9
    assert len(cuts_of(np.ones(5), np.ones(5), None)) == 0


def test_damaged_deep_files_are_refused(tmp_path):
    _write(tmp_path / "a.exr", _BACK, _NEAR)
    content = (tmp_path / "a.exr").read_bytes()
    for size in (200, len(content) // 2, len(content) - 5):
        (tmp_path / "b.exr").write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"b\.exr cannot be read: damaged"):
            read_image(tmp_path / "b.exr")
