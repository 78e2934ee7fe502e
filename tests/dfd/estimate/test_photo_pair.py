"""Photographs come as they are in their files, and are refused, by file and reason, where no depth can be told from them."""

import numpy as np
import pytest
import torch

from taichi_bokeh.dfd.estimate.photo_pair import MOST_SATURATED, read_photographs, saturated_share
from taichi_bokeh.io import read_image, write_image

HEIGHT, WIDTH = 20, 30


@pytest.fixture
def folder(tmp_path):
    """Noise in sharp.npy, and half as much of it in blurred.png."""
    rgb = np.random.default_rng(0).random((HEIGHT, WIDTH, 3), np.float32) * np.float32(0.9)
    np.save(tmp_path / "sharp.npy", rgb)
    write_image(tmp_path / "blurred.png", rgb / 2)
    return tmp_path


def test_pictures_are_those_of_the_files(folder):
    found = read_photographs(folder / "sharp.npy", [folder / "blurred.png", folder / "sharp.npy"])
    sharp = torch.from_numpy(np.load(folder / "sharp.npy")).permute(2, 0, 1)
    assert torch.equal(found.all_in_focus, sharp)
    assert found.blurred.shape == (2, 3, HEIGHT, WIDTH)
    assert torch.equal(found.blurred[0], torch.from_numpy(read_image(folder / "blurred.png").rgb).permute(2, 0, 1))
    assert torch.equal(found.blurred[1], sharp)
    assert found.saturated == 0


def test_a_pixel_is_saturated_where_one_channel_is():
    picture = torch.rand(3, 10, 10)
    picture[1, 0, :4] = 1.0
    assert saturated_share(picture) == 0.04
    assert saturated_share(0.5 * picture) == 0  # an integer file that does not reach its maximum
    assert saturated_share(picture * 7) == 0.04  # floats, cut off at 7


def test_saturated_pictures_are_refused_unless_allowed(folder):
    rgb = np.load(folder / "sharp.npy")
    rows = int(MOST_SATURATED * HEIGHT)
    rgb[:rows] = 1
    np.save(folder / "little.npy", rgb)
    assert read_photographs(folder / "sharp.npy", [folder / "little.npy"]).saturated == MOST_SATURATED
    rgb[: rows + 1] = 1
    write_image(folder / "much.png", rgb)
    with pytest.raises(ValueError, match=r"much\.png is saturated at 10% of its pixels; expected at most 5%, as"):
        read_photographs(folder / "sharp.npy", [folder / "blurred.png", folder / "much.png"])
    allowed = read_photographs(folder / "sharp.npy", [folder / "much.png"], allow_saturated=True)
    assert allowed.saturated == pytest.approx(0.1)


def test_pictures_that_tell_nothing_are_refused_by_name(folder):
    sharp = folder / "sharp.npy"
    np.save(folder / "dark.npy", np.full((HEIGHT, WIDTH, 3), 1e-3, np.float32))
    np.save(folder / "grey.npy", np.full((HEIGHT, WIDTH, 3), 0.5, np.float32))
    np.save(folder / "small.npy", np.load(sharp)[:, 1:])
    np.save(folder / "holes.npy", np.where(np.eye(HEIGHT, WIDTH)[..., None] > 0, np.nan, np.load(sharp)))
    with pytest.raises(ValueError, match=r"dark\.npy is black: its largest value is 0\.001; expected a picture with light"):
        read_photographs(sharp, [folder / "dark.npy"])
    with pytest.raises(ValueError, match=r"grey\.npy has texture at 0\.0% of its pixels; expected at least 1%, as blur shows"):
        read_photographs(folder / "grey.npy", [sharp])
    with pytest.raises(ValueError, match=r"small\.npy is 29×20 pixels; expected 30×20 like .*sharp\.npy"):
        read_photographs(sharp, [folder / "blurred.png", folder / "small.npy"])
    with pytest.raises(ValueError, match=r"holes\.npy holds NaN"):
        read_photographs(sharp, [folder / "holes.npy"])
    with pytest.raises(FileNotFoundError, match=r"none\.png does not exist"):
        read_photographs(sharp, [folder / "none.png"])
    with pytest.raises(ValueError, match="blurred is empty; expected at least one"):
        read_photographs(sharp, [])
