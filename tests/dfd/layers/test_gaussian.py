"""Gaussians: the reference against closed forms, the kernel against the reference, the adjoint, and the layers."""

import math

import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb
from taichi_bokeh.dfd.layers.gaussian import GaussPSF
from taichi_bokeh.ops.dfd.gaussian_psf import gaussian_psf
from taichi_bokeh.reference.dfd.gaussian_psf import gaussian_psf as slow
from tests.scenes import DEVICES

PRINTED, LARGE = (1.0, 3), (0.0, 0)
settings_of_both = pytest.mark.parametrize("settings", [PRINTED, LARGE], ids=["printed", "large window"])
#: Largest error of a picture of values in [0, 1], and relative L2 error of a gradient.
TOLERANCE = {torch.float64: (1e-13, 1e-12), torch.float32: (2e-6, 2e-5)}


def noise(*shape: int, seed: int = 0, low: float = 0.0, high: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def spread(picture: Tensor, diameter: Tensor, settings: tuple[float, int]) -> Tensor:
    return gaussian_psf(picture, diameter, *settings)[0]


# ---- closed forms


@pytest.mark.parametrize("diameter_px", [0.5, 2.0, 6.0])
def test_a_point_among_equals_becomes_a_gaussian_of_half_the_diameter(diameter_px):
    point = torch.zeros(1, 3, 25, 25, dtype=torch.float64)
    point[..., 12, 12] = 1.0
    image = slow(point, torch.full((1, 25, 25), diameter_px, dtype=torch.float64), *LARGE)[0, 0]
    reach = int(1.5 * diameter_px)
    line = [math.exp(-0.5 * (k / (diameter_px / 2)) ** 2) for k in range(-reach, reach + 1)]
    expected = torch.tensor([[a * b for a in line] for b in line], dtype=torch.float64) / sum(line) ** 2
    window = slice(12 - reach, 12 + reach + 1)
    torch.testing.assert_close(image[window, window], expected, rtol=0, atol=1e-15)
    assert float(image.sum()) == pytest.approx(1.0, abs=1e-12)


def test_a_sharp_pixel_neither_spreads_nor_changes_as_printed():
    """One blurred pixel of diameter 2 sees itself, as its sharp neighbours spread nothing."""
    picture, diameter = noise(1, 3, 5, 5), torch.full((1, 5, 5), 1.0, dtype=torch.float64)
    diameter[0, 2, 2] = 2.0
    torch.testing.assert_close(slow(picture, diameter, *PRINTED), picture, rtol=0, atol=1e-15)
    diameter[0, 2, 3] = 4.0  # the neighbour's light of 1/16 beside the own of 1/4
    weights = 0.25, math.exp(-2 / 16) / 16
    mixed = (weights[0] * picture[0, :, 2, 2] + weights[1] * picture[0, :, 2, 3]) / sum(weights)
    torch.testing.assert_close(slow(picture, diameter, *PRINTED)[0, :, 2, 2], mixed)


# ---- the kernel


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("height", "width", "largest"), [(21, 34, 4.0), (6, 5, 5.0), (1, 1, 4.0)])
@settings_of_both
def test_kernel_and_adjoint_are_those_of_the_reference(height, width, largest, settings, dtype, device):
    """Diameters below 1 px and beyond the picture, and a part with large ones so that some tiles are culled."""
    shape = (2, height, width)
    diameter = noise(*shape, seed=1, low=0.3, high=2.0)
    diameter[:, : height // 2 + 1, : width // 3 + 1] = noise(2, height // 2 + 1, width // 3 + 1, seed=2, low=1.0, high=largest)
    inputs = [t.to(device, dtype).requires_grad_() for t in (noise(2, 3, height, width), diameter)]
    precise = [t.detach().double().cpu().requires_grad_() for t in inputs]
    cotangent = noise(2, 3, height, width, seed=3)
    ours, truth = spread(*inputs, settings), slow(*precise, *settings)
    assert ours.dtype == dtype
    assert (ours.cpu() - truth).abs().max() < TOLERANCE[dtype][0]
    gradients = torch.autograd.grad(ours, inputs, cotangent.to(ours))
    expected = torch.autograd.grad(truth, precise, cotangent)
    for gradient, wanted in zip(gradients, expected, strict=True):
        error = (gradient.cpu() - wanted).norm() / wanted.norm().clamp(min=0.1)  # a lone pixel's diameter is no matter
        assert error < TOLERANCE[dtype][1]


@settings_of_both
def test_gradient_is_the_derivative_of_the_kernel(settings):
    diameter = noise(2, 3, 4, seed=1, low=0.6, high=3.1)
    assert (2 * diameter - (2 * diameter).round()).abs().min() > 1e-4  # nor is 1.5 diameters at a whole number of pixels
    assert (1.5 * diameter - (1.5 * diameter).round()).abs().min() > 1e-4
    inputs = noise(2, 3, 3, 4).requires_grad_(), diameter.requires_grad_()
    assert torch.autograd.gradcheck(lambda *values: spread(*values, settings), inputs)


@settings_of_both
def test_operator_passes_opcheck(settings):
    inputs = noise(2, 3, 3, 4).requires_grad_(), noise(2, 3, 4, seed=1, low=0.6, high=3.1).requires_grad_()
    torch.library.opcheck(gaussian_psf, (*inputs, *settings))


def test_double_backward_is_refused_by_name():
    picture, diameter = noise(1, 3, 3, 4).requires_grad_(), noise(1, 3, 4, low=1.0, high=2.0).requires_grad_()
    (first,) = torch.autograd.grad(spread(picture, diameter, LARGE).square().sum(), picture, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward through gaussian_psf"):
        first.sum().backward()


@pytest.mark.parametrize(
    ("diameter_px", "message"),
    [
        (float("nan"), "diameter_px holds NaN or infinite values"),
        (0.0, r"diameter_px has values from 0\.0; expected values above 0"),
        (5000.0, "the largest window reaches 7500 px; expected at most 4096"),
    ],
)
def test_what_has_no_gaussian_is_refused(diameter_px, message):
    with pytest.raises(ValueError, match=message):
        spread(noise(1, 3, 3, 4), torch.full((1, 3, 4), diameter_px, dtype=torch.float64), LARGE)


# ---- the layers


both_layers = pytest.mark.parametrize("calibrated", [False, True], ids=["printed", "calibrated"])


@both_layers
def test_a_batch_is_a_loop_and_each_picture_has_its_lens(calibrated):
    picture, disparity = noise(2, 3, 9, 12), noise(2, 1, 9, 12, seed=1)
    blur, focus = torch.tensor([3.0, 9.0]).double(), torch.tensor([0.2, 0.7]).double()
    layer = GaussPSF(calibrated)
    together = layer(picture, disparity, tb.ThinLens(blur, focus))
    for k in range(2):
        alone = layer(picture[k : k + 1], disparity[k : k + 1], tb.ThinLens(float(blur[k]), float(focus[k])))
        torch.testing.assert_close(together[k : k + 1], alone, rtol=0, atol=1e-14)


@both_layers
def test_a_constant_picture_stays_constant(calibrated):
    """Normalised, so whatever the disparities."""
    constant = torch.tensor([0.2, 0.5, 3.0], dtype=torch.float64)[:, None, None].expand(1, 3, 20, 17)
    blurred = GaussPSF(calibrated)(constant, noise(1, 1, 20, 17), tb.ThinLens(blur=14.0, focus=0.3))
    torch.testing.assert_close(blurred, constant.contiguous(), rtol=1e-13, atol=0)


@both_layers
def test_what_is_in_focus_stays_sharp(calibrated):
    picture = noise(1, 3, 9, 12)
    blurred = GaussPSF(calibrated)(picture, torch.full((1, 1, 9, 12), 0.4, dtype=torch.float64), tb.ThinLens(20.0, 0.4))
    assert (blurred - picture).abs().max() < 1e-6


def test_as_printed_no_radius_beyond_seven_halves_makes_a_difference():
    picture = noise(1, 3, 9, 12)
    at = lambda r: GaussPSF()(picture, torch.full((1, 1, 9, 12), r).double(), tb.ThinLens(1.0, 0.0))  # noqa: E731
    assert (at(3.0) - at(3.4)).abs().max() > 1e-4
    assert torch.equal(at(3.5), at(12.0))


def test_calibrated_is_about_as_wide_as_the_disc_and_as_printed_twice_that():
    """A disc of the radius r has the standard deviation r/2 along each axis; the 7×7 window cuts off some of r, too."""
    radius_px, place = 1.5, torch.arange(-10, 11, dtype=torch.float64)
    point, lens = torch.zeros(1, 3, 21, 21, dtype=torch.float64), tb.ThinLens(1.0, 0.0)
    point[..., 10, 10] = 1.0
    widths = {}
    for calibrated in (False, True):
        light = GaussPSF(calibrated)(point, torch.full((1, 1, 21, 21), radius_px).double(), lens)[0, 0].sum(0)
        widths[calibrated] = float((light * place**2).sum()) ** 0.5 / (radius_px / 2)
    assert widths[True] == pytest.approx(1.1, abs=0.03)
    assert 1.7 < widths[False] < 2.0


@both_layers
def test_gradients_reach_picture_disparity_and_lens(calibrated):
    """Away from where a window grows past a pixel."""
    disparity = noise(1, 1, 3, 4, seed=1, low=0.3, high=1.0).requires_grad_()
    picture, blur = noise(1, 3, 3, 4).requires_grad_(), torch.tensor(2.3, dtype=torch.float64, requires_grad=True)
    focus = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    layer = GaussPSF(calibrated)
    inputs = picture, disparity, blur, focus
    assert torch.autograd.gradcheck(lambda p, d, b, f: layer(p, d, tb.ThinLens(b, f)), inputs, fast_mode=True)


def test_what_a_gaussian_cannot_be_is_refused_by_name():
    picture, disparity = noise(1, 3, 3, 4), noise(1, 1, 3, 4)
    with pytest.raises(ValueError, match=r"aperture\.blades makes another opening than the disc"):
        GaussPSF()(picture, disparity, tb.ThinLens(1.0, 0.0, tb.Aperture(blades=5, roundness=0.0)))
    with pytest.raises(TypeError, match="lens is of type float; expected a ThinLens"):
        GaussPSF()(picture, disparity, 1.0)
    with pytest.raises(ValueError, match=r"disparity has shape \[1, 3, 3, 4\]; expected \[1, 1, 3, 4\]"):
        GaussPSF()(picture, picture, tb.ThinLens(1.0, 0.0))
    with pytest.raises(TypeError, match="calibrated is of type str; expected a bool"):
        GaussPSF("yes")
