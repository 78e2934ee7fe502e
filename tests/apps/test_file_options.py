"""How ``taichi-bokeh render`` has its files read and written: units of depth, white that is far, bits, EXIF."""

import numpy as np
import pytest
from PIL import Image

from taichi_bokeh.apps.cli import main
from taichi_bokeh.io import read_image, read_metadata, write_image

SIZE = 24


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rgb = np.random.default_rng(0).random((SIZE, SIZE, 3), np.float32)
    write_image("photo.png", rgb)
    metres = np.where(np.arange(SIZE) < SIZE // 2, 1.0, 4.0).astype(np.float32) * np.ones((SIZE, 1), np.float32)
    np.save("metres.npy", metres)
    np.save("disparity.npy", 1 / metres)
    Image.fromarray((metres * 1000).astype(np.uint16)).save("millimetres.png")
    Image.fromarray((255 - 255 / metres).astype(np.uint8)).save("far_is_white.png")
    Image.fromarray((255 / metres).astype(np.uint8)).save("near_is_white.png")
    return tmp_path


def render(*words, photo="photo.png", out="out.npy"):
    code = main(["render", photo, *words, "--blur", "4", "--focus", "1", "--cells", "4", "-o", out, "--overwrite", "--quiet"])
    return None if code else read_image(out).rgb


def test_depth_in_millimetres_is_that_in_metres(folder):
    by_metres = render("--disparity", "metres.npy", "--depth")
    np.testing.assert_array_equal(by_metres, render("--disparity", "disparity.npy"))
    by_millimetres = render("--disparity", "millimetres.png", "--depth", "--depth-unit", "mm")
    np.testing.assert_allclose(by_millimetres, by_metres, atol=1e-5)


def test_white_may_be_far(folder):
    inverted = render("--disparity", "far_is_white.png", "--invert-disparity")
    np.testing.assert_allclose(inverted, render("--disparity", "near_is_white.png"), atol=0.02)
    assert np.abs(inverted - render("--disparity", "far_is_white.png")).max() > 0.05


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--disparity", "metres.npy", "--depth-unit", "m"), "--depth-unit is of a depth file: it needs --depth"),
        (("--disparity", "metres.npy", "--depth", "--invert-disparity"), "does not go with --depth"),
        (("--depth-model", "a:b", "--invert-disparity"), "it needs --disparity"),
    ],
)
def test_what_does_not_fit_is_refused(folder, capsys, words, message):
    assert render(*words) is None
    assert message in capsys.readouterr().err
    assert not (folder / "out.npy").exists()


def test_openexr_as_half_and_as_float(folder):
    exact = render("--disparity", "disparity.npy")
    np.testing.assert_array_equal(render("--disparity", "disparity.npy", out="out.exr"), exact)
    half = render("--disparity", "disparity.npy", "--bits", "16", out="half.exr")
    np.testing.assert_array_equal(half, exact.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_goes_along(folder, suffix):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = 1
    Image.open("photo.png").convert("RGB").save("photo.jpg", exif=exif)
    assert render("--disparity", "disparity.npy", photo="photo.jpg", out=f"out.{suffix}") is not None
    found = Image.Exif()
    found.load(read_metadata(f"out.{suffix}").exif)
    assert found[0x010F] == "Maker"
    assert render("--disparity", "disparity.npy", photo="photo.jpg", out="out.exr") is not None  # which has no place for it
