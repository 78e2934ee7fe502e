"""The disc by which the baselines blur."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from taichi_bokeh.benchmark.blur_kernels import blur, disc


@pytest.mark.parametrize("radius", [0.0, 0.3, 0.5])
def test_a_disc_within_one_pixel_is_the_identity(radius):
    assert disc(radius).tolist() == [[1.0]]


@pytest.mark.parametrize("radius", [0.6, 1.0, 1.5, 2.3, 7.77])
def test_a_pixel_weighs_what_the_disc_covers_of_it(radius):
    kernel = disc(radius)
    fine = 64
    reach = kernel.shape[0] // 2
    places = torch.arange(-reach - 0.5, reach + 0.5, 1 / fine, dtype=torch.float64) + 0.5 / fine
    inside = (places**2 + places[:, None] ** 2 <= radius**2).double()
    covered = inside.unflatten(0, (-1, fine)).unflatten(2, (-1, fine)).mean((1, 3))
    torch.testing.assert_close(kernel * math.pi * radius**2, covered, atol=5e-3, rtol=0)
    assert kernel.sum().item() == pytest.approx(1, abs=1e-12)
    for same in (kernel.T, kernel.flip(0), kernel.flip(1)):
        torch.testing.assert_close(kernel, same, atol=1e-12, rtol=0)


@pytest.mark.parametrize("radius", [0.5, 1.5, 4.5])
def test_the_disc_grows_continuously_where_it_reaches_the_next_pixels(radius):
    before, after = disc(radius - 1e-4), disc(radius + 1e-4)
    assert after.shape[0] == before.shape[0] + 2
    torch.testing.assert_close(torch.nn.functional.pad(before, (1, 1, 1, 1)), after, atol=1e-3, rtol=0)


def test_bad_radii_are_refused():
    for radius in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="radius_px"):
            disc(radius)


@pytest.mark.parametrize("radius", [-3.2, 0.4, 1.0, 6.5])
def test_blur_is_the_mean_over_the_disc_with_replicated_edges(radius):
    planes = torch.rand(2, 13, 17, generator=torch.Generator().manual_seed(0))
    expected = [ndimage.convolve(plane.double().numpy(), disc(abs(radius)).numpy(), mode="nearest") for plane in planes]
    result = blur(planes, radius)
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.numpy(), np.stack(expected), atol=1e-6)


def test_blur_wider_than_the_picture_and_of_nothing():
    assert (blur(torch.zeros(1, 9, 9), 30) == 0).all()
    torch.testing.assert_close(blur(torch.full((1, 5, 6), 0.7), 30), torch.full((1, 5, 6), 0.7))


def test_light_is_kept_and_never_negative():
    planes = torch.zeros(1, 40, 40)
    planes[0, 20, 20] = 1e4
    result = blur(planes, 9)
    assert result.sum().item() == pytest.approx(1e4, rel=1e-6)
    assert (result >= 0).all()
    assert result[0, 20, 20].item() == pytest.approx(1e4 / (math.pi * 81), rel=2e-3)
