"""Actions in, frames out: what is shown is what the renderer makes, a draft first, and work stops when it is worthless."""

import numpy as np
import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.optics import psf
from taichi_bokeh.viewer import views
from taichi_bokeh.viewer.draft import LADDER, DraftSize
from taichi_bokeh.viewer.frames import Layout
from taichi_bokeh.viewer.keys import KEYS, TABLE
from taichi_bokeh.viewer.overlay import bar_height_px
from taichi_bokeh.viewer.session import Session
from taichi_bokeh.viewer.state import VIEWS, Camera, Change
from taichi_bokeh.viewer.window import PANEL_PX, usual_size
from tests.viewer.scenes import HEIGHT, WIDTH, square_scene

SIZE = (WIDTH + 40, HEIGHT + 60)


def session(**options: object) -> Session:
    return Session(square_scene(), SIZE, **options)


def shown(made: Session) -> np.ndarray:
    """The picture in the frame."""
    left, top, width, height = made.box
    return made.frame()[top : top + height, left : left + width]


@pytest.mark.parametrize("model", ["subaperture", "scatter"])
def test_the_picture_in_the_end_is_the_renderers(model):
    made = Session(square_scene(), (WIDTH, HEIGHT + 44))
    made.change(Change("set", "model", model))
    made.change(Change("set", "blades", 6))
    made.finish()
    options = {"cells": 16} if model == "subaperture" else {}
    expected = tb.render(made.scene.layers, made.lens, model=model, **options)[0]
    torch.testing.assert_close(made.rendered.image, expected, rtol=0, atol=0)
    np.testing.assert_array_equal(shown(made), views.screen(expected, 0.0))


def test_the_truth_is_ray_traced_and_gets_better_while_nothing_moves():
    made = session()
    made.change(Change("set", "view", "truth"))
    assert made.is_stale
    made.advance()
    assert made.label.startswith("draft")
    rays = []
    for _ in range(3):
        made.advance()
        rays.append(made.rays)
    assert rays == [16, 32, 48]
    expected = next(
        state for state in tb.trace_progressively(made.scene.layers, made.lens, rays=1024, batch=16) if state.done == 48
    )
    torch.testing.assert_close(made.rendered.image, expected.image[0], rtol=0, atol=0)


def test_a_click_focuses_on_the_disparity_there():
    made = session()
    made.point(0.5, 0.5)
    assert made.state.focus == pytest.approx(0.8)
    made.point(0.1, 1.0)
    assert made.state.focus == pytest.approx(0.4, abs=0.02)
    with pytest.raises(ValueError, match=r"point is \(1.2, 0.5\); expected numbers from 0 to 1"):
        made.point(1.2, 0.5)


def test_in_view_wipe_a_click_moves_the_wipe_and_what_is_left_of_it_is_sharp():
    made = Session(square_scene(), (WIDTH, HEIGHT + 44))
    made.change(Change("set", "view", "wipe"))
    focus = made.state.focus
    made.point(0.25, 0.5)
    made.finish()
    assert (made.state.wipe, made.state.focus) == (0.25, focus)
    picture = shown(made)
    np.testing.assert_array_equal(picture[:, :13], views.screen(made.scene.sharp, 0.0)[:, :13])
    np.testing.assert_array_equal(picture[:, 17:], views.screen(made.rendered.image, 0.0)[:, 17:])
    assert (picture[:, 15] == 255).all()


def test_every_control_changes_the_picture():
    made = Session(square_scene(width=30, height=20), (480, 380))
    for name, value in (("blur", 4.5), ("model", "scatter"), ("blades", 5), ("focus", 0.7)):
        made.change(Change("set", name, value))
    made.advance()
    values = {"focus": 0.3, "blur": 3.0, "blades": 3, "rotation": 20.0, "roundness": 0.5, "squeeze": 2.0, "ring": 0.9}
    values |= {"highlights": 5.0, "highlight_threshold": 0.1, "near_blur": 0.5, "far_blur": 0.5}
    for name, value in (values | {"cat_eye": 0.9, "exposure": 1.0, "help": True, "view": "wipe"}).items():
        before = shown(made).copy()
        made.change(Change("set", name, value))
        if made.is_stale:
            made.advance()
        assert before.shape != shown(made).shape or (before != shown(made)).any(), name
    made.change(Change("set", "view", "layers"))
    for name, value in (("layer", 1), ("status", False)):
        before = made.frame()
        made.change(Change("set", name, value))
        assert (before != made.frame()).any(), name


