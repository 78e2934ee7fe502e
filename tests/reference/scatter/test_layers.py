"""Rung 1: the reference renderer against closed forms."""

import math

import pytest
import torch

import taichi_bokeh as tb
from tests.scenes import flat_layers


def reference(layers: tb.Layers, blur: float, focus: float = 0.0, **settings: object) -> torch.Tensor:
    return tb.render(layers, tb.ThinLens(blur, focus), **{"model": "scatter", "algorithm": "reference", **settings})


@pytest.mark.parametrize("disparity", [0.6, -0.6])
def test_a_point_light_becomes_the_disc_with_its_energy(disparity):
    rgb = torch.zeros(3, 17, 17, dtype=torch.float64)
    rgb[:, 8, 8] = 100
    picture = reference(flat_layers(rgb, disparity), 7.5)[0, 0]
    radius = 4.5
    assert picture.sum().item() == pytest.approx(100, abs=1e-6)
    assert picture[8, 8].item() == pytest.approx(100 / (math.pi * radius**2), abs=1e-9)
    distance = torch.hypot(*torch.meshgrid(torch.arange(17.0) - 8, torch.arange(17.0) - 8, indexing="ij"))
    assert picture[distance > radius + 1.5].abs().max() == 0


def test_a_half_plane_becomes_the_cumulative_integral_of_the_disc():
    rgb = torch.zeros(3, 1, 61, dtype=torch.float64)
    rgb[:, :, 31:] = 1
    radius = 12.0
    row = reference(flat_layers(rgb, 1.0), radius)[0, 0, 0]
    t = ((torch.arange(61, dtype=torch.float64) - 30.5) / radius).clamp(-1, 1)
    disc = 0.5 + (t * (1 - t**2).sqrt() + t.asin()) / math.pi
    torch.testing.assert_close(row, disc, atol=2e-3, rtol=0)  # the tent smooths the disc's own profile by 1/12 px²


def test_an_in_focus_foreground_is_returned_exactly_over_any_background():
    torch.manual_seed(0)
    rgb = torch.rand(1, 2, 3, 15, 15, dtype=torch.float64)
    alpha = torch.zeros(1, 2, 1, 15, 15, dtype=torch.float64)
    alpha[0, 0, 0, 4:11, 4:11] = 1
    alpha[0, 1] = 1
    disparity = torch.tensor([0.5, 0.1], dtype=torch.float64).view(1, 2, 1, 1, 1).expand(1, 2, 1, 15, 15)
    picture = reference(tb.Layers(rgb, alpha, disparity), 20.0, 0.5)
    torch.testing.assert_close(picture[..., 4:11, 4:11], rgb[:, 0, :, 4:11, 4:11])


def test_a_blurred_foreground_is_translucent_over_a_sharp_background():
    """A half plane in front, out of focus: at its edge half of the sharp background shows through."""
    rgb = torch.zeros(1, 2, 3, 1, 61, dtype=torch.float64)
    rgb[:, 1] = 1
    alpha = torch.ones(1, 2, 1, 1, 61, dtype=torch.float64)
    alpha[:, 0, :, :, 31:] = 0
    disparity = torch.tensor([1.0, 0.0], dtype=torch.float64).view(1, 2, 1, 1, 1).expand(1, 2, 1, 1, 61)
    row = reference(tb.Layers(rgb, alpha, disparity), 10.0)[0, 0, 0]
    assert 0.5 * (row[30] + row[31]).item() == pytest.approx(0.5, abs=1e-9)
    assert row[:18].abs().max() < 1e-9
    assert (1 - row[44:]).abs().max() < 1e-9


def test_soft_occlusion_keeps_what_lies_behind_off_an_in_focus_subject():
    """Equation of O: a source 10 px behind an in-focus pixel counts nothing, one in front of it counts in full."""
    rgb = torch.zeros(3, 1, 21, dtype=torch.float64)
    rgb[:, :, :10] = 1
    layers = flat_layers(rgb, 0.0)
    for step, bleeds in ((-1.6, False), (1.6, True)):
        layers.disparity[..., :10] = step
        picture = reference(layers, 6.0, 0.0)
        assert (picture[0, 0, 0, 11].item() > 1e-3) == bleeds
