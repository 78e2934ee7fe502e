"""Highlights are raised smoothly from the threshold on, hues stay, and off is off."""

import pytest
import torch

from taichi_bokeh.photo.highlights import boost_highlights


def _greys(values: torch.Tensor) -> torch.Tensor:
    return values.expand(3, 1, -1)


def test_a_gain_of_1_returns_the_tensor_itself():
    rgb = torch.rand(2, 3, 4, 5)
    assert boost_highlights(rgb, 1.0, 0.5) is rgb


def test_up_to_the_threshold_nothing_changes_and_white_has_the_gain():
    dark, bright = torch.linspace(0, 0.6, 50), torch.tensor([1.0, 3.0])
    torch.testing.assert_close(boost_highlights(_greys(dark), 8.0, 0.6), _greys(dark), rtol=0, atol=0)
    torch.testing.assert_close(boost_highlights(_greys(bright), 8.0, 0.6), _greys(8 * bright))


def test_the_curve_rises_and_its_slope_has_no_jump():
    grey = torch.linspace(0, 1.5, 30001, dtype=torch.float64)
    raised = boost_highlights(_greys(grey), 6.0, 0.3)[0, 0]
    slope = torch.diff(raised) / torch.diff(grey)
    assert slope.min() > 0.99
    assert torch.diff(slope).abs().max() < 0.01  # of a slope up to 12, in steps of 5e-5


def test_the_three_colours_of_a_pixel_are_multiplied_by_the_same():
    rgb = torch.rand(2, 2, 3, 6, 7) * 1.3
    ratio = boost_highlights(rgb, 4.0, 0.2) / rgb
    torch.testing.assert_close(ratio, ratio[..., :1, :, :].expand_as(ratio))
    assert ratio.max() > 3


def test_gradients_are_right():
    rgb = torch.rand(3, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda value: boost_highlights(value, 5.0, 0.4), rgb)


@pytest.mark.parametrize(
    ("gain", "threshold", "message"),
    [
        (0.5, 0.5, "gain is 0.5; expected at least 1"),
        (2, 1, "threshold is 1; expected less than 1"),
        (2, -1, "threshold is -1"),
    ],
)
def test_numbers_out_of_range_are_refused(gain, threshold, message):
    with pytest.raises(ValueError, match=message):
        boost_highlights(torch.rand(3, 2, 2), gain, threshold)


def test_a_picture_without_three_colours_is_refused():
    with pytest.raises(ValueError, match=r"rgb has shape \[2, 3\]"):
        boost_highlights(torch.rand(2, 3), 2.0, 0.5)
