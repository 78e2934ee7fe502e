"""The blur of planes: its kernel, which way round it is, its border."""

import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb
from taichi_bokeh.dfd.planes import PlaneBlur, blur_plane
from taichi_bokeh.optics.aperture import Aperture
from tests.scenes import flat_layers

HALF_DISC = Aperture(image=torch.cat([torch.zeros(8, 4), torch.ones(8, 4)], 1))
TRIANGLE = Aperture(blades=3, roundness=0.0, rotation=20.0)
OPENINGS = [
    pytest.param(Aperture(), id="disc"),
    pytest.param(HALF_DISC, id="half disc"),
    pytest.param(TRIANGLE, id="triangle"),
]


@pytest.fixture(autouse=True)
def one_thread():
    """Arrays as small as these take longer on several."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-6)])
@pytest.mark.parametrize("aperture", OPENINGS)
@pytest.mark.parametrize("radius_px", [-4.3, -0.7, 0.05, 2.0, 11.0])
def test_a_plane_is_blurred_as_a_flat_layer_is_rendered(aperture, radius_px, dtype, tolerance):
    """Near and far, so that a kernel the wrong way round would show; 11 px reach beyond the picture on both sides."""
    picture = noise(1, 3, 15, 18, dtype=dtype)
    lens = tb.ThinLens(blur=1.0, focus=0.0, aperture=aperture)
    truth = tb.render(flat_layers(picture[0], radius_px), lens, model="subaperture", cells=1)
    blurred = PlaneBlur(picture, aperture, 12.0).at(radius_px)
    assert blurred.dtype == dtype
    assert (blurred - truth).abs().max() < tolerance


def test_beyond_the_focus_highlights_show_the_aperture_and_nearer_ones_its_mirror():
    point = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    point[..., 10, 10] = 1.0
    planes = PlaneBlur(point, HALF_DISC, 6.0)
    light_on_the_right = {r: float(planes.at(r)[..., 11:].sum()) for r in (-5.0, 5.0)}
    assert light_on_the_right[-5.0] > 0.85
    assert light_on_the_right[5.0] < 0.05


def test_in_focus_a_plane_stays_and_the_blur_begins_smoothly():
    picture = noise(1, 2, 9, 10)
    planes = PlaneBlur(picture, TRIANGLE, 1.0)
    assert (planes.at(0.0) - picture).abs().max() < 1e-14
    changes = [float((planes.at(r) - picture).abs().max()) for r in (1e-6, 1e-3, 1e-1)]
    assert changes[0] < 1e-6 < changes[1] < 1e-3 < changes[2] < 0.1


def test_light_is_neither_lost_nor_made():
    bright = torch.full((1, 3, 7, 11), 0.7, dtype=torch.float64)
    assert (PlaneBlur(bright, TRIANGLE, 9.0).at(-9.0) - bright).abs().max() < 1e-14


def test_each_picture_may_have_a_radius_of_its_own():
    pictures = noise(3, 2, 12, 10)
    radii = [-3.0, 0.5, 3.0]
    together = PlaneBlur(pictures, TRIANGLE, 3.0).at(radii)
    for picture, radius, blurred in zip(pictures, radii, together, strict=True):
        torch.testing.assert_close(blur_plane(picture[None], TRIANGLE, radius)[0], blurred, rtol=0, atol=1e-14)


def test_gradient_is_the_derivative_of_the_blur():
    picture = noise(2, 1, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: PlaneBlur(p, TRIANGLE, 2.5).at([-2.5, 1.2]), picture)


def test_what_it_cannot_blur_is_refused_by_name():
    picture = noise(2, 3, 4, 5)
    with pytest.raises(ValueError, match=r"aperture\.cat_eye is 0\.5; expected 0"):
        PlaneBlur(picture, Aperture(cat_eye=0.5), 3.0)
    with pytest.raises(TypeError, match="aperture is of type int; expected an Aperture"):
        PlaneBlur(picture, 3, 3.0)
    with pytest.raises(ValueError, match=r"picture has shape \[3, 4, 5\]; expected \[B, C, H, W\]"):
        PlaneBlur(picture[0], Aperture(), 3.0)
    with pytest.raises(ValueError, match=r"largest_radius_px is -1\.0; expected at least 0"):
        PlaneBlur(picture, Aperture(), -1.0)
    with pytest.raises(ValueError, match=r"radius_px is -3\.5; expected at most 3\.001 on either side of 0"):
        PlaneBlur(picture, Aperture(), 3.0).at(-3.5)
    with pytest.raises(ValueError, match="radius_px has 1 numbers; expected 2, one for each picture"):
        PlaneBlur(picture, Aperture(), 3.0).at([1.0])
    with pytest.raises(ValueError, match="radius_px is inf; expected a finite number"):
        blur_plane(picture, Aperture(), float("inf"))
