"""Rung 1 of the biconvex lens: the traced rays against the optics of textbooks."""

from math import pi, tau

import pytest
import torch

from taichi_bokeh.optics.biconvex_lens import BiconvexLens, from_abbe
from taichi_bokeh.optics.biconvex_ray import (
    Rays,
    biconvex_rays,
    on_plane,
    principal_plane,
    refract,
    sensor_rays,
    through_lens,
)

GRID = [(f_number, n) for f_number in (2.0, 4.0, 16.0) for n in (1.4, 1.5, 1.8)]


def ground(f_number: float, n: float | tuple[float, float, float] = 1.5, focus: float = 2.0, width: int = 1920) -> BiconvexLens:
    return BiconvexLens.from_focal_length(0.05, f_number, n, focus, 0.036, width)


def parallel(*heights_m: float) -> Rays:
    """Rays along the axis, from behind the lens."""
    origin = torch.tensor([[height, 0.0, -0.1] for height in heights_m], dtype=torch.float64)
    direction = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).expand_as(origin)
    return Rays(origin, direction, torch.ones(len(heights_m), dtype=torch.bool))


def crossings(rays: Rays) -> torch.Tensor:
    """The z at which rays in the xz plane cross the axis."""
    return rays.origin[:, 2] - rays.origin[:, 0] * rays.direction[:, 2] / rays.direction[:, 0]


def disc(count: int, seed: int = 0) -> torch.Tensor:
    r, angle = torch.rand(2, count, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (r.sqrt() * torch.stack([(tau * angle).cos(), (tau * angle).sin()])).T


def test_refraction_obeys_snell_in_the_plane_of_incidence():
    angle = torch.linspace(0, 1.5, 16, dtype=torch.float64)
    direction = torch.stack([angle.sin(), torch.zeros(16), angle.cos()], -1)
    normal = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    bent, passes = refract(direction, normal, 1 / 1.5)
    assert passes.all()
    torch.testing.assert_close(bent.norm(dim=-1), torch.ones(16, dtype=torch.float64))
    torch.testing.assert_close(1.5 * bent[:, 0], direction[:, 0])
    assert bent[:, 1].abs().max() == 0
    _, passes = refract(direction, normal, 1.5)
    assert (passes == (angle < torch.asin(torch.tensor(1 / 1.5)))).all()


@pytest.mark.parametrize(("f_number", "n"), GRID)
def test_paraxial_light_from_far_away_meets_at_the_focal_length(f_number, n):
    lens = ground(f_number, n)
    leaving = through_lens(lens, parallel(1e-6), n)
    focal_length = crossings(leaving) - principal_plane(lens)
    assert focal_length.item() == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize(("f_number", "n"), GRID)
def test_the_principal_plane_is_where_incoming_and_leaving_paraxial_rays_meet(f_number, n):
    lens = ground(f_number, n)
    height = 1e-6
    leaving = through_lens(lens, parallel(height), n)
    slope = leaving.direction[0, 0] / leaving.direction[0, 2]
    meeting_z = leaving.origin[0, 2] + (height - leaving.origin[0, 0]) / slope
    assert meeting_z.item() == pytest.approx(principal_plane(lens), abs=1e-9)


@pytest.mark.parametrize("focus", [0.2, 2.0, 50.0])
@pytest.mark.parametrize(("f_number", "n"), GRID)
def test_paraxial_light_from_the_sensor_meets_in_the_plane_in_focus(f_number, n, focus):
    lens = ground(f_number, n, focus)
    centre = torch.tensor([0.0, 0.0], dtype=torch.float64)
    rays = biconvex_rays(lens, centre, (1, 1), centre + torch.tensor([1e-4, 0.0]), n)
    assert -(rays.slope[0] / rays.base[0]).item() == pytest.approx(focus, rel=1e-5)


@pytest.mark.parametrize(("f_number", "aberration_mm"), [(2.0, -5.55), (4.0, -1.32), (8.0, -0.33)])
def test_marginal_light_meets_short_of_paraxial_light(f_number, aberration_mm):
    lens = ground(f_number)
    marginal, paraxial = crossings(through_lens(lens, parallel(lens.aperture_radius, 1e-6), 1.5))
    assert 1000 * (marginal - paraxial).item() == pytest.approx(aberration_mm, abs=0.02)


def test_a_ray_sent_back_returns_on_its_own_path():
    lens = ground(1.4)
    pixel = torch.tensor([700.0, 300.0], dtype=torch.float64)
    there = sensor_rays(lens, pixel, (1920, 1080), 0.9 * disc(100))
    leaving = through_lens(lens, there, 1.5)
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)  # the lens is its own mirror image in z
    start = (leaving.origin + 0.3 * leaving.direction) * mirror
    back = through_lens(lens, Rays(start, -leaving.direction * mirror, leaving.alive), 1.5)
    assert leaving.alive.sum() > 80
    assert (back.alive == leaving.alive).all()
    home, _ = on_plane(Rays(back.origin * mirror, back.direction * mirror, back.alive), there.origin[0, 2].item())
    assert (home - there.origin[:, :2])[back.alive].abs().max() < 1e-14


