"""A picture comes apart into layers that put together again are the picture."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from taichi_bokeh import Layers
from taichi_bokeh.photo import fill_holes, to_layers
from tests.photo.scenes import Scene, composite, disc_before_wall, post_on_floor


@pytest.fixture(scope="module")
def motorcycle() -> Scene:
    data = pytest.importorskip("skimage.data")
    left, _, disparity = data.stereo_motorcycle()
    rgb = ((left / 255) ** 2.2).astype(np.float32)
    disparity = np.where(np.isfinite(disparity), disparity, np.nan)
    disparity = (disparity / np.nanmax(disparity)).astype(np.float32)
    return Scene(rgb, fill_holes(disparity, rgb), np.zeros_like(disparity))


def _away_from_edges(disparity: np.ndarray) -> np.ndarray:
    jump = ndimage.maximum_filter(disparity, 3) - ndimage.minimum_filter(disparity, 3) > 0.03
    return ~ndimage.binary_dilation(jump, iterations=4)


def _assert_sound(layers: Layers, scene: Scene) -> None:
    colour, disparity = composite(layers)
    np.testing.assert_allclose(colour, scene.rgb, rtol=5e-6, atol=5e-6)
    calm = _away_from_edges(scene.disparity)
    assert np.abs(disparity - scene.disparity)[calm].max() < 0.03
    assert (layers.alpha[:, -1] == 1).all()
    assert layers.rgb.dtype == torch.float32


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("make", [disc_before_wall, post_on_floor])
def test_the_composite_is_the_picture(make, count):
    scene = make()
    layers = to_layers(scene.rgb, scene.disparity, layers=count)
    assert 1 <= layers.count <= count
    _assert_sound(layers, scene)


@pytest.mark.parametrize("count", [2, 3])
def test_the_composite_of_a_real_photograph_is_the_photograph(motorcycle, count):
    layers = to_layers(motorcycle.rgb, motorcycle.disparity, layers=count)
    assert layers.count == count
    _assert_sound(layers, motorcycle)


def test_no_more_layers_are_made_than_there_are_jumps():
    scene = disc_before_wall()
    assert to_layers(scene.rgb, scene.disparity, layers=5).count == 2
    assert to_layers(scene.rgb, np.full_like(scene.disparity, 0.4)).count == 1


def test_the_matte_is_antialiased_and_close_to_the_true_one():
    scene = disc_before_wall()
    matte = to_layers(scene.rgb, scene.disparity).alpha[0, 0, 0].numpy()
    assert np.abs(matte - scene.matte).max() < 0.25
    assert np.abs(matte - scene.matte).mean() < 0.005


def test_neither_layer_holds_the_others_colour():
    scene = disc_before_wall()
    front, back = (rgb.permute(1, 2, 0).numpy() for rgb in to_layers(scene.rgb, scene.disparity).rgb[0])
    matte = to_layers(scene.rgb, scene.disparity).alpha[0, 0, 0].numpy()
    seen_front, hidden_back = matte > 0.1, matte > 0.5
    assert (front[..., 0] > front[..., 1])[seen_front].mean() > 0.999  # red
    assert (back[..., 1] > back[..., 0])[hidden_back].mean() > 0.99  # green


def test_disparity_goes_on_beyond_the_edge_of_each_layer():
    scene = disc_before_wall()
    front, back = to_layers(scene.rgb, scene.disparity).disparity[0, :, 0].numpy()
    np.testing.assert_allclose(front, 0.9, atol=1e-4)
    np.testing.assert_allclose(back, 0.2, atol=1e-4)


def test_a_floor_that_crosses_the_cut_is_faded_and_goes_on_behind():
    scene = post_on_floor()
    layers = to_layers(scene.rgb, scene.disparity, layers=2)
    assert layers.count == 2
    matte, floor = layers.alpha[0, 0, 0].numpy(), np.s_[:, 10:30]  # well beside the post
    assert np.abs(np.diff(matte[floor], axis=0)).max() < 0.3
    fading = (matte[floor] > 0) & (matte[floor] < 1)
    assert fading.any()
    np.testing.assert_allclose(layers.rgb[0, 1].permute(1, 2, 0).numpy()[floor][fading], scene.rgb[floor][fading])
    np.testing.assert_allclose(layers.disparity[0, 1, 0].numpy()[floor][fading], scene.disparity[floor][fading])
    post = np.s_[25:70, 60]
    assert (matte[post] > 0.99).all()


def test_a_given_matte_makes_the_foreground():
    scene = disc_before_wall()
    layers = to_layers(scene.rgb, scene.disparity, scene.matte)
    assert layers.count == 2
    np.testing.assert_array_equal(layers.alpha[0, 0, 0].numpy(), scene.matte)
    _assert_sound(layers, scene)
    assert (layers.rgb[0, 1, 1] > layers.rgb[0, 1, 0]).float().mean() > 0.99  # the wall is green, also behind the disc
    np.testing.assert_allclose(layers.disparity[0, 0].numpy(), 0.9, atol=1e-4)
    np.testing.assert_allclose(layers.disparity[0, 1].numpy(), 0.2, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_matte_that_is_empty_or_full_is_taken(value):
    scene = disc_before_wall(40, 40)
    layers = to_layers(scene.rgb, scene.disparity, np.full_like(scene.matte, value))
    np.testing.assert_allclose(composite(layers)[0], scene.rgb, rtol=5e-6, atol=5e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2)])
def test_tiny_pictures_are_taken(shape):
    rng = np.random.default_rng(0)
    rgb, disparity = rng.random((*shape, 3), np.float32), rng.random(shape, np.float32)
    np.testing.assert_allclose(composite(to_layers(rgb, disparity))[0], rgb, rtol=5e-6, atol=5e-6)


def test_bad_arguments_are_refused_by_name():
    rgb, disparity = np.ones((6, 5, 3), np.float32), np.ones((6, 5), np.float32)
    cases = [
        ((rgb[..., :2], disparity), "rgb"),
        ((-rgb, disparity), "rgb"),
        ((rgb * np.nan, disparity), "rgb"),
        ((rgb, disparity[:3]), "disparity"),
        ((rgb, disparity * np.nan), "disparity"),
        ((rgb, disparity * np.inf), "disparity"),
        ((rgb, disparity, 2 * disparity), "matte"),
        ((rgb, disparity, disparity[:3]), "matte"),
        ((rgb, disparity, None, 0), "layers"),
        ((rgb, disparity, disparity, 1), "layers"),
    ]
    for arguments, name in cases:
        with pytest.raises(ValueError, match=name):
            to_layers(*arguments)
