"""The shapes of `Aperture`, and the lens points that trace them."""

from math import inf, nan, pi, sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from taichi_bokeh._render import render
from taichi_bokeh.layers import Layers
from taichi_bokeh.nn import BokehRenderer
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.lens_samples import cat_eye_transmission, polygon
from taichi_bokeh.optics.thin_lens import ThinLens

COUNT = 4096
SHAPES = {
    "disc": {},
    "hexagon": {"blades": 6, "roundness": 0.0, "rotation": 10.0},
    "triangle": {"blades": 3, "roundness": 0.0},
    "bulging": {"blades": 5, "roundness": 0.5, "rotation": -20.0},
    "squeezed": {"squeeze": 2.0},
    "ring": {"ring": 0.8},
    "image": {"image": torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.5]])},
}
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def points(count: int = COUNT, seed: int = 0, **shape: object) -> Tensor:
    return Aperture(**shape).samples(count, seed)[0]


def angle(u: Tensor) -> Tensor:
    """Clockwise from the right as the picture is seen, in degrees from 0 to 360."""
    return torch.rad2deg(torch.atan2(u[:, 1], u[:, 0])) % 360


def moments(u: Tensor, weights: Tensor) -> Tensor:
    """Means of x, y, x², y² and xy."""
    x, y = u.T
    return torch.stack([x, y, x * x, y * y, x * y]) @ weights


def boundary(phi: Tensor, blades: int, roundness: float) -> Tensor:
    """Distance of the rim at the angle phi, in degrees from a corner."""
    half = pi / blades
    straight = np.cos(half) / torch.cos(torch.deg2rad(phi) % (2 * half) - half)
    return roundness + (1 - roundness) * straight


# ---- every shape


@every_shape
@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_samples_are_weighted_points_within_the_extent(shape, count):
    aperture = Aperture(**shape)
    u, weights = aperture.samples(count)
    assert u.shape == (count, 2)
    assert weights.shape == (count,)
    assert u.dtype == weights.dtype == torch.float64
    assert u.isfinite().all()
    assert (weights >= 0).all()
    assert weights.sum().item() == pytest.approx(1, abs=1e-12)
    assert u.norm(dim=-1).max() <= aperture.extent


@every_shape
def test_a_seed_fixes_the_points_and_another_seed_moves_them_within_the_same_shape(shape):
    aperture = Aperture(**shape)
    first, again, other, huge = (aperture.samples(COUNT, seed) for seed in (3, 3, 4, 2**70 + 1))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    expected = moments(*first)
    for u, weights in (other, huge):
        assert torch.cdist(first[0][:50], u).amin(1).median() > 1e-3
        torch.testing.assert_close(moments(u, weights), expected, atol=2e-3, rtol=0)


@every_shape
@pytest.mark.parametrize("count", [987, 1000, 1024])  # 987 is a Fibonacci number, as the golden angle's good neighbours are
@pytest.mark.parametrize("share", [1 / 16, 1 / 4, 0.6])
def test_every_beginning_of_the_points_covers_the_opening_evenly(shape, count, share):
    directions = torch.arange(12) * pi / 12 + 0.1
    normals = torch.stack([directions.cos(), directions.sin()])

    def beyond(u: Tensor) -> Tensor:
        """Shares of the points on one side of straight lines across the opening."""
        return torch.stack([(u @ normals.double() > offset).double().mean(0) for offset in (-0.5, -0.2, 0.1, 0.4)])

    u = points(count, **shape)
    beginning = int(count * share)
    error = (beyond(u[:beginning]) - beyond(points(1 << 16, **shape))).square().mean().sqrt()
    assert error < 0.6 * beginning**-0.68  # random points: 0.4/√n, so 0.051 for 62 and 0.016 for 600; here 0.036 and 0.008


# ---- the disc


def test_the_default_aperture_is_a_disc_however_it_is_spelled():
    assert Aperture() == Aperture(blades=0, rotation=0, roundness=1, squeeze=1, cat_eye=0, ring=0, image=None)
    assert hash(Aperture()) == hash(Aperture(rotation=0))
    assert Aperture().is_disc
    assert Aperture(blades=6, rotation=10.0).is_disc  # fully round blades
    assert Aperture(blades=0, roundness=0.3).is_disc  # no blades to be round


