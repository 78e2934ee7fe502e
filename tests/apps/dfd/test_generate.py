"""``taichi-bokeh dfd generate`` makes what the library makes, goes on where it was stopped, and says what is wrong."""

import argparse
import re
from pathlib import Path

import pytest
import torch

from taichi_bokeh.apps.dfd.command import add_dfd
from taichi_bokeh.apps.dfd.generate import GenerateRequest, generate_command
from taichi_bokeh.dfd.data import generate as library
from taichi_bokeh.dfd.data.dataset import DefocusDataset
from taichi_bokeh.dfd.data.generate import MANIFEST, GenerateSettings
from taichi_bokeh.dfd.data.scenes import DefocusSceneSettings

SMALL = ("--scenes", "3", "--size", "24", "--rays", "4", "--per-file", "2")


def parsed(*words: str) -> GenerateRequest:
    parser = argparse.ArgumentParser()
    add_dfd(parser.add_subparsers())
    arguments = parser.parse_args(["dfd", "generate", *words])
    return arguments.request(arguments)


def generate(out: Path, *words: str) -> None:
    generate_command(parsed(*words, "--out", str(out)))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_set_is_that_of_the_library(tmp_path, capsys):
    generate(tmp_path / "command", *SMALL)
    assert capsys.readouterr().out == f"written: 3 samples in {tmp_path / 'command'}\n"
    settings = GenerateSettings(3, DefocusSceneSettings(size=(24, 24)), rays=4, samples_per_file=2)
    library.generate(settings, tmp_path / "library")
    assert contents(tmp_path / "command") == contents(tmp_path / "library")


def test_every_option_reaches_the_library(tmp_path, monkeypatch):
    asked = {}

    def record(settings, folder, progress, *, shard, workers):
        asked.update(settings=settings, folder=folder, shard=shard, workers=workers)

    monkeypatch.setattr(library, "generate", record)
    words = "--scenes 7 --seed 3 --size 40x32 --kinds curved,slanted --objects 2 --radius 3,5.5 --focus-plane any --rays 99"
    words += " --format folder --half --shard 2/3 --workers 4 --quiet"
    generate(tmp_path, *words.split(), "--backgrounds", str(tmp_path), "--foregrounds", str(tmp_path))
    scene = DefocusSceneSettings((32, 40), 3, (3.0, 5.5), ("curved", "slanted"), "any", 2)
    expected = GenerateSettings(
        7, scene, rays=99, file_format="folder", picture_type="float16", foregrounds=tmp_path, backgrounds=tmp_path
    )
    assert asked == {"settings": expected, "folder": tmp_path, "shard": (2, 3), "workers": 4}


def test_a_camera_brings_its_own_size(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(library, "generate", lambda settings, *_, **__: asked.append(settings.scene.shape))
    for camera in ("normalised", "dered", "defocusnet"):
        generate(tmp_path, "--camera", camera, "--quiet")
    assert asked == [(128, 128), (240, 320), (256, 256)]


def test_quiet_says_nothing_and_a_second_run_has_nothing_to_do(tmp_path, capsys):
    generate(tmp_path, *SMALL, "--quiet")
    assert capsys.readouterr() == ("", "")
    generate(tmp_path, *SMALL)
    assert capsys.readouterr().out.startswith(f"going on in {tmp_path}: 3 of 3 samples are done\n")


def test_an_interrupted_run_tells_how_far_it_came_and_goes_on(tmp_path, monkeypatch):
    make = library.make_sample

    def interrupted(index, *arguments):
        if index == 2:
            raise KeyboardInterrupt
        return make(index, *arguments)

    monkeypatch.setattr(library, "make_sample", interrupted)
    with pytest.raises(KeyboardInterrupt, match=re.escape(f"2 of 3 samples are in {tmp_path}; the same command goes on")):
        generate(tmp_path, *SMALL)
    monkeypatch.undo()
    generate(tmp_path, *SMALL, "--quiet")
    assert DefocusDataset(tmp_path).names == ["0-000000", "0-000001", "0-000002"]


def test_shards_are_parts_of_the_set(tmp_path):
    for part in ("1/2", "2/2"):
        generate(tmp_path / part[0], *SMALL, "--shard", part, "--quiet")
    assert set(contents(tmp_path / "1")) == {MANIFEST, "shard-000000.tar"}
    assert set(contents(tmp_path / "2")) == {MANIFEST, "shard-000001.tar"}
    whole = DefocusDataset([tmp_path / "1" / "shard-000000.tar", tmp_path / "2" / "shard-000001.tar"])
    assert torch.isfinite(torch.stack([sample.blurred for sample in whole])).all()
    assert len(whole) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--camera leica", "camera is 'leica'; expected one of"),
        ("--camera dered --radius 5", "--radius has no meaning with --camera dered, which has lenses of its own"),
        ("--camera dered --focus-plane far", "--focus-plane has no meaning with --camera dered"),
        ("--format folder --per-file 3", "--per-file has no meaning with --format folder"),
        ("--backgrounds /none/such", "--backgrounds /none/such is not a folder"),
        ("--kinds round", "kinds is 'round'"),
        ("--shard 3/2", "shard is 3/2"),
        ("--size 8", "size is 8; expected at least 16"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, words, message):
    with pytest.raises(ValueError, match=message):
        generate(tmp_path, *words.split())
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--size 12by9", "'12by9' is not a size"),
        ("--radius 5,4", "'5,4' is neither a number nor a range"),
        ("--radius 1,2,3", "'1,2,3' is neither"),
        ("--radius x", "'x' is not a number"),
        ("--objects 0", "'0' is not a whole number from 1 up"),
        ("--shard 12", "'12' is not I/N"),
    ],
)
def test_what_cannot_be_read_is_named(words, message, capsys):
    with pytest.raises(SystemExit):
        parsed("--out", "set", *words.split())
    assert message in capsys.readouterr().err
