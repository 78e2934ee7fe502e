"""``taichi-bokeh dfd train`` and ``dfd eval`` do what the library does, go on where they stopped, and say what is wrong."""

import argparse
import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch

from taichi_bokeh.apps.dfd.command import add_dfd
from taichi_bokeh.apps.dfd.train import EvalRequest, TrainRequest, eval_command, train_command
from taichi_bokeh.dfd.data import generate
from taichi_bokeh.dfd.data.augment import Noise
from taichi_bokeh.dfd.data.dataset import DefocusDataset
from taichi_bokeh.dfd.data.scenes import DefocusSceneSettings
from taichi_bokeh.dfd.estimate.plane_sweep import plane_sweep
from taichi_bokeh.dfd.layers.base import RenderedDefocus
from taichi_bokeh.dfd.layers.registry import LAYERS, layer_named
from taichi_bokeh.dfd.losses import Objective
from taichi_bokeh.dfd.observation import collate
from taichi_bokeh.dfd.training import train as library
from taichi_bokeh.dfd.training.settings import TrainSettings, Work
from taichi_bokeh.models import Scatter
from taichi_bokeh.optics.aperture import Aperture
from tests.dfd.pairs import tiny

NETWORK = ("--network", "tests.dfd.pairs:tiny")
SHORT = ("--steps", "4", "--batch", "2", "--crop", "24", *NETWORK, "--device", "cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "pairs"
    settings = generate.GenerateSettings(8, DefocusSceneSettings(size=32, largest_radius_px=3.0), rays=8, samples_per_file=4)
    generate.generate(settings, folder)
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> Path:
    """The folder of a training."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    train("--data", data, "--supervised", "--out", folder, *SHORT, "--quiet")
    return folder


def parsed(*words: object) -> TrainRequest | EvalRequest:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_dfd(parser.add_subparsers())
    arguments = parser.parse_args(["dfd", *map(str, words)])
    return arguments.request(arguments)


def train(*words: object) -> None:
    train_command(parsed("train", *words))


def evaluate(*words: object) -> None:
    eval_command(parsed("eval", *words, "--device", "cpu"))


def losses(folder: Path) -> list[float]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["losses"]


def test_the_training_is_that_of_the_library(data, tmp_path, capsys):
    options = ("--objective", "gausspsf", "--border", "2", "--lr", "0.01", "--seed", "3", "--schedule", "cosine", "--no-flips")
    train("--data", data, "--layer", "scatter", "--out", tmp_path / "run", *SHORT, *options, "--checkpoint-every", "3")
    said = capsys.readouterr().out.splitlines()
    assert [re.sub(r"loss .*", "", line) for line in said] == [
        "step 3 of 4: ",
        "step 4 of 4: ",
        f"written: the network after 4 steps in {tmp_path / 'run'}",
    ]
    settings = TrainSettings(
        steps=4,
        batch=2,
        crop_px=24,
        flips=False,
        learning_rate=0.01,
        schedule="cosine",
        objective=Objective.named("gausspsf"),
        border_px=2,
        seed=3,
    )
    assert losses(tmp_path / "run") == library.train(settings, tiny(), DefocusDataset(data), RenderedDefocus(Scatter()))


def test_it_goes_on_to_the_same_numbers(data, trained, tmp_path, monkeypatch):
    out = tmp_path / "run"
    words = ("--data", data, "--supervised", "--out", out, *SHORT, "--checkpoint-every", "2", "--quiet")

    def interrupted(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    save = library.Checkpoint.save
    with monkeypatch.context() as patch:
        patch.setattr(library.Checkpoint, "save", interrupted)
        with pytest.raises(
            KeyboardInterrupt, match=r"2 of 4 steps are in .*run; the same command with --resume goes on from there"
        ):
            train(*words)
    assert losses(out) == losses(trained)[:2]
    with pytest.raises(FileExistsError, match="holds a training already; resume it"):
        train(*words)
    train(*words, "--resume")
    assert losses(out) == losses(trained)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_waits_for_the_step_and_keeps_it(data, trained, tmp_path, monkeypatch, capsys):
    words = ("--data", data, "--supervised", "--out", tmp_path / "run", *SHORT, "--quiet")
    before = signal.getsignal(signal.SIGINT)

    error_px, calls = library.error_px, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return error_px(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(library, "error_px", interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"3 of 4 steps are in .*run; the same command"):
            train(*words)
    assert "stopping after this step" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before
    assert losses(tmp_path / "run") == losses(trained)[:3]
    train(*words, "--resume")
    assert losses(tmp_path / "run") == losses(trained)


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_ctrl_c_does_not_wait(data, tmp_path, monkeypatch):
    def twice(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(library, "error_px", twice)
    with pytest.raises(KeyboardInterrupt, match=r"before the first checkpoint; nothing is kept"):
        train("--data", data, "--supervised", "--out", tmp_path / "run", *SHORT, "--quiet")


def test_noise_and_opening_are_those_of_the_library(data, tmp_path):
    options = ("--noise", "0.02", "--photons", "500", "--blades", "5", "--no-flips", "--quiet")
    train("--data", data, "--layer", "scatter", "--border", "2", "--out", tmp_path / "run", *SHORT, *options)
    pentagon = Aperture(blades=5, roundness=0.0)
    noise = Noise(0.02, 500.0)
    settings = TrainSettings(steps=4, batch=2, crop_px=24, flips=False, noise=noise, border_px=2, aperture=pentagon)
    assert losses(tmp_path / "run") == library.train(settings, tiny(), DefocusDataset(data), RenderedDefocus(Scatter()))


def test_the_opening_counts_in_an_evaluation(data, tmp_path):
    words = ("--data", data, "--rays", "0", "--pictures", "0", "--quiet")
    found = []
    for number, options in enumerate(((), ("--blades", "3"))):
        evaluate(*words, *options, "--out", tmp_path / str(number))
        found.append(json.loads((tmp_path / str(number) / "results.json").read_text())[0]["rmse_px"])
    seen, _ = collate([DefocusDataset(data)[0]], Aperture(blades=3, roundness=0.0))
    error = float(seen.blur) * (plane_sweep(seen).disparity[0] - DefocusDataset(data)[0].disparity)
    assert found[1] == pytest.approx(float(error.square().mean().sqrt()))
    assert found[1] != found[0]


def test_whole_pictures_and_validation_on_the_rest(data, tmp_path, capsys, monkeypatch):
    held = DefocusDataset(data).names[:2]
    monkeypatch.setattr("taichi_bokeh.dfd.data.dataset.split_names", lambda names: ([n for n in names if n not in held], held))
    train("--data", data, "--supervised", "--validate-on-rest", "--out", tmp_path / "run", *SHORT, "--crop", "0")
    line = capsys.readouterr().out.splitlines()[0]
    assert re.fullmatch(r"step 4 of 4: loss \d\.\d{4}, validation RMSE \d\.\d{3} px", line)
    rest = DefocusDataset(data, "train")
    assert len(rest) == 6
    work = Work(validation=DefocusDataset(data, "validation"))
    expected = library.train(TrainSettings(steps=4, batch=2, crop_px=None), tiny(), rest, work=work)
    assert losses(tmp_path / "run") == expected


def test_eval_has_a_row_for_each_training_and_the_sweep(data, trained, tmp_path, capsys):
    out = tmp_path / "results"
    evaluate(
        "--data",
        data,
        "--training",
        trained,
        *NETWORK,
        "--layer",
        "subaperture",
        "--rays",
        "8",
        "--pictures",
        "2",
        "--out",
        out,
    )
    lines = capsys.readouterr().out.splitlines()
    titles = [f"{trained}, 4 steps", "plane sweep"]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:4]] == titles
    assert lines[-1] == f"written: tables of 8 samples in {out}"
    assert len(list((out / "pictures").iterdir())) == 2
    rows = json.loads((out / "results.json").read_text())
    assert [row["estimator"] for row in rows] == [titles[0]] * 8 + [titles[1]] * 8
    assert all(row["own_psnr_db"] is not None and row["retrace_psnr_db"] is not None for row in rows)


def test_damaged_samples_are_left_out_where_that_is_asked_for(data, tmp_path, capsys):
    folder = tmp_path / "pairs"
    shutil.copytree(data, folder)
    whole = (folder / "shard-000001.tar").read_bytes()
    (folder / "shard-000001.tar").write_bytes(whole[:3000])
    words = ("--data", folder, "--supervised", "--out", tmp_path / "run", *SHORT, "--quiet")
    with pytest.raises(ValueError, match=r"shard-000001\.tar: "):
        train(*words)
    train(*words, "--skip-damaged")
    told = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"left out: .*shard-000001\.tar: .*", told[0])
    left_out = len(told) - 1
    assert told[-1] == f"left out in all: {left_out}; samples that stay: {8 - 4}"


def test_every_layer_has_its_name():
    layers = [layer_named(name) for name in LAYERS]
    assert len({layer.title for layer in layers}) == len(layers)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--layer", "magic"), "layer is 'magic'; expected one of .*scatter"),
        (("--supervised", "--objective", "l1+g"), "--objective has no meaning with --supervised"),
        (("--supervised", "--blades", "5"), r"the opening is no disc \(.*\): give --no-flips"),
        (("--supervised", "--border", "4"), "--border has no meaning with --supervised"),
        (("--layer", "scatter", "--objective", "l2"), "name is 'l2'; expected one of 'l1"),
        (("--supervised", "--network", "nothing"), "network is 'nothing'"),
        (("--supervised", "--amp", "float16"), "precision is 'float16' on cpu"),
        (("--supervised", "--crop", "64"), r"crop_px is 64; expected at most the size of sample .*, 32×32 px"),
    ],
)
def test_trainings_that_cannot_be(data, tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        train("--data", data, "--out", tmp_path / "run", *SHORT, *words)


def test_an_evaluation_replaces_files_only_when_asked(data, trained, tmp_path):
    out = tmp_path / "results"
    out.mkdir()
    (out / "results.csv").write_text("of somebody else")
    words = ("--data", data, "--rays", "0", "--pictures", "1", "--out", out)
    with pytest.raises(FileExistsError, match=r"results.csv exists already"):
        evaluate(*words)
    assert [file.name for file in out.iterdir()] == ["results.csv"]
    evaluate(*words, "--overwrite")
    assert (out / "results.csv").read_text().startswith("estimator,")
    for name in ("results.csv", "results.json", "summary.csv", "summary.md", "times.csv"):
        (out / name).unlink()
    with pytest.raises(FileExistsError, match=r"png exists already"):
        evaluate(*words)


def test_a_device_that_is_not_there(data, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="--device is cuda, but torch finds no GPU"):
        train("--data", data, "--supervised", "--out", tmp_path / "run", *SHORT, "--device", "cuda")


def test_evaluations_that_cannot_be(data, trained, tmp_path):
    out = ("--data", data, "--out", tmp_path / "results")
    with pytest.raises(ValueError, match="--no-sweep leaves nothing to measure"):
        evaluate(*out, "--no-sweep")
    with pytest.raises(ValueError, match="whose weights do not fit a DepthUNet"):
        evaluate(*out, "--training", trained)
    with pytest.raises(FileNotFoundError, match="there is nothing to go on from"):
        evaluate(*out, "--training", tmp_path / "none")


def test_one_of_the_two_losses_is_needed(data, tmp_path, capsys):
    for words in ((), ("--supervised", "--layer", "scatter")):
        with pytest.raises((SystemExit, argparse.ArgumentError)):
            parsed("train", "--data", data, "--out", tmp_path, *words)
    capsys.readouterr()
