import pytest
import torch

from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.biconvex_lens import BiconvexLens, from_abbe
from taichi_bokeh.optics.thin_lens import ThinLens

SHAPE = {"curvature_radius": 0.05, "aperture_diameter": 0.025}
CAMERA = {"focal_length": 0.05, "f_number": 2.0}
REST = {"refractive_index": 1.5, "focus_distance": 2.0, "sensor_width": 0.036, "image_width": 1920}
GLASSES = [1.4, 1.5168, 1.8, 2.4]


def test_a_ball_has_the_focal_length_of_a_ball():
    """A ball of radius R refracts paraxial light to n·R/(2(n − 1)) from its centre, where both principal planes are."""
    almost = BiconvexLens(0.01, 0.02 * (1 - 1e-14), **REST)
    assert almost.thickness == pytest.approx(0.02, rel=1e-6)
    assert almost.focal_length == pytest.approx(1.5 * 0.01 / (2 * 0.5), rel=1e-6)
    assert almost.principal_plane_offset == pytest.approx(0.01, rel=1e-6)


def test_a_flat_lens_has_the_focal_length_of_a_thin_lens():
    flat = BiconvexLens(0.05, 1e-6, **REST)
    assert flat.focal_length == pytest.approx(0.05 / (2 * 0.5), rel=1e-9)
    assert flat.thickness == pytest.approx(0.5e-6**2 / 0.05, rel=1e-9)
    assert flat.principal_plane_offset == pytest.approx(flat.thickness / 3, rel=1e-9)  # (n − 1)·f/(n·R_c) = 1/3


def test_the_caps_meet_in_the_rim():
    lens = BiconvexLens(**SHAPE, **REST)
    vertex_to_centre = lens.curvature_radius - lens.thickness / 2
    assert lens.aperture_radius**2 + vertex_to_centre**2 == pytest.approx(lens.curvature_radius**2, rel=1e-14)


@pytest.mark.parametrize("n", GLASSES)
@pytest.mark.parametrize("f_number", [1.3, 2.0, 4.0, 16.0, 1000.0])
def test_the_lens_of_a_focal_length_has_it(n, f_number):
    lens = BiconvexLens.from_focal_length(0.05, f_number, **REST | {"refractive_index": n})
    assert abs(lens.focal_length / 0.05 - 1) < 1e-12
    assert lens.aperture_diameter == pytest.approx(0.05 / f_number, rel=1e-15)
    again = BiconvexLens(lens.curvature_radius, lens.aperture_diameter, **REST | {"refractive_index": n})
    assert again == lens


def test_of_two_lenses_of_one_focal_length_the_flatter_is_ground():
    steep = BiconvexLens(0.01, 0.0199999, **REST)
    flat = BiconvexLens.from_focal_length(steep.focal_length, steep.focal_length / steep.aperture_diameter, **REST)
    assert flat.focal_length == pytest.approx(steep.focal_length, rel=1e-12)
    assert flat.aperture_diameter == pytest.approx(steep.aperture_diameter, rel=1e-12)
    assert flat.curvature_radius > 1.05 * steep.curvature_radius


def test_a_lens_faster_than_any_is_refused():
    least = 1 / (2 * 2 / 3 * 1.1008966)  # f/(2·R_a) at the largest sin θ·(1 + cos θ/2), n = 1.5
    BiconvexLens.from_focal_length(0.05, 1.0001 * least, **REST)
    with pytest.raises(ValueError, match=r"^f_number is 0\.68\d*; expected at least 0\.681\d*, the fastest .* 1\.5"):
        BiconvexLens.from_focal_length(0.05, 0.9999 * least, **REST)


def test_the_equivalent_thin_lens_is_that_of_the_camera():
    numbers = {name: REST[name] for name in ("focus_distance", "sensor_width", "image_width")}
    expected = ThinLens.from_camera(**CAMERA, **numbers)
    lens = BiconvexLens.from_focal_length(**CAMERA, **REST)
    found = lens.thin_lens()
    assert found.blur == pytest.approx(expected.blur, rel=1e-12)
    assert found.focus == expected.focus
    assert 1 / lens.sensor_distance == pytest.approx(1 / 0.05 - 1 / 2.0, rel=1e-12)


def test_a_lens_keeps_its_aperture():
    aperture = Aperture()
    lens = BiconvexLens.from_focal_length(**CAMERA, **REST, aperture=aperture)
    assert lens.aperture is aperture
    assert lens.thin_lens().aperture is aperture


