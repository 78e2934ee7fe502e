"""How ``taichi-bokeh render`` has its files read and written: units of depth, white that is far, bits, EXIF."""

import imageio.v3 as iio
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
    iio.imwrite("millimetres.png", (metres * 1000).astype(np.uint16))
    iio.imwrite("far_is_white.png", (255 - 255 / metres).astype(np.uint8))
    iio.imwrite("near_is_white.png", (255 / metres).astype(np.uint8))
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


def write_cut_out(path):
    """The photograph, less its right third; in the pixels that are gone another colour."""
    rgb = read_image("photo.png").rgb
    alpha = np.ones((SIZE, SIZE), np.float32)
    alpha[:, 2 * SIZE // 3 :] = 0
    rgb[alpha == 0] = 0.9
    write_image(path, rgb, alpha)
    return alpha


@pytest.mark.parametrize("suffix", ["png", "exr", "tif", "npy"])
def test_a_cut_out_stays_transparent(folder, suffix):
    alpha = write_cut_out("cut.png")
    assert render("--disparity", "disparity.npy", photo="cut.png", out=f"out.{suffix}") is not None
    found = read_image(f"out.{suffix}").alpha
    assert found[:, : SIZE // 2 - 4].min() > 0.99
    assert found[:, -2:].max() < 0.01
    assert 0.2 < found[:, 2 * SIZE // 3 - 1].mean() < 0.9  # the rim is blurred
    assert not np.array_equal(found, alpha)


def test_where_nothing_is_blurred_a_cut_out_is_itself_but_for_pixels_at_edges_of_depth(folder):
    alpha = write_cut_out("cut.png")
    photo = read_image("cut.png").rgb
    render("--disparity", "disparity.npy", "--near-blur", "0", "--far-blur", "0", photo="cut.png", out="out.exr")
    result = read_image("out.exr")
    away = np.abs(np.arange(SIZE) - (SIZE - 1) / 2) > 2
    np.testing.assert_allclose(result.alpha[:, away], alpha[:, away], atol=1e-6)
    np.testing.assert_allclose(result.alpha, alpha, atol=0.1)
    kept = (alpha == 1) & away
    np.testing.assert_allclose(result.rgb[kept], photo[kept], atol=1e-5)


def test_a_cut_out_is_the_same_from_the_cache_and_opaque_if_asked_for(folder):
    write_cut_out("cut.png")
    for name in ("first.npy", "second.npy"):
        render("--disparity", "disparity.npy", "--cache", "kept", photo="cut.png", out=name)
    np.testing.assert_array_equal(np.load("first.npy"), np.load("second.npy"))
    assert np.load("first.npy").shape == (SIZE, SIZE, 4)
    assert render("--disparity", "disparity.npy", "--opaque", "--cache", "kept", photo="cut.png", out="opaque.jpg") is not None


def test_a_pull_through_a_cut_out_and_its_layers_are_transparent_too(folder):
    write_cut_out("cut.png")
    words = ("render", "cut.png", "--disparity", "disparity.npy", "--blur", "4", "--cells", "4", "--quiet")
    assert main([*words, "--focus", "0.3:1", "--frames", "2", "-o", "pull_%d.png"]) == 0
    assert all(read_image(f"pull_{number}.png").alpha.min() == 0 for number in (1, 2))
    assert main([*words, "--focus", "1", "-o", "one.png", "--save-layers", "layers"]) == 0
    assert read_image("layers/layer_1.png").alpha[:, -2:].max() < 0.01


@pytest.mark.parametrize("out", ["out.jpg", "out.pfm", "pull.mp4"])
def test_what_holds_no_transparency_is_refused_for_a_cut_out(folder, capsys, out):
    write_cut_out("cut.png")
    words = ("--focus", "0.3:1", "--frames", "2") if out == "pull.mp4" else ()
    assert main(["render", "cut.png", "--disparity", "disparity.npy", "--blur", "4", "--focus", "1", *words, "-o", out]) == 2
    assert f"cut.png is partly transparent, and {out} holds no transparency" in capsys.readouterr().err
    assert not (folder / out).exists()


@pytest.mark.parametrize("out", ["out.jpg", "pull.mp4"])
def test_it_is_refused_for_layers_from_the_cache_as_well(folder, capsys, out):
    write_cut_out("cut.png")
    words = ["render", "cut.png", "--disparity", "disparity.npy", "--blur", "4", "--cells", "4", "--cache", "kept", "--quiet"]
    assert main([*words, "--focus", "1", "-o", "out.png"]) == 0
    pull = ("--focus", "0.3:1", "--frames", "2") if out == "pull.mp4" else ("--focus", "1")
    assert main([*words, *pull, "-o", out]) == 2
    assert f"{out} holds no transparency" in capsys.readouterr().err
    assert not (folder / out).exists()


def test_the_preview_shows_a_cut_out_as_if_it_were_opaque(folder):
    write_cut_out("cut.png")
    (folder / "actions.json").write_text('[{"wait": 1}]', encoding="utf-8")
    words = ["preview", "cut.png", "--disparity", "disparity.npy", "--offscreen", "--script", "actions.json", "-o", "frames"]
    assert main(words) == 0


def test_a_photograph_that_is_not_there_at_all_is_refused(folder, capsys):
    write_image("nothing.png", np.zeros((SIZE, SIZE, 3), np.float32), np.zeros((SIZE, SIZE), np.float32))
    assert render("--disparity", "disparity.npy", photo="nothing.png", out="out.png") is None
    assert "nothing.png is transparent everywhere; --opaque" in capsys.readouterr().err
