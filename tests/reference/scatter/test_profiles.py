"""Rung 1: the profiles against closed forms and against counting."""

import math

import pytest
import torch

from taichi_bokeh.reference import disc_profile, logistic_profile


def offsets(reach: int) -> tuple[torch.Tensor, torch.Tensor]:
    axis = torch.arange(-reach, reach + 1, dtype=torch.float64)
    dy, dx = torch.meshgrid(axis, axis, indexing="ij")
    return dx, dy


@pytest.mark.parametrize("radius", [0.02, 0.3, 0.7, 1.0, 1.9, 4.4, 10.6])
def test_disc_keeps_energy_and_its_second_moment(radius):
    dx, dy = offsets(13)
    weight = disc_profile(dx, dy, torch.tensor(radius, dtype=torch.float64))
    assert weight.min() >= 0
    assert weight.sum().item() == pytest.approx(1, abs=1e-9)
    assert (weight * dx).sum().item() == pytest.approx(0, abs=1e-9)
    # bilinear interpolation at a fraction f between pixels adds f(1 − f), at most ¼, to the disc's r²/4
    assert radius**2 / 4 < (weight * dx**2).sum().item() < radius**2 / 4 + 0.25


@pytest.mark.parametrize("radius", [0.4, 1.0, 2.5, 6.3])
def test_disc_is_what_counting_points_of_the_disc_gives(radius):
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(400_000, 2, generator=generator, dtype=torch.float64) * 2 - 1
    points = radius * points[points.norm(dim=1) < 1]
    for dx, dy in ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (round(radius), 1.0), (0.0, math.ceil(radius))):
        tent = (1 - (points[:, 0] - dx).abs()).clamp(min=0) * (1 - (points[:, 1] - dy).abs()).clamp(min=0)
        weight = disc_profile(torch.tensor(dx), torch.tensor(dy), torch.tensor(radius, dtype=torch.float64))
        spread = tent.std().item() / math.sqrt(len(tent))
        assert weight.item() == pytest.approx(tent.mean().item(), abs=5 * spread + 1e-9)


def test_disc_is_flat_inside_and_nothing_outside():
    dx, dy = offsets(9)
    distance = torch.hypot(dx, dy)
    weight = disc_profile(dx, dy, torch.tensor(5.5, dtype=torch.float64))
    inside, outside = distance < 5.5 - math.sqrt(2), distance > 5.5 + math.sqrt(2)
    torch.testing.assert_close(weight[inside], torch.full_like(weight[inside], 1 / (math.pi * 5.5**2)))
    assert weight[outside].abs().max() < 1e-15


def test_disc_of_no_radius_is_a_point_and_small_ones_follow_their_series():
    dx, dy = offsets(2)
    point = disc_profile(dx, dy, torch.tensor(0.0, dtype=torch.float64))
    assert point[2, 2].item() == pytest.approx(1, abs=1e-8)
    r = torch.tensor(0.25, dtype=torch.float64, requires_grad=True)
    centre = disc_profile(torch.tensor(0.0), torch.tensor(0.0), r)
    assert centre.item() == pytest.approx(1 - 8 * 0.25 / (3 * math.pi) + 0.25**2 / (2 * math.pi), abs=1e-12)
    (slope,) = torch.autograd.grad(centre, r)
    assert slope.item() == pytest.approx(-8 / (3 * math.pi) + 0.25 / math.pi, abs=1e-12)


def test_logistic_is_half_open_at_its_radius_and_never_overflows():
    radius = torch.tensor(2.0, dtype=torch.float32)
    at_radius = logistic_profile(torch.tensor(2.0), radius)
    assert at_radius.item() == pytest.approx(1 / 11)
    far = torch.tensor(500.0, requires_grad=True)
    weight = logistic_profile(far, radius)
    weight.backward()
    assert torch.isfinite(weight)
    assert torch.isfinite(far.grad)
