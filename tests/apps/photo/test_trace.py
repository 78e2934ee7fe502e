"""``taichi-bokeh trace`` traces what the library traces, goes on where it was interrupted, and says what is wrong."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from taichi_bokeh._trace import Lens, trace, trace_progressively
from taichi_bokeh.apps import cli
from taichi_bokeh.apps.photo import trace as trace_photo
from taichi_bokeh.io import read_image
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.biconvex_lens import BiconvexLens, from_abbe
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.photo import to_layers
from taichi_bokeh.storage.locks import lock_of_file, sole_run
from tests.storage.damage import one_bit_other

HEIGHT, WIDTH = 36, 48
RAYS = 16
CAMERA = {"f-number": "2", "focal-length": "50", "sensor-width": "36", "blur": None, "focus": None}
FOCUSED = {**CAMERA, "focus-distance": "1.25"}


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A folder with a bright square at disparity 0.8 before a dark grid at 0.2."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    square = (abs(x - 24) < 8) & (abs(y - 18) < 8)
    rgb = np.where(square[..., None], [0.8, 0.6, 0.4], np.where((x + y) % 4 < 2, 0.05, 0.3)[..., None])
    disparity = np.where(square, 0.8, 0.2).astype(np.float32)
    np.save(tmp_path / "photo.npy", rgb.astype(np.float32))
    np.save(tmp_path / "disparity.npy", disparity)
    np.save(tmp_path / "depth.npy", 1 / disparity)
    np.save(tmp_path / "sky.npy", disparity - np.float32(0.2))
    np.save(tmp_path / "matte.npy", square.astype(np.float32))
    np.save(tmp_path / "opening.npy", np.eye(4, dtype=np.float32))
    return tmp_path


def _words(scene: Path, *options: str, **replaced: str | None) -> list[str]:
    """Arguments with files in the scene's folder; ``replaced`` changes, adds or (None) drops an option."""
    usual: dict[str, str | None] = {"disparity": "disparity.npy", "blur": "6", "focus": "0.8", "rays": str(RAYS)}
    usual |= {"output": "out.npy"}
    words = ["trace", str(scene / "photo.npy")]
    for name, value in (usual | replaced).items():
        if value is not None:
            is_file = name in ("disparity", "output", "alpha", "aperture-image", "checkpoint")
            words += [f"--{name}", str(scene / value) if is_file else value]
    return [*words, *options]


def _trace(scene: Path, *options: str, **replaced: str | None) -> int:
    return cli.main(_words(scene, *options, **replaced))


def _picture(scene: Path, *options: str, **replaced: str | None) -> np.ndarray:
    assert _trace(scene, "--quiet", "--overwrite", *options, **replaced) == 0
    return np.load(scene / "out.npy")


def _directly(scene: Path, lens: Lens, seed: int = 0, alpha: str | None = None) -> np.ndarray:
    matte = None if alpha is None else np.load(scene / alpha)
    layers = to_layers(read_image(scene / "photo.npy").rgb, np.load(scene / "disparity.npy"), matte)
    return trace(layers, lens, rays=RAYS, seed=seed)[0].permute(1, 2, 0).numpy()


def _camera(aperture: Aperture = Aperture()) -> ThinLens:
    return ThinLens.from_camera(0.05, 2, 1.25, 0.036, WIDTH, aperture)


def test_it_writes_the_picture_that_the_library_traces(scene, capsys):
    assert _trace(scene, "--seed", "3", alpha="matte.npy") == 0
    np.testing.assert_array_equal(np.load(scene / "out.npy"), _directly(scene, ThinLens(6.0, 0.8), seed=3, alpha="matte.npy"))
    printed = capsys.readouterr()
    assert "disparity: 0.2 to 0.8, in focus: 0.8" in printed.out
    assert "layers: 2, largest blur radius: 3.6 px" in printed.out
    assert re.search(r"rays a pixel: 16, in .* million rays/s", printed.out)
    assert printed.err == ""


