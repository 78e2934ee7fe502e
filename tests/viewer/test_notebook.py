"""`tb.preview`: a window's lens, or a picture in the notebook where there can be no window."""

import sys
import types
from typing import Any

import numpy as np
import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.photo.highlights import boost_highlights
from taichi_bokeh.photo.near_far import scale_near_and_far
from taichi_bokeh.viewer import window
from taichi_bokeh.viewer.state import State
from tests.viewer.scenes import square_scene


def refuse() -> None:
    raise window.NoWindowError("no display")


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a notebook was given to show; there is no window."""
    shown: list[Any] = []
    ipython, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=None)
    display.display = shown.append
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(window, "require_window", refuse)
    return shown


def test_a_notebook_without_a_window_shows_the_picture(displayed):
    layers = square_scene().layers
    same, lens, options = tb.preview(layers, blur=6.0, focus=0.8, size=(60, 100))
    assert same is layers
    assert (lens.blur, lens.focus, options) == (6.0, 0.8, {"model": "subaperture", "cells": 16})
    (picture,) = displayed
    assert picture.size == (60, 100)
    frame = np.asarray(picture)
    expected = tb.render(layers, lens, **options)[0].permute(1, 2, 0).numpy()
    middle = frame[8:48].astype(float) / 255
    coded = tb_coded(expected)
    assert np.abs(middle - coded).max() < 0.01


def test_the_layers_that_come_back_have_the_look_of_the_window(monkeypatch):
    layers = square_scene().layers
    looked = State(focus=0.5, blur=4.0, model="scatter", highlights=3.0, highlight_threshold=0.2, near_blur=0.5)
    monkeypatch.setattr(window, "require_window", lambda: None)
    monkeypatch.setattr(window, "run_window", lambda *given, **named: looked)
    seen, lens, options = tb.preview(layers)
    assert (lens.blur, lens.focus, options) == (4.0, 0.5, {"model": "scatter"})
    torch.testing.assert_close(seen.rgb, boost_highlights(layers.rgb, 3.0, 0.2), rtol=0, atol=0)
    torch.testing.assert_close(seen.disparity, scale_near_and_far(layers.disparity, 0.5, near=0.5), rtol=0, atol=0)


def tb_coded(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def test_elsewhere_the_error_says_why(monkeypatch):
    monkeypatch.setattr(window, "require_window", refuse)
    with pytest.raises(OSError, match="no display"):
        tb.preview(square_scene().layers)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layers": 3}, TypeError, "layers is of type int; expected Layers"),
        ({"blur": -1.0}, ValueError, "blur is -1.0; expected at least 0"),
        ({"save_as": "a.gif"}, ValueError, "a.gif has the suffix"),
    ],
)
def test_bad_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        tb.preview(**({"layers": square_scene().layers} | options))
