"""The commands do what their help says, and refuse the rest in one line with exit code 2, leaving no file behind."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from taichi_bokeh._render import render
from taichi_bokeh.apps import cli
from taichi_bokeh.apps.photo import scene as photo_scene
from taichi_bokeh.io import read_image, srgb_decode, srgb_encode, write_image
from taichi_bokeh.models import Scatter
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.photo import to_layers
from taichi_bokeh.photo.measure import disparity_at

HEIGHT, WIDTH = 36, 48


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A folder with a picture of a bright square (disparity 0.8) before a dark grid (0.2)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    square = (abs(x - 24) < 8) & (abs(y - 18) < 8)
    grid = np.where((x + y) % 4 < 2, 0.05, 0.3)
    rgb = np.repeat(np.where(square, 0.8, grid)[..., None], 3, axis=2).astype(np.float32)
    disparity = np.where(square, 0.8, 0.2).astype(np.float32)
    write_image(tmp_path / "photo.png", rgb)
    np.save(tmp_path / "disparity.npy", disparity)
    np.save(tmp_path / "depth.npy", 1 / disparity)
    np.save(tmp_path / "matte.npy", square.astype(np.float32))
    np.save(tmp_path / "small.npy", disparity[:10])
    np.save(tmp_path / "opening.npy", np.eye(4, dtype=np.float32))
    return tmp_path


def _render(scene: Path, *options: str, **replaced: str | None) -> int:
    """Run the render command in the scene's folder; ``replaced`` changes or (None) drops one of the usual options."""
    usual: dict[str, str | None] = {"disparity": "disparity.npy", "blur": "10", "focus": "0.8", "output": "out.png"}
    words = ["render", str(scene / "photo.png")]
    for name, value in (usual | replaced).items():
        if value is not None:
            is_file = name in ("disparity", "output", "alpha")
            words += [f"--{name.replace('_', '-')}", str(scene / value) if is_file else value]
    return cli.main([*words, *options])


def test_rendering_keeps_the_focus_sharp_and_blurs_the_rest(scene, capsys):
    assert _render(scene) == 0
    before, after = read_image(scene / "photo.png").rgb, read_image(scene / "out.png").rgb
    inside = np.s_[14:22, 20:28]
    np.testing.assert_allclose(after[inside], before[inside], atol=0.02)
    assert after[:, :6].std() < 0.3 * before[:, :6].std()
    printed = capsys.readouterr()
    assert "disparity: 0.2 to 0.8" in printed.out
    assert "layers: 2, largest blur radius: 6.0 px, model: subaperture with 16 cells\n" in printed.out
    assert printed.err == ""


def test_values_that_begin_with_a_minus_are_values(scene):
    given = {"output": "out.npy", "blur": "3"}
    for focus in ("-.5", "-1e-3", "-2"):
        assert _render(scene, "--quiet", "--overwrite", "--model", "scatter", **given, focus=focus) == 0
    assert _render(scene, "--quiet", "--frames", "2", **given | {"output": "out_%d.npy"}, focus="-1:0") == 0
    assert (scene / "out_2.npy").exists()
    assert _render(scene, "--quiet", "--overwrite", "--ring", "-.25", "--rotation", "-30", **given, focus="-1") == 0


def test_how_it_is_computed_is_said_when_asked_for(scene, capsys):
    assert _render(scene, "--model", "scatter", output="a.png") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert _render(scene, "--model", "scatter", "--explain", output="b.png") == 0
    assert f"{Scatter()}\nlayer 0, up to 0.0 px: " in capsys.readouterr().out
    assert _render(scene, "--explain", "--frames", "2", output="c_%d.png", focus="0:1") == 2
    assert "--explain is for one image" in capsys.readouterr().err