def test_an_aperture_with_two_rims_is_refused():
    with pytest.raises(ValueError, match=r"^aperture has cat_eye=0\.5; expected 0"):
        BiconvexLens(**SHAPE, **REST, aperture=Aperture(cat_eye=0.5))


def test_three_indices_share_the_geometry_of_the_middle_one():
    one = BiconvexLens.from_focal_length(**CAMERA, **REST | {"refractive_index": 1.5})
    three = BiconvexLens.from_focal_length(**CAMERA, **REST | {"refractive_index": [1.49, 1.5, 1.52]})
    assert three.refractive_index == (1.49, 1.5, 1.52)
    assert three.is_dispersive
    assert not one.is_dispersive
    assert three.kernel_parameters() == (*one.kernel_parameters()[:6], 1.49, 1.5, 1.52)


def test_the_indices_of_a_glass_come_from_its_abbe_number():
    """Schott's catalogue gives N-BK7 (n_d = 1.51680, v_d = 64.17) n = 1.51872 at the e line, 546.1 nm."""
    red, green, blue = from_abbe(1.5168, 64.17)
    assert green == pytest.approx(1.51872, abs=1e-4)
    assert 1.51 < red < 1.5168 < green < blue < 1.53
    assert from_abbe(1.6, 1e9) == pytest.approx((1.6, 1.6, 1.6))


@pytest.mark.parametrize("name", [*SHAPE, *REST])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_lens_needs_positive_finite_numbers(name, value):
    with pytest.raises(ValueError, match=f"^{name} is {value}; expected"):
        BiconvexLens(**SHAPE | REST | {name: value})


@pytest.mark.parametrize("name", CAMERA)
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_camera_needs_positive_finite_numbers(name, value):
    with pytest.raises(ValueError, match=f"^{name} is {value}; expected"):
        BiconvexLens.from_focal_length(**CAMERA | REST | {name: value})


@pytest.mark.parametrize("name", [*SHAPE, *REST])
@pytest.mark.parametrize("value", [True, "1", None, torch.tensor(1.0)], ids=lambda value: type(value).__name__)
def test_a_lens_takes_nothing_but_numbers(name, value):
    with pytest.raises(TypeError, match=f"^{name} is of type {type(value).__name__}; expected a number"):
        BiconvexLens(**SHAPE | REST | {name: value})


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("refractive_index", 1.0, ValueError, "is 1.0; expected more than 1"),
        ("refractive_index", (1.5, 1.5), ValueError, "has 2 numbers; expected one, or three"),
        ("refractive_index", (1.5, 1.5, 0.9), ValueError, r"\[2\] is 0.9; expected more than 1"),
        ("refractive_index", (1.5, "1.5", 1.5), TypeError, r"\[1\] is of type str"),
        ("aperture_diameter", 0.1, ValueError, r"is 0.1 m; expected less than 2·curvature_radius, 0.1 m"),
        ("aperture_diameter", 0.11, ValueError, r"is 0.11 m; expected less than 2·curvature_radius, 0.1 m"),
        ("focus_distance", 0.04, ValueError, "is 0.04 m; expected more than the focal length, 0.05"),
        ("aperture", "disc", TypeError, "is of type str; expected an Aperture"),
    ],
)
def test_bad_arguments_are_refused_by_name(name, value, error, message):
    with pytest.raises(error, match=f"^{name} ?{message}"):
        BiconvexLens(**SHAPE | REST | {name: value})


def test_a_lens_that_focuses_inside_its_own_glass_is_refused():
    ball = {"curvature_radius": 0.05, "aperture_diameter": 0.0999999}
    BiconvexLens(**ball, **REST | {"refractive_index": 1.99})
    with pytest.raises(ValueError, match=r"^aperture_diameter is 0\.0999999 m; expected less: .* inside the glass"):
        BiconvexLens(**ball, **REST | {"refractive_index": (1.9, 2.0, 2.1)})


@pytest.mark.parametrize(("n_d", "v_d", "name"), [(1.0, 60.0, "n_d"), (1.5, 0.5, "v_d"), (1.5, float("nan"), "v_d")])
def test_a_glass_that_does_not_exist_is_refused(n_d, v_d, name):
    with pytest.raises(ValueError, match=f"^{name} is"):
        from_abbe(n_d, v_d)


def test_the_curvature_of_a_thin_lens_bounds_that_of_a_thick_one():
    for f_number in (0.7, 1.0, 2.0, 8.0):
        radius = BiconvexLens.from_focal_length(0.05, f_number, **REST).curvature_radius
        assert 0.05 / f_number / 2 < radius <= 2 * 0.5 * 0.05
