"""Where scenes take their pictures from: what comes with scikit-image, and the user's folders."""

import socket

import imageio.v3 as iio
import numpy as np
import pytest

from taichi_bokeh.io import write_image
from taichi_bokeh.synthetic.cutouts import Cutout, fit_to_frame, resize
from taichi_bokeh.synthetic.mattes import KINDS
from taichi_bokeh.synthetic.pictures import Pictures

SIZE = (40, 56)


def rng(seed=0):
    return np.random.default_rng(seed)


def disc(size, centre, radius, ramp_px=1.0):
    rows, columns = np.indices(size) + 0.5
    distance = np.hypot(rows - centre[0], columns - centre[1])
    return np.clip((radius - distance) / ramp_px + 0.5, 0, 1).astype(np.float32)


def write_grey(path, plane):
    iio.imwrite(path, (plane * 255 + 0.5).astype(np.uint8))


def plain(size, colour):
    return np.broadcast_to(np.array(colour, np.float32), (*size, 3)).copy()


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_network")
def test_the_default_pictures_need_no_network():
    pictures, seen = Pictures(), []
    for seed in range(6):
        background = pictures.background(SIZE, rng(seed), avoid=seen)
        seen.append(background.source)
        assert background.rgb.shape == (*SIZE, 3)
        assert background.rgb.dtype == np.float32
        assert background.rgb.min() >= 0
        assert background.rgb.max() <= 1
        assert background.rgb.std() > 0.01
    assert len(set(seen)) == 6  # all six
    assert pictures.background(SIZE, rng(), avoid=seen).source in seen  # there are no others


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("kind", KINDS)
def test_a_default_foreground_is_a_texture_under_a_matte_of_the_kind(kind):
    pictures, seen = Pictures(), []
    while True:
        foreground = pictures.foreground(kind, SIZE, rng(len(seen)), avoid=seen)
        if foreground.source in seen:
            break
        seen.append(foreground.source)
        assert foreground.kind == kind
        assert foreground.rgb.shape == (*SIZE, 3)
        assert foreground.alpha.shape == SIZE
        assert foreground.rgb.dtype == foreground.alpha.dtype == np.float32
        assert foreground.rgb.min() >= 0
        assert 0.05 < foreground.rgb.max() <= 1
        assert foreground.rgb[foreground.alpha == 0].max() > 0.02  # its colours go on outside
    assert len(seen) >= 3


def test_a_choice_depends_on_the_generator_alone():
    fresh, used = Pictures(), Pictures()
    used.background(SIZE, rng(9))
    for a, b in ((fresh, used), (used, Pictures())):
        first, second = a.background(SIZE, rng(1)), b.background(SIZE, rng(1))
        assert first.source == second.source
        np.testing.assert_array_equal(first.rgb, second.rgb)


def test_backgrounds_of_a_folder_are_found_at_any_depth_and_decoded_to_linear_light(tmp_path):
    (tmp_path / "b" / "c").mkdir(parents=True)
    for name, value in (("a.png", 0.2), ("b/c/d.tif", 0.4), ("b/e.npy", 3.0)):
        write_image(tmp_path / name, plain((60, 70), value), bits=16 if name == "a.png" else 8)
    (tmp_path / "notes.txt").write_text("no picture")
    pictures, seen = Pictures(backgrounds=tmp_path), {}
    for seed in range(3):
        background = pictures.background(SIZE, rng(seed), avoid=seen)
        seen[background.source] = background.rgb
    assert sorted(seen) == ["a.png", "b/c/d.tif", "b/e.npy"]
    for name, value in (("a.png", 0.2), ("b/c/d.tif", 0.4), ("b/e.npy", 3.0)):
        np.testing.assert_allclose(seen[name], value, rtol=1e-4)


