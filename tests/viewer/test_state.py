"""Controls: what they take, how they step, and how far undo goes back."""

from dataclasses import replace

import pytest

from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.viewer.state import Camera, Change, History, State, apply, controls

AMONG = controls((0.2, 0.8), 50.0, 3)
STATE = State(focus=0.5, blur=20.0)


def test_a_change_makes_a_new_state_and_leaves_the_old_one():
    changed = apply(STATE, Change("set", "blur", 30), AMONG)
    assert changed == replace(STATE, blur=30.0)
    assert STATE.blur == 20.0


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        (Change("step", "focus", 100), "focus", 0.8),
        (Change("step", "focus", -100), "focus", 0.2),
        (Change("step", "blades", 1), "blades", 3),
        (Change("step", "model", 1), "model", "scatter"),
        (Change("step", "view", -1), "view", "truth"),
        (Change("step", "help", 1), "help", True),
        (Change("step", "help", 2), "help", False),
        (Change("set", "cells", 9.0), "cells", 9),
    ],
)
def test_steps_stop_at_the_ends_leap_what_is_no_opening_and_go_round_choices(change, field, value):
    assert getattr(apply(STATE, change, AMONG), field) == value


def test_stepping_down_from_three_blades_makes_the_disc():
    assert apply(replace(STATE, blades=3), Change("step", "blades", -1), AMONG).blades == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Change("set", "blur", 51), "blur is 51; expected at most 50"),
        (Change("set", "focus", 0.1), "focus is 0.1; expected at least 0.2"),
        (Change("set", "blades", 2), "blades is 2; expected a whole number other than 1, 2"),
        (Change("set", "cells", 2.5), "cells is 2.5; expected a whole number"),
        (Change("set", "model", "soft"), "model is 'soft'; expected one of subaperture, scatter"),
        (Change("set", "zoom", 2), "control is 'zoom'; expected one of focus, blur"),
        (Change("set", "f_number", 2), "control is 'f_number'"),
    ],
)
def test_what_a_control_cannot_be_is_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        apply(STATE, change, AMONG)


def test_a_switch_takes_only_true_or_false():
    with pytest.raises(TypeError, match="help is of type int; expected true or false"):
        apply(STATE, Change("set", "help", 1), AMONG)


def test_the_aperture_is_that_of_the_controls():
    assert replace(STATE, blades=6, roundness=0.3, ring=0.5).aperture == Aperture(blades=6, roundness=0.3, ring=0.5)
    assert STATE.aperture.is_disc


def test_with_a_camera_the_f_number_says_the_blur():
    camera = Camera(focal_length_mm=50, sensor_width_mm=36)
    lens = replace(STATE, f_number=2.0).lens(camera, 600)
    expected = ThinLens.from_camera(0.05, 2.0, 2.0, 0.036, 600)
    assert (lens.blur, lens.focus) == (pytest.approx(expected.blur, rel=1e-12), expected.focus)
    among = controls((-0.1, 0.8), 50.0, 3, camera)
    assert "blur" not in among
    assert among["focus"].low > 0
    with pytest.raises(ValueError, match="focus is 0; expected more than 0"):
        replace(STATE, f_number=2.0, focus=0.0).lens(camera, 600)


def test_undo_goes_back_over_what_one_control_did_until_it_was_released():
    history = History(STATE)
    for blur in (21.0, 22.0, 23.0):
        history.change(replace(history.state, blur=blur), "blur")
    history.release()
    history.change(replace(history.state, blur=30.0), "blur")
    history.change(replace(history.state, focus=0.6), "focus")
    values = []
    for _ in range(4):
        history.undo()
        values.append((history.state.focus, history.state.blur))
    assert values == [(0.5, 30.0), (0.5, 23.0), (0.5, 20.0), (0.5, 20.0)]
    history.redo()
    history.redo()
    assert history.state.blur == 30.0
    history.change(replace(history.state, ring=0.5), "ring")
    history.redo()
    assert (history.state.focus, history.state.ring) == (0.5, 0.5)


def test_undo_and_reset_leave_what_is_looked_at():
    history = History(STATE)
    tuned = replace(STATE, blur=40.0, highlights=4.0, highlight_threshold=0.5, near_blur=0.0, far_blur=2.0)
    history.change(tuned, "blur")
    history.change(replace(history.state, view="truth", exposure=1.0), "view")
    history.reset()
    assert history.state == replace(STATE, view="truth", exposure=1.0)
    history.undo()
    assert history.state == replace(tuned, view="truth", exposure=1.0)
