"""One scene: its numbers, and what a pinhole camera sees of it."""

import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.synthetic.scene import Scene


def scene_of(disparities, size=(9, 12), focus=0.5, blur=8.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    count = len(disparities)
    rgb = torch.rand(1, count, 3, *size, generator=generator)
    alpha = torch.rand(1, count, 1, *size, generator=generator)
    alpha[:, -1] = 1
    disparity = torch.tensor(disparities)[None, :, None, None, None].expand_as(alpha).contiguous()
    return Scene("007", tb.Layers(rgb, alpha, disparity), blur, focus, "middle")


def test_radii_are_signed_and_grow_with_blur():
    scene = scene_of([1.0, 0.5, 0.25])
    assert scene.disparities == [1.0, 0.5, 0.25]
    assert scene.radii_px == [4.0, 0.0, -2.0]
    assert scene.largest_radius_px == 4
    assert scene.lens().blur == 8
    assert scene.lens(0.5).blur == 4
    assert scene.lens(0.5).focus == 0.5


def test_the_largest_radius_may_lie_behind_the_focus():
    assert scene_of([1.0, 0.25], focus=1.0).largest_radius_px == 6


def test_all_in_focus_is_what_a_lens_without_an_opening_sees():
    scene = scene_of([1.0, 0.5, 0.25])
    pinhole = tb.trace(scene.layers, scene.lens(0.0), rays=1)[0]
    torch.testing.assert_close(scene.all_in_focus, pinhole, rtol=0, atol=1e-6)


def test_a_lens_leaves_the_layer_in_focus_as_it_is():
    scene = scene_of([0.5])
    torch.testing.assert_close(scene.all_in_focus, scene.layers.rgb[0, 0])
    torch.testing.assert_close(tb.trace(scene.layers, scene.lens(), rays=16)[0], scene.layers.rgb[0, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("alpha", "disparity"), [(1.0, 1.0), (0.5, 1.0), (0.49, 0.25), (0.0, 0.25)])
def test_the_disparity_map_takes_the_nearest_layer_that_covers_half_a_pixel(alpha, disparity):
    scene = scene_of([1.0, 0.25])
    scene.layers.alpha[:, 0] = alpha
    assert torch.equal(scene.disparity_map, torch.full((9, 12), disparity))
