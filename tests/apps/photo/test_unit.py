"""A camera needs disparity in 1/m: what is known to be in another unit is told; what may be is taken as it is."""

import numpy as np
import pytest
from PIL import Image

from taichi_bokeh.apps.cli import main
from tests.io.phones.writers import gdepth

PHOTO = np.random.default_rng(0).integers(20, 220, (24, 32, 3)).astype(np.uint8)
MAP = np.repeat(np.linspace(60, 250, 32)[None], 24, axis=0).astype(np.uint8)
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