def test_the_disc_has_the_moments_of_a_disc():
    u = points()
    torch.testing.assert_close(u.mean(0), torch.zeros(2).double(), atol=2e-4, rtol=0)
    assert u.square().sum(1).mean().item() == pytest.approx(1 / 2, abs=1e-12)
    torch.testing.assert_close(u.T @ u / COUNT, torch.eye(2).double() / 4, atol=1e-4, rtol=0)
    assert u.norm(dim=1).max() < 1


def test_the_points_of_the_disc_keep_their_distance():
    u = points(1000)
    nearest = torch.cdist(u, u).fill_diagonal_(inf).amin()
    assert nearest > 0.8 * sqrt(pi / 1000)


# ---- blades


@pytest.mark.parametrize("blades", [3, 5, 6, 9])
@pytest.mark.parametrize("roundness", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("rotation", [0.0, 25.0])
def test_blades_are_filled_to_the_rim_and_evenly(blades, roundness, rotation):
    u = points(blades=blades, roundness=roundness, rotation=rotation)
    phi = (angle(u) - rotation) % 360
    depth = u.norm(dim=1) / boundary(phi, blades, roundness)
    assert depth.max() < 1
    for share in (0.25, 0.5, 0.75):
        assert (depth.square() < share).double().mean().item() == pytest.approx(share, abs=2e-3)
    fine = torch.linspace(0, 360, 36001)[:-1].double()
    areas = boundary(fine, blades, roundness).square().reshape(24, -1).sum(1)
    found = torch.histc(phi, 24, 0, 360)
    torch.testing.assert_close(found / COUNT, areas / areas.sum(), atol=1.5e-3, rtol=0)


@pytest.mark.parametrize("roundness", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("blades", [3, 8])
def test_equal_sectors_of_the_disc_become_sectors_of_equal_area(blades, roundness):
    turns = (torch.arange(3600) + 0.5).double() / 3600
    circle = torch.stack([(2 * pi * turns).cos(), (2 * pi * turns).sin()], 1)
    phi = angle(polygon(circle, blades, roundness))
    fine = torch.linspace(0, 360, 360001).double()
    area = torch.cumulative_trapezoid(boundary(fine, blades, roundness).square(), fine)
    reached = area[(phi * 1000).round().long() - 1] / area[-1]
    torch.testing.assert_close(reached, turns, atol=1e-5, rtol=0)


def test_the_corners_of_a_polygon_lie_on_the_unit_circle_and_the_first_one_at_the_rotation():
    u = points(1 << 14, blades=3, roundness=0.0, rotation=30.0)
    corners = torch.deg2rad(torch.tensor([30.0, 150.0, 270.0]).double())
    for corner in torch.stack([corners.cos(), corners.sin()], 1):
        assert (u - corner).norm(dim=1).min() < 0.04
    assert u[:, 1].max() < 0.5  # a side lies below, parallel to x


def test_fully_round_blades_are_the_disc():
    torch.testing.assert_close(points(blades=7, roundness=1.0), points(), atol=1e-12, rtol=0)


def test_many_blades_are_nearly_the_disc():
    torch.testing.assert_close(points(blades=1000, roundness=0.0), points(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [SHAPES["bulging"] | {"rotation": 0.0}, SHAPES["image"]], ids=["blades", "image"])
def test_rotation_turns_the_opening_clockwise_in_a_picture_whose_y_points_down(shape):
    u, turned = points(**shape), points(**shape | {"rotation": 90.0})
    torch.testing.assert_close(turned, torch.stack([-u[:, 1], u[:, 0]], 1), atol=1e-12, rtol=0)  # right goes down


# ---- squeeze and ring


@pytest.mark.parametrize(("ratio", "width", "height"), [(2.0, 0.5, 1.0), (0.25, 1.0, 0.25), (1, 1.0, 1.0)])
def test_squeeze_is_height_over_width_and_the_longer_side_stays(ratio, width, height):
    torch.testing.assert_close(points(squeeze=ratio), points() * torch.tensor([width, height]).double())
    assert Aperture(squeeze=ratio).extent == 1


def test_squeeze_stretches_the_picture_upright_whatever_the_rotation():
    shape = {"blades": 5, "roundness": 0.0, "rotation": 20.0}
    torch.testing.assert_close(points(**shape, squeeze=2.0), points(**shape) * torch.tensor([0.5, 1.0]).double())


@pytest.mark.parametrize("ring", [-1.0, 0.5, 1.0])
@pytest.mark.parametrize("shape", [{}, SHAPES["hexagon"]], ids=["disc", "hexagon"])
def test_a_ring_moves_light_to_the_rim_and_keeps_its_sum(ring, shape):
    u, weights = Aperture(ring=ring, **shape).samples(COUNT)
    assert weights.sum().item() == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(u, points(**shape))
    if not shape:
        torch.testing.assert_close(weights * COUNT, 1 + ring * (2 * u.square().sum(1) - 1))
    depth = (u.norm(dim=1) / boundary(angle(u) - 10, 6, 0.0 if shape else 1.0)).square()
    inner = weights[depth < 0.5].sum().item()  # ∫₀^½ 1 + ring·(2s − 1) ds
    assert inner == pytest.approx(0.5 - ring / 4, abs=1e-3)


# ---- image


@pytest.mark.parametrize("convert", [torch.Tensor.numpy, torch.Tensor.float, lambda image: np.flipud(image.flip(0))])
def test_an_image_is_reproduced_row_by_row_without_a_flip(convert):
    image = torch.rand(5, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    image[:, 0] = image[3] = image[0, 4:] = 0
    u = points(1 << 14, image=convert(image))
    pixel = (u + 1) / 2 * torch.tensor([8, 5])
    index = pixel.long()
    found = torch.zeros_like(image).index_put_((index[:, 1], index[:, 0]), torch.ones(1 << 14).double(), accumulate=True)
    expected = image / image.sum()
    torch.testing.assert_close(found / (1 << 14), expected, atol=3e-3, rtol=0)
    assert (found[image == 0] == 0).all()
    rows, columns = torch.meshgrid(torch.arange(5) + 0.5, torch.arange(8) + 0.5, indexing="ij")
    centroid = torch.stack([(expected * (2 * columns / 8 - 1)).sum(), (expected * (2 * rows / 5 - 1)).sum()])
    torch.testing.assert_close(u.mean(0), centroid, atol=1e-3, rtol=0)
    within = pixel - index
    torch.testing.assert_close(within.mean(0), torch.full((2,), 0.5).double(), atol=0.01, rtol=0)
    torch.testing.assert_close(within.var(0), torch.full((2,), 1 / 12).double(), atol=3e-3, rtol=0)


def test_the_scale_of_an_image_does_not_matter():
    image = torch.rand(4, 4)
    torch.testing.assert_close(points(image=image * 1e30), points(image=image), atol=1e-5, rtol=0)
    assert Aperture(image=np.array([[1e308, 1e308]])).samples(3)[0].isfinite().all()


def test_the_extent_of_an_image_is_its_farthest_pixel_that_is_not_black():
    assert Aperture(image=torch.ones(2, 2)).extent == pytest.approx(sqrt(2))
    middle = torch.zeros(4, 4)
    middle[1:3, 1:3] = 1
    assert Aperture(image=middle).extent == pytest.approx(sqrt(0.5))
    assert Aperture(image=torch.ones(2, 2), squeeze=0.5).extent == pytest.approx(sqrt(1.25))
    assert Aperture(image=torch.ones(2, 2), squeeze=0.5, rotation=45.0).extent == pytest.approx(sqrt(2))


def test_apertures_with_images_are_equal_where_the_images_are_and_have_no_hash():
    image = torch.tensor([[1, 2], [3, 4]])
    aperture = Aperture(image=image)
    assert aperture == Aperture(image=image.numpy().astype(np.float32))
    assert aperture != Aperture(image=image.T)
    assert aperture != Aperture(image=image, rotation=5.0)
    assert aperture != Aperture()
    assert aperture != "disc"
    with pytest.raises(TypeError, match="an Aperture with an image cannot be hashed"):
        hash(aperture)


@pytest.mark.parametrize("convert", [torch.clone, torch.Tensor.numpy])
def test_an_image_that_changes_later_does_not_change_the_aperture(convert):
    image = convert(torch.tensor([[1.0, 0.0]], dtype=torch.float64))
    aperture = Aperture(image=image)
    image[0, 1] = 1
    assert aperture.samples(64)[0][:, 0].max() <= 0


# ---- cat-eye


def test_the_rim_cuts_nothing_in_the_centre_of_the_picture_nor_without_a_cat_eye():
    u = points()
    assert cat_eye_transmission(u, torch.zeros(2), 1.0).all()
    assert cat_eye_transmission(2 * u, torch.tensor([0.6, 0.8]), 0.0).all()


@pytest.mark.parametrize("cat_eye", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("field", [(0.6, 0.8), (-0.5, 0.0)])
def test_off_centre_the_opening_is_the_lemon_of_two_discs_cut_on_the_outer_side(cat_eye, field):
    field = torch.tensor(field, dtype=torch.float64)
    u = points(1 << 14)
    open_points = u[cat_eye_transmission(u, field, cat_eye) == 1]
    half_distance = cat_eye * float(field.norm())
    area = 2 * np.arccos(half_distance) - 2 * half_distance * sqrt(1 - half_distance**2)
    assert len(open_points) / len(u) == pytest.approx(area / pi, abs=2e-3)
    outwards = field / field.norm()
    radial, tangential = open_points @ outwards, open_points @ torch.stack([-outwards[1], outwards[0]])
    assert radial.max().item() == pytest.approx(1 - 2 * half_distance, abs=0.02)
    assert radial.min().item() == pytest.approx(-1, abs=0.02)
    assert tangential.abs().max().item() == pytest.approx(sqrt(1 - half_distance**2), abs=0.03)


def test_transmission_is_found_for_many_pixels_at_once():
    fields = torch.rand(3, 1, 2, dtype=torch.float64)
    transmission = cat_eye_transmission(points(10), fields, 0.5)
    assert transmission.shape == (3, 10)
    assert transmission.dtype == torch.float64
    for one, field in zip(transmission, fields, strict=True):
        assert torch.equal(one, cat_eye_transmission(points(10), field, 0.5))


# ---- refusals


def draw_by_function(aperture: Aperture) -> None:
    scene = Layers(torch.rand(1, 1, 3, 4, 4), torch.ones(1, 1, 1, 4, 4), torch.ones(1, 1, 1, 4, 4))
    render(scene, ThinLens(3.0, 0.5, aperture), model="scatter-official")


def draw_by_module(aperture: Aperture) -> None:
    BokehRenderer(3.0, 0.5, aperture=aperture, model="scatter", profile="soft")  # refuses before there is a scene


@pytest.mark.parametrize(
    ("field", "value", "error", "message"),
    [
        ("blades", True, TypeError, "is of type bool; expected an integer"),
        ("blades", 6.0, TypeError, "is of type float; expected an integer"),
        ("blades", None, TypeError, "is of type NoneType; expected an integer"),
        ("blades", 2, ValueError, "is 2; expected 0 .* or at least 3"),
        ("blades", -6, ValueError, "is -6; expected 0 .* or at least 3"),
        ("rotation", "15", TypeError, "is of type str; expected a number"),
        ("rotation", inf, ValueError, "is inf; expected a finite number"),
        ("roundness", -0.1, ValueError, "is -0.1; expected at least 0"),
        ("roundness", 1.1, ValueError, "is 1.1; expected at most 1"),
        ("roundness", nan, ValueError, "is nan; expected a finite number"),
        ("squeeze", 0, ValueError, "is 0; expected more than 0"),
        ("squeeze", -2.0, ValueError, "is -2.0; expected more than 0"),
        ("squeeze", inf, ValueError, "is inf; expected a finite number"),
        ("cat_eye", False, TypeError, "is of type bool; expected a number"),
        ("cat_eye", -0.1, ValueError, "is -0.1; expected at least 0"),
        ("cat_eye", 1.5, ValueError, "is 1.5; expected at most 1"),
        ("ring", -1.01, ValueError, "is -1.01; expected at least -1"),
        ("ring", 2, ValueError, "is 2; expected at most 1"),
        ("image", "star.png", TypeError, "is of type str; expected a numpy array or a torch tensor"),
        ("image", [[1.0]], TypeError, "is of type list; expected"),
        ("image", np.array([["a"]]), TypeError, "is of type <U1; expected"),
        ("image", torch.ones(2, 2, dtype=torch.complex64), TypeError, "is of type torch.complex64; expected"),
        ("image", torch.ones(2, 2, requires_grad=True), ValueError, "requires a gradient; expected one without"),
        ("image", torch.ones(3, 2, 2), ValueError, r"has shape \[3, 2, 2\]; expected \[H, W\]"),
        ("image", np.ones((0, 2)), ValueError, r"has shape \[0, 2\]; every size must be at least 1"),
        ("image", torch.tensor([[1.0, -1.0]]), ValueError, "has values from -1.0 to 1.0; expected at least 0"),
        ("image", np.array([[1.0, nan]]), ValueError, "holds NaN; expected finite values"),
        ("image", np.array([[1.0, inf]]), ValueError, "holds infinite values; expected finite values"),
        ("image", torch.zeros(2, 2), ValueError, "has the value 0 everywhere; expected some more than 0"),
    ],
)
def test_bad_fields_are_refused_by_name(field, value, error, message):
    with pytest.raises(error, match=f"^{field} {message}"):
        Aperture(**{field: value})


@pytest.mark.parametrize(("field", "value"), [("blades", 5), ("roundness", 0.5), ("ring", 0.1)])
def test_an_image_replaces_blades_roundness_and_ring_and_does_not_ignore_them(field, value):
    with pytest.raises(ValueError, match=f"^{field} is {value}; expected .* with an image"):
        Aperture(image=torch.ones(2, 2), **{field: value})


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"count": 0}, ValueError, "count is 0; expected at least 1"),
        ({"count": 4.0}, TypeError, "count is of type float; expected an integer"),
        ({"count": 4, "seed": 0.5}, TypeError, "seed is of type float; expected an integer"),
        ({"count": 4, "seed": True}, TypeError, "seed is of type bool; expected an integer"),
    ],
)
def test_bad_counts_and_seeds_are_refused(bad, error, message):
    with pytest.raises(error, match=message):
        Aperture().samples(**bad)


def test_an_aperture_cannot_be_changed():
    with pytest.raises(AttributeError):
        Aperture().blades = 6


@pytest.mark.parametrize(
    ("shape", "culprit"),
    [
        ({"blades": 6, "roundness": 0.5, "squeeze": 2.0}, "blades is 6"),
        ({"squeeze": 2.0}, "squeeze is 2.0"),
        ({"cat_eye": 0.3}, "cat_eye is 0.3"),
        ({"ring": 0.3, "rotation": 5.0}, "ring is 0.3"),
        ({"image": torch.rand(64, 64)}, "image is "),
    ],
)
@pytest.mark.parametrize("draw", [draw_by_function, draw_by_module])
def test_what_renders_the_disc_only_refuses_other_shapes_and_names_the_field(shape, culprit, draw):
    with pytest.raises(ValueError, match=rf"^aperture: .* renders the disc only \({culprit}") as refusal:
        draw(Aperture(**shape))
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("shape", [{}, SHAPES["bulging"] | {"squeeze": 2.0, "cat_eye": 0.5, "ring": 0.5}], ids=["disc", "all"])
def test_an_aperture_can_be_built_and_sampled_inside_a_compiled_function(shape):
    @torch.compile(fullgraph=True, backend="aot_eager")
    def centroid(scale: Tensor) -> Tensor:
        u, weights = Aperture(**shape).samples(64)
        return scale * (weights[:, None] * u).sum(0)

    u, weights = Aperture(**shape).samples(64)
    torch.testing.assert_close(centroid(torch.ones(2).double()), (weights[:, None] * u).sum(0))
