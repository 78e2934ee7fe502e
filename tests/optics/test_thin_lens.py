from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens

CAMERA = {
    "focal_length": 0.05,
    "f_number": 1.8,
    "focus_distance": 2.0,
    "sensor_width": 0.036,
    "image_width": 1920,
}


def layers(batch: int = 2, dtype: torch.dtype = torch.float32) -> Layers:
    return Layers(*(torch.full((batch, 1, channels, 2, 2), 0.5, dtype=dtype) for channels in (3, 1, 1)))


def traced_radius_px(depth: Fraction) -> Fraction:
    """Radius of the spot on CAMERA's sensor, negative once the rays have crossed, of a point on the axis.

    Traced in exact arithmetic, without the formula under test: the lens bends a ray at height h by h/f, and the sensor
    stands where two rays from the plane in focus meet.
    """
    f, number, focus, width, pixels = (Fraction(str(value)) for value in CAMERA.values())
    rim = f / number / 2

    def slope_behind_lens(point_depth: Fraction) -> Fraction:
        return rim / point_depth - rim / f

    sensor_distance = -rim / slope_behind_lens(focus)
    return (rim + slope_behind_lens(depth) * sensor_distance) / (width / pixels)


@pytest.mark.parametrize("depth_m", ["0.4", "1", "1.9", "2", "2.5", "10", "1000"])
def test_the_lens_of_a_camera_blurs_a_point_as_the_traced_rim_rays_do(depth_m):
    lens = ThinLens.from_camera(**CAMERA)
    radius_px = lens.blur * (1 / float(depth_m) - lens.focus)
    assert radius_px == pytest.approx(float(traced_radius_px(Fraction(depth_m))), abs=1e-9)


def test_the_lens_of_a_camera_agrees_with_its_field_of_view():
    f, number, focus, width, pixels = CAMERA.values()
    sensor_distance = 1 / (1 / f - 1 / focus)
    tangent_of_half_fov = width / 2 / sensor_distance
    assert ThinLens.from_camera(**CAMERA).blur == pytest.approx(f / number / 2 * pixels / (2 * tangent_of_half_fov))


@pytest.mark.parametrize("name", CAMERA)
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_camera_needs_positive_finite_numbers(name, value):
    with pytest.raises(ValueError, match=f"^{name} is {value}; expected"):
        ThinLens.from_camera(**CAMERA | {name: value})


@pytest.mark.parametrize("name", CAMERA)
@pytest.mark.parametrize("value", [True, "1", None, torch.tensor(1.0)], ids=lambda value: type(value).__name__)
def test_a_camera_takes_nothing_but_numbers(name, value):
    with pytest.raises(TypeError, match=f"^{name} is of type {type(value).__name__}; expected a number"):
        ThinLens.from_camera(**CAMERA | {name: value})


@pytest.mark.parametrize("focus_distance", [0.05, 0.03])
def test_a_camera_cannot_focus_within_its_focal_length(focus_distance):
    with pytest.raises(ValueError, match=f"focus_distance is {focus_distance} m; expected more than focal_length"):
        ThinLens.from_camera(**CAMERA | {"focus_distance": focus_distance})


@pytest.mark.parametrize(
    ("in_mm", "named"),
    [
        ({"focal_length": 50, "focus_distance": 2}, "focal_length is 50 m"),
        ({"focal_length": 15, "focus_distance": 2}, "focus_distance is 2 m"),
        ({"sensor_width": 36}, "sensor_width is 36 m"),
        ({"focal_length": 50, "focus_distance": 2000, "sensor_width": 36}, "sensor_width is 36 m"),
    ],
)
def test_a_camera_in_millimetres_is_told_that_lengths_are_in_metres(in_mm, named):
    with pytest.raises(ValueError, match=f"^{named}; expected .*lengths are in metres"):
        ThinLens.from_camera(**CAMERA | in_mm)


def test_a_camera_keeps_the_aperture_that_it_is_given():
    aperture = Aperture()
    assert ThinLens.from_camera(**CAMERA, aperture=aperture).aperture is aperture


@pytest.mark.parametrize("name", ["blur", "focus"])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (True, TypeError, "is of type bool; expected a number"),
        ("30", TypeError, "is of type str; expected a number"),
        (None, TypeError, "is of type NoneType; expected a number"),
        (float("nan"), ValueError, "is nan; expected a finite number"),
        (float("inf"), ValueError, "is inf; expected a finite number"),
        (torch.tensor(30), TypeError, "has dtype torch.int64"),
        (torch.tensor(True), TypeError, "has dtype torch.bool"),
        (torch.tensor(30.0).half(), TypeError, "has dtype torch.float16"),
        (torch.tensor(float("nan")), ValueError, "holds NaN"),
        (torch.tensor([1.0, float("inf")]), ValueError, "holds infinite values"),
        (torch.ones(2, 1), ValueError, r"has shape \[2, 1\]; expected \[B\]"),
        (torch.ones(0), ValueError, r"has shape \[0\]; every size must be at least 1"),
    ],
)
def test_bad_parameters_are_refused_by_name(name, value, error, message):
    with pytest.raises(error, match=f"^{name} {message}"):
        ThinLens(**{"blur": 30.0, "focus": 0.2} | {name: value})


