"""A user's own networks serve the command line, whichever way they come; what is missing is said in one line."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from taichi_bokeh.apps import cli
from taichi_bokeh.apps.photo.scene import _model
from taichi_bokeh.io import read_image, write_image

HEIGHT, WIDTH = 24, 40


def brightness(rgb: np.ndarray) -> np.ndarray:
    """A depth network of sorts: what is bright is near. Also a matte network: what is bright is the foreground."""
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    return (rgb.mean(axis=2) > 0.5).astype(np.float32)


def in_metres(rgb: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.where(rgb.mean(axis=2) > 0.5, 2.0, 10.0))


def nowhere(rgb: np.ndarray) -> np.ndarray:
    return np.full(rgb.shape[:2], np.nan)


def green(rgb: np.ndarray, hole: np.ndarray) -> np.ndarray:
    assert hole.dtype == np.bool_
    return np.where(hole[..., None], (0.0, 1.0, 0.0), rgb)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a bright square before a dark wall, the map of its disparity in two sizes, and networks to import."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    square = (abs(x - 19.5) < 8) & (abs(y - 11.5) < 6)
    write_image(tmp_path / "photo.png", np.repeat(np.where(square, 0.9, 0.05)[..., None], 3, axis=2).astype(np.float32))
    np.save(tmp_path / "disparity.npy", square.astype(np.float32))
    np.save(tmp_path / "half.npy", square[::2, ::2].astype(np.float32))
    np.save(tmp_path / "square.npy", square[:, :HEIGHT].astype(np.float32))
    np.save(tmp_path / "constant.npy", np.full((HEIGHT, WIDTH), 0.3, np.float32))
    networks = ModuleType("networks_of_mine")
    for function in (brightness, in_metres, nowhere, green):
        setattr(networks, function.__name__, function)
    monkeypatch.setitem(sys.modules, "networks_of_mine", networks)
    _model.cache_clear()
    return tmp_path


def _render(folder: Path, *options: str) -> int:
    words = [option.format(folder) for option in options]
    fixed = ["--blur", "4", "--focus", "0", "--model", "scatter", "--save-layers", str(folder / "parts"), "--overwrite"]
    return cli.main(["render", str(folder / "photo.png"), *words, *fixed, "-o", str(folder / "out.npy")])


def _layer(folder: Path, number: int) -> tuple[np.ndarray, np.ndarray]:
    return read_image(folder / "parts" / f"layer_{number}.png").rgb, np.load(folder / "parts" / f"layer_{number}_disparity.npy")


def test_a_depth_network_takes_the_place_of_the_disparity_file(folder):
    assert _render(folder, "--disparity", "{}/disparity.npy") == 0
    from_file = np.load(folder / "out.npy")
    assert _render(folder, "--depth-model", "networks_of_mine:brightness") == 0
    np.testing.assert_array_equal(np.load(folder / "out.npy"), from_file)


def test_with_depth_a_networks_metres_become_disparity(folder):
    assert _render(folder, "--depth-model", "networks_of_mine:in_metres", "--depth") == 0
    np.testing.assert_allclose([_layer(folder, i)[1][12, 20] for i in (0, 1)], [0.5, 0.1], rtol=1e-5)


def test_without_depth_a_networks_numbers_are_scaled_to_0_to_1(folder):
    assert _render(folder, "--depth-model", "networks_of_mine:in_metres") == 0
    np.testing.assert_allclose([_layer(folder, i)[1][12, 20] for i in (0, 1)], [1, 0], atol=1e-5)


def test_a_matte_network_makes_the_foreground(folder):
    assert _render(folder, "--disparity", "{}/constant.npy", "--matte-model", "networks_of_mine:brightness") == 0
    alpha = read_image(folder / "parts" / "layer_0.png").alpha
    np.testing.assert_array_equal(alpha, np.load(folder / "disparity.npy"))


def test_an_inpainting_network_invents_what_is_hidden(folder):
    assert _render(folder, "--disparity", "{}/disparity.npy", "--inpaint-model", "networks_of_mine:green") == 0
    behind = _layer(folder, 1)[0]
    np.testing.assert_allclose(behind[12, 20], (0, 1, 0), atol=1e-3)
    np.testing.assert_allclose(behind[2, 2], 0.05, atol=5e-3)


@pytest.mark.parametrize("options", [pytest.param(("--inpaint", "patchmatch"), marks=pytest.mark.slow), ("--matte", "refine")])
def test_what_packages_do_can_be_chosen(folder, options, capfd):
    for package in ("patchmatch", "pymatting"):
        pytest.importorskip(package)
    assert _render(folder, "--disparity", "{}/disparity.npy", "--quiet", *options) == 0
    assert capfd.readouterr() == ("", "")
    assert _layer(folder, 1)[0][12, 20].max() < 0.2  # the dark wall goes on behind the bright square


def test_a_disparity_of_half_the_size_is_resized_on_request(folder):
    assert _render(folder, "--disparity", "{}/disparity.npy") == 0
    whole = np.load(folder / "out.npy")
    assert _render(folder, "--disparity", "{}/half.npy", "--resize-depth") == 0
    np.testing.assert_allclose(np.load(folder / "out.npy"), whole, atol=0.05)


def test_one_disparity_everywhere_makes_one_layer_and_says_so(folder, capsys):
    assert _render(folder, "--disparity", "{}/constant.npy") == 0
    printed = capsys.readouterr().out
    assert "the same everywhere" in printed
    assert "layers: 1" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--disparity FILE"),
        (("--depth-model", "networks_of_mine:missing"), "has no attribute 'missing'"),
        (("--depth-model", "no_such_module:f"), "No module named 'no_such_module'"),
        (("--depth-model", "{}/no.pt"), "no.pt does not exist"),
        (("--depth-model", "{}/photo.png"), "is no model; expected module:function"),
        (("--depth-model", "networks_of_mine:nowhere"), "every pixel is a hole"),
        (("--depth-model", "networks_of_mine:green"), "the depth model networks_of_mine:green failed: TypeError"),
        (("--depth-model", "networks_of_mine:brightness", "--disparity", "{}/disparity.npy"), "not allowed with"),
        (("--disparity", "{}/disparity.npy", "--matte-model", "networks_of_mine:in_metres"), "expected values in [0, 1]"),
        (("--disparity", "{}/disparity.npy", "--matte-model", "networks_of_mine:brightness", "--layers", "1"), "--matte-model"),
        (("--disparity", "{}/disparity.npy", "--inpaint-model", "networks_of_mine:nowhere"), "nowhere failed: TypeError"),
        (("--disparity", "{}/half.npy"), "--resize-depth resizes it"),
        (("--depth-model", "networks_of_mine:brightness", "--resize-depth"), "--resize-depth is for --disparity"),
        (("--disparity", "{}/square.npy", "--resize-depth"), "of the same aspect ratio"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(folder, capsys, options, message):
    assert _render(folder, *options) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("taichi-bokeh: error: ")
    assert printed.count("\n") == 1
    assert message in printed
    assert not (folder / "out.npy").exists()
    assert not (folder / "parts").exists()


@pytest.mark.parametrize(
    ("package", "options"), [("patchmatch", ("--inpaint", "patchmatch")), ("pymatting", ("--matte", "refine"))]
)
def test_a_missing_package_is_named_with_what_installs_it(folder, monkeypatch, capsys, package, options):
    monkeypatch.setitem(sys.modules, package, None)
    assert _render(folder, "--disparity", "{}/disparity.npy", *options) == 2
    assert "pip install 'taichi-bokeh[" in capsys.readouterr().err
    assert not (folder / "out.npy").exists()
