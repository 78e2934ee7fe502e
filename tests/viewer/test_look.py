"""Highlights and near and far blur in the preview: off is off, and what is small in the frame was raised in full size."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.layers import Layers
from taichi_bokeh.photo.highlights import boost_highlights
from taichi_bokeh.viewer import views
from taichi_bokeh.viewer.look import Look, with_look
from taichi_bokeh.viewer.scene import Scene, averaged
from taichi_bokeh.viewer.session import Session
from taichi_bokeh.viewer.state import Change, State
from tests.viewer.scenes import HEIGHT, WIDTH, square_scene

STATE = State(focus=0.5, blur=4.0, model="scatter")
LOOK = {"highlights": 6.0, "highlight_threshold": 0.2, "near_blur": 0.5, "far_blur": 1.5}


def test_a_look_that_is_off_leaves_the_layers():
    scene = square_scene()
    off = replace(STATE, highlight_threshold=0.1)
    assert with_look(scene.layers, 0.5, off) is scene.layers
    for layers in (Look(scene).draft, Look(scene).exact):
        assert layers((30, 20), (30, 20), 0.5, off) is scene.scaled((30, 20)).layers


@pytest.mark.parametrize("view", ["result", "truth"])
def test_the_picture_in_the_end_is_the_renderers_of_the_layers_with_their_look(view):
    made = Session(square_scene(), (WIDTH, HEIGHT + 44), state=replace(STATE, view=view))
    for name, value in LOOK.items():
        made.change(Change("set", name, value))
    made.advance()
    assert made.label.startswith("draft")
    made.advance()
    seen = with_look(made.scene.layers, 0.5, made.state)
    if view == "truth":
        expected = next(iter(tb.trace_progressively(seen, made.lens, rays=1024, batch=16))).image[0]
    else:
        expected = tb.render(seen, made.lens, model="scatter")[0]
    torch.testing.assert_close(made.rendered.image, expected, rtol=1e-5, atol=1e-5)


def lamp_in_the_dark() -> Scene:
    rgb = torch.full((1, 1, 3, 60, 90), 0.1)
    rgb[:, :, :, 31, 47] = 1.0
    return Scene.of_layers(Layers(rgb, torch.ones(1, 1, 1, 60, 90), torch.zeros(1, 1, 1, 60, 90)))


def test_a_lamp_of_one_pixel_is_raised_before_the_picture_is_made_small():
    scene, state = lamp_in_the_dark(), replace(STATE, highlights=9.0)
    raised = boost_highlights(scene.layers.rgb, 9.0, 0.7)[0]
    for shown, size in (((30, 20), (30, 20)), ((30, 20), (15, 10)), ((90, 60), (30, 20))):
        look = Look(scene)
        before = look.draft(shown, size, 0.5, state).rgb
        exact = look.exact(shown, size, 0.5, state).rgb
        torch.testing.assert_close(exact[0], averaged(raised, size), rtol=1e-5, atol=1e-6)
        assert exact.max() > 2 * before.max()
        torch.testing.assert_close(look.draft(shown, size, 0.5, state).rgb, exact, rtol=0, atol=0)
    brighter = look.draft((90, 60), (30, 20), 0.5, replace(state, highlights=17.0)).rgb
    torch.testing.assert_close(brighter[0], averaged(boost_highlights(scene.layers.rgb, 17.0, 0.7)[0], (30, 20)))


def test_what_a_half_covered_pixel_gains_is_its_own():
    """Averages are of covered light: beside a lamp's outline nothing is brighter or darker than the lamp."""
    alpha = torch.zeros(1, 1, 1, 8, 8)
    alpha[..., :5] = 1.0
    layers = Layers(torch.where(alpha > 0, 0.9, 0.05).expand(1, 1, 3, 8, 8), alpha, torch.zeros(1, 1, 1, 8, 8))
    state = replace(STATE, highlights=3.0)
    small = Look(Scene.of_layers(layers)).exact((4, 4), (4, 4), 0.5, state)
    lamp = float(boost_highlights(torch.full((3, 1, 1), 0.9), 3.0, 0.7)[0, 0, 0])
    torch.testing.assert_close(small.rgb[..., :3], torch.full((1, 1, 3, 4, 3), lamp))
    torch.testing.assert_close(small.alpha[0, 0, 0, 0], torch.tensor([1.0, 1.0, 0.5, 0.0]))


def test_raising_highlights_of_a_large_picture_looks_in_at_the_window():
    made = Session(lamp_in_the_dark(), (45, 74), state=replace(STATE, highlights=5.0))
    made.advance()
    looks: list[int] = []
    made.advance(lambda: looks.append(1))
    plain: list[int] = []
    made.change(Change("set", "highlights", 1.0))
    made.advance()
    made.advance(lambda: plain.append(1))
    assert len(looks) > len(plain)


def test_the_focus_overlay_knows_near_and_far_blur():
    scene = square_scene()
    state = replace(STATE, focus=0.5, blur=20.0)
    blurred = views.focus_view(scene, state, 20.0)
    all_sharp = views.focus_view(scene, replace(state, near_blur=0.0, far_blur=0.0), 20.0)
    green = (all_sharp[..., 1].astype(int) - all_sharp[..., 0]).min()
    assert green > 20
    assert (blurred[..., 0] == blurred[..., 1]).all()
    assert not np.array_equal(blurred, all_sharp)
