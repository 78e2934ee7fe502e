"""The nodes of the radii, and the grids of large ones."""

import pytest
import torch

from taichi_bokeh.optics.radius_nodes import grid_cell_px, node_coordinate, node_radius_px, nodes


def test_at_a_node_the_coordinate_is_its_number():
    numbers = torch.arange(-40, 41, dtype=torch.float64)
    coordinate, _ = node_coordinate(node_radius_px(numbers))
    torch.testing.assert_close(coordinate, numbers, atol=1e-12, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_radii_are_interpolated_exactly_between_their_nodes(dtype):
    """Σ_j Λ(s − j)·r_j = r: what is linear in the radius, as a kernel's centroid is, is exact."""
    radius = torch.linspace(-90, 90, 1001, dtype=dtype)
    coordinate, _ = node_coordinate(radius)
    below = coordinate.floor()
    mean = (below + 1 - coordinate) * node_radius_px(below) + (coordinate - below) * node_radius_px(below + 1)
    torch.testing.assert_close(mean, radius, rtol=1e-12 if dtype == torch.float64 else 3e-6, atol=1e-12)


def test_coordinates_are_odd_and_increase_without_jumps():
    radius = torch.linspace(-60, 60, 20001, dtype=torch.float64)
    coordinate, slope = node_coordinate(radius)
    torch.testing.assert_close(node_coordinate(-radius)[0], -coordinate, atol=1e-12, rtol=0)
    rises = coordinate.diff()
    assert (rises > 0).all()
    assert (rises <= 120 / 20000 * slope.max() * (1 + 1e-9)).all()


def test_the_slope_is_the_derivative_of_the_coordinate():
    radius = torch.linspace(-60, 60, 1002, dtype=torch.float64)
    coordinate, slope = node_coordinate(radius)
    ahead, behind = (node_coordinate(radius + step)[0] for step in (1e-6, -1e-6))
    torch.testing.assert_close((ahead - behind) / 2e-6, slope, atol=0, rtol=1e-7)
    assert (coordinate.frac().abs() > 1e-4).all()  # none of them at a node, where there is no slope


def test_nodes_lie_half_a_pixel_apart_and_an_eighth_of_the_radius_beyond_4_px():
    radius = node_radius_px(torch.arange(0, 40, dtype=torch.float64))
    torch.testing.assert_close(radius[:9], torch.arange(9).double() / 2)
    relative = radius[8:].diff() / radius[8:-1]
    torch.testing.assert_close(relative, torch.full_like(relative, 0.133), atol=1e-3, rtol=0)  # exp(1/8) − 1


@pytest.mark.parametrize("ends", [(-0.2, 0.3), (0.0, 0.0), (0.5, 1.0), (-7.0, 3.9), (4.0, 4.0), (17.2, 33.0), (-12.0, -9.0)])
def test_nodes_lie_on_both_sides_of_the_radii(ends):
    numbers, radii = zip(*nodes(*ends), strict=True)
    assert list(numbers) == list(range(numbers[0], numbers[-1] + 1))
    assert len(numbers) > 1
    assert radii[0] < ends[0]
    assert radii[-1] > ends[1]
    expected = node_radius_px(torch.tensor(numbers, dtype=torch.float64))
    torch.testing.assert_close(torch.tensor(radii, dtype=torch.float64), expected)


def test_on_its_grid_a_radius_of_32_px_or_more_is_16_to_32_cells():
    for radius_px in (32.0, 33.0, 63.9, 64.0, 100.0, 1000.0):
        assert 16 <= radius_px / grid_cell_px(radius_px) < 32
        assert grid_cell_px(-radius_px) == grid_cell_px(radius_px)
    assert [grid_cell_px(radius_px) for radius_px in (0.0, 31.99, 32.0, 63.99, 64.0)] == [1, 1, 2, 2, 4]
