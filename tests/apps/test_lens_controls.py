"""Every control of ``taichi-bokeh render`` changes the picture, and off is off; what is in focus can be said, and shown."""

from pathlib import Path

import numpy as np
import pytest

from taichi_bokeh.apps import cli
from taichi_bokeh.apps.photo import layer_cache, rendering
from taichi_bokeh.apps.photo.focus_map import focus_map
from taichi_bokeh.io import read_image
from tests.apps.small_scene import HEIGHT, WIDTH, picture, square_before_grid, words, write_scene

CAMERA = {"blur": None, "focus": None, "f_number": 2, "focal_length": 50, "sensor_width": 36}


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    return write_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def plain(shared) -> np.ndarray:
    """The picture without any of the controls."""
    return picture(shared)


@pytest.mark.parametrize(
    ("control", "off"),
    [
        ({"blades": 5}, {"blades": 0}),
        ({"blades": 5, "rotation": 20}, {"blades": 0, "rotation": 20}),
        ({"blades": 5, "roundness": 0.4}, {"blades": 5, "roundness": 1}),
        ({"squeeze": 1.6}, {"squeeze": 1}),
        ({"ring": 0.8}, {"ring": 0}),
        ({"aperture_image": "opening.npy"}, {}),
        ({"highlights": 6}, {"highlights": 1}),
        ({"highlights": 6, "highlight_threshold": 0.2}, {"highlights": 1}),
        ({"near_blur": 2}, {"near_blur": 1}),
        ({"far_blur": 0}, {"far_blur": 1}),
        ({"blur": 4}, {"blur": 10}),
        ({"focus": 0.8}, {"focus": 0.5}),
        ({"focus": None, "focus_at": "24,18"}, {"focus": None, "focus_at": "24,34"}),
        ({"focus": None, "focus_box": "20,12,8,8"}, {"focus": None, "focus_box": "0,32,48,4"}),
        ({"cells": 9}, {"cells": 4}),
        ({"layers": 1}, {}),
        ({"depth": True}, {"device": "cpu"}),
    ],
)
def test_every_control_changes_the_picture_and_off_is_off(shared, plain, control, off):
    assert np.abs(picture(shared, **control) - plain).max() > 1e-3
    np.testing.assert_array_equal(picture(shared, **off), plain)


@pytest.mark.parametrize(
    ("control", "off"),
    [
        ({"cat_eye": 0.7}, {"cat_eye": 0}),
        ({"profile": "soft"}, {"profile": "disc"}),
        ({"max_radius": 2}, {"max_radius": 64}),
    ],
)
def test_so_does_every_control_of_the_scatter_model(shared, control, off):
    scatter = {"model": "scatter", "cells": None}
    plain = picture(shared, **scatter)
    assert np.abs(picture(shared, **scatter | control) - plain).max() > 1e-3
    np.testing.assert_array_equal(picture(shared, **scatter | off), plain)


@pytest.mark.parametrize(("draft", "quality"), [(True, "draft"), (False, "full")])
def test_a_draft_is_the_renderers(shared, monkeypatch, draft, quality):
    asked = []
    render = rendering.render
    monkeypatch.setattr(rendering, "render", lambda *given, **named: asked.append(given[2].quality) or render(*given, **named))
    picture(shared, model="scatter", cells=None, draft=draft)
    assert asked == [quality]


def test_controls_that_differ_from_each_other_give_different_pictures(shared):
    """Each of these does something beside the control that it needs."""
    pairs = [
        ({"blades": 5}, {"blades": 5, "rotation": 20}),
        ({"blades": 5}, {"blades": 5, "roundness": 0.4}),
        ({"highlights": 6}, {"highlights": 6, "highlight_threshold": 0.2}),
        ({**CAMERA, "focus_distance": 1.5}, {**CAMERA, "focus_distance": 2}),
        ({**CAMERA, "focus_distance": 2}, {**CAMERA, "focus_distance": 2, "f_number": 4}),
        ({**CAMERA, "focus_distance": 2}, {**CAMERA, "focus_distance": 2, "focal_length": 35}),
        ({**CAMERA, "focus_distance": 2}, {**CAMERA, "focus_distance": 2, "sensor_width": 24}),
    ]
    for one, other in pairs:
        assert np.abs(picture(shared, **one) - picture(shared, **other)).max() > 1e-4, (one, other)


def test_a_camera_is_the_blur_and_focus_that_it_has(shared):
    blur = 0.0125 * (0.05 * 2 / (2 - 0.05)) / (0.036 / WIDTH)  # (L/2)·D_I/p, docs/conventions.md
    by_camera = picture(shared, **CAMERA, focus_distance=2)
    np.testing.assert_allclose(by_camera, picture(shared, blur=blur, focus=0.5), atol=1e-6)
    np.testing.assert_array_equal(by_camera, picture(shared, **CAMERA, focus_box="0,32,48,4"))


def test_near_and_far_are_scaled_on_their_side_only(shared):
    sharp, both = picture(shared, near_blur=0, far_blur=0), picture(shared)
    np.testing.assert_allclose(sharp, picture(shared, blur=0), atol=1e-6)
    near_only, far_only = picture(shared, far_blur=0), picture(shared, near_blur=0)
    grid, square = np.s_[2:8, 2:12], np.s_[14:22, 20:28]
    np.testing.assert_allclose(near_only[grid], sharp[grid], atol=0.02)
    assert np.abs(far_only[grid] - sharp[grid]).max() > 0.05
    np.testing.assert_allclose(far_only[square], sharp[square], atol=0.02)
    assert np.abs(near_only - both).max() > 0.05


