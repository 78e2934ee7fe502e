"""The blur of planes: its kernel, which way round it is, its border; and the composite of several."""

import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb
from taichi_bokeh.dfd.layers.planes import CompositionalPlanes, PlaneBlur, blur_plane
from taichi_bokeh.optics.aperture import Aperture
from tests.scenes import flat_layers

HALF_DISC = Aperture(image=torch.cat([torch.zeros(8, 4), torch.ones(8, 4)], 1))
TRIANGLE = Aperture(blades=3, roundness=0.0, rotation=20.0)
OPENINGS = [
    pytest.param(Aperture(), id="disc"),
    pytest.param(HALF_DISC, id="half disc"),
    pytest.param(TRIANGLE, id="triangle"),
]


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


# ---- the composite


def probabilities(batch: int, planes: int, height: int, width: int) -> Tensor:
    return (4 * noise(batch, planes, height, width, seed=7)).softmax(1)


def test_the_composite_is_over_from_front_to_back_and_normalised():
    """The same sum walked the other way, plane by plane, view by view."""
    picture, share = noise(2, 3, 9, 11), probabilities(2, 4, 9, 11)
    disparities = torch.tensor([0.1, 0.3, 0.35, 0.9], dtype=torch.float64)
    lens = tb.ThinLens(torch.tensor([4.0, 7.0]).double(), torch.tensor([0.3, 0.6]).double(), TRIANGLE)
    ours = CompositionalPlanes.composite(picture, share, lens, disparities)
    for b in range(2):
        total, seen_through = torch.zeros(1, 3, 9, 11, dtype=torch.float64), torch.ones(1, 1, 9, 11, dtype=torch.float64)
        for k in (3, 2, 1, 0):
            radius = float(lens.blur[b] * (disparities[k] - lens.focus[b]))
            p = share[b : b + 1, k : k + 1]
            total += seen_through * blur_plane(p * picture[b : b + 1], TRIANGLE, radius)
            seen_through = seen_through * (1 - blur_plane(p, TRIANGLE, radius))
        expected = (total + 1e-4 * seen_through * picture[b : b + 1]) / (1 - seen_through + 1e-4 * seen_through)
        torch.testing.assert_close(ours[b : b + 1], expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("radius_px", [-4.5, 0.0, 3.0])
def test_one_plane_is_a_flat_layer(radius_px):
    picture, disparity = noise(1, 3, 12, 14), torch.full((1, 1, 12, 14), 0.5 + radius_px / 6.0, dtype=torch.float64)
    lens = tb.ThinLens(6.0, 0.5, HALF_DISC)
    truth = tb.render(flat_layers(picture[0], 0.5 + radius_px / 6.0), lens, model="subaperture", cells=1)
    torch.testing.assert_close(CompositionalPlanes()(picture, disparity, lens), truth, rtol=0, atol=1e-12)


def test_a_pixel_between_two_planes_is_shared_by_them():
    picture, lens = noise(1, 3, 8, 9), tb.ThinLens(5.0, 0.2, TRIANGLE)
    disparity = noise(1, 1, 8, 9, seed=3)
    planes = torch.linspace(0, 1, 6, dtype=torch.float64)
    tents = (1 - (disparity - planes[:, None, None]).abs() * 5).clamp(min=0)
    expected = CompositionalPlanes.composite(picture, tents, lens, planes)
    torch.testing.assert_close(CompositionalPlanes(planes)(picture, disparity, lens), expected, rtol=0, atol=1e-13)
    on_steps = CompositionalPlanes(step_px=1.0)(picture, disparity, lens)  # r from −1 to 4 px: the same planes
    torch.testing.assert_close(on_steps, expected, rtol=0, atol=1e-13)


def test_what_lies_beyond_the_given_planes_is_put_on_the_last():
    picture, lens, planes = noise(1, 3, 6, 7), tb.ThinLens(5.0, 0.2), torch.tensor([0.1, 0.5], dtype=torch.float64)
    disparity = noise(1, 1, 6, 7, seed=3)
    layer = CompositionalPlanes(planes)
    torch.testing.assert_close(layer(picture, disparity, lens), layer(picture, disparity.clamp(0.1, 0.5), lens))


def test_a_near_plane_hides_a_far_one_and_its_edge_spreads_over_it():
    """A black half plane 6 px out of focus before a white one in focus; far from the edge each is as it was."""
    picture, disparity = torch.ones(1, 3, 30, 40, dtype=torch.float64), torch.zeros(1, 1, 30, 40, dtype=torch.float64)
    picture[..., 20:], disparity[..., 20:] = 0.0, 1.0
    row = CompositionalPlanes()(picture, disparity, tb.ThinLens(6.0, 0.0))[0, 0, 15]
    assert float((row[:13] - 1).abs().max()) < 1e-12
    assert float(row[27:].abs().max()) < 1e-12
    assert bool((row[13:20].diff() < 0).all())
    assert float(row[19]) == pytest.approx(0.5, abs=0.06)


def test_where_nothing_covers_a_pixel_it_stays():
    """A lone pixel far before the focus is spread over a ring, its neighbours in focus stay where they are."""
    ring = torch.ones(9, 9)
    ring[2:7, 2:7] = 0
    picture, disparity = noise(1, 3, 15, 15), torch.zeros(1, 1, 15, 15, dtype=torch.float64)
    disparity[..., 7, 7] = 1.0
    blurred = CompositionalPlanes()(picture, disparity, tb.ThinLens(6.0, 0.0, Aperture(image=ring)))
    torch.testing.assert_close(blurred[..., 7, 7], picture[..., 7, 7], rtol=1e-8, atol=0)


@pytest.mark.parametrize("planes", [None, torch.tensor([-0.2, 0.4, 1.1])], ids=["steps", "given"])
def test_a_constant_picture_stays_constant_and_a_batch_is_a_loop(planes):
    layer = CompositionalPlanes(planes)
    constant, disparity = torch.full((2, 3, 9, 12), 0.7, dtype=torch.float64), noise(2, 1, 9, 12)
    lens = tb.ThinLens(torch.tensor([2.0, 6.0]).double(), torch.tensor([0.1, 0.8]).double())
    torch.testing.assert_close(layer(constant, disparity, lens), constant, rtol=1e-12, atol=0)
    picture = noise(2, 3, 9, 12, seed=1)
    together = layer(picture, disparity, lens)
    for b in range(2):
        alone = tb.ThinLens(float(lens.blur[b]), float(lens.focus[b]))
        one = layer(picture[b : b + 1], disparity[b : b + 1], alone)
        torch.testing.assert_close(together[b : b + 1], one, rtol=0, atol=1e-13)


@pytest.mark.slow
def test_gradients_reach_picture_disparity_and_lens():
    """Away from the planes, where shares have a kink."""
    picture, disparity = noise(2, 3, 3, 4).requires_grad_(), noise(2, 1, 3, 4, seed=1).requires_grad_()
    blur = torch.tensor([2.3, 3.1], dtype=torch.float64, requires_grad=True)
    focus = torch.tensor(0.55, dtype=torch.float64, requires_grad=True)
    layer = CompositionalPlanes()
    assert torch.autograd.gradcheck(
        lambda p, d, b, f: layer(p, d, tb.ThinLens(b, f, TRIANGLE)), (picture, disparity, blur, focus)
    )
    given = CompositionalPlanes(torch.tensor([0.0, 0.45, 1.0], dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda p, d: given(p, d, tb.ThinLens(3.0, 0.4)), (picture, disparity), fast_mode=True)


def test_gradients_reach_the_probabilities():
    logits, picture = noise(1, 3, 3, 4).requires_grad_(), noise(1, 3, 3, 4, seed=1)
    disparities, lens = torch.tensor([0.0, 0.45, 1.0], dtype=torch.float64), tb.ThinLens(3.0, 0.4)
    assert torch.autograd.gradcheck(
        lambda value: CompositionalPlanes.composite(picture, value.softmax(1), lens, disparities), logits
    )


def test_probabilities_that_autocast_rounded_are_composited():
    """Of three planes a third each, whose sum bfloat16 puts beside 1."""
    picture, third = torch.rand(1, 3, 6, 7), torch.full((1, 3, 6, 7), 1 / 3, dtype=torch.bfloat16)
    lens, planes = tb.ThinLens(3.0, 0.4), torch.tensor([0.0, 0.5, 1.0])
    with torch.autocast("cpu", torch.bfloat16):
        found = CompositionalPlanes.composite(picture, third, lens, planes)
    assert float((3 * third.float()).mean()) > 1.001
    assert torch.equal(found, CompositionalPlanes.composite(picture, third.float(), lens, planes))


def test_what_cannot_be_composited_is_refused_by_name():
    picture, disparity, share = noise(1, 3, 4, 5), noise(1, 1, 4, 5), probabilities(1, 2, 4, 5)
    ends, lens = torch.tensor([0.0, 1.0], dtype=torch.float64), tb.ThinLens(3.0, 0.4)
    blur = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    composite = CompositionalPlanes.composite
    with pytest.raises(ValueError, match=r"lens\.blur requires a gradient; expected one without"):
        composite(picture, share, tb.ThinLens(blur, 0.4), ends)
    with pytest.raises(ValueError, match=r"lens\.blur requires a gradient; expected one without"):
        CompositionalPlanes(ends)(picture, disparity, tb.ThinLens(blur, 0.4))
    with pytest.raises(ValueError, match=r"probabilities has shape \[1, 1, 4, 5\]; expected \[1, 2, 4, 5\]"):
        composite(picture, share[:, :1], lens, ends)
    with pytest.raises(ValueError, match=r"the sum of probabilities has values from .*; expected values in \[0\.999, 1\.001\]"):
        composite(picture, share / 2, lens, ends)
    with pytest.raises(ValueError, match="disparities does not increase; expected disparities from far to near"):
        composite(picture, share, lens, ends.flip(0))
    with pytest.raises(ValueError, match=r"probabilities is torch\.float32 on cpu; expected that of all_in_focus"):
        composite(picture, share.float(), lens, ends)
    with pytest.raises(ValueError, match="planes has 1 disparity; expected at least 2"):
        CompositionalPlanes(ends[:1])
    with pytest.raises(ValueError, match="step_px is 0; expected more than 0"):
        CompositionalPlanes(step_px=0)
    with pytest.raises(ValueError, match=r"aperture\.cat_eye is 0\.3; expected 0"):
        CompositionalPlanes()(picture, disparity, tb.ThinLens(3.0, 0.4, Aperture(cat_eye=0.3)))
    with pytest.raises(ValueError, match=r"the largest blur radius is .* px; expected at most 4096"):
        CompositionalPlanes()(picture, disparity, tb.ThinLens(1e5, 0.4))
    with pytest.raises(TypeError, match="lens is of type float; expected a ThinLens"):
        CompositionalPlanes()(picture, disparity, 3.0)