def test_outputs_are_those_of_render(scene):
    assert _trace(scene, "--quiet", "--bits", "16", "--save-layers", str(scene / "parts"), output="out.png") == 0
    assert read_image(scene / "out.png").rgb.shape == (HEIGHT, WIDTH, 3)
    assert (scene / "parts" / "layer_0_disparity.npy").exists()


def test_a_camera_is_the_blur_and_focus_that_it_has(scene):
    lens = _camera()
    by_camera = _picture(scene, **FOCUSED)
    np.testing.assert_array_equal(by_camera, _directly(scene, lens))
    np.testing.assert_array_equal(by_camera, _picture(scene, blur=repr(lens.blur), focus=repr(lens.focus)))
    at_the_square = _picture(scene, "--depth", **CAMERA | {"focus-at": "24,18", "disparity": "depth.npy"})
    np.testing.assert_allclose(by_camera, at_the_square, atol=1e-4)
    np.testing.assert_array_equal(_picture(scene, focus=None, **{"focus-at": "24,18"}), _picture(scene))


def test_the_biconvex_lens_and_its_glass(scene):
    common = {"focus_distance": 1.25, "sensor_width": 0.036, "image_width": WIDTH}
    plain = BiconvexLens.from_focal_length(0.05, 2, 1.5, **common)
    np.testing.assert_array_equal(_picture(scene, lens="biconvex", **FOCUSED), _directly(scene, plain))
    flint = BiconvexLens.from_focal_length(0.05, 2, from_abbe(1.62, 36), **common)
    found = _picture(scene, lens="biconvex", **FOCUSED, **{"refractive-index": "1.62", "abbe": "36"})
    np.testing.assert_array_equal(found, _directly(scene, flint))


@pytest.mark.parametrize(
    ("options", "aperture"),
    [
        ({"blades": "6", "rotation": "10"}, Aperture(blades=6, rotation=10, roundness=0)),
        ({"blades": "5", "roundness": "0.5", "ring": "-0.3"}, Aperture(blades=5, roundness=0.5, ring=-0.3)),
        ({"squeeze": "1.5", "cat-eye": "0.4"}, Aperture(squeeze=1.5, cat_eye=0.4)),
        ({"aperture-image": "opening.npy"}, Aperture(image=torch.eye(4))),
    ],
)
def test_the_aperture_is_as_described(scene, options, aperture):
    np.testing.assert_array_equal(_picture(scene, **options), _directly(scene, ThinLens(6.0, 0.8, aperture)))


def _interrupted(scene: Path, monkeypatch: pytest.MonkeyPatch, after: int, *options: str, **replaced: str | None) -> int:
    """Trace in batches of one ray, with Ctrl-C after some of them."""

    def states(*arguments: object, batch: int, **keywords: object) -> Iterator[object]:
        for count, state in enumerate(trace_progressively(*arguments, batch=1, **keywords), 1):
            yield state
            if count == after:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trace_photo, "trace_progressively", states)
        return _trace(scene, *options, **replaced)


@pytest.mark.parametrize("lens", [{}, {**FOCUSED, "lens": "biconvex", "abbe": "36"}])
def test_a_trace_interrupted_twice_gives_the_same_picture(scene, monkeypatch, capsys, lens):
    assert _interrupted(scene, monkeypatch, 5, checkpoint="state", **lens) == 130
    printed = capsys.readouterr().err
    assert printed.startswith("taichi-bokeh: interrupted: 5 of 16 rays a pixel are in ")
    assert printed.endswith("; the same command goes on from there\n")
    assert not (scene / "out.npy").exists()
    assert _interrupted(scene, monkeypatch, 4, checkpoint="state", **lens) == 130
    assert "9 of 16 rays" in capsys.readouterr().err
    assert _trace(scene, checkpoint="state", **lens) == 0
    assert "going on from" in capsys.readouterr().out
    assert not (scene / "state").exists()
    resumed = np.load(scene / "out.npy")
    np.testing.assert_array_equal(resumed, _picture(scene, **lens))


