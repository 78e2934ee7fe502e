"""The layers' composite, front to back, is the picture to rounding, whatever the mattes and colours are made by."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import taichi_bokeh as tb
from taichi_bokeh.photo import (
    Stages,
    colours_ml,
    fill_holes,
    patch_match,
    refine_matte,
    render_cut_out,
    split_cut_out,
    to_layers,
)
from taichi_bokeh.photo.matte.settle import settle, settle_colours
from tests.photo.scenes import Scene, composite, disc_before_wall, post_on_floor, texture


def motorcycle() -> Scene:
    """The part of a real photograph with thin dark cables before a bright wall."""
    data = pytest.importorskip("skimage.data")
    left, _, measured = data.stereo_motorcycle()
    part = np.s_[110:270, 440:640]
    rgb = ((left[part] / 255) ** 2.2).astype(np.float32)
    disparity = np.where(np.isfinite(measured[part]), measured[part], np.nan).astype(np.float32) / 60
    return Scene(rgb, fill_holes(disparity, rgb), np.zeros_like(disparity))


def threads() -> Scene:
    """Dark and bright antialiased threads, 1.5 px wide, and a lamp on the outline of what they hang before."""
    y, x = np.mgrid[:80, :120]
    rgb, matte = texture(80, 120, (0.6, 0.6, 0.7), 3), np.zeros((80, 120), np.float32)
    for k, colour in enumerate((0.0, 0.01, 1.0, 30.0)):
        cover = np.clip(1.25 - np.abs(x - 20 - 25 * k - 0.2 * y), 0, 1)
        rgb = rgb * (1 - cover[..., None]) + np.float32(colour) * cover[..., None]
        matte = np.maximum(matte, cover)
    return Scene(rgb.astype(np.float32), np.where(matte > 0.3, 0.9, 0.2).astype(np.float32), matte.astype(np.float32))


def noise() -> Scene:
    """Every pixel is an edge, and one in ten a highlight."""
    rng = np.random.default_rng(7)
    rgb = rng.random((40, 50, 3), np.float32) * np.where(rng.random((40, 50, 1)) < 0.1, 50, 1).astype(np.float32)
    return Scene(rgb, rng.random((40, 50), np.float32), rng.random((40, 50), np.float32))


def _assert_composite_is(layers: tb.Layers, rgb: np.ndarray) -> None:
    tolerance = 1e-6 * layers.count
    np.testing.assert_allclose(composite(layers)[0], rgb, rtol=tolerance, atol=tolerance)
    assert layers.rgb.max() <= 3 * rgb.max()


@pytest.mark.parametrize("count", ["auto", 1, 2, 5])
@pytest.mark.parametrize("make", [disc_before_wall, post_on_floor, motorcycle, threads, noise])
def test_for_every_number_of_layers(make, count):
    scene = make()
    _assert_composite_is(to_layers(scene.rgb, scene.disparity, layers=count), scene.rgb)


@pytest.mark.parametrize("make", [motorcycle, threads])
@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("pymatting", Stages(matte=refine_matte)),
        ("pymatting", Stages(matte=refine_matte, colours=colours_ml)),
        ("patchmatch", Stages(inpaint=patch_match)),
        ("numpy", Stages(matte=lambda rgb, near, edge_px: near * np.float32(0.5))),
        ("numpy", Stages(colours=lambda rgb, alpha: (np.ones_like(rgb), np.zeros_like(rgb)))),
        ("numpy", Stages(inpaint=lambda rgb, known: 0 * rgb)),
    ],
    ids=["refined", "colours_ml", "patchmatch", "half a matte", "wrong colours", "black behind"],
)
def test_for_every_way_to_make_mattes_and_colours(make, module, stages):
    pytest.importorskip(module)
    scene = make()
    _assert_composite_is(to_layers(scene.rgb, scene.disparity, stages=stages), scene.rgb)


@pytest.mark.parametrize("change", [lambda a: a, lambda a: np.roll(a, 2, 1), lambda a: 1 - a, lambda a: 0.5 * a + 0.25])
def test_for_a_given_matte_right_or_wrong(change):
    for scene in (disc_before_wall(60, 80), threads(), noise()):
        _assert_composite_is(to_layers(scene.rgb, scene.disparity, change(scene.matte)), scene.rgb)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(1, 1), (1, 9), (12, 5), (23, 31)]), st.booleans())
def test_for_any_picture_disparity_and_matte(seed, shape, has_matte):
    rng = np.random.default_rng(seed)
    rgb = (rng.random((*shape, 3), np.float32) ** rng.integers(1, 9) * 10 ** rng.uniform(-3, 3)).astype(np.float32)
    rgb[rng.random(shape) < 0.1] = 0
    disparity = ndimage.gaussian_filter(rng.standard_normal(shape).astype(np.float32), 2).round(1)
    matte = np.clip(2 * rng.random(shape, np.float32) - 0.5, 0, 1) if has_matte else None
    layers = to_layers(rgb, disparity, matte)
    largest = float(rgb.max())
    np.testing.assert_allclose(composite(layers)[0], rgb, rtol=6e-6, atol=6e-6 + 1e-6 * largest)


@pytest.mark.parametrize("grey", [0.01, 20.0])
def test_a_pixel_that_no_mixture_makes_becomes_the_fronts_and_the_plate_stays(grey):
    """Dark and bright pixels of the rim before a lit plate; their colours stay within what is there."""
    front, plate = np.full((1, 4, 3), 0.7, np.float32), np.full((1, 4, 3), 0.8, np.float32)
    rgb = np.full((1, 4, 3), grey, np.float32)
    alpha, front, plate = settle(rgb, np.array([[0.3, 0.5, 0.7, 0.999]], np.float32), front, plate)
    np.testing.assert_allclose(alpha[..., None] * front + (1 - alpha[..., None]) * plate, rgb, rtol=1e-6, atol=1e-6)
    assert (alpha > 0.9).all()
    assert max(front.max(), plate.max()) <= max(0.8, grey)
    np.testing.assert_allclose(plate, 0.8, atol=0.1)


def test_what_mixes_to_the_picture_already_stays():
    rng = np.random.default_rng(1)
    alpha, front, plate = rng.random((9, 9), np.float32), rng.random((9, 9, 3), np.float32), rng.random((9, 9, 3), np.float32)
    rgb = alpha[..., None] * front + (1 - alpha[..., None]) * plate
    for solve in (settle, settle_colours):
        for got, as_it_was in zip(solve(rgb, alpha, front, plate), (alpha, front, plate), strict=True):
            np.testing.assert_array_equal(got, as_it_was)


def test_a_matte_that_is_to_stay_stays():
    scene = noise()
    other = np.ascontiguousarray(scene.rgb[::-1])
    alpha, front, plate = settle_colours(scene.rgb, scene.matte, other, np.zeros_like(other))
    np.testing.assert_array_equal(alpha, scene.matte)
    mixture = alpha[..., None] * front + (1 - alpha[..., None]) * plate
    np.testing.assert_allclose(mixture, scene.rgb, rtol=2e-6, atol=2e-6)


RENDERERS: dict[str, Any] = {
    "scatter": lambda layers, lens: tb.render(layers, lens, "scatter"),
    "draft": lambda layers, lens: tb.render(layers, lens, "scatter", quality="draft"),
    "blades": lambda layers, lens: tb.render(layers, replace(lens, aperture=tb.Aperture(blades=5, roundness=0)), "scatter"),
    "subaperture": lambda layers, lens: tb.render(layers, lens, model="subaperture"),
    "trace": lambda layers, lens: tb.trace(layers, lens, rays=8),
}


@pytest.mark.parametrize("renderer", RENDERERS)
def test_without_blur_the_picture_is_the_photograph(renderer):
    scene = threads()
    layers = to_layers(scene.rgb, scene.disparity)
    picture = RENDERERS[renderer](layers, tb.ThinLens(0.0, 0.5))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(picture, scene.rgb, rtol=5e-6, atol=5e-6)


@pytest.mark.parametrize("renderer", ["scatter", "subaperture", "trace"])
def test_what_is_in_focus_is_the_photograph_at_any_blur(renderer):
    """A surface in focus, away from the rims of what is blurred before it."""
    rgb = texture(60, 80, (0.5, 0.4, 0.3), 5)
    disparity = np.where(np.arange(80) < 40, 0.9, 0.2)[None].repeat(60, 0)
    layers = to_layers(rgb, disparity)
    for focus, sharp in ((0.9, np.s_[:, :38]), (0.2, np.s_[:, 52:])):
        picture = RENDERERS[renderer](layers, tb.ThinLens(12.0, focus))[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(picture[sharp], rgb[sharp], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("make", [disc_before_wall, threads, noise])
@pytest.mark.parametrize("has_matte", [True, False])
def test_a_cut_out_without_blur_is_what_it_was(make, has_matte):
    scene = make()
    coverage = np.clip(ndimage.gaussian_filter(1.5 * np.roll(scene.matte, 1, 1), 1), 0, 1).astype(np.float32)
    cut_out = split_cut_out(scene.rgb, coverage, scene.disparity, scene.matte if has_matte else None)
    assert 0 <= cut_out.coverage.min() <= cut_out.coverage.max() <= 1
    assert cut_out.layers.rgb.max() <= 3 * scene.rgb.max()
    for model in ("scatter", "subaperture"):
        picture = render_cut_out(cut_out, tb.ThinLens(0.0, 0.5), model=model)[0].permute(1, 2, 0)
        np.testing.assert_allclose(picture[..., 3], coverage, atol=5e-6)
        premultiplied = torch.from_numpy(coverage[..., None] * scene.rgb)
        torch.testing.assert_close(picture[..., :3], premultiplied, rtol=5e-6, atol=5e-6)
