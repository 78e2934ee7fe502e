"""A map comes back from every format bit for bit, holes and all."""

import numpy as np
import pytest

from taichi_bokeh.io import read_disparity, write_map

NAMES = ("a.exr", "a.pfm", "a.npy", "a.tif", "a.TIFF")


@pytest.fixture
def values() -> np.ndarray:
    """Numbers of all sizes, two of them holes."""
    values = np.random.default_rng(0).normal(0, 1, (13, 17)).astype(np.float32) * np.float32(10.0) ** np.arange(-8, 9)
    values[3, 4] = np.nan
    values[0] = 0
    return values.astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_every_bit_comes_back(tmp_path, values, name):
    write_map(tmp_path / name, values)
    read = read_disparity(tmp_path / name)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read.view(np.uint32), values.view(np.uint32))


@pytest.mark.parametrize("name", NAMES)
def test_depth_comes_back_as_one_over_it(tmp_path, name):
    depth = np.array([[0.5, 2, 4], [0, np.inf, 8]], np.float32)
    write_map(tmp_path / name, depth, channel="Z")
    np.testing.assert_array_equal(read_disparity(tmp_path / name, depth=True), [[2, 0.5, 0.25], [np.nan, 0, 0.125]])


def test_rows_may_be_of_any_layout_and_precision(tmp_path, values):
    for i, given in enumerate((values[::-1, ::2], values.T, values.astype(np.float64), np.eye(3, dtype=np.float16))):
        write_map(tmp_path / f"{i}.exr", given)
        np.testing.assert_array_equal(read_disparity(tmp_path / f"{i}.exr"), given.astype(np.float32))


@pytest.mark.parametrize(
    ("values", "options", "error", "message"),
    [
        (np.ones((2, 2, 3)), {}, ValueError, r"values has shape \[2, 2, 3\]; expected \[H, W\]"),
        (np.ones((0, 2)), {}, ValueError, r"\[0, 2\]"),
        (np.ones((2, 2), int), {}, TypeError, "values is of dtype int64; expected a NumPy array of floats"),
        ([[1.0]], {}, TypeError, "type list"),
        (np.full((2, 2), 1e39), {}, ValueError, r"1e\+39"),
        (np.ones((2, 2)), {"channel": "X"}, ValueError, "channel is 'X'; expected 'Z' or 'Y'"),
        (np.ones((2, 2)), {"name": "a.png"}, ValueError, r"suffix '\.png'; expected one of \.exr"),
        (np.ones((2, 2)), {"name": "nowhere/a.exr"}, FileNotFoundError, "nowhere"),
    ],
)
def test_what_is_no_map_is_refused_and_nothing_written(tmp_path, values, options, error, message):
    with pytest.raises(error, match=message):
        write_map(tmp_path / options.pop("name", "a.exr"), values, **options)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_map_is_kept_unless_overwriting_is_asked_for(tmp_path, values):
    write_map(tmp_path / "a.pfm", values)
    with pytest.raises(FileExistsError, match=r"a\.pfm"):
        write_map(tmp_path / "a.pfm", -values)
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.pfm"), values)
    write_map(tmp_path / "a.pfm", -values, overwrite=True)
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.pfm"), -values)
