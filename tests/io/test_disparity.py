"""Conventions of depth files: units, holes, near white and far white."""

import numpy as np
import pytest
from PIL import Image as PillowImage

from taichi_bokeh.io import read_disparity


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, np.float64])
def test_millimetres_become_one_over_metres(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.array([[500, 2000], [0, 65000]], dtype))
    expected = np.array([[2, 0.5], [np.nan, 1 / 65]], np.float32)
    np.testing.assert_allclose(read_disparity(tmp_path / "a.npy", depth=True, unit="mm"), expected, rtol=1e-6)


def test_integers_of_a_unit_are_not_scaled(tmp_path):
    PillowImage.fromarray(np.array([[0, 1, 4]], np.uint8)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.png", depth=True, unit="m"), [[np.nan, 1, 0.25]])
    np.testing.assert_allclose(read_disparity(tmp_path / "a.png", depth=True), [[np.nan, 255, 255 / 4]], rtol=1e-6)


def test_0_is_a_hole_of_depth_and_far_away_in_disparity(tmp_path):
    PillowImage.fromarray(np.array([[0, 13107]], np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_disparity(tmp_path / "a.png"), [[0, 0.2]], rtol=1e-6)
    np.testing.assert_allclose(read_disparity(tmp_path / "a.png", depth=True), [[np.nan, 5]], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_])
def test_far_white_integers_are_turned_round_within_0_and_1(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.array([[0, 1]]).astype(dtype))
    step = 1 if dtype == np.bool_ else 1 / np.iinfo(dtype).max
    np.testing.assert_allclose(read_disparity(tmp_path / "a.npy", invert=True), [[1, 1 - step]], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_other_numbers_are_turned_round_by_their_sign(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.array([[3, -7]], dtype))
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.npy", invert=True), [[-3, 7]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": True, "unit": "inch"}, "unit is 'inch'; expected 'm', 'cm', 'mm', steps a metre as '5000/m', or the length"),
        ({"unit": "mm"}, "unit is 'mm', which is one of depth; expected None without depth=True"),
        ({"depth": True, "invert": True}, "invert is True; expected False with depth=True"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, options, message):
    np.save(tmp_path / "a.npy", np.ones((2, 2)))
    with pytest.raises(ValueError, match=message):
        read_disparity(tmp_path / "a.npy", **options)
