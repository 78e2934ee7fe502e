"""Two views: disparity where they agree, to a part of a pixel; what one view alone sees is left out."""

import numpy as np
import pytest

from taichi_bokeh.photo.stereo import match_views

NEAR, FAR = 6, 2
SQUARE = (slice(20, 60), slice(40, 80))


def two_views(height: int = 80, width: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A textured square before a textured wall; a point at disparity d lies at x in the left view and at x − d in the right."""
    rng = np.random.default_rng(0)
    wall = rng.random((height, width + 20, 3)).astype(np.float32)
    front = rng.random((40, 40, 3)).astype(np.float32)
    left, right = wall[:, 10 : 10 + width].copy(), wall[:, 10 + FAR : 10 + FAR + width].copy()
    left[SQUARE] = front
    right[20:60, 40 - NEAR : 80 - NEAR] = front
    disparity = np.full((height, width), FAR, np.float32)
    disparity[SQUARE] = NEAR
    return left, right, disparity


def test_a_square_before_a_wall():
    left, right, truth = two_views()
    found, sure, rows_px = match_views(left, right)
    known = np.isfinite(found)
    assert rows_px == 0
    assert sure > 0.85
    np.testing.assert_allclose(sure, known.mean())
    assert np.abs(found - truth)[known].mean() < 0.15
    hidden = (slice(24, 56), slice(40 - (NEAR - FAR) + 1, 39))  # behind the square in the right view
    assert (~known[hidden] | (np.abs(found[hidden] - FAR) < 1)).mean() > 0.9


def test_a_view_that_lies_higher_is_moved():
    left, right, truth = two_views()
    found, sure, rows_px = match_views(left, np.roll(right, -3, axis=0))
    assert rows_px == 3
    assert sure > 0.7
    assert np.nanmedian(np.abs(found - truth)) < 0.15


def test_views_of_different_scenes_hardly_agree():
    left, right, _ = two_views()
    assert match_views(left, np.random.default_rng(1).random(right.shape).astype(np.float32)).sure < 0.1


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (np.zeros((20, 20, 3), np.float32), np.zeros((20, 21, 3), np.float32), r"right has shape \(20, 21, 3\); expected"),
        (np.zeros((9, 20, 3), np.float32), np.zeros((9, 20, 3), np.float32), "at least 16×16"),
    ],
)
def test_views_that_cannot_be_matched_are_refused(left, right, message):
    with pytest.raises(ValueError, match=message):
        match_views(left, right)
