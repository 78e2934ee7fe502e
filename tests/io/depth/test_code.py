"""What the numbers of a map are: units, ranges, two cameras, rays, relative depth, what is infinitely far."""

import numpy as np
import pytest

from taichi_bokeh.io import MapCode, StereoRig, read_disparity
from taichi_bokeh.io.depth.code import looks_relative

STEP = np.array([[1, 2], [4, 8]])
RIG = StereoRig(focal_length_px=1000, baseline_m=0.2, offset_px=10)


def made(raw: np.ndarray, **code: object) -> np.ndarray:
    return MapCode(**code).disparity(raw, "map")


@pytest.mark.parametrize(
    ("unit", "metres_of_1"),
    [("m", 1), ("cm", 0.01), ("mm", 1e-3), ("5000/m", 2e-4), ("256/m", 1 / 256), ("0.25mm", 2.5e-4), ("1e-1mm", 1e-4)],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float16, np.float64])
def test_depth_has_any_unit(unit, metres_of_1, dtype):
    np.testing.assert_allclose(made(STEP.astype(dtype), depth=True, unit=unit), 1 / (STEP * metres_of_1), rtol=1e-6)


@pytest.mark.parametrize("unit", ["", "/m", "km", "0mm", "-1mm", "nan", "infm", "1e999mm", "5 mm"])
def test_what_is_no_unit_is_refused(unit):
    with pytest.raises(ValueError, match=f"unit is '{unit}'; expected 'm', 'cm'"):
        MapCode(depth=True, unit=unit)


@pytest.mark.parametrize("far", [np.inf, 1e10, 3e38])
@pytest.mark.parametrize("unit", [None, "m", "mm"])
def test_what_is_infinitely_far_has_disparity_0(far, unit):
    raw = np.array([[2, far], [np.nan, -np.inf]], np.float32)
    found = made(raw, depth=True, unit=unit)
    np.testing.assert_allclose(found[0], [500 if unit == "mm" else 0.5, 0], atol=1e-6)
    assert found[0, 1] == 0 or np.isfinite(far)
    assert np.isnan(found[1]).all()


def test_the_largest_half_float_is_far_and_no_hole():
    raw = np.full((20, 20), 4, np.float16)
    raw[:5] = 65504
    np.testing.assert_allclose(made(raw, depth=True)[[0, 10], 0], [1 / 65504, 0.25], rtol=1e-6)


def test_disparity_in_a_range_of_its_own():
    raw = np.array([[0, 51, 255]], np.uint8)
    np.testing.assert_allclose(made(raw, span=(0.15, 3.2)), [[0.15, 0.76, 3.2]], rtol=1e-6)
    np.testing.assert_allclose(made(raw, span=(0.15, 3.2), invert=True), [[3.2, 2.59, 0.15]], rtol=1e-6)
    np.testing.assert_allclose(made(raw.astype(np.uint16) * 257, span=(-1, 1)), [[-1, -0.6, 1]], rtol=1e-6)
    np.testing.assert_allclose(made(raw / 255, span=(-1, 1)), [[-1, -0.6, 1]], rtol=1e-6)
    with pytest.raises(
        ValueError, match=r"map has numbers from 0 to 255; expected integers of 8 or 16 bits, or floats in \[0, 1\]"
    ):
        made(raw.astype(np.float32), span=(0, 1))


def test_the_shift_between_two_cameras_becomes_1_over_metres():
    shift = np.array([[0, 30, 90.0, np.inf]])
    expected = [[10 / 200, 40 / 200, 0.5, np.nan]]
    wide = np.zeros((1, 100))
    wide[:, :4] = shift
    np.testing.assert_allclose(made(wide, rig=RIG)[:, :4], expected, rtol=1e-6)
    steps = np.where(np.isfinite(wide), wide * 256, 0).astype(np.uint16)
    np.testing.assert_allclose(made(steps, rig=RIG, unit="256/px", holes=())[:, :3], [expected[0][:3]], rtol=1e-6)
    scaled = np.where(np.isfinite(wide), wide, 0) / 100
    np.testing.assert_allclose(made(scaled, rig=RIG, span=(0, 100))[:, :3], [expected[0][:3]], rtol=1e-6)


