import numpy as np
import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.photo import to_layers


def photo():
    rgb = np.random.default_rng(0).random((24, 32, 3)).astype(np.float32)
    disparity = np.full((24, 32), 0.2, np.float32)
    disparity[6:18, 10:22] = 0.8
    return rgb, disparity


def same(a, b):
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("rgb", "alpha", "disparity"))


@pytest.mark.parametrize("layers", ["auto", 2, 3])
def test_several_layers_are_those_of_the_photo_room(layers):
    rgb, disparity = photo()
    assert same(tb.Layers.from_rgbd(rgb, disparity, layers), to_layers(rgb, disparity, layers=layers))


@pytest.mark.parametrize("layers", [1, "one"])
def test_one_layer_is_the_image_as_it_is_and_part_of_the_graph(layers):
    rgb, disparity = (torch.from_numpy(value) for value in photo())
    rgb = rgb.movedim(-1, 0).requires_grad_()
    one = tb.Layers.from_rgbd(rgb, disparity, layers)
    assert torch.equal(one.rgb[0, 0], rgb)
    assert torch.equal(one.disparity[0, 0, 0], disparity)
    assert one.alpha.min() == 1
    assert one.rgb.requires_grad


def test_scenes_of_a_batch_that_have_fewer_layers_get_empty_ones_in_front():
    rgb, disparity = (torch.from_numpy(value) for value in photo())
    rgb = rgb.movedim(-1, 0).double()
    both = tb.Layers.from_rgbd(torch.stack([rgb, rgb]), torch.stack([disparity, 0 * disparity + 0.3])[:, None])
    assert (both.batch, both.count, both.dtype) == (2, 2, torch.float64)
    assert both.alpha[1, 0].max() == 0
    lens = tb.ThinLens(5.0, 0.5)
    alone = tb.render(tb.Layers.from_rgbd(rgb, 0 * disparity + 0.3), lens)
    assert (tb.render(both, lens)[1] - alone[0]).abs().max() < 1e-6


def test_the_all_in_focus_image_is_the_photograph_and_what_no_blur_renders():
    rgb, disparity = photo()
    layers = tb.Layers.from_rgbd(rgb, disparity)
    image = layers.all_in_focus()
    assert np.abs(image[0].permute(1, 2, 0).numpy() - rgb).max() < 2e-6
    assert (tb.render(layers, tb.ThinLens(0.0, 0.5)) - image).abs().max() < 2e-6


def test_premultiplied_is_light_times_coverage_and_coverage():
    layers = tb.Layers.from_rgbd(*photo())
    four = layers.premultiplied()
    assert torch.equal(four[:, :, :3], layers.alpha * layers.rgb)
    assert torch.equal(four[:, :, 3:], layers.alpha)


def test_the_largest_radius_is_that_of_what_a_layer_covers():
    rgb, disparity = torch.rand(2, 2, 3, 4, 5), torch.rand(2, 2, 1, 4, 5)
    alpha = torch.ones(2, 2, 1, 4, 5)
    disparity[0, 0, 0, 0, 0], alpha[0, 0, 0, 0, 0] = 9.0, 0.0
    alpha[1, 0] = 0
    layers = tb.Layers(rgb, alpha, disparity)
    largest = layers.largest_radius_px(tb.ThinLens(torch.tensor([10.0, 20.0]), 0.5))
    assert largest.shape == (2, 2)
    assert 0 < largest[0, 0] <= 5
    assert largest[1, 0] == 0
    assert largest[1, 1] == pytest.approx(float(20 * (disparity[1, 1] - 0.5).abs().max()))


def test_what_cannot_be_is_refused_by_name():
    rgb, disparity = photo()
    with pytest.raises(TypeError, match=r"rgb has dtype torch\.uint8; expected float32 or float64 in linear light"):
        tb.Layers.from_rgbd((rgb * 255).astype(np.uint8), disparity)
    with pytest.raises(ValueError, match="disparity requires a gradient; expected one without"):
        tb.Layers.from_rgbd(torch.from_numpy(rgb).movedim(-1, 0), torch.from_numpy(disparity).requires_grad_())
