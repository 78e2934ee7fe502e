"""The preview's command without a window: frames, a saved picture that its own command line makes again, refusals."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from taichi_bokeh.apps import cli
from taichi_bokeh.apps.photo.demo_photo import demo_photo
from taichi_bokeh.apps.preview import DemoSource
from taichi_bokeh.io import read_disparity, read_image, write_image
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.viewer import window
from taichi_bokeh.viewer.source import Done
from taichi_bokeh.viewer.state import State


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a picture of a bright square (disparity 0.8) before a dark grid (0.2), as working directory."""
    y, x = np.mgrid[:36, :48]
    square = (abs(x - 24) < 8) & (abs(y - 18) < 8)
    grid = np.where((x + y) % 4 < 2, 0.05, 0.3)
    write_image(tmp_path / "photo.png", np.repeat(np.where(square, 0.8, grid)[..., None], 3, axis=2).astype(np.float32))
    np.save(tmp_path / "disparity.npy", np.where(square, 0.8, 0.2).astype(np.float32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def preview(actions: list[object], *options: str) -> int:
    Path("actions.json").write_text(json.dumps(actions), encoding="utf-8")
    words = ["preview", "photo.png", "--disparity", "disparity.npy", "--offscreen", "--script", "actions.json", "-o", "frames"]
    return cli.main([*words, *options])


def test_the_saved_command_line_makes_the_saved_picture_again_to_the_last_bit(folder, capsys):
    actions = [
        {"click": [0.1, 0.1]},
        {"set": {"blur": 7.3, "blades": 5, "rotation": 11.1, "ring": 0.25, "squeeze": 1.5, "cells": 5}},
        {"set": {"highlights": 7.7, "highlight_threshold": 0.13, "near_blur": 0.9, "far_blur": 1.3}},
        {"save": "saved.png"},
    ]
    assert preview(actions, "--layers", "2") == 0
    line = capsys.readouterr().out.splitlines()[0]
    words = shlex.split(line)
    assert words[:5] == ["taichi-bokeh", "render", "photo.png", "--disparity=disparity.npy", "--layers=2"]
    assert cli.main([*words[1:], "--quiet"]) == 0
    assert (folder / "out.png").read_bytes() == (folder / "saved.png").read_bytes()
    told = json.loads((folder / "frames" / "state.json").read_text(encoding="utf-8"))
    assert told["command"] == line
    assert told["state"]["focus"] == pytest.approx(0.2)


def test_with_a_camera_the_f_number_is_a_control(folder, capsys):
    camera = ("--f-number", "2", "--focal-length", "50", "--sensor-width", "36", "--focus", "0.5", "--size", "300x200")
    assert preview([{"set": {"f_number": 4}}], *camera) == 0
    line = next(word for word in capsys.readouterr().out.split() if word.startswith("--blur="))
    assert float(line.removeprefix("--blur=")) == pytest.approx(ThinLens.from_camera(0.05, 4, 2, 0.036, 48).blur)
    assert preview([], "--overwrite", *camera[:4]) == 2
    assert "a camera needs --sensor-width as well" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--script", "actions.json"], "--script is for --offscreen"),
        (["--offscreen"], "--offscreen needs --script as well"),
        (["--offscreen", "--script", "actions.json"], "--offscreen needs -o as well"),
        (["--layers", "2", "--offscreen"], "--layers belongs to a photograph"),
        (["--scale", "2"], "--scale is 2: it is for --offscreen"),
        (["--save-as", "a.gif"], "a.gif has the suffix '.gif'"),
        (["--size", "0x5"], "'0x5' is not a size"),
        (["--blur", "3", "--f-number", "2", "--focal-length", "50", "--sensor-width", "36"], "give one or the other"),
        (["--offscreen", "--script", "missing.json", "-o", "frames"], "missing.json: No such file or directory"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(folder, capsys, words, message):
    assert cli.main(["preview", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "frames").exists()


def test_a_picture_without_its_disparity_is_refused(folder, capsys):
    (folder / "actions.json").write_text("[]", encoding="utf-8")
    assert cli.main(["preview", "photo.png", "--offscreen", "--script", "actions.json", "-o", "frames"]) == 2
    assert "--disparity" in capsys.readouterr().err


def test_without_a_display_one_line_says_what_to_do():
    code = "import sys; from taichi_bokeh.apps import cli; sys.exit(cli.main(['preview']))"
    if not sys.platform.startswith("linux"):
        pytest.skip("elsewhere a display is always there")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"DISPLAY": ":947"},
    )
    assert done.returncode == 2
    assert done.stderr.startswith("taichi-bokeh: error: no")
    assert "--offscreen --script actions.json -o frames" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_second_window_in_a_process_is_refused(monkeypatch):
    monkeypatch.setattr(window, "_opened", True)
    with pytest.raises(OSError, match="there has been a window in this process already"):
        window.require_window()


def test_the_demo_is_saved_with_the_files_that_its_command_line_names(tmp_path):
    rgb, disparity = demo_photo()
    ran: list[list[str]] = []

    def run(words: list[str]) -> Done:
        ran.append(words)
        return Done("saved")

    source, state = DemoSource(rgb, disparity, run), State(focus=0.5, blur=10.0)
    source.save(state, state.lens(None, 741), tmp_path / "a.png")
    source.save(state, state.lens(None, 741), tmp_path / "b.png")
    assert ran[0][:3] == ["render", str(tmp_path / "motorcycle.png"), f"--disparity={tmp_path / 'motorcycle.npy'}"]
    np.testing.assert_array_equal(read_image(tmp_path / "motorcycle.png").rgb, rgb)
    np.testing.assert_array_equal(read_disparity(tmp_path / "motorcycle.npy"), disparity)
    np.save(tmp_path / "motorcycle.npy", disparity[:-1])
    with pytest.raises(FileExistsError, match="are not the demo's, and are kept"):
        source.save(state, state.lens(None, 741), tmp_path / "c.png")
    assert len(ran) == 2
