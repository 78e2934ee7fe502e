"""A photograph that EXIF turns, beside a map that lies as it was stored: the cause is named, and an option turns the map."""

import numpy as np
import pytest
from PIL import Image

from taichi_bokeh.apps.cli import main
from taichi_bokeh.io.formats.contents import upright

DISPARITY = np.where(np.arange(24)[:, None] < 8, 1.0, 0.2).astype(np.float32) * np.ones((1, 32), np.float32)
PHOTO = np.random.default_rng(0).integers(20, 220, (24, 32, 3)).astype(np.uint8)


def render(folder, orientation: int, disparity: np.ndarray, *options: str) -> int:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PHOTO).save(folder / "a.png", exif=exif)
    np.save(folder / "d.npy", disparity)
    lens = ("--blur", "5", "--focus", "1", "--model", "scatter", "--overwrite")
    return main(
        ["render", str(folder / "a.png"), "--disparity", str(folder / "d.npy"), *lens, *options, "-o", str(folder / "o.npy")]
    )


def test_a_map_that_only_fits_unturned_is_refused_by_its_cause(tmp_path, capsys):
    assert render(tmp_path, 6, DISPARITY) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "once EXIF has turned it (orientation 6): the map lies as it was stored; --turn-depth turns it" in error


@pytest.mark.parametrize("orientation", range(2, 9))
def test_it_is_turned_as_the_photograph(tmp_path, capsys, orientation):
    assert render(tmp_path, orientation, DISPARITY, "--turn-depth") == 0
    turned = np.load(tmp_path / "o.npy")
    capsys.readouterr()
    assert render(tmp_path, orientation, upright(DISPARITY, orientation)) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), turned)
    assert ("does not tell whether" in capsys.readouterr().out) == (orientation < 5)


def test_it_is_named_for_a_map_whose_sides_a_network_has_rounded(tmp_path, capsys):
    assert render(tmp_path, 6, np.ones((56, 72), np.float32), "--resize-depth") == 2
    assert "the map lies as it was stored; --turn-depth" in capsys.readouterr().err


def test_nothing_is_said_where_nothing_is_turned(tmp_path, capsys):
    assert render(tmp_path, 1, DISPARITY) == 0
    assert "EXIF" not in capsys.readouterr().out
    assert render(tmp_path, 1, DISPARITY, "--turn-depth") == 0
    assert "--turn-depth does nothing" in capsys.readouterr().out
