"""The image of a point, as apertures and lenses tell it, is the one that is rendered and traced."""

import pytest
import torch

import taichi_bokeh as tb

FORMS = {
    "disc": tb.Aperture(),
    "pentagon": tb.Aperture(blades=5, rotation=20.0, roundness=0.1, squeeze=1.4, ring=0.5),
    "image": tb.Aperture(image=torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]])),
}
SIZE = 33


def point_at(disparity, size=SIZE):
    """A scene of one point of light in the middle, all of it at one disparity."""
    rgb = torch.zeros(1, 1, 3, size, size, dtype=torch.float64)
    rgb[..., size // 2, size // 2] = 1
    plane = torch.ones_like(rgb[:, :, :1])
    return tb.Layers(rgb, plane, disparity * plane)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("radius_px", [-6.3, 0.0, 0.4, 6.3])
def test_an_aperture_tells_what_is_rendered_of_a_point(form, radius_px):
    psf = FORMS[form].psf(torch.tensor(radius_px, dtype=torch.float64), SIZE)
    rendered = tb.render(point_at(radius_px), tb.ThinLens(1.0, 0.0, FORMS[form]), model="subaperture", cells=1)
    assert (rendered[0, 0] - psf).abs().max() < 1e-12
    assert psf.sum() == pytest.approx(1, abs=1e-12)


def test_beyond_the_focus_it_is_the_aperture_and_nearer_its_point_mirror():
    bright_at_the_right = tb.Aperture(image=torch.tensor([[0.0, 1.0]]))
    far, near = (bright_at_the_right.psf(radius_px, 21) for radius_px in (-6.0, 6.0))
    assert far[:, 10:].sum() > 0.95
    assert torch.equal(near, far.flip(0, 1))


def test_light_outside_the_window_is_missing_from_the_sum_and_the_rest_is_as_it_is():
    whole = tb.Aperture().psf(8.0)
    assert whole.shape == (19, 19)
    assert whole.sum() == pytest.approx(1, abs=1e-6)
    assert torch.equal(tb.Aperture().psf(8.0, 9), whole[5:-5, 5:-5])
    assert torch.equal(tb.Aperture().psf(8.0, 23)[2:-2, 2:-2], whole)


def test_the_cat_eye_depends_on_the_place_in_the_image():
    aperture = tb.Aperture(cat_eye=0.5)
    middle, corner = aperture.psf(-8.0, 21), aperture.psf(-8.0, 21, field=(0.8, 0.6))
    assert (middle - tb.Aperture().psf(-8.0, 21)).abs().max() < 1e-4  # the rim's samples are in or out
    assert corner[14:, 13:].sum() < 0.01 < 0.05 < middle[14:, 13:].sum()


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_of_the_radius_is_that_of_differences(form):
    radius_px = torch.tensor(3.37, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda r: FORMS[form].psf(r, 11), radius_px, eps=1e-6, atol=1e-6)


def test_a_thin_lens_has_the_image_of_the_signed_radius_and_passes_gradients_on():
    blur, focus = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (10.0, 0.3))
    lens = tb.ThinLens(blur, focus, FORMS["pentagon"])
    psf = lens.psf(0.9, 21)
    assert torch.equal(psf.detach(), FORMS["pentagon"].psf(torch.tensor(10.0 * (0.9 - 0.3), dtype=torch.float64), 21))
    slopes = torch.autograd.grad(psf[10, 3:].square().sum(), (blur, focus))
    assert slopes[1] / slopes[0] == pytest.approx(-10 / 0.6)


def test_a_real_lens_has_the_image_that_is_traced():
    lens = tb.BiconvexLens.from_focal_length(0.05, 2.0, (1.49, 1.5, 1.52), 2.0, 0.036, 480.0, FORMS["pentagon"])
    traced = tb.trace(point_at(0.2, 17), lens, rays=1 << 10)[0]
    channels = [lens.psf(torch.tensor(0.2, dtype=torch.float64), 17, channel) for channel in range(3)]
    for channel, psf in zip(traced, channels, strict=True):
        assert 0.5 < psf.sum() < 0.95  # its spherical aberration reaches beyond the window
        assert (channel / channel.sum() - psf / psf.sum()).abs().sum() < 0.05
    assert (channels[0] - channels[2]).abs().sum() > 0.3
    assert (lens.psf(0.2, 17) - sum(channels) / 3).abs().max() < 1e-6


def test_a_slow_real_lens_has_the_image_of_the_ideal_one():
    lens = tb.BiconvexLens.from_focal_length(0.05, 32.0, 1.5, 2.0, 0.036, 4000.0)
    assert (lens.psf(0.1, 25) - lens.thin_lens().psf(0.1, 25)).abs().sum() < 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tb.Aperture().psf(float("nan")), "radius_px is nan"),
        (lambda: tb.Aperture().psf(torch.zeros(2)), r"radius_px has shape \[2\]"),
        (lambda: tb.Aperture().psf(2.0, 8), "size is 8; expected an odd number"),
        (lambda: tb.ThinLens(1.0, 0.0).psf(1.0, channel=1), "channel is 1; expected None"),
        (lambda: tb.ThinLens(torch.ones(2), 0.0).psf(1.0), r"blur has shape \[2\]"),
        (lambda: tb.BiconvexLens(0.1, 0.02, 1.5, 2.0, 0.036, 14.0).psf(0.0), "disparity is 0.0; expected more than 0"),
        (lambda: tb.BiconvexLens(0.1, 0.02, 1.5, 2.0, 0.036, 14.0).psf(1.0, channel=3), "channel is 3"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
