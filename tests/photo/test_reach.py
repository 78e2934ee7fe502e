"""Pixels near a mask."""

import numpy as np
import pytest
from scipy import ndimage

from taichi_bokeh.photo.reach import within


@pytest.mark.parametrize("shape", [(40, 50), (3, 50), (50, 2), (1, 1)])
@pytest.mark.parametrize("reach_px", [0, 1, 1.5, 2, 3, 6, 9.3])
def test_within_is_the_distance_compared(shape: tuple[int, int], reach_px: float) -> None:
    mask = np.random.default_rng(0).random(shape) < 0.02
    mask[-1, -1] = True
    assert np.array_equal(within(mask, reach_px), ndimage.distance_transform_edt(~mask) <= reach_px)


def test_nothing_lies_near_nothing() -> None:
    assert not within(np.zeros((5, 7), bool), 3).any()