def test_ctrl_c_without_a_checkpoint(scene, monkeypatch, capsys):
    assert _interrupted(scene, monkeypatch, 5) == 130
    assert "with --checkpoint FILE" in capsys.readouterr().err


def test_what_cannot_be_written_can_be_written_later(scene, monkeypatch, capsys):
    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(trace_photo, "write_result", full)
        assert _trace(scene, checkpoint="state") == 2
    assert _trace(scene, checkpoint="state") == 0
    assert "16 of 16 rays" in capsys.readouterr().out
    np.testing.assert_array_equal(np.load(scene / "out.npy"), _directly(scene, ThinLens(6.0, 0.8)))


def test_what_neither_picture_nor_checkpoint_can_be_written_to_is_told(scene, monkeypatch, capsys):
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(torch, "save", full)
    assert _trace(scene, checkpoint="state") == 2
    printed = capsys.readouterr().err
    assert re.fullmatch(r"taichi-bokeh: error: .*out\.npy: No space left.*; then .*state: No space left on device\n", printed)


def test_a_checkpoint_is_of_one_run_at_a_time(scene, capsys):
    with sole_run(lock_of_file(scene / "state"), "it"):
        assert _trace(scene, checkpoint="state") == 2
    assert "state is in use by another run (process " in capsys.readouterr().err
    assert _trace(scene, checkpoint="state") == 0


@pytest.mark.usefixtures("ctrl_c")
def test_the_checkpoint_is_saved_at_work_and_ctrl_c_ends_it(scene):
    words = _words(scene, **{"rays": "200000", "checkpoint": "state", "checkpoint-every": "0"})
    with subprocess.Popen([sys.executable, "-m", "taichi_bokeh", *words], stderr=subprocess.PIPE, text=True) as process:
        while not (scene / "state").exists():
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.fullmatch(r"taichi-bokeh: interrupted: \d+ of 200000 rays a pixel are in .*\n", printed)
    assert sorted(path.name for path in scene.iterdir() if path.suffix != ".npy") == ["state"]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (None, {"rays": "17"}, "--rays is 16 there, and 17 here"),
        (None, {"seed": "1"}, "--seed is 0 there, and 1 here"),
        (None, {"blur": "7"}, "its lens is not the same"),
        (None, {"blades": "6"}, "its lens is not the same"),
        (None, {"alpha": "matte.npy"}, "its scene is not the same"),
        (lambda content: content[:-100], {}, "damaged"),
        (one_bit_other, {}, "damaged"),
        (lambda content: b"", {}, "damaged"),
        (lambda content: b"precious", {}, "damaged"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_and_kept(scene, monkeypatch, capsys, change, options, message):
    path = scene / "state"
    assert _interrupted(scene, monkeypatch, 2, checkpoint="state") == 130
    if change is not None:
        path.write_bytes(change(path.read_bytes()))
    content = path.read_bytes()
    capsys.readouterr()
    assert _trace(scene, "--quiet", checkpoint="state", **options) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"taichi-bokeh: error: {path} is ")
    assert printed.count("\n") == 1
    assert message in printed
    assert path.read_bytes() == content
    assert not (scene / "out.npy").exists()


def test_a_checkpoint_of_another_size_or_version_is_refused(scene, monkeypatch, capsys):
    assert _interrupted(scene, monkeypatch, 2, checkpoint="state") == 130
    with monkeypatch.context() as patch:
        patch.setattr(trace_photo, "_FORMAT", 3)
        assert _trace(scene, checkpoint="state") == 2
    assert "another version" in capsys.readouterr().err
    for name in ("photo.npy", "disparity.npy"):
        np.save(scene / name, np.load(scene / name)[:30])
    assert _trace(scene, checkpoint="state") == 2
    assert "size is 48×36 there, and 48×30 here" in capsys.readouterr().err


