"""Numbers that stand for nothing measured: of matchers, of lasers, of depth cameras; and those that only look so."""

import numpy as np
import pytest

from taichi_bokeh.io import MapCode
from taichi_bokeh.io.depth.holes import holes_of

SIZE = 40


def shifts(dtype: type, hole: float) -> np.ndarray:
    """Disparity of a near square before a wall, beside which a strip was matched to nothing."""
    values = np.full((SIZE, SIZE), 80)
    values[10:30, 20:35] = 320
    values[10:30, 15:20] = hole
    return values.astype(dtype)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (shifts(np.int64, -16).astype(np.uint16), 65520),
        (shifts(np.uint16, 65535), 65535),
        (shifts(np.int16, -16), -16),
        (shifts(np.float32, -16) / 16, -1),
        (shifts(np.int32, -1), -1),
    ],
)
def test_no_match(raw, value):
    (found,) = holes_of(raw, is_depth=False)
    assert (found.value, found.share) == (value, pytest.approx(0.0625))
    said = []
    disparity = MapCode().disparity(raw, "map", said.append)
    assert np.isnan(disparity).mean() == pytest.approx(0.0625)
    assert f"map: {value} (6.2% of the pixels) is taken for a hole" in said[0]
    assert not np.isnan(MapCode(holes=()).disparity(raw, "map")).any()


def test_zeros_where_a_laser_did_not_measure():
    raw = np.where(np.random.default_rng(0).random((SIZE, SIZE)) < 0.7, 0, shifts(np.uint16, 80) * 16)
    (found,) = holes_of(raw, is_depth=False)
    assert found.value == 0
    assert 0.65 < found.share < 0.75


def test_zeros_that_are_far():
    assert holes_of(np.where(np.eye(SIZE) > 0, 0, 0).astype(np.uint16), is_depth=False) == []
    sky = np.full((SIZE, SIZE), 900, np.uint16)
    sky[:15] = 0
    assert holes_of(sky, is_depth=False) == []  # in one piece, as a sky
    noise = np.random.default_rng(0).integers(0, 65536, (SIZE, SIZE)).astype(np.uint16)
    assert holes_of(noise, is_depth=False) == []  # small numbers lie near 0


def test_the_largest_number_of_depth():
    raw = np.full((SIZE, SIZE), 3000, np.uint16)
    raw[:4] = 65535
    assert [(hole.value, hole.share) for hole in holes_of(raw, is_depth=True)] == [(65535, 0.1)]
    assert [hole.value for hole in holes_of(raw.astype(np.int32), is_depth=True)] == [65535]
    assert holes_of(raw, is_depth=False) == []  # of disparity it may be near
    ramp = np.linspace(0, 65535, SIZE * SIZE).reshape(SIZE, SIZE).astype(np.uint16)
    assert holes_of(ramp, is_depth=True) == []  # others lie near it


def test_a_small_or_even_map_tells_nothing():
    assert holes_of(np.array([[-16, 80]]), is_depth=False) == []
    assert holes_of(np.full((SIZE, SIZE), -1), is_depth=False) == []
    assert holes_of(np.full((SIZE, SIZE), np.nan), is_depth=False) == []
    assert holes_of(np.ones((SIZE, SIZE), bool), is_depth=True) == []


@pytest.mark.parametrize(
    ("dtype", "hole"), [(np.uint16, 9999.0), (np.float32, 9999.0), (np.float16, 65504.0), (np.uint16, -16.0)]
)
def test_holes_may_be_told(dtype, hole):
    raw = shifts(np.int64, int(hole)).astype(dtype)
    disparity = MapCode(depth=True, unit="mm", holes=(7.0, hole)).disparity(raw, "map")
    assert np.isnan(disparity).mean() == pytest.approx(0.0625)


def test_a_hole_that_the_type_cannot_hold_is_none():
    disparity = MapCode(holes=(1e6, -np.inf)).disparity(shifts(np.float16, 100), "map")
    assert np.isfinite(disparity).all()