def test_a_crop_keeps_the_shape_of_what_it_shows(tmp_path):
    rows, columns = np.indices((300, 400), np.float32)
    np.save(tmp_path / "ramp.npy", np.stack([rows, columns, 0 * rows + 7], axis=2))
    pictures = Pictures(backgrounds=tmp_path)
    flips = set()
    for seed in range(8):
        rgb = pictures.background(SIZE, rng(seed)).rgb[2:-2, 2:-2]
        down, right = np.diff(rgb[..., 0], axis=0), np.diff(rgb[..., 1], axis=1)
        scale = down.mean()
        assert 0.6 * 400 / 56 <= scale <= 400 / 56 + 1e-3  # all of its width, or down to 60 %
        np.testing.assert_allclose(down, scale, rtol=0.02)
        np.testing.assert_allclose(np.abs(right), scale, rtol=0.02)
        flips.add(bool(right[0, 0] > 0))
    assert flips == {True, False}


def test_resampling_averages_what_it_cannot_show():
    checks = (np.indices((128, 128)).sum(axis=0) % 2).astype(np.float32)
    assert np.abs(resize(checks, (32, 32))[4:-4, 4:-4] - 0.5).max() < 0.01


def test_enlarging_stays_within_the_picture_s_range():
    step = np.zeros((8, 8), np.float32)
    step[:, 4:] = 5
    enlarged = resize(step, (40, 40))
    assert enlarged.min() == 0
    assert enlarged.max() == 5


def test_a_picture_with_alpha_keeps_its_straight_colour_and_has_it_outside_too(tmp_path):
    alpha = disc((80, 80), (40, 40), 20, ramp_px=6)
    rgb = np.where(alpha[..., None] > 0, plain((80, 80), (0.8, 0.3, 0.1)), 0).astype(np.float32)  # black where unseen
    write_image(tmp_path / "disc.png", rgb, alpha, bits=16)
    foreground = Pictures(foregrounds=tmp_path).foreground("hair", SIZE, rng())
    assert foreground.kind == "picture"
    assert foreground.source == "disc.png"
    assert foreground.alpha.max() > 0.99
    np.testing.assert_allclose(foreground.rgb, plain(SIZE, (0.8, 0.3, 0.1)), atol=0.02)


@pytest.mark.parametrize(("images", "mattes"), [("original", "mask"), ("fg", "alpha"), ("image", "matte"), ("images", "alpha")])
def test_the_colour_of_soft_pixels_is_freed_of_the_background(tmp_path, images, mattes):
    alpha = disc((80, 90), (40, 45), 25, ramp_px=16)
    red, green = plain(alpha.shape, (0.7, 0.05, 0.1)), plain(alpha.shape, (0.0, 0.9, 0.0))
    (tmp_path / images).mkdir()
    (tmp_path / mattes).mkdir()
    write_image(tmp_path / images / "o_1.png", alpha[..., None] * red + (1 - alpha[..., None]) * green, bits=16)
    write_grey(tmp_path / mattes / "o_1.png", alpha)
    foreground = Pictures(foregrounds=tmp_path).foreground("hair", SIZE, rng())
    soft = (foreground.alpha > 0.02) & (foreground.alpha < 0.9)
    assert soft.sum() > 100
    assert np.abs(foreground.rgb - plain(SIZE, (0.7, 0.05, 0.1))).max() < 0.05  # the solid part itself is 5 % green at most


def test_a_matte_that_is_nowhere_solid_still_has_colours():
    alpha = disc((50, 50), (25, 25), 15) * np.float32(0.4)
    rgb, matte = fit_to_frame(Cutout(plain((50, 50), 0.6), alpha, is_mixed=True), SIZE, rng())
    np.testing.assert_allclose(rgb, 0.6, rtol=1e-4)
    assert 0.35 < matte.max() < 0.45


def test_a_portrait_stands_on_the_lower_edge_of_the_frame():
    alpha = np.zeros((100, 80), np.float32)
    alpha[30:, 25:60] = 1  # cut off below
    for seed in range(10):
        _, matte = fit_to_frame(Cutout(plain(alpha.shape, 0.5), alpha, is_mixed=False), SIZE, rng(seed))
        assert matte[-1].max() > 0.99
        assert matte[0].max() < 0.01


