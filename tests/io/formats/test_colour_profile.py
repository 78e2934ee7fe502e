"""A colour profile is obeyed: converted in images of 8 and 16 bits, refused where it cannot be, ignored in maps."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from PIL import ImageCms

from taichi_bokeh.io import read_disparity, read_image, srgb_decode, srgb_encode
from taichi_bokeh.io.formats import png
from tests.io.formats.icc import ADOBE_COLORANTS, SRGB_COLORANTS, cmyk_profile, grey_profile, rgb_profile

BUILT_IN = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ADOBE = rgb_profile(ADOBE_COLORANTS, 2.2, "Adobe-like")


@pytest.fixture
def levels() -> np.ndarray:
    """Colours that Adobe RGB and sRGB both hold."""
    return np.random.default_rng(0).integers(60, 200, (8, 9, 3)).astype(np.uint8)


def _in_srgb(levels: np.ndarray, colorants: tuple, gamma: float) -> np.ndarray:
    """By hand: to light, to XYZ, to the light of sRGB."""
    to_xyz, from_xyz = np.array(colorants).T, np.linalg.inv(np.array(SRGB_COLORANTS).T)
    return np.clip((levels / 255) ** gamma @ (from_xyz @ to_xyz).T, 0, 1)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_an_8_bit_image_in_adobe_rgb_is_converted(tmp_path, levels, name):
    PillowImage.fromarray(levels).save(tmp_path / name, icc_profile=ADOBE, lossless=True)
    rgb = read_image(tmp_path / name).rgb
    np.testing.assert_allclose(srgb_encode(rgb), srgb_encode(_in_srgb(levels, ADOBE_COLORANTS, 2.2)), atol=1.6 / 255)
    assert np.abs(rgb - srgb_decode(levels / 255)).max() > 0.03


def test_alpha_is_not_converted(tmp_path, levels):
    alpha = np.arange(72, dtype=np.uint8).reshape(8, 9)
    PillowImage.fromarray(np.dstack([levels, alpha])).save(tmp_path / "a.png", icc_profile=ADOBE)
    image = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image.alpha, (alpha / np.float32(255)).astype(np.float32))
    np.testing.assert_allclose(image.rgb, _in_srgb(levels, ADOBE_COLORANTS, 2.2), atol=0.01)


@pytest.mark.parametrize("profile", [BUILT_IN, rgb_profile(ADOBE_COLORANTS, 2.2)], ids=["sRGB", "Adobe"])
def test_grey_may_have_a_profile_for_rgb(tmp_path, profile):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    PillowImage.fromarray(grey).save(tmp_path / "a.png", icc_profile=profile)
    expected = srgb_decode(grey / 255) if profile is BUILT_IN else (grey / 255) ** 2.2
    np.testing.assert_allclose(read_image(tmp_path / "a.png").rgb, np.dstack([expected] * 3), atol=0.01)


def test_grey_with_a_curve_is_converted(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    PillowImage.fromarray(grey).save(tmp_path / "a.png", icc_profile=grey_profile(1.0))
    np.testing.assert_allclose(read_image(tmp_path / "a.png").rgb[..., 1], grey / 255, atol=0.006)
    np.testing.assert_array_equal(read_disparity(tmp_path / "a.png"), (grey / np.float32(255)).astype(np.float32))


def test_srgb_by_any_profile_changes_no_bit(tmp_path, levels):
    PillowImage.fromarray(levels).save(tmp_path / "plain.png")
    PillowImage.fromarray(levels).save(tmp_path / "a.png", icc_profile=BUILT_IN)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").rgb, read_image(tmp_path / "plain.png").rgb)


def _inks() -> np.ndarray:
    """L*, a*, b* of the mixtures of full inks: each takes its part of the light, black nearly all."""
    lab = np.zeros((2, 2, 2, 2, 3))
    for cyan, magenta, yellow, black in np.ndindex(2, 2, 2, 2):
        light = (100 - 25 * (cyan + magenta) - 8 * yellow) * (0.05 if black else 1)
        lab[cyan, magenta, yellow, black] = light, 30 * (magenta - cyan) * (not black), 40 * (yellow - cyan) * (not black)
    return lab


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_inks_with_a_profile_are_converted(tmp_path, name):
    inks = PillowImage.new("CMYK", (16, 16))
    inks.paste((0, 0, 0, 255), (8, 0, 16, 16))
    inks.save(tmp_path / name, icc_profile=cmyk_profile(_inks()))
    rgb = read_image(tmp_path / name).rgb
    assert rgb[:, :7].min() > 0.95, "paper"
    assert rgb[:, 9:].max() < 0.05, "black"
    yellow = PillowImage.new("CMYK", (16, 16), (0, 0, 255, 0))
    yellow.save(tmp_path / f"yellow_{name}", icc_profile=cmyk_profile(_inks()))
    red, green, blue = read_image(tmp_path / f"yellow_{name}").rgb[8, 8]
    assert min(red, green) > 1.5 * blue


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_inks_without_one_are_refused(tmp_path, name):
    PillowImage.new("CMYK", (4, 4)).save(tmp_path / name)
    with pytest.raises(ValueError, match="CMYK without a colour profile"):
        read_image(tmp_path / name)


def _tiff(path: Path, values: np.ndarray, profile: bytes) -> None:
    tifffile.imwrite(path, values, photometric="rgb", extratags=[(34675, 7, None, profile, True)])


def test_16_bits_are_converted_without_going_through_8(tmp_path):
    levels = np.linspace(15_000, 52_000, 3 * 700).astype(np.uint16).reshape(7, 100, 3)
    _tiff(tmp_path / "a.tif", levels, ADOBE)
    rgb = read_image(tmp_path / "a.tif").rgb
    np.testing.assert_allclose(srgb_encode(rgb), srgb_encode(_in_srgb(levels / 257, ADOBE_COLORANTS, 2.2)), atol=0.3 / 255)


def test_16_bits_of_srgb_stay_as_they_are(tmp_path, levels):
    _tiff(tmp_path / "b.tif", levels.astype(np.uint16) * 257, BUILT_IN)
    np.testing.assert_allclose(read_image(tmp_path / "b.tif").rgb, srgb_decode(levels / 255), atol=1e-6)


def test_a_16_bit_png_in_other_colours_is_converted(tmp_path, levels):
    PillowImage.fromarray(levels).save(tmp_path / "8.png", icc_profile=ADOBE)
    content = (tmp_path / "8.png").read_bytes()
    start = content.index(b"iCCP") - 4
    chunk = content[start : content.index(b"IDAT") - 4]
    deep = png.encode(levels.astype(np.uint16) * 257)
    data = deep.index(b"sRGB") - 4
    (tmp_path / "a.png").write_bytes(deep[:data] + chunk + deep[data + 13 :])
    np.testing.assert_allclose(read_image(tmp_path / "a.png").rgb, _in_srgb(levels, ADOBE_COLORANTS, 2.2), atol=2e-3)


def test_floats_are_linear_and_must_have_the_primaries_of_srgb(tmp_path, levels):
    floats = levels.astype(np.float32) / 255
    _tiff(tmp_path / "a.tif", floats, rgb_profile(SRGB_COLORANTS, 1.0))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").rgb, floats)
    _tiff(tmp_path / "b.tif", floats, rgb_profile(ADOBE_COLORANTS, 1.0, "wide"))
    with pytest.raises(ValueError, match=r"b\.tif cannot be read: its colours are those of 'wide'; floats"):
        read_image(tmp_path / "b.tif")


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (b"no profile at all", "damaged"),
        (ADOBE[:200], "damaged|cannot be used"),
        (grey_profile(2.2), "its colours are RGB, and its colour profile is for grey"),
        (cmyk_profile(_inks()), "its colours are RGB, and its colour profile is for CMYK"),
    ],
)
def test_a_profile_that_is_damaged_or_for_other_colours_is_refused(tmp_path, levels, profile, message):
    PillowImage.fromarray(levels).save(tmp_path / "a.png", icc_profile=profile)
    with pytest.raises(ValueError, match=message) as caught:
        read_image(tmp_path / "a.png")
    assert "a.png" in str(caught.value)