@pytest.mark.parametrize("value", [-0.5, torch.tensor(-0.5), torch.tensor([3.0, -0.5])])
def test_a_negative_blur_is_refused_and_a_negative_focus_is_not(value):
    ThinLens(blur=30.0, focus=value)
    with pytest.raises(ValueError, match=r"^blur .*-0\.5.*; expected at least 0"):
        ThinLens(blur=value, focus=0.2)


def test_a_lens_cannot_be_changed_and_a_disc_is_its_default_aperture():
    lens = ThinLens(30.0, 0.2)
    assert lens.aperture == Aperture()
    with pytest.raises(AttributeError):
        lens.blur = 20.0


def test_an_aperture_of_another_type_is_refused():
    with pytest.raises(TypeError, match="aperture is of type str; expected an Aperture"):
        ThinLens(30.0, 0.2, aperture="disc")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "value",
    [3, 3.0, np.float32(3), torch.tensor(3.0), torch.tensor(3.0, dtype=torch.float64), torch.tensor([3.0, 3.0])],
    ids=lambda value: f"{type(value).__name__}{getattr(value, 'dtype', '')}",
)
def test_every_picture_gets_its_blur_and_focus_in_the_layers_dtype(value, dtype):
    for found in ThinLens(value, value).per_image(layers(dtype=dtype)):
        torch.testing.assert_close(found, torch.tensor([3.0, 3.0], dtype=dtype))


def test_pictures_of_one_batch_may_have_different_lenses():
    blur, focus = ThinLens(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])).per_image(layers())
    assert blur.tolist() == [1, 2]
    assert focus.tolist() == [3, 4]


@pytest.mark.parametrize("name", ["blur", "focus"])
@pytest.mark.parametrize("size", [1, 3])
def test_a_batch_of_parameters_must_be_the_batch_of_the_layers(name, size):
    lens = ThinLens(**{"blur": 1.0, "focus": 1.0} | {name: torch.ones(size)})
    with pytest.raises(ValueError, match=rf"^{name} has shape \[{size}\]; expected \[\] or \[2\]"):
        lens.per_image(layers(batch=2))


@pytest.mark.parametrize("name", ["blur", "focus"])
def test_parameters_must_be_on_the_device_of_the_layers(name):
    lens = ThinLens(**{"blur": 1.0, "focus": 1.0} | {name: torch.ones((), device="meta")})
    with pytest.raises(ValueError, match=f"^{name} is on device meta; expected that of the layers, cpu"):
        lens.per_image(layers())


def test_gradients_flow_back_to_the_users_parameters():
    blur = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    focus = torch.tensor([1.0, 2.0], requires_grad=True)
    per_blur, per_focus = ThinLens(blur, focus).per_image(layers())
    (per_blur * torch.tensor([1.0, 10.0])).sum().add((per_focus * torch.tensor([2.0, 5.0])).sum()).backward()
    assert blur.grad.item() == 11
    assert focus.grad.tolist() == [2, 5]


@pytest.mark.parametrize("aperture", [{}, {"aperture": Aperture()}], ids=["default", "given"])
@pytest.mark.parametrize("blur", [3.0, torch.tensor(3.0), torch.tensor([3.0, 3.0])], ids=["number", "0-d", "1-d"])
def test_a_lens_can_be_built_inside_a_compiled_function(blur, aperture):
    @torch.compile(fullgraph=True, backend="aot_eager")
    def radius(disparity: Tensor, blur: float | Tensor) -> Tensor:
        scene = Layers(disparity.expand(2, 1, 3, 2, 2), disparity, disparity)
        blurs, focuses = ThinLens(blur, 0.25, **aperture).per_image(scene)
        return blurs * (scene.disparity.mean((1, 2, 3, 4)) - focuses)

    torch.testing.assert_close(radius(layers().disparity, blur), torch.full((2,), 3.0 * (0.5 - 0.25)))


def test_the_lens_of_a_camera_can_be_built_inside_a_compiled_function():
    @torch.compile(fullgraph=True, backend="aot_eager")
    def blurs(disparity: Tensor, focus_distance: float) -> Tensor:
        scene = Layers(disparity.expand(2, 1, 3, 2, 2), disparity, disparity)
        return ThinLens.from_camera(**CAMERA | {"focus_distance": focus_distance}).per_image(scene)[0]

    for focus_distance in (2.0, 3.0, 4.0):
        blur = ThinLens.from_camera(**CAMERA | {"focus_distance": focus_distance}).blur
        torch.testing.assert_close(blurs(layers().disparity, focus_distance), torch.tensor([blur, blur]))
