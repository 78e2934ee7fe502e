"""What is unknown is filled from what is known beside it."""

import numpy as np
import pytest

from taichi_bokeh.photo import fill_holes, push_pull


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (17, 1), (31, 46), (64, 64)])
def test_push_pull_reproduces_constants(shape):
    weight = np.zeros(shape, np.float32)
    weight[0, 0] = weight[-1, -1] = 1
    np.testing.assert_allclose(push_pull(np.full((*shape, 3), 0.7, np.float32), weight), 0.7, rtol=1e-5)


def test_push_pull_keeps_known_pixels_and_stays_in_their_range():
    rng = np.random.default_rng(0)
    values, weight = rng.random((50, 71, 3), np.float32), (rng.random((50, 71)) < 0.1).astype(np.float32)
    values[weight == 0] = np.nan
    filled = push_pull(values, weight)
    np.testing.assert_allclose(filled[weight == 1], values[weight == 1], rtol=1e-5)
    assert np.nanmin(values) - 1e-5 <= filled.min()
    assert filled.max() <= np.nanmax(values) + 1e-5


def test_push_pull_takes_what_is_read_only_or_reversed_and_not_what_is_unknown():
    values = np.full((9, 6, 3), 0.5, np.float32)
    values[:3], values[3] = np.nan, np.inf
    given = values.copy()
    values.flags.writeable = False
    known = np.arange(9)[:, None].repeat(6, 1) > 3
    np.testing.assert_allclose(push_pull(values, known), 0.5, rtol=1e-6)
    np.testing.assert_allclose(push_pull(values[::-1, ::-1], known[::-1]), 0.5, rtol=1e-6)
    np.testing.assert_array_equal(values, given)


def test_push_pull_takes_the_nearer_side():
    values = np.zeros((40, 100), np.float32)
    values[:, 90:] = 1
    weight = np.zeros_like(values)
    weight[:, :10] = weight[:, 90:] = 1
    middle = push_pull(values, weight)[20]
    assert middle[12] < 0.1
    assert middle[88] > 0.9
    assert np.abs(np.diff(middle)).max() < 0.1


@pytest.mark.parametrize(
    ("shape", "weight", "message"),
    [((4, 4), np.zeros((4, 4)), "no pixel"), ((4, 4), np.full((4, 4), 2), "0, 1"), ((4, 5), np.ones((4, 4)), "weight")],
)
def test_push_pull_refuses(shape, weight, message):
    with pytest.raises(ValueError, match=message):
        push_pull(np.zeros(shape, np.float32), weight)


def _step(colour_edge: int) -> tuple[np.ndarray, np.ndarray]:
    """Far (0.2) up to column 30, a hole, near (0.9) from column 40 on; the colour changes at ``colour_edge``."""
    disparity = np.full((40, 80), 0.2, np.float32)
    disparity[:, 30:40] = np.nan
    disparity[:, 40:] = 0.9
    rgb = np.full((40, 80, 3), 0.1, np.float32)
    rgb[:, colour_edge:] = 0.8
    return disparity, rgb


def test_a_hole_takes_the_farther_side():
    disparity, rgb = _step(colour_edge=40)
    filled = fill_holes(disparity, rgb)
    np.testing.assert_allclose(filled[:, 30:40], 0.2, atol=1e-3)
    known = ~np.isnan(disparity)
    np.testing.assert_array_equal(filled[known], disparity[known])


def test_a_hole_takes_the_farther_side_where_the_picture_says_nothing():
    disparity, rgb = _step(colour_edge=0)
    np.testing.assert_allclose(fill_holes(disparity, rgb)[:, 30:40], 0.2, atol=1e-3)


def test_hole_pixels_of_the_nearer_objects_colour_belong_to_it():
    disparity, rgb = _step(colour_edge=36)
    filled = fill_holes(disparity, rgb)
    np.testing.assert_allclose(filled[:, 36:40], 0.9, atol=1e-3)
    np.testing.assert_allclose(filled[:, 30:36], 0.2, atol=1e-3)


def test_a_hole_in_a_slope_continues_it():
    slope = np.tile(np.linspace(0.2, 0.8, 60, dtype=np.float32)[:, None], (1, 60))
    disparity = slope.copy()
    disparity[28:32, 20:40] = np.nan
    np.testing.assert_allclose(fill_holes(disparity, np.full((60, 60, 3), 0.5, np.float32)), slope, atol=0.02)


@pytest.mark.parametrize(
    ("disparity", "message"),
    [
        (np.full((4, 4), np.nan), "no measured"),
        (np.full((4, 4), np.inf), "infinite"),
        (np.zeros((4, 5)), r"disparity has shape \(4, 5\); expected \(4, 4\) as rgb"),
    ],
)
def test_fill_holes_refuses(disparity, message):
    with pytest.raises(ValueError, match=message):
        fill_holes(disparity, np.zeros((4, 4, 3), np.float32))
