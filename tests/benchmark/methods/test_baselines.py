"""Renderers that others published: what they get right, and what is known to be wrong with them."""

import pytest
import torch

from taichi_bokeh.benchmark.blur_kernels import blur
from taichi_bokeh.benchmark.methods.mpi import MultiplaneImage
from taichi_bokeh.benchmark.methods.rgbd import Classical, SteReFo
from tests.benchmark.billboards import BLUR, FOCUS, grey, make_scene, right_of

BASELINES = [Classical(), SteReFo(), MultiplaneImage()]
EDGE, RADIUS = 28, 5.0
FRONT = right_of(EDGE)


@pytest.mark.parametrize("method", BASELINES, ids=lambda method: method.name)
def test_one_flat_layer_is_averaged_over_its_disc(method):
    scene = make_scene([-6.0])
    torch.testing.assert_close(method.render(scene, 0.75), blur(scene.all_in_focus, 4.5), atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", BASELINES, ids=lambda method: method.name)
def test_a_far_edge_of_the_frame_sees_only_its_own_layer(method):
    scene = make_scene([4.0, -6.0], [FRONT, torch.ones_like(FRONT)])
    picture = method.render(scene, 1)
    own = blur(scene.layers.rgb[0, 0], 4.0)
    torch.testing.assert_close(picture[:, :, 40:], own[:, :, 40:], atol=1e-5, rtol=0)
    behind = blur(scene.layers.rgb[0, 1], 6.0)
    torch.testing.assert_close(picture[:, :, :17], behind[:, :, :17], atol=1e-5, rtol=0)


def _white_before_black() -> torch.Tensor:
    """Coverage of a defocused white half plane."""
    return blur(FRONT[None], RADIUS)[0]


def test_a_blurred_front_edge_before_a_sharp_background():
    scene = make_scene([RADIUS, 0.0], [FRONT, torch.ones_like(FRONT)], [grey(1), grey(0)])
    coverage = _white_before_black()
    behind, front = FRONT == 0, FRONT == 1
    layered, classical, sterefo = (method.render(scene, 1)[0] for method in (MultiplaneImage(), Classical(), SteReFo()))
    torch.testing.assert_close(layered, coverage, atol=1e-6, rtol=0)  # the truth
    # A picture without layers does not know what lies behind the front: there its edge is opaque.
    assert (classical[front] - 1).abs().max() < 1e-6
    assert (sterefo[front] - 1).abs().max() < 1e-6
    # Outside, classical scattering counts the front as one more source beside the background.
    torch.testing.assert_close(classical[behind], (coverage / (1 + coverage))[behind], atol=1e-6, rtol=0)
    torch.testing.assert_close(sterefo[behind], coverage[behind], atol=1e-6, rtol=0)


def test_only_classical_scattering_lets_the_background_bleed_over_a_sharp_edge():
    scene = make_scene([0.0, -RADIUS], [FRONT, torch.ones_like(FRONT)], [grey(0), grey(1)])
    bleeding = 1 - _white_before_black()
    front = FRONT == 1
    for method in (MultiplaneImage(), SteReFo()):
        torch.testing.assert_close(method.render(scene, 1)[0], 1 - FRONT, atol=1e-6, rtol=0)
    classical = Classical().render(scene, 1)[0]
    torch.testing.assert_close(classical[front], (bleeding / (1 + bleeding))[front], atol=1e-6, rtol=0)
    assert classical[24, EDGE] > 0.25


def test_layers_at_one_disparity_are_one_slice_and_one_plane():
    scene = make_scene([3.0, 3.0, -6.0])
    one_slice = (scene.disparity_map > FOCUS).float()
    near = blur(torch.cat([scene.all_in_focus, torch.ones_like(one_slice)[None]]) * one_slice, 3.0)
    far = blur(torch.cat([scene.all_in_focus, torch.ones_like(one_slice)[None]]) * (1 - one_slice), 6.0)
    sums = near + far
    torch.testing.assert_close(Classical().render(scene, 1), sums[:3] / sums[3:], atol=1e-6, rtol=0)
    layered = near[:3] + (1 - near[3:]) * blur(scene.layers.rgb[0, 2], 6.0)
    torch.testing.assert_close(MultiplaneImage().render(scene, 1), layered, atol=1e-6, rtol=0)


def test_a_layer_moves_to_the_nearest_plane():
    spacing_px = 4.0  # three planes, at 4, 0 and −4 px
    off, on = (make_scene([spacing_px, middle, -spacing_px]) for middle in (1.7, 0.0))
    method = MultiplaneImage(planes=3)
    torch.testing.assert_close(method.render(off, 1), method.render(on, 1), atol=1e-6, rtol=0)
    assert (MultiplaneImage().render(off, 1) - method.render(off, 1)).abs().max() > 0.05


def test_planes_lie_between_the_nearest_and_the_farthest_layer():
    scene = make_scene([6.0, -3.0])
    coverage = blur(scene.layers.alpha[0, 0], 6.0)
    layered = blur(scene.layers.alpha[0, 0] * scene.layers.rgb[0, 0], 6.0) + (1 - coverage) * blur(scene.layers.rgb[0, 1], 3.0)
    torch.testing.assert_close(MultiplaneImage().render(scene, 1), layered, atol=1e-5, rtol=0)
    assert BLUR * (max(scene.disparities) - FOCUS) == pytest.approx(6, abs=1e-5)