def test_what_its_picture_cuts_off_on_both_sides_reaches_from_side_to_side():
    alpha = np.zeros((60, 80), np.float32)
    alpha[20:40] = 1
    for seed in range(10):
        _, matte = fit_to_frame(Cutout(plain(alpha.shape, 0.5), alpha, is_mixed=False), SIZE, rng(seed))
        assert (matte.max(axis=0) > 0.99).all()


def test_a_whole_object_stays_mostly_in_the_frame():
    alpha = disc((90, 90), (45, 45), 30)
    covers = []
    for seed in range(20):
        _, matte = fit_to_frame(Cutout(plain(alpha.shape, 0.5), alpha, is_mixed=False), SIZE, rng(seed))
        covers.append(matte.sum() / (np.pi * 20**2))  # against a disc as high as the frame
    assert 0.35 < min(covers) < max(covers) < 1.2
    assert max(covers) - min(covers) > 0.3


def _mate_missing(folder):
    for name in ("original", "mask"):
        (folder / name).mkdir()
    write_grey(folder / "original" / "a.png", np.ones((4, 4)))
    write_grey(folder / "original" / "b.png", np.ones((4, 4)))
    write_grey(folder / "mask" / "a.png", np.ones((4, 4)))


def _image_missing(folder):
    _mate_missing(folder)
    (folder / "original" / "b.png").rename(folder / "mask" / "c.png")


def _folder_missing(folder):
    (folder / "mask").mkdir()


def _same_name_twice(folder):
    _mate_missing(folder)
    (folder / "original" / "b.png").rename(folder / "original" / "a.jpg")


def _empty_mattes(folder):
    _mate_missing(folder)
    (folder / "mask" / "a.png").unlink()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "holds no image"),
        (_mate_missing, "b.png, but no image named b in .*mask"),
        (_image_missing, "c.png, but no image named c in .*original"),
        (_folder_missing, "no folder original or fg"),
        (_same_name_twice, "a.png and a.jpg|a.jpg and a.png"),
        (_empty_mattes, "mask holds no image"),
    ],
)
def test_a_wrong_folder_of_foregrounds_is_refused_at_once(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(ValueError, match=message):
        Pictures(foregrounds=tmp_path)


@pytest.mark.parametrize("argument", ["foregrounds", "backgrounds"])
def test_a_folder_that_does_not_exist_is_refused(tmp_path, argument):
    with pytest.raises(ValueError, match=f"{argument} is .*nowhere; expected a folder of images"):
        Pictures(**{argument: tmp_path / "nowhere"})


def test_an_empty_folder_of_backgrounds_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"backgrounds: .* holds no image"):
        Pictures(backgrounds=tmp_path)


def test_a_foreground_without_alpha_is_refused(tmp_path):
    write_image(tmp_path / "a.png", plain((9, 9), 0.5))
    with pytest.raises(ValueError, match=r"a\.png has no alpha"):
        Pictures(foregrounds=tmp_path).foreground("hair", SIZE, rng())


def test_an_image_and_a_matte_of_different_sizes_are_refused(tmp_path):
    for name, size in (("original", (9, 12)), ("mask", (9, 13))):
        (tmp_path / name).mkdir()
        write_grey(tmp_path / name / "a.png", np.ones(size))
    with pytest.raises(ValueError, match=r"mask.a\.png is 13×9 pixels; expected 12×9"):
        Pictures(foregrounds=tmp_path).foreground("hair", SIZE, rng())


def test_an_empty_matte_is_refused(tmp_path):
    write_image(tmp_path / "a.png", plain((9, 9), 0.5), np.zeros((9, 9), np.float32))
    with pytest.raises(ValueError, match=r"a\.png is empty"):
        Pictures(foregrounds=tmp_path).foreground("hair", SIZE, rng())
