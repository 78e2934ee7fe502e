"""The aperture cut into cells: its raster, the cells and their kernels."""

from math import acos, cos, pi, sin, sqrt

import pytest
import torch
from torch import Tensor

from taichi_bokeh.optics import psf
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.psf import (
    SAMPLES,
    Box,
    Cells,
    divide,
    kernel_reach,
    raster,
    sample_points,
)
from taichi_bokeh.reference.psf import CellPSF

IMAGE = torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.5]])


def rim_area(blades: int, roundness: float) -> float:
    """½∫R² of the rim R(φ) = (1 − q)·cos a/cos φ + q."""
    half = pi / blades
    phi = (torch.arange(100000, dtype=torch.float64) + 0.5) / 100000 * half
    return float(((1 - roundness) * cos(half) / phi.cos() + roundness).square().mean()) * pi


#: Fields of the aperture and its light: the integral of its transmission, whose mean within the rim is 1 (the largest
#: pixel 1 for an image).
OPENINGS = {
    "disc": ({}, pi),
    "hexagon": ({"blades": 6, "roundness": 0.0, "rotation": 10.0}, 3 * sin(pi / 3)),
    "bulging": ({"blades": 5, "roundness": 0.5, "rotation": -20.0}, rim_area(5, 0.5)),
    "ellipse": ({"squeeze": 2.0}, pi / 2),
    "ring": ({"ring": 0.8}, pi),
    "all": ({"blades": 6, "roundness": 0.0, "ring": 0.5, "squeeze": 0.7}, 0.7 * 3 * sin(pi / 3)),
    "image": ({"image": IMAGE}, float(IMAGE.mean() / IMAGE.max()) * 4),
}
every_opening = pytest.mark.parametrize(("shape", "light"), OPENINGS.values(), ids=OPENINGS)
few_openings = pytest.mark.parametrize(
    "shape", [OPENINGS[name][0] for name in ("disc", "all", "image")], ids=["disc", "all", "image"]
)


def cell_of(u: Tensor, cells: Cells) -> Tensor:
    """Which cell each lens point [N, 2] lies in."""
    numbers = torch.full((SAMPLES, SAMPLES), -1)
    for number, box in enumerate(cells.boxes):
        numbers[box.top : box.bottom, box.left : box.right] = number
    column, row = ((u / cells.extent + 1) / 2 * SAMPLES).long().clamp(0, SAMPLES - 1).unbind(1)
    return numbers[row, column]


def offsets(kernels: Tensor) -> Tensor:
    """δ along an axis of kernels [..., D, D]."""
    return torch.arange(kernels.shape[-1], dtype=torch.float64) - kernels.shape[-1] // 2


# ---- transmission and raster


def test_light_passes_a_disc_within_the_unit_circle_only():
    phi = torch.linspace(0, 2 * pi, 37, dtype=torch.float64)
    circle = torch.stack([phi.cos(), phi.sin()], 1)
    assert torch.equal(Aperture().transmission(0.999 * circle), torch.ones(37, dtype=torch.float64))
    assert torch.equal(Aperture().transmission(1.001 * circle), torch.zeros(37, dtype=torch.float64))


@few_openings
@pytest.mark.parametrize("radius_px", [0.0, 0.3, -7.4, 40.0])
def test_leaving_out_what_is_zero_changes_nothing(radius_px, shape, monkeypatch):
    cells = divide(Aperture(**shape), 5)
    kernels = []
    for worth in (0, 1 << 40):
        monkeypatch.setattr(psf, "_SPARSE_WORTH", worth)
        kernels.append(cells.kernels(radius_px))
    torch.testing.assert_close(*kernels, atol=1e-14, rtol=0)


