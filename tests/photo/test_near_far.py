"""Each side of the focus has its factor; 1 is off."""

import pytest
import torch

from taichi_bokeh.photo.near_far import scale_near_and_far


def test_factors_of_1_return_the_tensor_itself():
    disparity = torch.rand(1, 2, 1, 3, 4)
    assert scale_near_and_far(disparity, 0.3) is disparity


@pytest.mark.parametrize(("near", "far"), [(2.0, 1.0), (1.0, 0.25), (0.0, 3.0)])
def test_the_distance_to_the_focus_is_scaled_on_its_side_only(near, far):
    disparity, focus = torch.linspace(0, 1, 101), 0.4
    scaled = scale_near_and_far(disparity, focus, near, far)
    before, after = disparity - focus, scaled - focus
    torch.testing.assert_close(after, torch.where(before > 0, near, far) * before)
    for factor, side in ((near, before > 0), (far, before < 0)):
        assert factor != 1 or torch.equal(scaled[side], disparity[side])


def test_the_order_stays():
    scaled = scale_near_and_far(torch.linspace(-2, 2, 999), 0.3, 0.1, 7.0)
    assert torch.diff(scaled).min() >= 0


@pytest.mark.parametrize("name", ["near", "far"])
def test_a_negative_factor_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} is -1; expected at least 0"):
        scale_near_and_far(torch.rand(3), 0.0, **{name: -1})
