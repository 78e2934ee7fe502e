"""Rung 1 of the sub-aperture model: its reference against closed forms."""

import math

import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb
from tests.scenes import flat_layers


def reference(layers: tb.Layers, blur: float, focus: float = 0.0, cells: int = 16, **shape: object) -> Tensor:
    lens = tb.ThinLens(blur, focus, tb.Aperture(**shape))
    return tb.render(layers, lens, model="subaperture", algorithm="reference", cells=cells)


def half_disc(t: Tensor) -> Tensor:
    """Share of the unit disc at x < t."""
    t = t.clamp(-1, 1)
    return 0.5 + (t * (1 - t**2).sqrt() + t.asin()) / math.pi


def black_screens(edges: list[Tensor], disparities: list[float], background: Tensor) -> tb.Layers:
    """Opaque black screens [W], nearest first, before a background [W] at the last disparity; all alike in y."""
    count = len(edges) + 1
    rgb = torch.zeros(1, count, 3, 3, WIDTH, dtype=torch.float64)
    rgb[:, -1] = background
    alpha = torch.stack([*edges, torch.ones(WIDTH, dtype=torch.float64)]).view(1, count, 1, 1, WIDTH)
    disparity = torch.tensor(disparities, dtype=torch.float64).view(1, count, 1, 1, 1)
    return tb.Layers(rgb, alpha.expand(1, count, 1, 3, WIDTH), disparity.expand(1, count, 1, 3, WIDTH))


WIDTH = 41
PLACE = torch.arange(WIDTH, dtype=torch.float64)
RIGHT = (PLACE >= 20).double()  # its edge lies at 19.5
ONES = torch.ones(WIDTH, dtype=torch.float64)


# ---- one layer


@pytest.mark.parametrize("disparity", [0.6, -0.6])
@pytest.mark.parametrize("cells", [1, 16])
def test_a_point_light_becomes_the_disc_with_its_energy(cells, disparity):
    rgb = torch.zeros(3, 25, 25, dtype=torch.float64)
    rgb[:, 12, 12] = 100
    picture = reference(flat_layers(rgb, disparity), 10.0, cells=cells)[0, 0]
    radius = 6.0
    assert picture.sum().item() == pytest.approx(100, abs=1e-9)
    distance = torch.hypot(*torch.meshgrid(torch.arange(25.0) - 12, torch.arange(25.0) - 12, indexing="ij"))
    inside = picture[distance < radius - 1.5]
    torch.testing.assert_close(inside, torch.full_like(inside, 100 / (math.pi * radius**2)), atol=0, rtol=1e-5)
    assert picture[distance > radius + 1.5].abs().max() == 0


@pytest.mark.parametrize("cells", [1, 16])
def test_a_half_plane_becomes_the_cumulative_integral_of_the_disc(cells):
    """Whatever the cells: they are parts of a sum."""
    rgb = RIGHT.expand(3, 3, WIDTH).contiguous()
    row = reference(flat_layers(rgb, 1.0), 12.0, cells=cells)[0, 0, 1]
    disc = half_disc((PLACE - 19.5) / 12.0)
    torch.testing.assert_close(row, disc, atol=2e-3, rtol=0)  # the tent smooths it by 1/6 px², most at the rim


def test_highlights_have_the_shape_of_the_aperture_and_nearer_than_the_focus_its_point_mirror():
    image = torch.tensor([[1.0, 0.0], [0.0, 0.0]])  # the quarter at the upper left
    rgb = torch.zeros(3, 25, 25, dtype=torch.float64)
    rgb[:, 12, 12] = 1
    far, near = (reference(flat_layers(rgb, disparity), 6.0, image=image)[0, 0] for disparity in (-1.0, 1.0))
    assert far[:12, :12].sum().item() == pytest.approx((11 / 12) ** 2, abs=1e-4)  # a tent at 12 takes 1/12 of 6 px
    assert far[13:].sum() == far[:, 13:].sum() == 0
    torch.testing.assert_close(near, far.flip(0, 1), atol=1e-14, rtol=0)


@pytest.mark.parametrize("count", [1, 4])
def test_uniform_layers_stay_uniform_however_their_disparity_varies(count):
    alphas, colours = [0.3, 0.8, 0.5, 1.0][-count:], [0.2, 2.0, 0.7, 0.4][-count:]
    shape = (1, count, 1, 12, 13)
    alpha, value = (torch.tensor(v, dtype=torch.float64).view(1, count, 1, 1, 1).expand(shape) for v in (alphas, colours))
    disparity = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    picture = reference(tb.Layers(value.expand(1, count, 3, 12, 13), alpha, disparity), 5.0, 0.5)
    expected, through = 0.0, 1.0
    for a, c in zip(alphas, colours, strict=True):
        expected, through = expected + through * a * c, through * (1 - a)
    torch.testing.assert_close(picture, torch.full_like(picture, expected), atol=1e-12, rtol=0)


# ---- layers before each other


@pytest.mark.parametrize("cells", [1, 16])
def test_a_blurred_edge_covers_the_share_of_the_disc_beyond_it(cells):
    """A sharp background shows through the rest."""
    row = reference(black_screens([RIGHT], [1.0, 0.0], ONES), 10.0, cells=cells)[0, 0, 1]
    torch.testing.assert_close(row, 1 - half_disc((PLACE - 19.5) / 10.0), atol=2e-3, rtol=0)


def test_two_screens_at_one_place_hide_no_more_than_one():
    """Both stop the same rays: what passes is 1 − V; the product of their mean visibilities would be (1 − V)²."""
    scene = black_screens([RIGHT, RIGHT], [1.0, 1.0, 0.0], ONES)
    open_ = 1 - half_disc((PLACE - 19.5) / 10.0)
    error = {cells: (reference(scene, 10.0, cells=cells)[0, 0, 1] - open_).abs() for cells in (1, 16, 64)}
    assert error[1].max() == pytest.approx(0.25, abs=0.01)  # a single cell is the product of means
    torch.testing.assert_close(open_ - error[1], open_**2, atol=5e-3, rtol=0)
    assert error[16].max() < 0.06
    assert error[64].max() < 0.03
    assert error[64].mean() < error[16].mean() / 1.5


def test_two_screens_that_meet_at_an_edge_let_nothing_through():
    """Each stops the rays that the other lets pass; the product of means would leave ¼ at the edge."""
    scene = black_screens([RIGHT, 1 - RIGHT], [1.0, 1.0, 0.0], ONES)
    light = {cells: reference(scene, 10.0, cells=cells)[0, 0, 1] for cells in (1, 16, 64)}
    assert light[1].max() == pytest.approx(0.25, abs=0.01)
    assert light[16].max() < 0.06
    assert light[64].max() < 0.03


@pytest.mark.parametrize(("focus", "seen"), [(0.5, 0.5), (-1.0, 0.0)])
def test_a_near_screen_hides_the_side_of_the_aperture_that_it_stands_before(focus, seen):
    """A black screen on the right half, nearer than the focus: at its edge it stops the half of the rays to the right.

    A ray through the lens at u meets a layer of radius r at x + r·u. With the background beyond the focus, those left see
    its right side, which is bright; with the focus beyond both, its left side, which is black.
    """
    row = reference(black_screens([RIGHT], [1.0, 0.0], RIGHT), 20.0, focus, cells=64)[0, 0, 1]
    assert (row[19] + row[20]).item() / 2 == pytest.approx(seen, abs=0.05)