def test_a_polygon_lets_light_through_up_to_its_sides_and_corners():
    hexagon = Aperture(blades=6, roundness=0.0, rotation=20.0)
    corners, sides = (torch.deg2rad(torch.arange(6) * 60.0 + first).double() for first in (20, 50))
    for angle, rim in ((corners, 1.0), (sides, cos(pi / 6))):
        direction = torch.stack([angle.cos(), angle.sin()], 1)  # y down: clockwise as seen
        assert (hexagon.transmission(0.999 * rim * direction) == 1).all()
        assert (hexagon.transmission(1.001 * rim * direction) == 0).all()


def test_a_squeezed_opening_is_turned_first_and_squeezed_then():
    across, down = torch.tensor([[0.49, 0.0], [0.51, 0.0]]).double(), torch.tensor([[0.0, 0.99], [0.0, 1.01]]).double()
    for rotation in (0.0, 30.0):
        ellipse = Aperture(squeeze=2.0, rotation=rotation)
        assert ellipse.transmission(across).tolist() == [1, 0]
        assert ellipse.transmission(down).tolist() == [1, 0]


def test_the_transmission_of_a_ring_grows_with_the_square_of_the_distance():
    u, weights = Aperture(ring=0.6).samples(500)
    torch.testing.assert_close(Aperture(ring=0.6).transmission(u), 500 * weights)
    torch.testing.assert_close(Aperture(ring=0.6).transmission(u), 1 + 0.6 * (2 * u.square().sum(1) - 1))


def test_the_transmission_of_an_image_is_that_of_its_pixels_row_by_row_and_0_beyond():
    y, x = torch.meshgrid(torch.tensor([-0.5, 0.5]), torch.tensor([-2 / 3, 0, 2 / 3]), indexing="ij")
    centres = torch.stack([x, y], -1).double()
    torch.testing.assert_close(Aperture(image=IMAGE).transmission(centres), IMAGE.double() / 3)
    assert (Aperture(image=torch.ones(2, 2)).transmission(torch.tensor([[1.01, 0.0], [0.0, -1.01]]).double()) == 0).all()
    quarter = Aperture(image=IMAGE, rotation=90.0)  # right goes down
    turned = torch.stack([-centres[..., 1], centres[..., 0]], -1)
    torch.testing.assert_close(quarter.transmission(turned), IMAGE.double() / 3)


@every_opening
def test_the_raster_holds_the_light_of_the_opening(shape, light):
    aperture = Aperture(**shape)
    values = raster(aperture, SAMPLES)
    assert values.shape == (SAMPLES, SAMPLES)
    assert values.min() >= 0
    found = values.mean().item() * (2 * aperture.extent) ** 2
    assert found == pytest.approx(light, rel=5e-4)  # an edge is known to a sixteenth of a sample


def test_an_edge_is_rastered_by_area():
    """The samples that the unit circle crosses are grey by what of them is inside, to the 16 × 16 points looked at."""
    size = 64
    values = raster(Aperture(), size)
    fine = (sample_points(16 * size, 1.0).square().sum(-1) <= 1).double().reshape(size, 16, size, 16).mean((1, 3))
    assert ((fine > 0) & (fine < 1)).sum() > 200
    torch.testing.assert_close(values, fine, atol=2 / 256, rtol=0)


# ---- cells


@every_opening
@pytest.mark.parametrize("count", [3, 16, 64])
def test_cells_cover_the_raster_once_and_share_the_light_evenly(shape, light, count):
    cells = divide(Aperture(**shape), count)
    assert cells.count == count
    covered = torch.zeros(SAMPLES, SAMPLES)
    for box in cells.boxes:
        covered[box.top : box.bottom, box.left : box.right] += 1
    assert (covered == 1).all()
    assert cells.shares.sum().item() == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(count * cells.shares, torch.ones(count).double(), atol=0.03, rtol=0)  # cuts are between samples


