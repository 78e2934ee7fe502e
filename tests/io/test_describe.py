"""What a file is said to hold: what it says itself, what its numbers look like, and no more."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from taichi_bokeh.io import describe_depth, read_disparity, write_image, write_map
from tests.io.formats.icc import ADOBE_COLORANTS, rgb_profile

HEIGHT, WIDTH = 24, 32


@pytest.fixture
def near_below() -> np.ndarray:
    """Depth in metres, from 9.65 above to 0.5 below."""
    return np.repeat(np.linspace(9.65, 0.5, HEIGHT, dtype=np.float32)[:, None], WIDTH, axis=1)


def _png(path: Path, values: np.ndarray) -> Path:
    PillowImage.fromarray(values).save(path)
    return path


def test_integers_like_millimetres_are_taken_for_depth(tmp_path, near_below):
    depth = np.round(1000 * near_below).astype(np.uint16)
    depth[:, :8] = 0
    found = describe_depth(_png(tmp_path / "a.png", depth))
    assert (found.format, found.width, found.height, found.dtype, found.channels) == ("PNG", WIDTH, HEIGHT, "uint16", 1)
    assert (found.kind, found.is_certain, found.depth, found.unit) == ("depth", False, True, "mm")
    assert found.finding == "16-bit integers 500…9650, zeros 25.0%: looks like depth in millimetres"
    assert (found.minimum, found.maximum, found.zero_share, found.hole_share) == (0, 9650, 0.25, 0)
    disparity = read_disparity(tmp_path / "a.png", depth=found.depth, unit=found.unit)
    np.testing.assert_allclose(disparity[:, 8:], 1 / near_below[:, 8:], rtol=1e-3)
    assert np.isnan(disparity[:, :8]).all()


def test_integers_over_their_whole_range_are_taken_for_disparity(tmp_path, near_below):
    disparity = np.round(65535 * 0.5 / near_below).astype(np.uint16)
    found = describe_depth(_png(tmp_path / "a.png", disparity))
    assert (found.kind, found.is_certain, found.depth) == ("unclear", False, False)
    assert "their whole range, so disparity or relative depth scaled to it" in found.finding
    assert found.slope > 0.1
    upside_down = describe_depth(_png(tmp_path / "b.png", 65535 - disparity))
    assert upside_down.slope == pytest.approx(-found.slope, abs=1e-3)


@pytest.mark.parametrize(
    ("values", "kind", "depth", "unit", "finding"),
    [
        (np.array([[0, 40], [90, 2000]], np.uint16), "unclear", False, None, "16-bit integers 40…2000, zeros 25.0%: may be"),
        (np.array([[0, 1500], [2000, 9000]], np.uint32), "depth", True, "mm", "32-bit integers 1500…9000"),
        (np.array([[-1, 1500], [2000, 9000]], np.int32), "unclear", False, None, "32-bit integers -1…9000"),
        (np.array([[0, 128], [255, 3]], np.uint8), "unclear", False, None, "8-bit integers 0…255: a grey image, a matte"),
        (np.array([[True, False]]), "unclear", False, None, "1-bit integers 0…1"),
        (np.array([[-2.5, 1], [0, 3]]), "disparity", False, None, "64-bit floats -2.5…3: depth is not negative"),
        (np.array([[0, 1], [0.5, 0.25]], np.float32), "unclear", False, None, "fill [0, 1], as relative disparity does"),
        (np.array([[0, 1.5], [2, 6]], np.float32), "depth", True, "m", "looks like depth in metres"),
        (np.array([[0, 1500], [2000, 6000]], np.float32), "depth", True, "mm", "looks like depth in millimetres"),
        (np.array([[0.2, 1.5], [2, 6]], np.float16), "unclear", False, None, "16-bit floats 0.2…6: may be disparity or depth"),
        (np.array([[0, 1e-3], [2, 6]], np.float32), "unclear", False, None, "may be disparity or depth"),
        (np.full((2, 2), np.nan, np.float32), "unclear", False, None, "every pixel is a hole"),
        (np.ones((2, 2, 5), np.float32), "unclear", False, None, "5 channels: neither an image nor a map"),
    ],
)
def test_what_numbers_look_like(tmp_path, values, kind, depth, unit, finding):
    np.save(tmp_path / "a.npy", values)
    found = describe_depth(tmp_path / "a.npy")
    assert (found.kind, found.is_certain, found.depth, found.unit) == (kind, False, depth, unit)
    assert finding in found.finding


def test_exr_calls_depth_what_may_be_one_over_it(tmp_path, near_below):
    write_map(tmp_path / "z.exr", near_below, channel="Z")
    found = describe_depth(tmp_path / "z.exr")
    assert (found.kind, found.is_certain, found.depth, found.unit, found.channel_names) == ("depth", False, True, None, ("Z",))
    assert found.is_named_depth
    write_map(tmp_path / "y.exr", near_below, channel="Y")
    assert describe_depth(tmp_path / "y.exr").kind == "unclear"


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.exr", "a.pfm", "a.npy"])
def test_colours_are_an_image(tmp_path, name):
    write_image(tmp_path / name, np.random.default_rng(0).random((8, 8, 3), np.float32))
    found = describe_depth(tmp_path / name)
    assert (found.kind, found.is_certain, found.channels, found.slope) == ("image", True, 3, 0)


def test_alpha_counts_as_a_channel_and_its_numbers_do_not(tmp_path):
    rgb = np.random.default_rng(0).random((8, 8, 3), np.float32) + 2
    for name in ("a.tif", "a.exr"):
        write_image(tmp_path / name, rgb, np.ones((8, 8), np.float32))
        found = describe_depth(tmp_path / name)
        assert found.channels == 4
        assert found.minimum >= 2


def test_inks_and_profiles_are_told(tmp_path):
    PillowImage.new("CMYK", (4, 4)).save(tmp_path / "a.jpg")
    assert describe_depth(tmp_path / "a.jpg").finding == "inks (CMYK): an image"
    PillowImage.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "b.jpg", icc_profile=rgb_profile(ADOBE_COLORANTS, 2.2, "Wide"))
    assert describe_depth(tmp_path / "b.jpg").profile == "Wide"
    PillowImage.new("RGB", (4, 4)).save(tmp_path / "c.png", icc_profile=b"nothing")
    with pytest.raises(ValueError, match=r"c\.png cannot be read: its colour profile is damaged"):
        describe_depth(tmp_path / "c.png")


@pytest.mark.parametrize(
    ("values", "counts", "edges"),
    [
        (np.array([[0, 1, 1, 3]], np.uint16), (1, 2, 0, 1), (0, 1, 2, 3, 4)),
        (np.arange(256, dtype=np.uint8)[None], (13,) * 19 + (9,), tuple(range(0, 261, 13))),
        (np.array([[0, 1, 2]], np.float32), (1, *[0] * 9, 1, *[0] * 8, 1), tuple(np.linspace(0, 2, 21))),
        (np.array([[5, 5]], np.float32), (2,), (5, 5)),
        (np.array([[-1.7e308, 1.7e308]]), (1, *[0] * 18, 1), tuple(np.linspace(-0.85e308, 0.85e308, 21) * 2)),
    ],
)
def test_the_histogram_counts_every_number(tmp_path, values, counts, edges):
    np.save(tmp_path / "a.npy", values)
    found = describe_depth(tmp_path / "a.npy")
    assert found.counts == counts
    np.testing.assert_allclose(found.edges, edges)


def test_holes_are_counted_and_left_out(tmp_path):
    write_map(tmp_path / "a.pfm", np.array([[np.inf, 1], [np.nan, 3], [2, 2]], np.float32))
    found = describe_depth(tmp_path / "a.pfm")
    assert (found.minimum, found.median, found.maximum) == (1, 2, 3)
    assert found.hole_share == pytest.approx(1 / 3)
    assert sum(found.counts) == 4


def test_what_cannot_be_read_is_refused_and_of_several_the_first_described(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\0 nothing")
    with pytest.raises(ValueError, match=r"a\.tif cannot be read"):
        describe_depth(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    assert describe_depth(tmp_path / "b.tif").count == 3
