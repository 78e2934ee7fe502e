"""Windows, pixels that are not square, primaries and negative light go through a rendering, and into the file made of it."""

from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from taichi_bokeh.apps import cli
from taichi_bokeh.io import read_disparity, read_image
from taichi_bokeh.io.colours import to_rec709

_ACESCG = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)
_HEIGHT, _WIDTH, _MARGIN = 24, 32, 6


def _window(left: int, top: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([left, top], np.int32), np.array([left + width - 1, top + height - 1], np.int32)


def _write(path: Path, rgb: np.ndarray, left: int = 0, top: int = 0, z: float = 4.0, **header: object) -> None:
    """Colours with a depth that is the same everywhere, their corner there on a display of 32 × 24."""
    height, width = rgb.shape[:2]
    windows = {"dataWindow": _window(left, top, width, height), "displayWindow": _window(0, 0, _WIDTH, _HEIGHT)}
    start = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    planes = {name: np.ascontiguousarray(rgb[..., index], np.float32) for index, name in enumerate("RGBA"[: rgb.shape[2]])}
    planes["Z"] = np.full((height, width), z, np.float32)
    OpenEXR.File(start | windows | header, planes, num_threads=0).write(str(path))


def _render(folder: Path, output: str, *more: object, blur: float = 8) -> None:
    words = ["render", f"{folder}/a.exr", "--disparity", f"{folder}/a.exr", "--depth", "--focus", 0, "--layers", 1, "--quiet"]
    assert cli.main([*map(str, words), "--blur", str(blur), "-o", f"{folder}/{output}", *map(str, more)]) == 0


def _stored(path: Path) -> tuple[dict[str, object], np.ndarray]:
    file = OpenEXR.File(str(path), separate_channels=True, num_threads=0)
    return file.header(), np.dstack([file.channels()[name].pixels for name in "RGB"])


def test_overscan_is_blurred_in_and_cut_off_and_both_windows_are_kept(tmp_path):
    rng = np.random.default_rng(0)
    wide = rng.random((_HEIGHT + 2 * _MARGIN, _WIDTH + 2 * _MARGIN, 3)).astype(np.float32)
    inner = slice(_MARGIN, -_MARGIN)
    _write(tmp_path / "a.exr", wide, -_MARGIN, -_MARGIN)
    np.testing.assert_array_equal(read_image(tmp_path / "a.exr").rgb, wide[inner, inner])
    assert read_disparity(tmp_path / "a.exr", depth=True).shape == (_HEIGHT, _WIDTH)
    _render(tmp_path, "b.exr")
    _render(tmp_path, "b.npy")
    header, whole = _stored(tmp_path / "b.exr")
    np.testing.assert_array_equal(header["dataWindow"], _window(-_MARGIN, -_MARGIN, *wide.shape[1::-1]))
    np.testing.assert_array_equal(header["displayWindow"], _window(0, 0, _WIDTH, _HEIGHT))
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), whole[inner, inner])
    np.testing.assert_array_equal(read_image(tmp_path / "b.exr").rgb, whole[inner, inner])
    _write(tmp_path / "a.exr", wide[inner, inner])
    _render(tmp_path, "cut.npy")
    edge, middle = np.s_[:2], np.s_[6:-6, 6:-6]
    difference = np.abs(np.load(tmp_path / "cut.npy") - np.load(tmp_path / "b.npy"))
    assert difference[edge].max() > 0.02  # at the border the overscan counts
    assert difference[middle].max() < 1e-5


def test_a_region_is_put_where_it_lies_on_the_display(tmp_path):
    region = np.full((10, 12, 3), 0.5, np.float32)
    _write(tmp_path / "a.exr", region, 5, 7)
    shown = read_image(tmp_path / "a.exr").rgb
    assert shown.shape == (_HEIGHT, _WIDTH, 3)
    assert (shown[7:17, 5:17] == 0.5).all()
    assert shown.sum() == region.sum()
    _render(tmp_path, "b.exr")
    header, whole = _stored(tmp_path / "b.exr")
    np.testing.assert_array_equal(header["dataWindow"], _window(5, 7, 12, 10))
    np.testing.assert_allclose(whole, 0.5, rtol=1e-5)


def test_a_map_of_what_is_shown_fits_an_image_with_overscan(tmp_path):
    wide = np.random.default_rng(0).random((_HEIGHT + 2 * _MARGIN, _WIDTH + 2 * _MARGIN, 3)).astype(np.float32)
    _write(tmp_path / "a.exr", wide, -_MARGIN, -_MARGIN)
    _render(tmp_path, "b.exr")
    np.save(tmp_path / "z.npy", np.full((_HEIGHT, _WIDTH), 4, np.float32))
    _render(tmp_path, "c.exr", "--disparity", tmp_path / "z.npy")
    np.testing.assert_allclose(_stored(tmp_path / "c.exr")[1], _stored(tmp_path / "b.exr")[1], atol=1e-6)