@every_opening
def test_a_cell_has_its_share_of_the_lens_rays(shape, light):
    aperture = Aperture(**shape)
    cells = divide(aperture, 16)
    u, weights = aperture.samples(1 << 14)
    rays = torch.zeros(16, dtype=torch.float64).index_add_(0, cell_of(u, cells), weights)
    torch.testing.assert_close(rays, cells.shares, atol=1e-3, rtol=0)  # 0.06 of them; the rays cover cells to a few in 16384


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 11, 16, 23, 100])
def test_groups_are_of_three_to_five_neighbours_and_numbered_in_order(count):
    groups = divide(Aperture(), count).groups
    assert list(groups) == sorted(groups)
    assert set(groups) == set(range(max(groups) + 1))
    sizes = [groups.count(group) for group in set(groups)]
    assert max(sizes) <= 5
    assert min(sizes) >= min(3, count)


@pytest.mark.parametrize("count", [16, 64])
def test_a_group_of_cells_is_a_rectangle(count):
    """So it is a cell of the coarser division that the extrapolation compares with."""
    cells = divide(Aperture(), count)
    for group in range(max(cells.groups) + 1):
        boxes = [box for box, of in zip(cells.boxes, cells.groups, strict=True) if of == group]
        around = Box(
            min(b.top for b in boxes), max(b.bottom for b in boxes), min(b.left for b in boxes), max(b.right for b in boxes)
        )
        assert (around.bottom - around.top) * (around.right - around.left) == sum(
            (b.bottom - b.top) * (b.right - b.left) for b in boxes
        )


def test_the_gain_extrapolates_from_groups_of_four_to_no_end_of_cells():
    """An error e/M is e/(M/4) with the groups: fine + (fine − coarse)/3 is without it."""
    for count in (16, 64):
        assert divide(Aperture(), count).gain == pytest.approx(1 / 3)
    for count in (1, 2):
        assert divide(Aperture(), count).gain == 0


@pytest.mark.parametrize("count", [16, 1024])
def test_an_opening_of_a_few_samples_is_divided_too(count):
    """A small bright spot far from the axis, such as a pinhole beside it."""
    image = torch.zeros(256, 256)
    image[20, 30] = 1
    aperture = Aperture(image=image)
    cells = divide(aperture, count)
    assert 1 <= cells.count <= count  # some would be smaller than a sample
    assert sorted(set(cells.groups)) == list(range(max(cells.groups) + 1))
    assert cells.shares.sum().item() == pytest.approx(1, abs=1e-12)
    whole = cells.kernels(30.0).sum(0)
    u = torch.stack([(whole.sum(axis) * offsets(whole)).sum() for axis in (0, 1)]) / 30
    torch.testing.assert_close(u, torch.tensor([30.5, 20.5]).double() / 128 - 1, atol=3e-3, rtol=0)


# ---- kernels


@few_openings
@pytest.mark.parametrize("radius_px", [0.0, 0.3, -2.0, 7.3])
def test_a_kernel_sums_to_the_share_of_its_cell(shape, radius_px):
    cells = divide(Aperture(**shape), 16)
    kernels = cells.kernels(radius_px)
    assert kernels.shape[1:] == (2 * kernel_reach(radius_px, cells.extent) + 1,) * 2
    assert kernels.min() >= 0
    torch.testing.assert_close(kernels.sum((1, 2)), cells.shares, atol=1e-14, rtol=0)


@few_openings
def test_in_focus_a_kernel_is_its_pixel(shape):
    cells = divide(Aperture(**shape), 16)
    for radius_px, tolerance in ((0.0, 1e-14), (1e-6, 1e-6), (1e-3, 2e-3)):  # light moves to the neighbours by |u|·r
        kernels = cells.kernels(radius_px)
        middle = kernels.shape[1] // 2
        torch.testing.assert_close(kernels[:, middle, middle], cells.shares, atol=tolerance, rtol=0)


@few_openings
@pytest.mark.parametrize("radius_px", [0.4, 7.3, -5.0])
def test_a_cell_moves_the_picture_by_the_radius_times_its_centroid(shape, radius_px):
    cells = divide(Aperture(**shape), 16)
    kernels = cells.kernels(radius_px)
    points = sample_points(SAMPLES, cells.extent)
    for kernel, box in zip(kernels, cells.boxes, strict=True):
        part = (slice(box.top, box.bottom), slice(box.left, box.right))
        through = cells.transmission[part]
        centroid = (through[..., None] * points[part]).sum((0, 1)) / through.sum()
        moved = torch.stack([(kernel.sum(axis) * offsets(kernel)).sum() for axis in (0, 1)]) / kernel.sum()
        torch.testing.assert_close(moved, radius_px * centroid, atol=1e-12, rtol=0)


