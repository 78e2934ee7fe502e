"""Two cameras, as Middlebury's calib.txt describes them."""

import pytest

from taichi_bokeh.io import StereoRig, read_calibration

TEXT = """cam0=[3997.684 0 1176.728; 0 3997.684 1011.728; 0 0 1]
cam1=[3997.684 0 1307.839; 0 3997.684 1011.728; 0 0 1]
doffs=131.111
baseline=193.001
width=2964
height=1988
ndisp=280
"""


def test_what_it_tells(tmp_path):
    path = tmp_path / "calib.txt"
    path.write_text(TEXT, encoding="utf-8")
    rig = read_calibration(path)
    assert rig == StereoRig(3997.684, pytest.approx(0.193001), 131.111, 2964)
    path.write_text("baseline = 100\n cam0 = [ 1e3 0 5; 0 1e3 5; 0 0 1 ]", encoding="utf-8")
    assert read_calibration(path) == StereoRig(1000, pytest.approx(0.1), 0, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "tells no cam0 and no baseline; expected lines as"),
        ("cam0=[1 0 0; 0 1 0; 0 0 1]", "tells no baseline"),
        ("cam0=[0 0 0]\nbaseline=1", "tells cam0=0; expected a number above 0"),
        ("cam0=[1 0 0]\nbaseline=-1", "tells baseline=-1; expected a number above 0"),
        ("cam0=[1e999 0 0]\nbaseline=1", "tells cam0=inf"),
    ],
)
def test_what_tells_too_little_is_refused(tmp_path, text, message):
    (tmp_path / "calib.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_calibration(tmp_path / "calib.txt")


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "calib.txt").write_bytes(bytes(range(256)) * 100)
    with pytest.raises(ValueError, match="tells no cam0"):
        read_calibration(tmp_path / "calib.txt")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_calibration(tmp_path / "none.txt")
