"""``taichi-bokeh dfd optimize`` finds what the library finds, goes on where it was interrupted, and says what is wrong."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.apps import cli
from taichi_bokeh.apps.dfd import optimize as optimize_photos
from taichi_bokeh.dfd.estimate.lens_search import observe
from taichi_bokeh.dfd.estimate.optimize import Optimization, Optimized, OptimizeSettings, optimize
from taichi_bokeh.dfd.estimate.photo_pair import read_photographs
from taichi_bokeh.dfd.layers.base import RenderedDefocus
from taichi_bokeh.dfd.layers.registry import layer_named
from taichi_bokeh.dfd.losses import Objective
from taichi_bokeh.io import read_disparity, read_image
from taichi_bokeh.models import SubAperture
from taichi_bokeh.storage.resumable import Checkpoint
from tests.storage.damage import one_bit_other

SIZE = 32
BLUR, STEPS = 4.0, 6
FOCI = (0.0, 1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Noise, its left half near, in sharp.npy; blurred with the focus far in 0.npy, near in 1.npy; and bad pictures."""
    picture = 0.9 * torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    disparity = torch.where(torch.arange(SIZE) < SIZE // 2, 0.9, 0.2).expand(1, 1, SIZE, SIZE).contiguous()
    pictures = {"sharp": picture, "small": picture[..., 1:], "black": 0 * picture, "nan": picture / 0 * 0}
    pictures["white"] = torch.where(torch.arange(SIZE) < 4, 1.0, picture)
    for name, focus in zip("01", FOCI, strict=True):
        pictures[name] = RenderedDefocus(SubAperture(1))(picture, disparity, tb.ThinLens(BLUR, focus))
    for name, values in pictures.items():
        np.save(tmp_path / f"{name}.npy", values[0].permute(1, 2, 0).numpy())
    return tmp_path


def _run(folder: Path, *options: object, **replaced: object) -> int:
    """The command on the files of the folder; ``replaced`` changes, adds or (None) drops an option."""
    usual: dict[str, object] = {"sharp": "sharp.npy", "blurred": "0.npy", "blur": BLUR, "focus": 0, "steps": STEPS}
    usual |= {"output": "out.npy", "device": "cpu"}
    words: list[object] = ["dfd", "optimize"]
    for name, value in (usual | {name.replace("_", "-"): value for name, value in replaced.items()}).items():
        if value is not None:
            is_file = name in ("sharp", "blurred", "output", "confidence", "preview", "checkpoint", "save-layers")
            words += [f"--{name}", folder / str(value) if is_file else value]
    return cli.main([str(word) for word in (*words, *options)])


def _stack(folder: Path) -> tuple[str, ...]:
    return ("--stack", *(f"{folder / name}.npy:{focus}" for name, focus in zip("01", FOCI, strict=True)))


STACKED = {"blurred": None, "focus": None}


def _directly(folder: Path, layer: str | None = None, names: str = "0", **settings: object) -> Optimized:
    """The library's result; what is learnt is not known."""
    how = OptimizeSettings(steps=STEPS, **settings)
    photographs = read_photographs(folder / "sharp.npy", [folder / f"{name}.npy" for name in names])
    foci = None if how.learn_focus else FOCI[: len(names)]
    seen = observe(photographs, 1.0, 0.0, tb.Aperture(), None if how.learn_blur else BLUR, foci)
    return optimize(seen, None if layer is None else layer_named(layer), how)


def test_a_pair_gives_the_map_of_the_library_and_all_files(folder, capsys):
    files = {"confidence": "sure.tif", "preview": "colours.png", "output": "out.pfm"}
    assert _run(folder, "--objective", "l1+g", "--layer", "subaperture", **files) == 0
    expected = _directly(folder, "subaperture", objective=Objective.named("l1+g"))
    np.testing.assert_array_equal(read_disparity(folder / "out.pfm"), expected.disparity[0, 0])
    np.testing.assert_array_equal(read_disparity(folder / "sure.tif"), expected.confidence[0, 0])
    colours = read_image(folder / "colours.png").rgb
    assert colours[:, : SIZE // 4].mean() > 2 * colours[:, -SIZE // 4 :].mean()  # near is light
    printed = capsys.readouterr()
    assert "lens: blur 4 px per unit of disparity, as given; focus 0\n" in printed.out
    lines = re.findall(r"step (\d) of 6: loss (\d\.\d+)\n", printed.out)
    assert [(int(step), float(loss)) for step, loss in lines] == [
        (k + 1, pytest.approx(loss, abs=1e-5)) for k, loss in enumerate(expected.losses)
    ]
    assert printed.out.endswith(f"written: {folder}/out.pfm, {folder}/sure.tif, {folder}/colours.png\n")
    assert printed.err == ""


def test_two_layers_and_their_files(folder):
    assert _run(folder, "--quiet", layers=2, save_layers="parts") == 0
    expected = _directly(folder, layers=2)
    np.testing.assert_array_equal(np.load(folder / "out.npy"), expected.disparity[0, 0])
    for k in range(2):
        found = np.load(folder / "parts" / f"layer_{k}_disparity.npy")
        np.testing.assert_array_equal(found, expected.layers.disparity[0, k, 0])
        assert (folder / "parts" / f"layer_{k}.png").is_file()


def test_a_stack_without_blur_finds_it(folder, capsys):
    assert _run(folder, *_stack(folder), **STACKED, blur=None) == 0
    expected = _directly(folder, names="01", learn_blur=True)
    np.testing.assert_array_equal(np.load(folder / "out.npy"), expected.disparity[0, 0])
    printed = capsys.readouterr().out
    assert re.search(r"lens: blur .* found; focus 0, 1\n", printed)
    assert f"lens after the steps: blur {float(expected.blur[0, 0]):.4g} px per unit of disparity, focus 0, 1\n" in printed


def test_a_pair_without_a_lens_finds_one_and_says_what_it_cannot_tell(folder, capsys):
    assert _run(folder, blur=None, focus=None) == 0
    expected = _directly(folder, learn_blur=True, learn_focus=True)
    np.testing.assert_array_equal(np.load(folder / "out.npy"), expected.disparity[0, 0])
    assert "all is taken to be nearer" in capsys.readouterr().out


def test_where_the_side_is_a_guess_it_says_so(folder, capsys):
    for options, expected in (((), True), (("--blades", 3), False)):
        assert _run(folder, *options, "--overwrite", focus=0.5, steps=1) == 0
        assert ("on which side a pixel lies is a guess" in capsys.readouterr().out) is expected


def test_depth_is_one_over_disparity_and_distances_are_disparities(folder):
    assert _run(folder, "--quiet", near="1m", far=0.1, focus="10m", output="far.npy") == 0
    assert _run(folder, "--quiet", "--depth", near="1m", far="10m", focus=0.1, output="metres.exr") == 0
    found = np.load(folder / "far.npy")
    np.testing.assert_allclose(read_disparity(folder / "metres.exr", depth=True), found, rtol=1e-6)
    assert found.min() >= 0.1 - 1e-6


def _interrupted(folder: Path, monkeypatch: pytest.MonkeyPatch, after: int, *options: object, **replaced: object) -> int:
    """Ctrl-C in the middle of a step."""
    step = Optimization.step

    def stepped(work: Optimization) -> float:
        loss = step(work)
        if work.done > after:
            raise KeyboardInterrupt
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(Optimization, "step", stepped)
        return _run(folder, *options, **replaced)


@pytest.mark.parametrize("how", [{}, {"layers": 2}, {"blur": None, "focus": None}])
def test_interrupted_twice_it_gives_the_same_map(folder, monkeypatch, capsys, how):
    assert _interrupted(folder, monkeypatch, 2, checkpoint="state", **how) == 130
    printed = capsys.readouterr().err
    assert printed == f"taichi-bokeh: interrupted: 2 of 6 steps are in {folder}/state; the same command goes on from there\n"
    assert not (folder / "out.npy").exists()
    assert _interrupted(folder, monkeypatch, 4, checkpoint="state", **how) == 130
    assert "4 of 6 steps" in capsys.readouterr().err
    assert _run(folder, checkpoint="state", **how) == 0
    assert f"going on from {folder}/state: 4 of 6 steps" in capsys.readouterr().out
    assert not (folder / "state").exists()
    assert _run(folder, "--quiet", output="whole.npy", **how) == 0
    assert (folder / "out.npy").read_bytes() == (folder / "whole.npy").read_bytes()


def test_what_is_saved_at_work_survives_a_kill(folder, monkeypatch):
    states = []
    save = Checkpoint.save

    def kept(checkpoint, saved):
        save(checkpoint, saved)
        states.append((len(saved["state"]["losses"]), checkpoint.path.read_bytes()))

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", kept)
        assert _run(folder, "--quiet", "--checkpoint-every", 0, checkpoint="state") == 0
    assert [done for done, _ in states] == list(range(1, STEPS + 1))
    (folder / "state").write_bytes(states[2][1])
    assert _run(folder, "--quiet", checkpoint="state", output="resumed.npy") == 0
    assert (folder / "resumed.npy").read_bytes() == (folder / "out.npy").read_bytes()


def test_ctrl_c_without_a_checkpoint(folder, monkeypatch, capsys):
    assert _interrupted(folder, monkeypatch, 2, "--quiet") == 130
    assert "steps are lost; with --checkpoint FILE they would have been kept" in capsys.readouterr().err


def test_what_cannot_be_written_can_be_written_later(folder, monkeypatch, capsys):
    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(optimize_photos, "_write", full)
        assert _run(folder, checkpoint="state") == 2
    assert _run(folder, checkpoint="state") == 0
    assert "6 of 6 steps" in capsys.readouterr().out
    np.testing.assert_array_equal(np.load(folder / "out.npy"), _directly(folder).disparity[0, 0])


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (None, {"steps": 7}, "--steps is 6 there, and 7 here"),
        (None, {"blur": None}, "--blur is 4.0 there, and not given here"),
        (None, {"blades": 6}, "--blades is not given there, and 6 here"),
        (None, {"blurred": "1.npy"}, "--blurred is not the same"),
        (lambda content: content[:-100], {}, "damaged"),
        (one_bit_other, {}, "damaged"),
        (lambda content: b"", {}, "damaged"),
        (lambda content: b"precious", {}, "damaged"),
    ],
)
def test_a_checkpoint_of_something_else_is_refused_and_kept(folder, monkeypatch, capsys, change, options, message):
    path = folder / "state"
    assert _interrupted(folder, monkeypatch, 1, checkpoint="state") == 130
    if change is not None:
        path.write_bytes(change(path.read_bytes()))
    content = path.read_bytes()
    capsys.readouterr()
    assert _run(folder, "--quiet", checkpoint="state", **options) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"taichi-bokeh: error: {path} is ")
    assert printed.count("\n") == 1
    assert message in printed
    assert path.read_bytes() == content