def test_blue_light_meets_nearer_than_red():
    """By Δf = −f·Δn/(n − 1), from the lensmaker's equation of a thin lens."""
    n = from_abbe(1.5168, 64.17)
    lens = ground(8.0, n)
    red, green, blue = (crossings(through_lens(lens, parallel(1e-6), index)).item() for index in n)
    assert blue < green < red
    assert (blue - red) / 0.05 == pytest.approx(-(n[2] - n[0]) / (n[1] - 1), rel=0.02)


def test_the_stopped_down_lens_is_the_thin_lens():
    """Off by its aberrations, of third order: from one stop to four stops down (half, quarter the opening) 8 times less."""
    size = (65, 49)
    pixel = torch.tensor([[32.0, 24.0], [30.0, 25.0]], dtype=torch.float64)[:, None]
    u = disc(200)
    errors = []
    for f_number in (4.0, 8.0, 16.0):
        lens = ground(f_number, width=1920)
        thin = lens.thin_lens()
        rays = biconvex_rays(lens, pixel, size, u, 1.5)
        assert rays.alive.all()
        off = [rays.base + rays.slope * d - (pixel + u * thin.blur * (d - thin.focus)) for d in (0.0, 0.5, 2.0)]
        errors.append(torch.stack(off).abs().max().item())
    assert errors[2] < 0.15
    assert errors[0] > 7 * errors[1] > 49 * errors[2]


def test_a_pixel_sees_itself_in_the_plane_in_focus():
    """Neither inverted nor mirrored: the image is upside down, and the picture is the image turned back."""
    lens = ground(16.0, width=96)
    y, x = torch.meshgrid(torch.arange(0.0, 64, 7), torch.arange(0.0, 96, 5), indexing="ij")
    pixel = torch.stack([x, y], -1).double()
    rays = biconvex_rays(lens, pixel, (96, 64), torch.zeros(2, dtype=torch.float64), 1.5)
    assert (rays.base + rays.slope * lens.focus - pixel).abs().max() < 0.01


def test_a_point_of_the_opening_is_at_the_right_and_below_where_u_says_so():
    lens = ground(16.0)
    u = torch.tensor([[0.5, 0.0], [0.0, 0.5]], dtype=torch.float64)
    slope = biconvex_rays(lens, torch.zeros(2, dtype=torch.float64), (1, 1), u, 1.5).slope
    torch.testing.assert_close(slope, lens.blur * u, rtol=0.01, atol=1e-9)


def test_the_rim_is_the_stop_from_the_centre_to_the_corners():
    lens = ground(1.4, width=192)
    angle = torch.linspace(0, 2 * pi, 16, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()], -1)
    for pixel in ([95.5, 63.5], [0.0, 63.5], [0.0, 0.0]):
        passing = [biconvex_rays(lens, torch.tensor(pixel).double(), (192, 128), u, 1.5).alive for u in (circle, disc(1000))]
        assert torch.cat(passing).all()
    centre = torch.tensor([95.5, 63.5], dtype=torch.float64)
    assert not biconvex_rays(lens, centre, (192, 128), 1.001 * circle, 1.5).alive.any()


def test_a_ray_beyond_the_rim_is_vignetted():
    """1.01·R_a still meets both spheres, beyond the rim; 0.2 m is outside either."""
    lens = ground(2.0)
    heights = 0.99 * lens.aperture_radius, 1.01 * lens.aperture_radius, 0.2
    assert through_lens(lens, parallel(*heights), 1.5).alive.tolist() == [True, False, False]


def test_total_reflection_blocks():
    """In an almost whole ball, light from near the axis of the sensor does not leave all of the front surface."""
    lens = BiconvexLens(0.05, 0.098, 1.9, 2.0, 0.036, 1920)
    alive = through_lens(lens, parallel(*(k * lens.aperture_radius / 50 for k in range(1, 50))), 1.9).alive.tolist()
    assert alive == sorted(alive, reverse=True)
    assert alive[0]
    assert not alive[-1]
