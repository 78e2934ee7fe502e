"""Pulls go from one lens to another, each picture as ``render`` makes it; sequences come in and go out as folders or videos."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from taichi_bokeh.apps import cli
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.options.requests import Ramp
from taichi_bokeh.apps.photo import layer_cache
from taichi_bokeh.apps.photo.scene import Photo
from taichi_bokeh.apps.photo.sequence_cuts import choose_for_all
from taichi_bokeh.apps.sequence import series
from taichi_bokeh.apps.sequence.footage import natural_order, numbers_of
from taichi_bokeh.apps.sequence.series import eased, lens_at
from taichi_bokeh.io import read_image, srgb_decode, srgb_encode, video, write_image
from taichi_bokeh.io.video import read_video, video_writer
from taichi_bokeh.optics.aperture import Aperture
from tests.apps.small_scene import HEIGHT, WIDTH, picture, square_before_grid, words, write_scene

TOPS = (4, 7, 10)  # rows where the square of each picture of the sequence starts


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path)


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    """Folders ``in`` and ``disparities`` with three pictures of a falling square, in disparities of 16 bits."""
    for name in ("in", "disparities"):
        (tmp_path / name).mkdir()
    for number, top in zip((1, 2, 10), TOPS, strict=True):
        rgb, disparity = square_before_grid(top)
        write_image(tmp_path / "in" / f"f{number}.png", rgb)
        write_image(tmp_path / "disparities" / f"f{number}.png", srgb_decode(np.repeat(disparity[..., None], 3, 2)), bits=16)
    return tmp_path


def _write_video(path: Path, pictures: Iterable[np.ndarray], rate: int = 25) -> None:
    with video_writer(path, Fraction(rate), overwrite=False) as append:
        for one in pictures:
            append(one)


def _frames(folder: Path, pattern: str = "out_*.npy") -> list[np.ndarray]:
    return [np.load(path) for path in sorted(folder.glob(pattern))]


def test_each_picture_of_a_pull_is_what_render_makes_of_it(scene):
    assert cli.main(words(scene, focus="0.2:0.8", blur="4:10", frames=3, ease="linear", output="out_%02d.npy")) == 0
    found = _frames(scene)
    singles = [picture(scene, focus=focus, blur=blur) for focus, blur in ((0.2, 4), (0.5, 7), (0.8, 10))]
    assert len(found) == 3
    for one, single in zip(found, singles, strict=True):
        np.testing.assert_allclose(one, single, atol=1e-5)


def test_layers_are_made_once(scene, monkeypatch):
    calls = []
    split_photo = layer_cache.split_photo
    monkeypatch.setattr(layer_cache, "split_photo", lambda *given: calls.append(1) or split_photo(*given))
    assert cli.main(words(scene, focus=None, focus_at="24,18:24,34", frames=4, output="out_%d.npy")) == 0
    assert len(calls) == 1


def test_a_smooth_pull_starts_and_ends_slowly():
    parts = np.linspace(0, 1, 101)
    smooth = np.array([eased(part, None) for part in parts])
    np.testing.assert_array_equal([eased(part, "linear") for part in parts], parts)
    assert smooth[0] == 0
    assert smooth[-1] == 1
    steps = np.diff(smooth)
    assert steps.min() > 0
    assert steps[0] < 0.1 * steps[50]
    np.testing.assert_allclose(steps, steps[::-1], atol=1e-12)


def test_a_cameras_pull_is_even_in_disparity_and_in_the_width_of_the_opening():
    request = LensRequest(f_number=Ramp(2.0, 8.0), focal_length=50, sensor_width=36)
    lenses = [lens_at(request, Aperture(), Ramp(0.5, 1.0), WIDTH, t) for t in (0, 0.5, 1)]
    assert [lens.focus for lens in lenses] == pytest.approx([0.5, 0.75, 1])
    widths = [lens.blur * (1 - 0.05 * lens.focus) for lens in lenses]  # blur = (L/2)·f/(p·(1 − f/z_f))
    assert widths[0] == pytest.approx(4 * widths[2])
    assert widths[1] == pytest.approx((widths[0] + widths[2]) / 2)


def test_auto_cells_are_the_same_in_all_pictures(scene, monkeypatch):
    found = []
    render_layers = series.render_layers
    monkeypatch.setattr(
        series, "render_layers", lambda *given, **more: found.append(given[2].cells) or render_layers(*given, **more)
    )
    assert cli.main(words(scene, blur="0:10", cells="auto", frames=3, output="out_%d.npy")) == 0
    assert len(set(found)) == 1
    assert found[0] > 4


def test_a_pull_is_a_video_of_even_size_in_the_colours_of_the_pictures(scene):
    for name in ("photo", "disparity"):
        path = scene / f"{name}.npy"
        array = np.load(path) if name == "disparity" else read_image(scene / "photo.png").rgb
        np.save(path, array[:35, :47])
    given = {"photo": "photo.npy", "focus": "0.2:0.8", "frames": 3, "blur": 3}
    assert cli.main(words(scene, **given, fps="30000/1001", output="pull.mp4")) == 0
    assert cli.main(words(scene, **given, output="out_%d.npy")) == 0
    found = list(read_video(scene / "pull.mp4"))
    assert [frame.shape for frame in found] == [(36, 48, 3)] * 3
    for frame, linear in zip(found, _frames(scene), strict=True):
        difference = frame[:35, :47] / 255 - srgb_encode(np.clip(linear, 0, 1))
        assert abs(difference.mean()) < 0.01
        assert np.abs(difference).mean() < 0.04  # 4:2:0 and x264, on a picture of grids
    with av.open(str(scene / "pull.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(30000, 1001)
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.codec_context.colorspace == 1


def test_a_folder_of_pictures_is_rendered_one_by_one_in_the_order_of_their_numbers(sequence):
    given = {"photo": "in", "disparity": "disparities", "far_blur": 0.5}
    assert cli.main(words(sequence, **given, focus="0.8:0.2", ease="linear", output="out_%d.npy")) == 0
    found = _frames(sequence)
    assert len(found) == 3
    for one, number, focus in zip(found, (1, 2, 10), (0.8, 0.5, 0.2), strict=True):
        single = picture(
            sequence, **given | {"photo": f"in/f{number}.png", "disparity": f"disparities/f{number}.png"}, focus=focus
        )
        np.testing.assert_allclose(one, single, atol=0.02)


def test_the_focus_of_a_sequence_is_looked_up_once(sequence, capsys):
    """The square falls out of the pixel, which a lookup in every picture would have followed."""
    given = {"photo": "in", "disparity": "disparities", "focus": None, "quiet": False}
    assert cli.main(words(sequence, **given, focus_at="24,5", output="a_%d.npy")) == 0
    assert "images: 3, in focus: disparity 0.8 to 0.8" in capsys.readouterr().out
    assert cli.main(words(sequence, **given, focus_at="24,5:24,5", output="b_%d.npy")) == 0
    assert "images: 3, in focus: disparity 0.8 to 0.2" in capsys.readouterr().out


def test_all_pictures_of_a_sequence_are_cut_where_the_first_of_them_needs_it_too():
    """A scene whose near object leaves: alone, the last picture would be cut between other surfaces."""
    request = PhotoRequest(Path("in"), layers=2)
    rgb = np.full((HEIGHT, WIDTH, 3), 0.2, np.float32)
    _, with_square = square_before_grid()
    without = np.where(with_square > 0.7, 0.2, with_square).astype(np.float32)
    photos = [Photo(rgb, disparity, None) for disparity in (with_square, with_square, without)]
    (together,) = choose_for_all(photos, request)
    (last_alone,) = choose_for_all(photos[-1:], request)
    assert 0.2 < last_alone < 0.5
    assert 0.2 < together < 0.8
    assert choose_for_all(photos, replace(request, layers=1)) == ()


def test_every_picture_gets_the_cuts_of_the_sequence(sequence, monkeypatch):
    seen = []
    split_photo = layer_cache.split_photo
    monkeypatch.setattr(layer_cache, "split_photo", lambda *given: seen.append(given[1].cuts) or split_photo(*given))
    assert cli.main(words(sequence, photo="in", disparity="disparities", output="out_%d.npy")) == 0
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert seen[0]


def test_video_and_folder_give_nearly_the_same(sequence):
    scenes = [square_before_grid(top) for top in TOPS]
    _write_video(sequence / "in.mp4", [rgb for rgb, _ in scenes], rate=10)
    _write_video(sequence / "disparity.mp4", [srgb_decode(np.repeat(disparity[..., None], 3, 2)) for _, disparity in scenes])
    given = {"blur": 3, "layers": 2}
    assert cli.main(words(sequence, photo="in", disparity="disparities", output="a_%d.npy", **given)) == 0
    assert cli.main(words(sequence, photo="in.mp4", disparity="disparity.mp4", output="b_%d.npy", **given)) == 0
    for one, other in zip(_frames(sequence, "a_*.npy"), _frames(sequence, "b_*.npy"), strict=True):
        assert np.abs(one - other).mean() < 0.03
    assert cli.main(words(sequence, photo="in.mp4", disparity="disparities", output="out.mp4", **given)) == 0
    assert video.timing_of(sequence / "out.mp4").rate == 10


def test_a_video_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        _write_video(tmp_path / "out.mp4", (number / number * square_before_grid()[0] for number in (2, 1, 0)))
    with pytest.raises(ValueError, match="of one size"):
        _write_video(tmp_path / "out.mp4", [np.zeros((8, 8, 3), np.float32), np.zeros((8, 10, 3), np.float32)])
    assert list(tmp_path.iterdir()) == []


def test_names_are_sorted_by_their_numbers():
    names = ["f10.png", "f2.png", "a.png", "f2b.png"]
    assert [path.name for path in sorted(map(Path, names), key=natural_order)] == ["a.png", "f2.png", "f2b.png", "f10.png"]


def _stems(*stems: str) -> list[Path]:
    return [Path("in") / f"{stem}.png" for stem in stems]


@pytest.mark.parametrize(
    ("stems", "how", "numbers"),
    [
        (("f_0101", "f_0102", "f_0103"), None, [101, 102, 103]),
        (("f_0101", "f_0103"), None, [101, 103]),  # padded: frame numbers, of which one is missing
        (("f_9", "f_10"), None, [9, 10]),
        (("000", "001"), None, [0, 1]),
        (("a2_0007_left", "a2_0008_left"), None, [7, 8]),
        (("f_1", "f_2", "f_10"), None, [1, 2, 3]),
        (("f_1", "g_2"), None, [1, 2]),
        (("f_01", "f_1"), None, [1, 2]),
        (("one", "two"), None, [1, 2]),
        (("f_7",), None, [7]),
        (("f_1", "f_2", "f_10"), "keep", [1, 2, 10]),
        (("f_0101", "f_0102"), "count", [1, 2]),
    ],
)
def test_the_numbers_of_frames_are_kept(stems, how, numbers):
    assert list(numbers_of(_stems(*stems), how)) == numbers


def test_numbers_that_do_not_tell_pictures_apart_cannot_be_kept():
    for stems in (("one", "two"), ("f_01", "f_1"), ("a_1", "b_2")):
        with pytest.raises(ValueError, match="--frame-numbers keep: the images in in do not differ in one number"):
            numbers_of(_stems(*stems), "keep")


def test_frames_go_out_under_the_numbers_they_came_with(sequence, capsys):
    for folder, suffix in (("in", ".png"), ("disparities", ".png")):
        for old, new in (("f1", "f_0101"), ("f2", "f_0102"), ("f10", "f_0104")):
            (sequence / folder / f"{old}{suffix}").rename(sequence / folder / f"{new}{suffix}")
    (sequence / "in" / "Thumbs.db").write_bytes(b"beside")
    (sequence / "in" / "._f_0101.png").write_bytes(b"beside")
    (sequence / "disparities" / "f_0101.json").write_bytes(b"{}")
    given = {"photo": "in", "disparity": "disparities", "cells": 1}
    assert cli.main(words(sequence, **given, output="out_%04d.npy", quiet=False)) == 0
    assert sorted(path.name for path in sequence.glob("out_*")) == ["out_0101.npy", "out_0102.npy", "out_0104.npy"]
    assert "3 images, from number 101 on" in capsys.readouterr().out
    assert cli.main(words(sequence, **given, output="out_%04d.npy", frame_numbers="count")) == 0
    assert len(list(sequence.glob("out_*"))) == 6
    assert cli.main(words(sequence, **given, output="out_%04d.npy")) == 2
    assert "out_0101.npy exists already" in capsys.readouterr().err


@pytest.mark.parametrize("output", ["out.mp4", "out_%d.png"])
@pytest.mark.parametrize("odd", ["f1", "f2", "f10"])
def test_a_picture_of_another_size_is_named_and_no_video_left(sequence, capsys, output, odd):
    for folder in ("in", "disparities"):
        rgb, disparity = square_before_grid()
        values = rgb if folder == "in" else srgb_decode(np.repeat(disparity[..., None], 3, 2))
        write_image(sequence / folder / f"{odd}.png", values[:-4], overwrite=True)
    assert cli.main(words(sequence, photo="in", disparity="disparities", cells=1, output=output)) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert f"{WIDTH}×{HEIGHT - 4}" in printed
    assert "a sequence has one size" in printed
    assert not list(sequence.glob("out*")) + list(sequence.glob(".*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"focus": "0.2:0.8"}, "--focus goes from A to B: give --frames N"),
        ({"focus": "0.2:0.8", "frames": 1}, "from 2 up"),
        ({"focus": "0.2:0.8", "frames": 3, "output": "out.png"}, "must be a video (pull.mp4) or a pattern"),
        ({"focus": "0.2:0.8", "frames": 3, "output": "out.avi"}, "videos are written as .mp4"),
        ({"focus": "0.2:0.8", "frames": 3, "output": "out_%d.gif"}, "suffix"),
        ({"focus": "0.2:0.8", "frames": 3, "bits": 16}, "a video has 8 bits"),
        ({"focus": "0.2:0.8", "frames": 3, "output": "there_%d.npy"}, "there_2.npy exists"),
        ({"focus": "0.2:0.8", "frames": 3, "show_focus": "focus.png"}, "--show-focus is for one image"),
        ({"focus": "0.2:0.8", "frames": 3, "save_layers": "parts"}, "--save-layers is for one image"),
        ({"focus": "0.2:near", "frames": 3}, "'near' is not a number"),
        ({"focus": None, "focus_at": "1,1:99,1", "frames": 3}, "--focus-at 99,1 lies outside"),
        ({"frames": 3}, "nothing moves"),
        ({"focus": "0.2:0.8", "frames": 3, "fps": 24, "output": "out_%d.npy"}, "--fps is for a video"),
        ({"focus": "0.2:0.8", "frames": 3, "frame_numbers": "keep", "output": "out_%d.npy"}, "--frame-numbers is for a folder"),
        ({"frame_numbers": "keep", "output": "out.npy"}, "--frame-numbers is for several images"),
        ({"focus": "0.2:0.8", "frames": 3, "fps": "0"}, "is not a frame rate"),
        ({"photo": "in", "disparity": "disparities", "frames": 3}, "has as many images as it has"),
        ({"photo": "in", "disparity": "disparities", "cells": "auto"}, "--cells auto is for one photograph"),
        ({"photo": "in", "disparity": "disparities", "ease": "linear"}, "--ease is for A:B"),
        ({"photo": "in", "disparity": "disparity.npy"}, "is one file, and must be a folder, a video or a stack of maps"),
        ({"photo": "in", "disparity": "missing"}, "missing does not exist"),
        ({"photo": "in", "disparity": "fewer"}, "fewer holds nothing for f1.png"),
        ({"photo": "in", "disparity": "twice"}, "twice holds f1.npy and f1.png for f1.png"),
        ({"photo": "empty", "disparity": "disparities"}, "empty holds no images"),
        ({"photo": "in", "disparity": None, "depth_model": "module:function"}, "would flicker"),
        ({"photo": "in", "disparity": "broken.mp4"}, "broken.mp4 cannot be read"),
        ({"photo": "in", "disparity": "short.mp4"}, "short.mp4 has 1 images, and must have 3"),
        ({"photo": "in", "disparity": "coloured.mp4"}, "it has colours, and must have one number a pixel"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(sequence, capsys, options, message):
    write_scene(sequence)
    for folder in ("fewer", "twice", "empty"):
        (sequence / folder).mkdir()
    np.save(sequence / "fewer" / "f2.npy", np.ones(3))
    (sequence / "there_2.npy").write_bytes(b"precious")
    (sequence / "broken.mp4").write_bytes(b"no video")
    if options.get("disparity") == "twice":
        for name in ("f1.npy", "f1.png"):
            (sequence / "twice" / name).write_bytes(b"")
    if options.get("disparity") == "short.mp4":
        _write_video(sequence / "short.mp4", [np.full((HEIGHT, WIDTH, 3), 0.5, np.float32)])
    if options.get("disparity") == "coloured.mp4":
        _write_video(sequence / "coloured.mp4", [np.eye(3, dtype=np.float32)[None].repeat(8, 0).repeat(8, 1)] * 3)
    before = {path: path.read_bytes() for path in sequence.rglob("*") if path.is_file()}
    assert cli.main(words(sequence, **{"output": "out.mp4"} | options)) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("taichi-bokeh: error: ")
    assert printed.count("\n") == 1
    assert message in printed
    assert {path: path.read_bytes() for path in sequence.rglob("*") if path.is_file()} == before
