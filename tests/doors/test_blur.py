import math

import numpy as np
import pytest
import torch

import taichi_bokeh as tb


def image(dtype=torch.float32):
    return torch.rand(1, 3, 12, 14, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_a_radius_of_0_leaves_the_image():
    assert (tb.blur(image(), 0) - image()).abs().max() < 1e-6


def test_a_point_becomes_a_disc_of_the_radius():
    point = torch.zeros(3, 41, 41)
    point[:, 20, 20] = 1
    blurred = tb.blur(point, 8.0)
    assert blurred[0].sum() == pytest.approx(1, abs=1e-3)
    assert (blurred[0, 20, 13:28] / (1 / (math.pi * 64)) - 1).abs().max() < 0.1
    assert blurred[0, 20, :11].max() < 1e-6


def test_highlights_nearer_than_the_focus_are_the_point_mirror_of_those_beyond_it():
    point = torch.zeros(3, 33, 33)
    point[:, 16, 16] = 1
    triangle = tb.Aperture(blades=3, roundness=0.0)
    far, near = (tb.blur(point, radius_px, triangle) for radius_px in (-6.0, 6.0))
    assert (near - far.flip(1, 2)).abs().max() < 1e-6
    assert (near - far).abs().max() > 1e-3


def test_it_is_one_layer_seen_through_a_lens():
    radius_px = torch.linspace(-3, 3, 14).expand(12, 14)
    layers = tb.Layers(image()[:, None], torch.ones(1, 1, 1, 12, 14), radius_px[None, None, None].contiguous())
    assert torch.equal(tb.blur(image(), radius_px), tb.render(layers, tb.ThinLens(1.0, 0.0)))


def test_arrays_of_8_bits_come_back_as_such():
    array = np.full((8, 9, 3), 77, np.uint8)
    blurred = tb.blur(array, np.full((8, 9), 2.0))
    assert blurred.dtype == np.uint8
    assert np.array_equal(blurred, array)


def test_gradients_of_image_and_radius_are_those_of_differences():
    light, radius_px = image(torch.float64), torch.linspace(-2.2, 2.7, 14, dtype=torch.float64).repeat(12, 1)
    light, radius_px = light[..., :5, :6].requires_grad_(), radius_px[:5, :6].clone().requires_grad_()
    weights = torch.rand(1, 3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def loss(light, radius_px):
        return (tb.blur(light, radius_px) * weights).sum()

    gradients = torch.autograd.grad(loss(light, radius_px), (light, radius_px))
    for k, gradient in enumerate(gradients):
        changed = [[value.detach().clone() for value in (light, radius_px)] for _ in range(2)]
        for inputs, change in zip(changed, (1e-6, -1e-6), strict=True):
            inputs[k][..., 2, 3] += change
        slope = (loss(*changed[0]) - loss(*changed[1])) / 2e-6
        assert float(slope) == pytest.approx(float(gradient[..., 2, 3].sum()), rel=1e-3, abs=1e-7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radius_px": torch.zeros(3, 3)}, r"radius_px has shape \[3, 3\]; expected \[12, 14\]"),
        ({"radius_px": math.nan}, "radius_px holds NaN"),
        ({"radius_px": "wide"}, "radius_px is of type str"),
        ({"image": torch.zeros(12, 14)}, r"image has shape \[12, 14\]"),
        ({"aperture": "disc"}, "aperture is of type str"),
    ],
)
def test_errors_name_the_argument(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        tb.blur(**{"image": image(), "radius_px": 1.0, **changes})