def test_shifts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"map would tell of shifts up to 512 px in 4 px; expected px, or .*'256/px'"):
        made(np.array([[256, 512, 0, 0]], np.uint16), rig=RIG)
    with pytest.raises(ValueError, match="map is 4 pixels wide, and its calibration is one for 8"):
        made(np.ones((1, 4)), rig=StereoRig(1000, 0.2, width=8))


def test_depth_along_the_ray_of_a_plane_is_that_along_the_axis():
    height, width, focal_length = 30, 40, 0.7
    x, y = ((np.arange(n) + 0.5 - n / 2) / (focal_length * width) for n in (width, height))
    along_ray = 3 * np.sqrt(1 + x**2 + y[:, None] ** 2)
    np.testing.assert_allclose(made(along_ray, depth=True, unit="m", focal_length=focal_length), 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("top", [np.float32(1), np.uint8(255), np.uint16(65535)])
def test_relative_depth_keeps_its_nearest_parts_and_says_so(top):
    said = []
    raw = (np.array([[0, 0.2, 1]]) * top).astype(top.dtype)
    np.testing.assert_allclose(MapCode(depth=True).disparity(raw, "map", said.append), [[1, 0.8, 0]], rtol=1e-6)
    assert len(said) == 1
    assert "map: its depth goes from 0 to 1, so it is taken as relative, 0 is nearest" in said[0]


def test_a_sky_of_relative_depth_is_far():
    np.testing.assert_allclose(made(np.array([[0, 0.25, 1, np.inf]]), depth=True), [[1, 0.75, 0, 0]])


def test_zeros_strewn_over_depth_that_ends_at_1_are_holes():
    depth = np.linspace(0.4, 1, 900).reshape(30, 30)
    depth[np.random.default_rng(0).random((30, 30)) < 0.5] = 0
    depth[-1, -1] = 1
    np.testing.assert_allclose(made(depth, depth=True), np.where(depth > 0, 1 / np.maximum(depth, 0.1), np.nan), rtol=1e-6)


def test_relative_depth_that_does_not_reach_0_is_warned_of():
    said = []
    MapCode(depth=True).disparity(np.array([[1e-4, 0.5, 0.9]]), "map", said.append)
    assert "warning: the nearest depth is 0.0001" in said[0]
    assert looks_relative(np.array([0, 0.3, 1]))
    assert not looks_relative(np.array([0, 0.3, 2]))


def test_what_contradicts_itself_is_refused():
    for code, message in (
        ({"unit": "mm"}, "unit is 'mm', which is one of depth"),
        ({"unit": "16/px"}, "unit is '16/px', which is one of a rig's shifts"),
        ({"focal_length": 1.0}, "focal_length is 1.0, which is one of depth"),
        ({"focal_length": -1.0, "depth": True}, "focal_length is -1.0; expected a number above 0"),
        ({"depth": True, "span": (0.0, 1.0)}, r"span is \(0.0, 1.0\), which is one of disparity"),
        ({"depth": True, "rig": RIG}, "which is one of disparity"),
        ({"depth": True, "is_inverse": True}, "is_inverse is True, which is one of disparity"),
    ):
        with pytest.raises(ValueError, match=message):
            MapCode(**code)


def test_a_code_says_all_or_nothing(tmp_path):
    np.save(tmp_path / "a.npy", STEP)
    np.testing.assert_allclose(read_disparity(tmp_path / "a.npy", code=MapCode(depth=True, unit="cm")), 100 / STEP, rtol=1e-6)
    with pytest.raises(ValueError, match="code is given with depth, unit or invert"):
        read_disparity(tmp_path / "a.npy", depth=True, code=MapCode())