def test_a_lamp_out_of_focus_gains_what_the_highlights_gain(shared):
    around = np.s_[24:32, :14]
    before, after = (
        picture(shared, **options)[around].sum() for options in ({}, {"highlights": 20, "highlight_threshold": 0.3})
    )
    assert after > 1.5 * before
    np.testing.assert_array_equal(picture(shared, highlights=20, blur=0)[:28], picture(shared, blur=0)[:28])


def test_the_focus_box_is_a_median(shared, capsys):
    assert cli.main(words(shared, focus=None, focus_box="16,10,16,16", overwrite=True, quiet=False)) == 0
    assert "in focus: 0.8\n" in capsys.readouterr().out


def test_the_focus_map_shows_what_is_sharp_near_and_far(tmp_path):
    rgb, _ = square_before_grid()
    radius_px = np.zeros((HEIGHT, WIDTH), np.float32)
    radius_px[:, 16:32], radius_px[:, 32:] = 4, -4
    found = focus_map(rgb, radius_px)
    np.testing.assert_allclose(found[:, :16], rgb[:, :16], atol=1e-5)
    assert (found[:, 16:32, 0] > found[:, 16:32, 2]).all()  # orange
    assert (found[:, 32:, 2] > found[:, 32:, 0]).all()  # blue
    assert found.max() <= 1


def test_show_focus_writes_the_map_beside_the_picture(tmp_path):
    write_scene(tmp_path)
    picture(tmp_path, show_focus="focus.png", near_blur=0)
    found = read_image(tmp_path / "focus.png").rgb
    grid, square = found[2:8, 2:12], found[14:22, 20:28]
    assert (grid[..., 2] > grid[..., 0]).all()
    np.testing.assert_allclose(square, read_image(tmp_path / "photo.png").rgb[14:22, 20:28], atol=0.01)  # not blurred, so sharp


def test_layers_are_taken_from_the_cache_and_the_picture_is_the_same(tmp_path, monkeypatch, capsys):
    write_scene(tmp_path)
    plain = picture(tmp_path)
    np.testing.assert_array_equal(picture(tmp_path, cache="kept"), plain)
    (entry,) = (tmp_path / "kept").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(layer_cache, "split_photo", lambda *_: pytest.fail("layers were made again"))
        np.testing.assert_array_equal(picture(tmp_path, cache="kept", quiet=False), plain)
        assert f"layers from {entry}\n" in capsys.readouterr().out
        picture(tmp_path, cache="kept", blur=3, focus=0.3, blades=6)  # of which layers know nothing


@pytest.mark.parametrize("change", [{"layers": 1}, {"depth": True}, {"alpha": "matte.npy"}, "photo.png", "disparity.npy"])
def test_other_files_and_options_have_other_layers(tmp_path, change):
    write_scene(tmp_path)
    np.save(tmp_path / "matte.npy", np.pad(np.ones((16, 16), np.float32), ((10, 10), (16, 16))))
    picture(tmp_path, cache="kept")
    options = {}
    if isinstance(change, dict):
        options = change
    elif change == "disparity.npy":
        np.save(tmp_path / change, np.load(tmp_path / change) + np.float32(0.1))
    else:
        (tmp_path / change).write_bytes((tmp_path / change).read_bytes() + b" ")
    picture(tmp_path, cache="kept", **options)
    assert len(list((tmp_path / "kept").iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "of another key"])
def test_a_damaged_entry_is_made_again(tmp_path, damage):
    write_scene(tmp_path)
    plain = picture(tmp_path, cache="kept")
    (entry,) = (tmp_path / "kept").iterdir()
    whole = entry.read_bytes()
    if damage == "of another key":
        picture(tmp_path, cache="kept", layers=1)
        (other,) = set((tmp_path / "kept").iterdir()) - {entry}
        entry.write_bytes(other.read_bytes())
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
        entry.write_bytes({"cut": whole[:-200], "flipped": flipped, "emptied": b""}[damage])
    np.testing.assert_array_equal(picture(tmp_path, cache="kept"), plain)
    assert entry.read_bytes() == whole


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"highlights": 0.5}, "0.5 is less than 1"),
        ({"highlight_threshold": 0.5}, "--highlight-threshold needs --highlights"),
        ({"highlights": 2, "highlight_threshold": 1}, "1 is not below 1"),
        ({"near_blur": -1}, "negative"),
        ({"focus_box": "1,1,4,4"}, "not allowed with argument --focus"),
        ({"focus": None, "focus_box": "40,0,9,9"}, "--focus-box 40,0,9,9 reaches outside the photograph"),
        ({"focus": None, "focus_box": "1,1,0,4"}, "is not a box"),
        ({**CAMERA, "focus_distance": 2, "sensor_width": None}, "needs --sensor-width as well"),
        ({**CAMERA}, "needs --focus-distance, --focus-at or --focus-box as well"),
        ({**CAMERA, "focus": 1}, "--focus goes with --blur"),
        ({"f_number": 2}, "--f-number describes a camera, --blur"),
        ({"show_focus": "out.npy"}, "must be a file of its own"),
        ({"show_focus": "photo.png"}, "photo.png exists"),
        ({"cache": "photo.png"}, "photo.png is a file, and must be a folder"),
        ({"cache": "nowhere/kept"}, "nowhere"),
        ({"frames": 4}, "--frames is for several images"),
        ({"ease": "linear"}, "--ease is for several images"),
        ({"fps": 25}, "--fps is for several images"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(tmp_path, capsys, options, message):
    write_scene(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert cli.main(words(tmp_path, **options)) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("taichi-bokeh: error: ")
    assert printed.count("\n") == 1
    assert message in printed
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