def test_any_array_file_is_no_checkpoint(scene, capsys):
    before = (scene / "matte.npy").read_bytes()
    np.savez(scene / "other.npz", data=np.ones(3))
    for name in ("matte.npy", "other.npz"):
        assert _trace(scene, checkpoint=name) == 2
        assert "no checkpoint" in capsys.readouterr().err
    assert (scene / "matte.npy").read_bytes() == before


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"blur": None, "focus": None}, "give --blur with --focus, --focus-at or --focus-box, or --f-number"),
        ({"blur": None}, "give --blur with --focus"),
        ({"focus": None}, "--blur needs the disparity in focus"),
        ({"focus-at": "1,1"}, "--focus-at: not allowed with argument --focus"),
        ({"f-number": "2"}, "--f-number describes a camera, --blur"),
        ({"focus": None, "focus-distance": "2"}, "--focus-distance describes a camera, --blur"),
        ({**FOCUSED, "sensor-width": None}, "needs --sensor-width as well"),
        ({**FOCUSED, "f-number": None}, "needs --f-number as well"),
        ({**FOCUSED, "focal-length": None}, "needs --focal-length as well"),
        ({**CAMERA}, "needs --focus-distance, --focus-at or --focus-box as well"),
        ({**CAMERA, "focus": "0.5"}, "--focus goes with --blur"),
        ({**FOCUSED, "focus-distance": "0.04"}, "--focus-distance is 0.04 m; expected more than --focal-length, 0.05 m"),
        ({**CAMERA, "focus-at": "2,2", "disparity": "sky.npy"}, "--focus-at 2,2: the disparity there is 0/m"),
        ({**CAMERA, "focus-at": "48,0"}, "48 columns and 36 rows"),
        ({**FOCUSED, "f-number": "0"}, "argument --f-number: 0 is not above 0"),
        ({**FOCUSED, "f-number": "0.1", "lens": "biconvex"}, "--f-number is 0.1"),
        ({"lens": "biconvex"}, "--lens biconvex needs a camera"),
        ({**FOCUSED, "lens": "biconvex", "disparity": "sky.npy"}, "disparity has values of 0 or below"),
        ({**FOCUSED, "lens": "biconvex", "cat-eye": "0.5"}, "--cat-eye"),
        ({"abbe": "60"}, "--abbe is of the glass of --lens biconvex"),
        ({**FOCUSED, "refractive-index": "1.6"}, "--refractive-index is of the glass"),
        ({**FOCUSED, "refractive-index": "0.9", "lens": "biconvex"}, "--refractive-index is 0.9"),
        ({"lens": "fisheye"}, "fisheye"),
        ({"blades": "2"}, "--blades is 2"),
        ({"cat-eye": "2"}, "--cat-eye is 2"),
        ({"aperture-image": "missing.npy"}, "missing.npy does not exist"),
        ({"aperture-image": "opening.npy", "blades": "6"}, "blades is 6"),
        ({"rays": "0"}, "argument --rays: '0' is not a whole number from 1 up"),
        ({"seed": "-1"}, "--seed"),
        ({"checkpoint-every": "5"}, "--checkpoint-every needs --checkpoint"),
        ({"checkpoint": "out.npy"}, "must be a file of its own"),
        ({"checkpoint": "nowhere/state"}, "nowhere"),
        ({"checkpoint": "."}, "is a folder"),
        ({"alpha": "matte.npy", "layers": "1"}, "--layers 1"),
        ({"output": "out.gif"}, "suffix"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(scene, capsys, replaced, message):
    before = sorted(scene.iterdir())
    assert _trace(scene, "--quiet", **replaced) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("taichi-bokeh: error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert sorted(scene.iterdir()) == before


def test_help_names_every_control(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["trace", "--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    for name in ("blur", "focus-at", "f-number", "focus-distance", "lens", "abbe", "cat-eye", "rays", "checkpoint"):
        assert f"--{name} " in printed


def test_the_bar_shows_rays_per_second(scene, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    assert _interrupted(scene, monkeypatch, 99) == 0
    assert "M rays/s" in capsys.readouterr().err
