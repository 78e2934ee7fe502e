"""What a map would mean, read in one way or another, with the options that choose it."""

from pathlib import Path

import numpy as np

from taichi_bokeh.io.depth.readings import readings_of


def listed(plane: np.ndarray, path: str | Path = "map.png", is_named_depth: bool = False) -> dict[str, tuple[str, str, float]]:
    return {one.options: (one.nearest, one.farthest, one.hole_share) for one in readings_of(plane, is_named_depth, Path(path))}


def test_integers_of_16_bits_may_be_depth_in_several_units():
    plane = np.array([[0, 1000], [4000, 10000]], np.uint16)
    found = listed(plane)
    assert next(iter(found)) == ""
    assert found[""] == ("disparity 0.1526", "disparity 0", 0)
    assert found["--invert-disparity"] == ("disparity 1", "disparity 0.8474", 0)
    assert found["--depth --depth-unit mm"] == ("1 m", "10 m", 0.25)
    assert found["--depth --depth-unit 0.25mm"] == ("0.25 m", "2.5 m", 0.25)
    assert found["--depth --depth-unit 5000/m"] == ("0.2 m", "2 m", 0.25)
    assert found["--depth --depth-unit 256/m"] == ("3.906 m", "39.06 m", 0.25)


def test_floats_may_be_metres_or_millimetres():
    assert listed(np.array([[0.5, 2], [4, np.inf]], np.float32))["--depth"] == ("0.5 m", "infinitely far", 0)
    assert "--depth --depth-unit mm" not in listed(np.array([[0.5, 2.0]]))
    assert listed(np.array([[500.0, 2000.0]]))["--depth --depth-unit mm"] == ("0.5 m", "2 m", 0)


def test_what_a_file_calls_depth_may_be_one_over_it():
    found = listed(np.array([[0.5, 2]], np.float16), is_named_depth=True)
    assert found == {"--inverse-depth": ("disparity 2", "disparity 0.5", 0), "--depth": ("0.5 m", "2 m", 0)}


def test_a_calibration_beside_it_is_tried(tmp_path):
    plane = np.tile(np.float32([10, 40]), (2, 50))
    (tmp_path / "calib.txt").write_text("cam0=[1000 0 0; 0 1000 0; 0 0 1]\nbaseline=200\n", encoding="utf-8")
    assert listed(plane, tmp_path / "disp0.pfm")[f"--calib {tmp_path / 'calib.txt'}"] == ("5 m", "20 m", 0)
    (tmp_path / "calib.txt").write_text("nothing", encoding="utf-8")
    assert not any(options.startswith("--calib") for options in listed(plane, tmp_path / "disp0.pfm"))


def test_what_would_leave_nothing_is_left_out():
    assert list(listed(np.array([[-3.0, -2.0]]))) == ["", "--invert-disparity"]