@pytest.mark.parametrize("shape", [{"blades": 6, "rotation": 7.5}, {"ring": 0.5}, {"cat_eye": 0.5}, {"squeeze": 1.6}])
def test_a_draft_through_another_opening_than_the_disc_is_traced_and_needs_no_tables(shape, monkeypatch):
    made = session()
    for name, value in (shape | {"blur": 5.0}).items():
        made.change(Change("set", name, value))
    monkeypatch.setattr(psf, "raster", None)  # what all tables of an opening begin with
    made.advance()
    assert made.label.startswith("draft")
    expected = tb.trace(made.scene.layers, made.lens, rays=80 if "cat_eye" in shape else 32)[0]
    torch.testing.assert_close(made.rendered.image, expected, rtol=0, atol=0)


def test_the_tables_of_an_opening_stop_when_an_action_makes_them_worthless():
    made = session()
    for name, value in {"model": "scatter", "blades": 6, "rotation": 3.1, "blur": 5.0}.items():
        made.change(Change("set", name, value))
    made.advance()
    looks: list[int] = []

    def turn_on() -> None:
        looks.append(1)
        if len(looks) == 3:
            made.change(Change("set", "rotation", 4.2))

    assert made.advance(turn_on) is False
    assert len(looks) == 3
    assert made.is_stale


def test_model_and_cells_change_the_picture_in_the_end():
    made = Session(square_scene(width=30, height=20), (30, 64))
    made.change(Change("set", "blur", 4.5))
    pictures = []
    for name, value in (("model", "scatter"), ("cells", 3), ("model", "subaperture"), ("cells", 5)):
        made.change(Change("set", name, value))
        made.finish()
        pictures.append(shown(made).copy())
    assert (pictures[0] != pictures[2]).any()
    assert (pictures[2] != pictures[3]).any()


def test_every_key_does_something_and_is_in_the_help():
    words = " ".join(key for key, _ in TABLE).replace(",", " ").replace(";", " ").split()
    for key in KEYS:
        assert key in words, key
        made = session()
        for name, value in (("blur", 5.0), ("layer", 1), ("blades", 5), ("exposure", 1.0), ("focus", 0.5)):
            made.change(Change("set", name, value))
        if key == "y":
            made.undo()
        if key in ("k", "a"):
            made.change(Change("set", "view", "layers"))
        if key == "l":
            made.change(Change("set", "layer", 0))
        before = made.state
        made.key(key)
        assert made.state != before, key
    with pytest.raises(ValueError, match="key is 'x'; expected one of h, i"):
        session().key("x")


def test_with_a_camera_the_arrow_changes_the_f_number():
    made = Session(square_scene(Camera(50.0, 36.0)), SIZE)
    made.key("Up")
    assert made.state.f_number == pytest.approx(2.1)
    made.finish()
    assert made.rendered.label.startswith("full")


def test_work_stops_when_an_action_makes_it_worthless_and_goes_on_when_it_does_not():
    made = session()
    made.advance()
    looks = []

    def wipe_then_refocus() -> None:
        looks.append(made.label)
        made.change(Change("set", "exposure", 0.5))
        if len(looks) == 2:
            made.point(0.1, 0.9)

    assert made.advance(wipe_then_refocus) is False
    assert len(looks) == 2
    assert made.is_stale
    made.advance()
    assert made.label.startswith("draft")
    made.finish()
    assert made.label.startswith("full")
    assert made.is_idle


