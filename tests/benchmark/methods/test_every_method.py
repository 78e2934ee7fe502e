"""What holds for every method, those of the package included."""

import math

import numpy as np
import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.benchmark import methods
from taichi_bokeh.benchmark.methods.rendered import Rays
from taichi_bokeh.benchmark.methods.scatter_no_occlusion import ScatterNoOcclusion
from tests.benchmark.billboards import BLUR, grey, make_scene, right_of

#: The logistic profiles spread even what is in focus over a radius of 1 px.
SOFT = ("scatter-official", "scatter-no-occlusion", "scatter-soft")
SHARP = ("classical", "sterefo", "mpi-32", "scatter-disc", "rays-16")


def _build(name: str) -> methods.Method:
    return methods.build([name], {})[0]


@pytest.mark.parametrize("name", SOFT + SHARP)
def test_the_picture_is_one_of_the_scene(name):
    picture = _build(name).render(make_scene([6.0, 0.0, -6.0]), 0.9)
    assert picture.shape == (3, 48, 56)
    assert picture.dtype == torch.float32
    assert picture.isfinite().all()
    assert (picture >= 0).all()


@pytest.mark.parametrize("name", SOFT + SHARP)
def test_a_constant_picture_stays_constant(name):
    scene = make_scene([6.0, 0.0, -6.0], rgbs=[grey(0.4)] * 3)
    torch.testing.assert_close(_build(name).render(scene, 1), grey(0.4), atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", SHARP)
@pytest.mark.parametrize(("radii", "scale"), [([0.0, 0.0, 0.0], 1.0), ([6.0, 0.0, -6.0], 0.0)])
def test_what_is_wholly_in_focus_is_the_all_in_focus_picture(name, radii, scale):
    scene = make_scene(radii)
    torch.testing.assert_close(_build(name).render(scene, scale), scene.all_in_focus, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SOFT)
def test_the_soft_profiles_blur_what_is_in_focus(name):
    scene = make_scene([0.0])
    detail = [(picture[:, :, 1:] - picture[:, :, :-1]).square().mean() for picture in (
        _build(name).render(scene, 1), scene.all_in_focus)]  # fmt: skip
    assert detail[0] < 0.99 * detail[1]


@pytest.mark.parametrize("name", SOFT + SHARP)
def test_the_scale_is_that_of_the_blur(name):
    twice = make_scene([6.0, -2.0])
    once = make_scene([3.0, -1.0])
    torch.testing.assert_close(_build(name).render(once, 2), _build(name).render(twice, 1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SHARP)
def test_one_layer_is_traced_as_it_is_scattered(name):
    scene = make_scene([5.0])
    truth = tb.trace(scene.layers, scene.lens(), rays=1024)[0]
    assert (_build(name).render(scene, 1) - truth).square().mean().sqrt() < 0.01


def test_rays_do_not_repeat_those_of_the_truth():
    scene = make_scene([6.0, -3.0])
    picture = Rays(16).render(scene, 1)
    pictures = [tb.trace(scene.layers, scene.lens(), rays=16, seed=seed)[0] for seed in (0, 1)]
    assert (picture - pictures[0]).abs().max() > 0.01
    assert torch.equal(picture, pictures[1])


def test_scatter_without_occlusion_is_the_released_sum_over_one_opaque_layer():
    height, width = 11, 12
    scene = make_scene([1.5, -1.0], [right_of(6, height, width), torch.ones(height, width)])
    picture, radius = scene.all_in_focus.numpy(), BLUR * (scene.disparity_map.numpy() - scene.focus)
    pad = 10
    c = np.pad(picture, ((0, 0), (pad, pad), (pad, pad)), mode="reflect").astype(float)
    r = np.pad(np.abs(radius) + 1, pad, mode="reflect").astype(float)
    expected = np.zeros_like(picture)
    y, x = np.mgrid[: height + 2 * pad, : width + 2 * pad]
    for row in range(height):
        for column in range(width):
            distance = np.hypot(y - row - pad, x - column - pad)
            weight = 0.1 / (0.1 + np.exp(3 * (distance - r)) + 1e-6) / r**2
            expected[:, row, column] = (c * weight).sum((1, 2)) / weight.sum()
    np.testing.assert_allclose(ScatterNoOcclusion().render(scene, 1).numpy(), expected, atol=1e-5)


def test_without_occlusion_the_background_bleeds_over_what_is_in_focus():
    front = right_of(28)
    scene = make_scene([0.0, -5.0], [front, torch.ones_like(front)], [grey(0), grey(1)])
    bleeding = [_build(name).render(scene, 1)[0, 24, 31].item() for name in ("scatter-no-occlusion", "scatter-official")]
    assert bleeding[0] > 0.1
    assert bleeding[1] < 0.01


def test_a_point_of_light_keeps_its_energy():
    light = grey(0)
    light[:, 24, 28] = math.pi * 100
    scene = make_scene([8.0], rgbs=[light])
    for name in SHARP[:3]:
        assert _build(name).render(scene, 1)[0].sum().item() == pytest.approx(math.pi * 100, rel=1e-5)
