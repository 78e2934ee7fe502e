"""Pixels near a mask."""

import numpy as np
import pytest
from scipy import ndimage

from taichi_bokeh.photo.reach import distance_within, within


@pytest.mark.parametrize("shape", [(40, 50), (3, 50), (50, 2), (1, 1)])
@pytest.mark.parametrize("reach_px", [0, 1, 1.5, 2, 3, 6, 9.3])
def test_within_is_the_distance_compared(shape: tuple[int, int], reach_px: float) -> None:
    mask = np.random.default_rng(0).random(shape) < 0.02
    mask[-1, -1] = True
    assert np.array_equal(within(mask, reach_px), ndimage.distance_transform_edt(~mask) <= reach_px)


def test_nothing_lies_near_nothing() -> None:
    assert not within(np.zeros((5, 7), bool), 3).any()


@pytest.mark.parametrize("reach_px", [0, 2, 3.5, np.inf])
def test_distances_are_exact_as_far_as_they_are_asked_for(reach_px: float) -> None:
    mask = np.random.default_rng(1).random((30, 41)) < 0.02
    distance = ndimage.distance_transform_edt(~mask).astype(np.float32)
    assert np.array_equal(distance_within(mask, reach_px), np.where(distance <= reach_px, distance, np.inf))
    assert np.isinf(distance_within(np.zeros((5, 7), bool), reach_px)).all()
