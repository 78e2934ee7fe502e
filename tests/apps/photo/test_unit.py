"""A camera needs disparity in 1/m: what is known to be in another unit is told; what may be is taken as it is."""

from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from PIL import Image

from taichi_bokeh.apps.cli import main
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.photo.unit import warn_of_unit
from tests.io.phones.writers import gdepth

PHOTO = np.random.default_rng(0).integers(20, 220, (24, 32, 3)).astype(np.uint8)
MAP = np.repeat(np.linspace(60, 250, 32)[None], 24, axis=0).astype(np.uint8)
RELATIVE = np.linspace(0, 1, 24 * 32, dtype=np.float32).reshape(24, 32)
CAMERA = ("--f-number", "8", "--focal-length", "20", "--sensor-width", "36", "--focus-at", "30,12")


def said(folder, capsys, *options: str, lens: tuple[str, ...] = CAMERA) -> str:
    command = [
        "render",
        str(folder / "a.jpg"),
        *options,
        *lens,
        "--model",
        "scatter",
        "-o",
        str(folder / "o.npy"),
        "--overwrite",
    ]
    assert main(command) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(("unit", "is_told"), [("m", False), ("diopters", True)])
def test_the_photographs_own_depth(tmp_path, capsys, unit, is_told):
    (tmp_path / "a.jpg").write_bytes(gdepth(PHOTO, MAP, Format="RangeInverse", Near=0.5, Far=4, Units=unit))
    assert ("has a unit of its own, and a camera's numbers need disparity in 1/m" in said(tmp_path, capsys)) == is_told
    assert "1/m:" not in said(tmp_path, capsys, lens=("--blur", "3", "--focus", "1"))


def test_integers_are_scaled_and_floats_are_as_they_are(tmp_path, capsys):
    Image.fromarray(PHOTO).save(tmp_path / "a.jpg")
    Image.fromarray(MAP).save(tmp_path / "d.png")
    np.save(tmp_path / "d.npy", MAP / np.float32(255))
    assert "d.png are scaled to [0, 1]" in said(tmp_path, capsys, "--disparity", str(tmp_path / "d.png"))
    assert "warning" not in said(tmp_path, capsys, "--disparity", str(tmp_path / "d.npy"))
    metres = said(tmp_path, capsys, "--disparity", str(tmp_path / "d.png"), "--depth", "--depth-unit", "mm")
    assert "warning" not in metres


@pytest.mark.parametrize(
    ("values", "words", "told"),
    [
        (MAP / np.float32(255), "", "is taken as disparity in 1/m (--calib, --disparity-range says otherwise)"),
        (MAP / np.float32(50), "--depth", "is taken as depth in metres (--depth-unit says otherwise)"),
        (
            MAP.astype(np.float32),
            "",
            "warning: the disparity of d.npy goes up to 250, which in 1/m is nearer than 2 cm: in px rather",
        ),
        (MAP * np.float32(20), "--depth", "warning: half the depths of d.npy are beyond 3090: in mm rather (--depth-unit mm)"),
        (MAP.astype(np.int32) * 20, "--depth", "warning: half the depths of d.npy are beyond"),
        (MAP, "--depth", "warning: the integers of d.npy are scaled to [0, 1] (--depth-unit or --disparity-range says"),
        (RELATIVE, "", "warning: d.npy fills [0, 1], so it is relative"),
        (RELATIVE, "--depth", "warning: d.npy fills [0, 1], so it is relative"),
        (RELATIVE, "--invert-disparity", "warning: d.npy fills [0, 1], so it is relative"),
        (MAP / np.float32(255), "--invert-disparity", "warning: the disparity of d.npy is negative"),
    ],
)
def test_what_cannot_be_in_the_unit_is_warned_of_and_what_may_be_is_told(tmp_path, monkeypatch, values, words, told):
    monkeypatch.chdir(tmp_path)
    np.save("d.npy", values)
    options = {word[2:].replace("-", "_"): True for word in words.split()}
    lines: list[str] = []
    warn_of_unit(PhotoRequest(photo=Path("a.jpg"), disparity=Path("d.npy"), **options), LensRequest(), lines.append)
    (line,) = lines
    assert told in line
    assert ("warning" in line) == told.startswith("warning")


@pytest.mark.parametrize("words", ["--depth --depth-unit 50/m", "--disparity-range 0.2 3"])
def test_what_says_its_unit_is_not_warned_of(tmp_path, capsys, words):
    Image.fromarray(PHOTO).save(tmp_path / "a.jpg")
    np.save(tmp_path / "d.npy", MAP)
    found = said(tmp_path, capsys, "--disparity", str(tmp_path / "d.npy"), *words.split())
    assert "warning" not in found
    assert "taken as" not in found


@pytest.mark.parametrize(("factor", "is_told"), [(0.02, False), (20, True)])
def test_depth_in_the_images_own_file(tmp_path, capsys, factor, is_told):
    channels = {"RGB": PHOTO.astype(np.float32) / 255, "Z": MAP * np.float32(factor)}
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, channels).write(
        str(tmp_path / "a.exr")
    )
    command = ["render", str(tmp_path / "a.exr"), *CAMERA, "--model", "scatter", "-o", str(tmp_path / "o.npy")]
    assert main(command) == 0
    found = capsys.readouterr().out
    assert ("warning: half the depths of" in found) == is_told
    assert ("a.exr is taken as depth in metres" in found) == (not is_told)