def test_a_draft_is_no_larger_than_a_frames_time_allows():
    size, largest = DraftSize(budget_s=0.05), (3000, 2000)
    seconds_a_pixel = 4e-7
    for _ in range(40):
        width, height = size.within(largest)
        size.took(seconds_a_pixel * width * height, seconds_a_pixel * width * height, largest)
    assert 0.015 < seconds_a_pixel * width * height <= 0.05
    assert max(size.within(largest)) in LADDER
    for frame_s, smaller in ((0.07, False), (0.03, False), (0.07, False), (0.07, True)):  # one slow frame says nothing
        size.took(frame_s, frame_s, largest)
        assert (size.within(largest)[0] < width) == smaller
    width = size.within(largest)[0]
    size.took(0.2, 0.2, largest)
    assert size.within(largest)[0] < width
    assert size.within((50, 20)) == (50, 20)


def test_drafts_of_a_large_picture_are_small_and_whole():
    made = Session(square_scene(width=600, height=400), (600, 444), budget_s=1e-9)
    for focus in (0.3, 0.4, 0.5, 0.6, 0.7):
        made.change(Change("set", "focus", focus))
        made.advance()
    assert made.rendered.image.shape == (3, 64, 96)
    assert shown(made).shape == (400, 600, 3)
    made.shown()
    assert made.latency_s > 0


@pytest.mark.parametrize("size", [(7, 5), (320, 90), (90, 320), (1, 1)])
def test_frames_of_any_size_are_whole(size):
    made = session()
    made.resize(size)
    made.change(Change("set", "help", True))
    for view in VIEWS:
        made.change(Change("set", "view", view))
        made.advance()
        assert made.frame().shape == (size[1], size[0], 3)
    with pytest.raises(ValueError, match="size is 0×5; expected at least 1×1"):
        made.resize((0, 5))


@pytest.mark.parametrize("picture", [(4000, 3000), (3000, 4000), (60, 40)])
def test_the_usual_window_shows_the_whole_picture_beside_its_panel_and_never_larger_than_it_is(picture):
    width, height = usual_size(picture)
    assert width <= PANEL_PX + 1000
    assert height >= 600  # the panel's
    box = Layout((width, height), PANEL_PX, 1.0).box(picture, status=True)
    assert box[2] / box[3] == pytest.approx(picture[0] / picture[1], rel=0.02)
    assert (box[0], box[2]) == (PANEL_PX, width - PANEL_PX)


def test_text_of_twice_the_scale_is_twice_as_large():
    heights = []
    for scale in (1.0, 2.0):
        made = Session(square_scene(), (1400, 800), scale=scale)
        strip = made.frame()[sum(made.box[1::2]) :].max(-1)
        heights.append(int((strip.max(1) > 100).sum()))
    assert heights[1] == pytest.approx(2 * heights[0], abs=4)


@pytest.mark.parametrize(("scale", "size"), [(1.0, (480, 320)), (2.0, (741, 588))])
def test_the_keys_do_not_lie_over_the_lines_of_numbers(scale, size):
    made = Session(square_scene(), size, scale=scale)
    strip = made.frame()[-bar_height_px(scale) :].copy()
    picture = made.frame()[: -bar_height_px(scale)].copy()
    made.key("h")
    np.testing.assert_array_equal(made.frame()[-bar_height_px(scale) :], strip)
    assert (made.frame()[: -bar_height_px(scale)] != picture).any()


def test_a_message_stands_until_the_next_action():
    made = session()
    before = made.frame().copy()
    made.say("no")
    assert (made.frame() != before).any()
    made.key("Right")
    assert made.message == ""


def test_several_scenes_are_refused():
    layers = square_scene().layers
    twice = tb.Layers(*(torch.cat([value, value]) for value in (layers.rgb, layers.alpha, layers.disparity)))
    with pytest.raises(ValueError, match="layers holds 2 scenes; expected 1"):
        type(square_scene()).of_layers(twice)