@few_openings
@pytest.mark.parametrize("radius_px", [0.3, 7.3])
def test_nearer_than_the_focus_a_kernel_is_the_point_mirror(shape, radius_px):
    cells = divide(Aperture(**shape), 16)
    torch.testing.assert_close(cells.kernels(-radius_px), cells.kernels(radius_px).flip(1, 2), atol=1e-15, rtol=0)


@pytest.mark.parametrize("radius_px", [9.7, 30.3])
def test_the_kernel_of_the_disc_is_as_wide_as_the_disc_and_a_pixels_tent(radius_px):
    """Second moment along an axis: r²/4 of the disc + 1/6 of the tent, where the disc covers many pixels."""
    kernel = divide(Aperture(), 1).kernels(radius_px)[0]
    for axis in (0, 1):
        second = (kernel.sum(axis) * offsets(kernel).square()).sum().item()
        assert second == pytest.approx(radius_px**2 / 4 + 1 / 6, rel=5e-5)  # the raster's edges


def test_within_the_disc_the_kernels_of_all_cells_add_up_to_a_constant():
    kernels = divide(Aperture(), 16).kernels(9.7)
    whole = kernels.sum(0)
    y, x = torch.meshgrid(offsets(whole), offsets(whole), indexing="ij")
    inside = torch.hypot(x, y) < 9.7 - 1.5
    torch.testing.assert_close(whole[inside], torch.full_like(whole[inside], 1 / (pi * 9.7**2)), atol=0, rtol=1e-5)
    torch.testing.assert_close(whole, divide(Aperture(), 1).kernels(9.7)[0], atol=1e-15, rtol=0)


@few_openings
@pytest.mark.parametrize("radius_px", [0.3, -2.4, 7.3])
def test_a_kernel_is_what_the_rays_of_its_cell_add_up_to(shape, radius_px):
    """Each lens point meets the layer at δ = r·u and reads the four pixels around it with bilinear weights."""
    aperture = Aperture(**shape)
    cells = divide(aperture, 16)
    kernels = cells.kernels(radius_px)
    u, weights = aperture.samples(1 << 14)
    first = (radius_px * u).floor()
    after = radius_px * u - first
    middle = kernels.shape[1] // 2
    splatted = torch.zeros_like(kernels)
    for dy in (0, 1):
        for dx in (0, 1):
            share = (after[:, 0] - 1 + dx).abs() * (after[:, 1] - 1 + dy).abs()
            column, row = (first.long() + torch.tensor([dx, dy]) + middle).unbind(1)
            lit = share > 0  # beyond the rim is at most a 0
            splatted.index_put_((cell_of(u, cells)[lit], row[lit], column[lit]), (weights * share)[lit], accumulate=True)
    torch.testing.assert_close(splatted, kernels, atol=3e-4, rtol=0)  # of 0.006 to 0.06; a few rays fall beside a cell


#: Of kernels and slopes against the reference's PSF. Elsewhere both have the same samples, but the package does not see the
#: tip of a corner that is narrower than a sample, and takes samples that no edge crosses by their centre.
PSF_TOLERANCE = {"hexagon": 1e-6, "bulging": 1e-6, "all": 2e-6, "ring": 1e-8}


