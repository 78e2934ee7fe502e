"""PFM: both orders of bytes, rows from bottom to top, grey and colour."""

import numpy as np
import pytest

from taichi_bokeh.io import read_disparity, read_image, write_image


def test_a_file_of_four_known_numbers(tmp_path):
    (tmp_path / "a.pfm").write_bytes(b"Pf\n2 2\n-1.0\n" + np.array([3, 4, 1, 2], "<f4").tobytes())
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.pfm"), [[1, 2], [3, 4]])


@pytest.mark.parametrize(("scale", "order"), [("-1", "<"), ("1", ">"), ("-0.00333333", "<"), ("+1e0", ">")])
def test_the_sign_of_the_scale_is_the_order_of_bytes(tmp_path, scale, order):
    values = np.random.default_rng(0).normal(0, 100, (5, 7)).astype(np.float32)
    (tmp_path / "a.pfm").write_bytes(f"Pf 7 5 {scale}\r\n".encode() + values[::-1].astype(f"{order}f4").tobytes())
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.pfm"), values)


def test_infinite_disparity_is_a_hole(tmp_path):
    (tmp_path / "a.pfm").write_bytes(b"Pf\n2 1\n-1\n" + np.array([np.inf, 4], "<f4").tobytes())
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.pfm"), [[np.nan, 4]])


def test_colour_is_linear_light(tmp_path):
    rgb = 50 * np.random.default_rng(0).random((6, 4, 3), np.float32)
    write_image(tmp_path / "a.pfm", rgb)
    assert (tmp_path / "a.pfm").read_bytes()[:3] == b"PF\n"
    np.testing.assert_array_equal(read_image(tmp_path / "a.pfm").rgb, rgb)


def test_alpha_has_no_place(tmp_path):
    with pytest.raises(ValueError, match="PFM file, which holds no alpha"):
        write_image(tmp_path / "a.pfm", np.ones((2, 2, 3), np.float32), np.ones((2, 2), np.float32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Pf\n2 2\n-1.0\n" + bytes(15), "truncated PFM data"),
        (b"Pf\n2 2\n", "damaged PFM header"),
        (b"Pf\n2 2\n0\n" + bytes(16), "its scale is 0"),
        (b"Pf\n2 2\n-e-\n" + bytes(16), "its scale is -e-"),
        (b"Pf\n0 2\n-1\n", "0×2 pixels"),
        (b"Pf\n100000 100000\n-1\n", "10000 megapixels"),
        (b"", "cannot be read"),
    ],
)
def test_what_is_no_whole_file_is_refused(tmp_path, content, message):
    (tmp_path / "a.pfm").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_disparity(tmp_path / "a.pfm")
    assert "a.pfm" in str(caught.value)