@pytest.fixture(scope="module")
def cables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an 8-bit photograph of dark and bright cables before a wall, and one that is transparent in places."""
    folder = tmp_path_factory.mktemp("cables")
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    levels = np.random.default_rng(3).integers(90, 200, (HEIGHT, WIDTH, 3))
    near = np.zeros((HEIGHT, WIDTH), bool)
    for place, level in ((12, 0), (24, 255), (36, 20)):
        cover = np.clip(1.25 - abs(x - place - 0.3 * (y - 18)), 0, 1)
        levels = np.rint(levels * (1 - cover[..., None]) + level * cover[..., None])
        near |= cover > 0.4
    rgb = srgb_decode(levels.astype(np.uint8))
    write_image(folder / "photo.png", rgb)
    write_image(folder / "cut-out.png", rgb, np.clip(x / 30, 0, 1))
    np.save(folder / "disparity.npy", np.where(near, 0.8, np.where(y < 18, 0.2, 0.4)))
    np.save(folder / "matte.npy", np.where(near, 0.9, 0.1))
    return folder


@pytest.mark.parametrize("model", ["subaperture", "scatter"])
@pytest.mark.parametrize(
    ("photo", "options"),
    [
        ("photo.png", ()),
        ("photo.png", ("--layers", "2", "--matte", "refine")),
        ("photo.png", ("--alpha", "{}/matte.npy", "--near-blur", "3", "--far-blur", "0.5")),
        ("cut-out.png", ("--layers", "3")),
    ],
)
def test_without_blur_the_file_written_is_the_photograph(cables, tmp_path, model, photo, options):
    out = tmp_path / "out.png"
    words = ["render", str(cables / photo), "--disparity", str(cables / "disparity.npy"), "--blur", "0", "--focus", "0.3"]
    words += ["--model", model, "--quiet", "-o", str(out), *(option.format(cables) for option in options)]
    assert cli.main(words) == 0
    before, after = (iio.imread(file).astype(int) for file in (cables / photo, out))
    seen = before[..., -1:] >= 128 if before.shape[2] == 4 else True  # what is nearly transparent has coarse colours
    assert (abs(after - before) * seen).max() <= 1


def _directly(scene: Path, aperture: Aperture = Aperture(), **settings: object) -> np.ndarray:
    """What the library makes of the scene."""
    layers = to_layers(read_image(scene / "photo.png").rgb, np.load(scene / "disparity.npy"))
    return render(layers, ThinLens(10.0, 0.8, aperture), **settings)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    ("options", "settings", "named"),
    [
        ((), {"model": "subaperture", "cells": 16}, "subaperture with 16 cells"),
        (("--cells", "5"), {"model": "subaperture", "cells": 5}, "subaperture with 5 cells"),
        (("--cells", "auto", "--blur", "1"), {"model": "subaperture", "cells": "auto"}, "subaperture with 4 cells"),
        (("--cells", "auto"), {"model": "subaperture", "cells": "auto"}, "subaperture with 16 cells"),
        (("--model", "scatter", "--profile", "soft"), {"model": "scatter", "profile": "soft"}, "scatter"),
        (("--model", "scatter", "--max-radius", "3"), {"model": "scatter", "max_radius": 3}, "scatter"),
        (("--model", "scatter-official"), {"model": "scatter-official"}, "scatter-official"),
    ],
)
def test_the_model_is_the_librarys_and_is_named(scene, capsys, options, settings, named):
    blur = {"blur": None} if "--blur" in options else {}
    assert _render(scene, *options, output="out.npy", **blur) == 0
    if not blur:
        np.testing.assert_array_equal(np.load(scene / "out.npy"), _directly(scene, **settings))
    assert f" px, model: {named}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "aperture"),
    [
        (("--blades", "6", "--rotation", "10"), Aperture(blades=6, rotation=10, roundness=0)),
        (("--blades", "5", "--roundness", "0.5", "--ring", "-0.3"), Aperture(blades=5, roundness=0.5, ring=-0.3)),
        (("--squeeze", "1.5", "--cat-eye", "0.2"), Aperture(squeeze=1.5, cat_eye=0.2)),
        (("--aperture-image", "{}/opening.npy"), Aperture(image=torch.eye(4))),
    ],
)
def test_the_aperture_is_as_described(scene, options, aperture):
    assert _render(scene, "--quiet", *(option.format(scene) for option in options), output="out.npy") == 0
    np.testing.assert_array_equal(np.load(scene / "out.npy"), _directly(scene, aperture, model="subaperture"))


def test_focus_at_depth_matte_and_layers(scene, capsys):
    options = ("--depth", "--save-layers", str(scene / "parts"), "--quiet", "--model", "scatter-official")
    code = _render(scene, *options, disparity="depth.npy", focus=None, focus_at="24,18", alpha="matte.npy")
    assert code == 0
    assert capsys.readouterr() == ("", "")
    before, after = read_image(scene / "photo.png").rgb, read_image(scene / "out.png").rgb
    np.testing.assert_allclose(after[16:20, 22:26], before[16:20, 22:26], atol=0.02)
    front = read_image(scene / "parts" / "layer_0.png")
    np.testing.assert_array_equal(front.alpha, np.load(scene / "matte.npy"))
    np.testing.assert_allclose(np.load(scene / "parts" / "layer_1_disparity.npy"), 0.2, atol=1e-5)


def test_output_can_be_deep_linear_and_replaced(scene):
    assert _render(scene, "--quiet", output="out.npy", blur="0") == 0
    assert _render(scene, "--quiet", "--bits", "16", blur="0") == 0
    assert _render(scene, "--quiet", "--overwrite", output="out.npy", blur="0") == 0
    linear, deep = np.load(scene / "out.npy"), read_image(scene / "out.png").rgb
    np.testing.assert_allclose(srgb_encode(deep), srgb_encode(linear), atol=1e-5)
    assert np.mean((linear - read_image(scene / "photo.png").rgb) ** 2) < 1e-4


def test_focus_is_the_median_round_the_pixel():
    disparity = np.zeros((9, 9), np.float32)
    disparity[2:7, 2:7] = np.arange(25).reshape(5, 5)
    assert disparity_at(disparity, 4, 4) == 12
    disparity[:] = 3
    assert disparity_at(disparity, 0, 8) == 3
    for pixel in ((9, 0), (0, 9), (-1, 0)):
        with pytest.raises(ValueError, match="9 columns and 9 rows"):
            disparity_at(disparity, *pixel)


def _write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


@pytest.mark.parametrize(
    ("prepare", "options", "replaced", "message"),
    [
        (None, (), {"disparity": "missing.npy"}, "missing.npy does not exist"),
        (None, (), {"disparity": "small.npy"}, "48×36"),
        (None, (), {"alpha": "small.npy"}, "48×36"),
        (None, (), {"alpha": "depth.npy"}, "[0, 1]"),
        (_write("photo.png", b"\x89PNG\r\n\x1a\n"), (), {}, "photo.png cannot be read"),
        (_write("disparity.npy", b"\x93NUMPY"), (), {}, "disparity.npy cannot be read"),
        (_write("disparity.npy", b"text"), (), {}, "disparity.npy cannot be read"),
        (lambda f: np.save(f / "disparity.npy", np.ones((HEIGHT, WIDTH, 5))), (), {}, "5 channels"),
        (_write("out.png", b"precious"), (), {}, "out.png exists already, and is kept: --overwrite replaces it"),
        (None, (), {"output": "out.gif"}, "suffix"),
        (None, (), {"output": "nowhere/out.png"}, "nowhere"),
        (None, ("--bits", "16"), {"output": "out.jpg"}, "16 bits"),
        (None, (), {"focus": None, "focus_at": "48,0"}, "48 columns and 36 rows"),
        (None, (), {"focus": None, "focus_at": "3"}, "not a pixel"),
        (None, (), {"focus": None}, "--focus"),
        (None, (), {"focus": "near"}, "not a number"),
        (None, (), {"blur": "-1"}, "argument --blur: -1 is negative"),
        (None, (), {"blur": "-1e-3"}, "argument --blur: -1e-3 is negative"),
        (None, (), {"blur": "-5:-1"}, "argument --blur: -5 is negative"),
        (None, (), {"focus": "-inf"}, "argument --focus: '-inf' is not a number"),
        (None, (), {"focus": "-NaN"}, "argument --focus: '-NaN' is not a number"),
        (None, (), {"focus": "1e39"}, "argument --focus: 1e39 is too large"),
        (None, (), {"focus": None, "focus_at": "-1,18"}, "--focus-at -1,18 lies outside the photograph"),
        (None, ("--focus-box", "-5,-5,20,20"), {"focus": None}, "--focus-box -5,-5,20,20 reaches outside the photograph"),
        (None, (), {"blur": "10000"}, "at most 1024 px do, which is --blur 1700 or less"),
        (None, ("--model", "scatter"), {"blur": "1e38"}, "the largest blur radius would be 6e+37 px"),
        (None, (), {"blur": "nan"}, "not a number"),
        (None, ("--layers", "0"), {}, "--layers"),
        (None, ("--layers", "1"), {"alpha": "matte.npy"}, "--layers"),
        (None, ("--max-radius", "0"), {}, "--max-radius"),
        (None, ("--model", "pinhole"), {}, "pinhole"),
        (None, ("--model", "scatter-official", "--profile", "disc"), {}, "--profile is for --model scatter"),
        (None, ("--profile", "soft"), {}, "--profile is for --model scatter"),
        (None, ("--max-radius", "9"), {}, "--max-radius is for --model scatter or scatter-official"),
        (None, ("--model", "scatter", "--cells", "16"), {}, "--cells is for --model subaperture"),
        (None, ("--model", "scatter-official", "--cells", "auto"), {}, "--cells is for --model subaperture"),
        (None, ("--cells", "1025"), {}, "--cells is 1025; expected at most 1024"),
        (None, ("--cells", "0"), {}, "argument --cells: '0' is not a whole number from 1 up, nor 'auto'"),
        (None, ("--cells", "many"), {}, "argument --cells: 'many' is not a whole number"),
        (None, ("--model", "scatter", "--profile", "soft", "--blades", "6"), {}, "profile 'soft' renders the disc only"),
        (None, ("--model", "scatter-official", "--aperture-image", "{}/opening.npy"), {}, "renders the disc only"),
        (None, ("--draft",), {}, "--draft is for --model scatter"),
        (
            None,
            ("--model", "scatter-official", "--algorithm", "fast"),
            {},
            "--algorithm is 'fast'; expected one of 'auto', 'exact'",
        ),
        (
            lambda folder: np.save(
                folder / "disparity.npy", np.linspace(0.2, 0.8, WIDTH, dtype=np.float32)[None].repeat(HEIGHT, 0)
            ),
            ("--model", "scatter", "--algorithm", "fast", "--ring", "0.5"),
            {},
            "algorithm is 'fast', but with ring",
        ),
        (None, ("--blades", "2"), {}, "--blades is 2"),
        (None, ("--cat-eye", "1.5"), {}, "--cat-eye is 1.5; expected at most 1"),
        (None, ("--aperture-image", "{}/missing.npy"), {}, "missing.npy does not exist"),
        (None, ("--aperture-image", "{}/opening.npy", "--blades", "6"), {}, "blades is 6"),
        (_write("parts", b""), ("--save-layers", "{}/parts"), {}, "parts is a file"),
        (None, ("--save-layers", "{}/nowhere/parts"), {}, "nowhere"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(scene, capsys, prepare, options, replaced, message):
    if prepare is not None:
        prepare(scene)
    before = {path: path.read_bytes() for path in scene.rglob("*")}
    assert _render(scene, *(option.format(scene) for option in options), **replaced) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("taichi-bokeh: error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert {path: path.read_bytes() for path in scene.rglob("*")} == before


def test_layers_of_an_earlier_run_are_kept(scene, capsys):
    (scene / "parts").mkdir()
    (scene / "parts" / "layer_0.png").write_bytes(b"precious")
    assert _render(scene, "--save-layers", str(scene / "parts")) == 2
    assert "layer_0.png exists" in capsys.readouterr().err
    assert (scene / "parts" / "layer_0.png").read_bytes() == b"precious"
    assert not (scene / "out.png").exists()


def test_ctrl_c_is_130(scene, monkeypatch, capsys):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(photo_scene, "read_plate", interrupt)
    assert _render(scene) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--help"], ["render", "--help"], ["demo", "--help"], ["--version"]])
def test_help_is_printed(words, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(words)
    assert caught.value.code == 0
    assert "taichi-bokeh" in capsys.readouterr().out


def test_what_model_and_aperture_do_not_go_together_is_said_before_any_work(scene, monkeypatch, capsys):
    monkeypatch.setattr(photo_scene, "read_plate", lambda *_: pytest.fail("the photograph was read"))
    scatter, official = ("--model", "scatter"), ("--model", "scatter-official")
    for options in (("--profile", "soft"), ("--max-radius", "9"), (*scatter, "--cells", "4"), (*official, "--ring", "1")):
        assert _render(scene, *options) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 4


def test_help_names_every_control(capsys):
    with pytest.raises(SystemExit):
        cli.main(["render", "--help"])
    printed = capsys.readouterr().out
    for name in ("model", "cells", "blades", "rotation", "roundness", "squeeze", "cat-eye", "ring", "aperture-image"):
        assert f"--{name} " in printed


def test_help_waits_for_nothing_that_only_a_command_needs():
    code = """