@pytest.mark.parametrize("aspect", [2.0, 0.5])
def test_a_disc_is_round_on_the_display_whatever_its_pixels(tmp_path, aspect):
    point = np.zeros((_HEIGHT + 17, _WIDTH + 17, 3), np.float32)
    point[20, 24] = 1
    _write(tmp_path / "a.exr", point, pixelAspectRatio=aspect)
    _render(tmp_path, "b.exr", "--model", "scatter", blur=24)  # 6 pixels of the height
    header, disc = _stored(tmp_path / "b.exr")
    assert header["pixelAspectRatio"] == aspect
    share = disc[..., 1] / disc[..., 1].sum()
    y, x = np.mgrid[: share.shape[0], : share.shape[1]]
    across, down = np.sqrt((share * (x - 24) ** 2).sum()) * aspect, np.sqrt((share * (y - 20) ** 2).sum())
    assert across == pytest.approx(down, rel=0.05)
    assert down == pytest.approx(3, rel=0.05)  # of a disc, half the radius


def test_wide_primaries_are_blurred_in_place_and_kept_or_brought_to_srgb(tmp_path):
    rgb = np.tile(np.float32([0.2, 0.5, 0.3]), (_HEIGHT, _WIDTH, 1))
    _write(tmp_path / "a.exr", rgb, chromaticities=_ACESCG)
    _render(tmp_path, "b.exr")
    _render(tmp_path, "b.npy")
    header, whole = _stored(tmp_path / "b.exr")
    np.testing.assert_allclose(header["chromaticities"], _ACESCG, atol=1e-6)
    np.testing.assert_allclose(whole, rgb, rtol=1e-5)
    np.testing.assert_allclose(np.load(tmp_path / "b.npy"), to_rec709(rgb, _ACESCG), atol=1e-5)
    np.testing.assert_allclose(read_image(tmp_path / "a.exr").rgb, np.maximum(to_rec709(rgb, _ACESCG), 0), atol=1e-6)


@pytest.mark.parametrize("alpha", [False, True])
def test_negative_light_is_blurred_as_light_is(tmp_path, alpha):
    """Blur is linear: minus the image has minus the blur."""
    rgb = np.random.default_rng(0).random((_HEIGHT, _WIDTH, 3)).astype(np.float32) - 0.55
    whole = np.concatenate([rgb, np.ones_like(rgb[..., :1])], -1) if alpha else rgb
    if alpha:
        whole[:8] *= 0.5
    _write(tmp_path / "a.exr", whole)
    _render(tmp_path, "b.exr", blur=12)
    _, found = _stored(tmp_path / "b.exr")
    whole[..., :3] *= -1
    _write(tmp_path / "a.exr", whole)
    _render(tmp_path, "c.exr", blur=12)
    np.testing.assert_allclose(_stored(tmp_path / "c.exr")[1], -found, atol=2e-5)
    assert found.min() < 0


def test_windows_that_are_apart_or_huge_are_refused(tmp_path, capsys):
    _write(tmp_path / "a.exr", np.ones((4, 4, 3), np.float32), 100, 0)
    with pytest.raises(ValueError, match="data and display windows are apart"):
        read_image(tmp_path / "a.exr")
    _write(tmp_path / "b.exr", np.ones((4, 4, 3), np.float32), displayWindow=_window(0, 0, 60000, 60000))
    with pytest.raises(ValueError, match="60000×60000 pixels"):
        read_image(tmp_path / "b.exr")


def test_depth_of_the_images_own_file_is_found_without_being_named(tmp_path, capsys):
    rgb = np.random.default_rng(0).random((_HEIGHT, _WIDTH, 3)).astype(np.float32)
    _write(tmp_path / "a.exr", rgb)
    _render(tmp_path, "named.npy")
    words = ["render", f"{tmp_path}/a.exr", "--focus", "0", "--layers", "1", "--blur", "8", "-o", f"{tmp_path}/found.npy"]
    assert cli.main(words) == 0
    assert "depth from the image's own file" in capsys.readouterr().out
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), np.load(tmp_path / "named.npy"))
    planes = {name: np.ascontiguousarray(rgb[..., 0]) for name in "Y"}
    OpenEXR.File({"type": OpenEXR.scanlineimage}, planes, num_threads=0).write(str(tmp_path / "a.exr"))
    assert cli.main([*words, "--overwrite"]) == 2
    assert "holds no layer of depth" in capsys.readouterr().err


def test_an_attribute_that_is_no_number_is_refused(tmp_path):
    _write(tmp_path / "a.exr", np.ones((_HEIGHT, _WIDTH, 3), np.float32), chromaticities=_ACESCG)
    kind = b"chromaticities\0"
    content = (tmp_path / "a.exr").read_bytes()
    (tmp_path / "a.exr").write_bytes(content.replace(2 * kind, kind + b"chromaticitiez\0"))
    with pytest.raises(ValueError, match=r"a\.exr cannot be read"):
        read_image(tmp_path / "a.exr")
