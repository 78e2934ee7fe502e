"""The command says what files hold and how they are read, one after the other, and refuses the rest in one line."""

import imageio.v3 as iio
import numpy as np
import pytest

from taichi_bokeh.apps import cli
from taichi_bokeh.io import write_image, write_map


def _inspect(*files: object) -> int:
    return cli.main(["inspect", *map(str, files)])


def test_depth_in_millimetres_is_told_with_its_options(tmp_path, capsys):
    depth = np.linspace(9650, 312, 24 * 32).reshape(24, 32).astype(np.uint16)
    depth[:6] = 0
    iio.imwrite(tmp_path / "a.png", depth)
    assert _inspect(tmp_path / "a.png") == 0
    printed, errors = capsys.readouterr()
    lines = printed.splitlines()
    assert lines[0] == f"{tmp_path / 'a.png'}: PNG, 32×24 pixels, uint16, 1 channel"
    assert lines[1].startswith("values: 0 … 7312, median 2643; holes 0.0%, zeros 25.0%")
    assert "16-bit integers 312…7312, zeros 25.0%: looks like depth in millimetres; give --depth --depth-unit mm" in lines
    assert "by default: disparity, its numbers divided by 65535, larger is nearer" in lines
    assert errors == ""


def test_the_histogram_has_a_bar_for_each_bin(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.array([[2, 2, 2, 2, 2, 2, 2, 2], [3, 5, 5, 5, 5, 5, 5, 5]], np.uint8))
    assert _inspect(tmp_path / "a.npy") == 0
    bars = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert bars == [
        f"  2 … 3  {'█' * 40}  50.0%",
        f"  3 … 4  {'█' * 5:<40}   6.2%",
        f"  4 … 5  {'':<40}   0.0%",
        f"  5 … 6  {'█' * 35:<40}  43.8%",
    ]


def test_few_among_many_are_still_seen(tmp_path, capsys):
    values = np.zeros((100, 100), np.float32)
    values[0, 0] = 1
    np.save(tmp_path / "a.npy", values)
    assert _inspect(tmp_path / "a.npy") == 0
    bars = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert len(bars) == 20
    assert "▏" in bars[-1]


def test_pictures_and_the_channel_z_are_told_as_what_they_are(tmp_path, capsys):
    write_image(tmp_path / "a.jpg", np.random.default_rng(0).random((8, 8, 3), np.float32))
    write_image(tmp_path / "a.exr", np.random.default_rng(0).random((8, 8, 3), np.float32))
    write_map(tmp_path / "z.exr", np.ones((8, 8), np.float32), channel="Z")
    assert _inspect(tmp_path / "a.jpg", tmp_path / "a.exr", tmp_path / "z.exr") == 0
    jpeg, exr, depth = capsys.readouterr().out.split("\n\n")
    assert "by default: an image in sRGB" in jpeg
    assert "float32, 3 channels (B, G, R)" in exr
    assert "by default: an image in linear light" in exr
    assert "calls it depth (Z), which may also be one over it; give --depth\n" in depth
    assert "by default: refused, unless --depth is given, or --inverse-depth" in depth
    assert "- --inverse-depth: one over depth, so disparity: nearest disparity 1, farthest disparity 1, holes 0.0%" in depth


def test_what_may_be_far_white_is_hinted_at(tmp_path, capsys):
    grey = np.repeat(np.linspace(255, 0, 30).astype(np.uint8)[:, None], 20, axis=1)
    iio.imwrite(tmp_path / "far_white.png", grey)
    iio.imwrite(tmp_path / "near_white.png", grey[::-1].copy())
    assert _inspect(tmp_path / "far_white.png", tmp_path / "near_white.png") == 0
    far_white, near_white = capsys.readouterr().out.split("\n\n")
    assert "give --invert-disparity, or if it is depth, --depth" in far_white
    assert "give --invert-disparity" not in near_white


def test_a_file_without_numbers_is_told_so(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.full((2, 2), np.nan))
    assert _inspect(tmp_path / "a.npy") == 0
    assert "no finite number in it: every pixel is a hole" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"text", b"\x76\x2f\x31\x01 no EXR", b"PF\n", b"II*\0", b"\x89PNG\r\n\x1a\n"])
def test_what_cannot_be_read_is_one_line(tmp_path, capfd, content):
    (tmp_path / "a.bin").write_bytes(content)
    assert _inspect(tmp_path / "a.bin") == 2
    printed, errors = capfd.readouterr()
    assert printed == ""
    assert errors.count("\n") == 1
    assert errors.startswith(f"taichi-bokeh: error: {tmp_path / 'a.bin'} cannot be read: ")


def test_a_missing_file_is_one_line(tmp_path, capsys):
    assert _inspect(tmp_path / "none.png") == 2
    assert capsys.readouterr().err == f"taichi-bokeh: error: {tmp_path / 'none.png'} does not exist\n"