import sys, taichi_bokeh
before = set(sys.modules)
import taichi_bokeh.apps.cli
new = {name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
sys.exit(new != {"taichi_bokeh"} or "taichi_bokeh.photo" in sys.modules)"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_command_and_an_unknown_one_are_refused(capsys):
    assert cli.main([]) == 2
    assert cli.main(["paint"]) == 2
    assert "paint" in capsys.readouterr().err


def test_the_demo_writes_its_pictures_and_keeps_them(tmp_path, capsys):
    pytest.importorskip("skimage")
    folder = tmp_path / "pictures"
    assert cli.main(["demo", "-o", str(folder), "--blur", "2"]) == 0
    printed = capsys.readouterr().out
    names = {"input.png", "disparity.png", "near.png", "far.png"}
    names |= {f"layer_{i}{ending}" for i in range(3) for ending in (".png", "_disparity.npy")}
    assert {path.name for path in folder.iterdir()} == names
    assert str(folder) in printed
    assert read_image(folder / "near.png").rgb.shape == (500, 741, 3)
    assert cli.main(["demo", "-o", str(folder)]) == 2
    assert "exists" in capsys.readouterr().err


def test_the_demo_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    assert cli.main(["demo", "-o", str(tmp_path / "pictures")]) == 2
    assert "pip install 'taichi-bokeh[photo]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
