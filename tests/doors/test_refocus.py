import numpy as np
import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.io import srgb_decode, srgb_encode

LENS = tb.ThinLens(6.0, 0.8)


@pytest.fixture(scope="module")
def photo():
    """An 8-bit image [H, W, 3] of a bright square before a dark wall, and its disparity [H, W]."""
    image = np.random.default_rng(0).integers(20, 60, (24, 32, 3)).astype(np.uint8)
    image[6:18, 10:22] += 150
    disparity = np.full((24, 32), 0.2, np.float32)
    disparity[6:18, 10:22] = 0.8
    return image, disparity


def refocused(image, disparity, **options):
    return tb.refocus(image, disparity, blur=6, focus=0.8, **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["array", "tensor", "batch"])
def test_the_image_comes_back_in_the_kind_layout_and_dtype_it_came_in(photo, dtype, kind):
    image8, disparity = photo
    image = image8.astype(dtype) * 257 if dtype == np.uint16 else image8
    image = srgb_decode(image8).astype(dtype) if dtype in (np.float32, np.float64) else image
    expected = refocused(image, disparity, layers="one")
    given = image if kind == "array" else torch.from_numpy(image).movedim(-1, 0)
    given = given[None].repeat(2, 1, 1, 1) if kind == "batch" else given
    result = refocused(given, disparity if kind == "array" else torch.from_numpy(disparity), layers="one")
    assert type(result) is type(given)
    assert (result.dtype, result.shape) == (given.dtype, given.shape)
    array = result if kind == "array" else result.reshape(-1, *result.shape[-3:])[-1].movedim(0, -1).numpy()
    assert np.array_equal(array, expected)


def test_it_is_the_rendering_of_the_layers_on_the_srgb_curve(photo):
    image, disparity = photo
    layers = tb.Layers.from_rgbd(srgb_decode(image), disparity)
    assert layers.count == 2
    linear = tb.render(layers, LENS)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(refocused(image, disparity), (srgb_encode(linear.clip(0, 1)) * 255 + 0.5).astype(np.uint8))


def test_what_is_in_focus_stays_sharp_and_what_is_not_is_blurred(photo):
    image, disparity = photo
    result = refocused(image, disparity)
    assert np.abs(result[8:16, 12:20].astype(int) - image[8:16, 12:20]).max() <= 1
    assert result[:, :5].std() < 0.5 * image[:, :5].std()


def test_8_and_16_bit_disparities_are_scaled_as_those_of_files(photo):
    image, disparity = photo
    eight = (disparity * 255).astype(np.uint8)
    assert np.array_equal(refocused(image, eight), refocused(image, eight / np.float32(255)))


def test_holes_of_the_disparity_are_filled_for_one_layer_too(photo):
    image, disparity = photo
    with_hole = disparity.copy()
    with_hole[2:4, 2:4] = np.nan
    assert np.array_equal(refocused(image, with_hole, layers="one"), refocused(image, disparity, layers="one"))


def test_another_aperture_and_model_may_be_asked_for(photo):
    image, disparity = photo
    layers = tb.Layers.from_rgbd(srgb_decode(image), disparity)
    linear = tb.render(layers, tb.ThinLens(6.0, 0.8, tb.Aperture(blades=5, roundness=0.0)), model="subaperture")
    expected = (srgb_encode(linear[0].permute(1, 2, 0).numpy().clip(0, 1)) * 255 + 0.5).astype(np.uint8)
    pentagon = tb.Aperture(blades=5, roundness=0.0)
    assert np.array_equal(refocused(image, disparity, aperture=pentagon, model="subaperture"), expected)


def test_one_layer_is_differentiable_in_light_and_disparity(photo):
    image, disparity = (torch.from_numpy(value) for value in photo)
    light = (image.movedim(-1, 0) / 255).requires_grad_()
    disparity = disparity.clone().requires_grad_()
    refocused(light, disparity, layers="one").square().sum().backward()
    assert light.grad.abs().max() > 0
    assert disparity.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((24, 32, 4), np.uint8)}, r"image has shape \[24, 32, 4\]"),
        ({"image": np.zeros((24, 32), np.uint8)}, r"image has shape \[24, 32\]"),
        ({"image": np.zeros((24, 32, 3), np.int32)}, "image has dtype torch.int32; expected uint8 or uint16"),
        ({"image": np.full((24, 32, 3), -1.0)}, "image has values from -1.0"),
        ({"image": np.full((24, 32, 3), np.nan)}, "image holds NaN"),
        ({"image": [[0.0]]}, "image is of type list"),
        ({"disparity": np.zeros((24, 31))}, r"disparity has shape \[24, 31\]; expected \[24, 32\]"),
        ({"disparity": np.full((24, 32), np.nan)}, "disparity is NaN everywhere"),
        ({"disparity": np.full((24, 32), np.inf)}, "disparity holds infinite values"),
        ({"disparity": np.full((24, 32), "a")}, "disparity has dtype <U1"),
        ({"layers": "two"}, "layers is 'two'; expected a number, 'auto' or 'one'"),
        ({"layers": 0}, "layers is 0"),
        ({"blur": -1.0}, "blur is -1.0"),
        ({"aperture": None}, "aperture is of type NoneType"),
        ({"model": "best"}, "model is 'best'"),
    ],
)
def test_errors_name_the_argument(photo, changes, message):
    image, disparity = photo
    with pytest.raises((TypeError, ValueError), match=message):
        tb.refocus(**{"image": image, "disparity": disparity, **changes})