def test_a_checkpoint_of_another_version_is_refused(folder, monkeypatch, capsys):
    assert _interrupted(folder, monkeypatch, 1, checkpoint="state") == 130
    monkeypatch.setattr(optimize_photos, "_FORMAT", 3)
    assert _run(folder, checkpoint="state") == 2
    assert "another version of this program wrote it" in capsys.readouterr().err


def test_stacks_that_cannot_be(folder, capsys):
    first, second = _stack(folder)[1:]
    for words, replaced, message in (
        ((first,), STACKED, "--stack has one picture; expected at least 2"),
        ((first, second), {"blurred": None}, "--focus goes with --blurred"),
        ((first, first), STACKED, "--stack has the focus 0 only"),
        ((first, f"{second}5"), STACKED, "focus 1.05 is outside the range of disparities; expected --far 0 to --near 1"),
        ((first, second.rpartition(":")[0]), STACKED, "is not FILE:D"),
        ((first, second), {"focus": None}, "not allowed with argument --blurred"),
    ):
        assert _run(folder, "--stack", *words, **replaced) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"blur": "0"}, "argument --blur: 0 is not above 0"),
        ({"blurred": None}, "one of the arguments --blurred --stack is required"),
        ({"blurred": "small.npy"}, "small.npy is 31×32 pixels; expected 32×32 like"),
        ({"blurred": "black.npy"}, "black.npy is black"),
        ({"blurred": "nan.npy"}, "nan.npy holds NaN"),
        ({"blurred": "white.npy"}, "white.npy is saturated at 12% of its pixels; expected at most 5%"),
        ({"blurred": "none.npy"}, "none.npy does not exist"),
        ({"sharp": "black.npy"}, "black.npy is black"),
        ({"focus": "2"}, "focus 2 is outside the range of disparities; expected --far 0 to --near 1"),
        ({"focus": "0m"}, "'0m' is neither a disparity nor a distance"),
        ({"near": "near"}, "'near' is neither a disparity nor a distance"),
        ({"near": "0"}, "--far is 0; expected less than --near, 0"),
        ({"layer": "magic"}, "layer is 'magic'; expected one of"),
        ({"layer": "scatter", "layers": 2}, "layer is Scatter, disc profile; expected a SplatDefocus"),
        ({"layer": "gausspsf", "squeeze": 2}, "aperture.squeeze makes another opening than the disc"),
        ({"cat-eye": 0.5}, "aperture.cat_eye is 0.5; expected 0"),
        ({"objective": "l2"}, "name is 'l2'; expected one of"),
        ({"output": "out.png"}, "out.png has the suffix '.png'"),
        ({"confidence": "sure.jpg"}, "sure.jpg has the suffix '.jpg'"),
        ({"preview": "colours.npy"}, "colours are for the eye"),
        ({"confidence": "out.npy"}, "-o and --confidence are both"),
        ({"checkpoint": "out.npy"}, "must be a file of its own"),
        ({"output": "sharp.npy"}, "exists already, and is kept"),
        ({"save-layers": "parts"}, "--save-layers goes with --layers 2"),
        ({"checkpoint-every": 1}, "--checkpoint-every needs --checkpoint"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(folder, capsys, replaced, message):
    before = sorted(folder.iterdir())
    assert _run(folder, "--quiet", **replaced) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("taichi-bokeh: error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert sorted(folder.iterdir()) == before


def test_depth_without_an_end_is_refused(folder, capsys):
    assert _run(folder, "--depth") == 2
    assert "--depth needs --far above 0, and it is 0" in capsys.readouterr().err


def test_a_device_that_is_not_there(folder, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert _run(folder, device="cuda") == 2
    assert "--device is cuda, but torch finds no GPU" in capsys.readouterr().err


def test_saturated_pictures_can_be_allowed(folder, capsys):
    assert _run(folder, "--allow-saturated", blurred="white.npy", steps=1) == 0
    assert "saturated: at most 12.5% of the pixels" in capsys.readouterr().out


def test_the_bar_shows_the_loss(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    assert _run(folder) == 0
    assert re.search(r"loss 0\.\d+", capsys.readouterr().err)