@pytest.mark.parametrize("name", OPENINGS)
def test_cells_and_their_kernels_are_the_references(name):
    aperture, tolerance = Aperture(**OPENINGS[name][0]), PSF_TOLERANCE.get(name, 1e-12)
    cells, truth = divide(aperture, 16), CellPSF.of(aperture, 16)
    assert [(slice(b.top, b.bottom), slice(b.left, b.right)) for b in cells.boxes] == truth.boxes
    assert list(cells.groups) == truth.groups.tolist()
    torch.testing.assert_close(cells.shares, truth.shares, atol=tolerance, rtol=0)
    for radius_px in (0.0, 0.02, 0.5, -7.3, 12.0):
        torch.testing.assert_close(cells.kernels(radius_px), truth.kernels(radius_px), atol=tolerance, rtol=0)
        torch.testing.assert_close(cells.kernel_slopes(radius_px), truth.kernel_slopes(radius_px), atol=tolerance, rtol=0)


# ---- behind the rim of the lens


def test_the_cat_eye_leaves_a_lemon_of_the_same_cells():
    whole = divide(Aperture(), 16)
    field, cat_eye = (0.48, 0.64), 0.5
    seen = whole.seen_from(field, cat_eye)
    assert seen.boxes == whole.boxes
    assert seen.groups == whole.groups
    assert (seen.transmission <= whole.transmission).all()
    half_distance = cat_eye * 0.8
    lemon = 2 * acos(half_distance) - 2 * half_distance * sqrt(1 - half_distance**2)
    assert (seen.transmission.sum() / whole.transmission.sum()).item() == pytest.approx(lemon / pi, rel=2e-3)
    assert seen.shares.sum().item() == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(seen.kernels(6.0).sum((1, 2)), seen.shares, atol=1e-14, rtol=0)
    kernel = seen.kernels(6.0).sum(0)
    outwards = sum((kernel.sum(axis) * offsets(kernel)).sum().item() * field[axis] for axis in (0, 1))
    assert outwards < -1  # the outer side is cut


def test_without_a_cat_eye_and_on_the_axis_nothing_is_cut():
    whole = divide(Aperture(), 16)
    assert torch.equal(whole.seen_from((0.6, 0.8), 0.0).transmission, whole.transmission)
    on_axis = whole.seen_from((0.0, 0.0), 1.0).transmission
    inner = sample_points(SAMPLES, 1.0).norm(dim=-1) < 1
    assert torch.equal(on_axis[inner], whole.transmission[inner])
    assert on_axis.sum().item() == pytest.approx(whole.transmission.sum().item(), rel=2e-3)  # grey samples of the rim


def test_a_cell_behind_the_rim_is_shut():
    seen = divide(Aperture(), 64).seen_from((0.8, 0.0), 0.9)
    shut = seen.shares == 0
    assert 10 < shut.sum() < 60
    assert (seen.kernels(4.0)[shut] == 0).all()


# ---- slopes of kernels


@few_openings
@pytest.mark.parametrize("radius_px", [-7.3, -0.02, 1e-4, 0.2, 2.3, 31.4])
def test_the_slope_of_a_kernel_is_its_change_from_radius_to_radius(radius_px, shape):
    cells, step = divide(Aperture(**shape), 4), 1e-4
    slopes = cells.kernel_slopes(radius_px)
    reach = slopes.shape[-1] // 2

    def padded(kernels: Tensor) -> Tensor:
        margin = reach - kernels.shape[-1] // 2
        return torch.nn.functional.pad(kernels, (margin,) * 4)

    change = (padded(cells.kernels(radius_px + step)) - padded(cells.kernels(radius_px - step))) / (2 * step)
    torch.testing.assert_close(slopes, change, atol=1e-7, rtol=0)
    torch.testing.assert_close(slopes.sum((1, 2)), torch.zeros(4, dtype=torch.float64), atol=1e-11, rtol=0)  # energy is kept


def test_at_no_blur_the_slope_of_a_kernel_is_the_mean_of_both_sides():
    cells, step = divide(Aperture(image=IMAGE), 4), 1e-6
    slopes = cells.kernel_slopes(0.0)
    change = (cells.kernels(step) - cells.kernels(-step)) / (2 * step)
    torch.testing.assert_close(slopes, change, atol=1e-5, rtol=0)
    assert slopes.abs().max() > 0.05
