"""A lens that is not known is found as far as pictures tell it; what they do not tell is settled as the module says."""

import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.dfd.estimate.lens_search import Radii, find_radii, is_point_mirror, observe, settle
from taichi_bokeh.dfd.estimate.photo_pair import Photographs
from taichi_bokeh.dfd.layers.base import RenderedDefocus
from taichi_bokeh.models import SubAperture

SIZE = 64
DISC = tb.Aperture()
TRIANGLE = tb.Aperture(blades=3, roundness=0.0)
NEAR, FAR = 0.9, 0.1  # of the two halves of the scene, which the range in question is


def texture() -> torch.Tensor:
    """[1, 3, H, W], with fine and coarse detail."""
    generator = torch.Generator().manual_seed(0)
    sizes = [SIZE >> k for k in range(3)]
    octaves = [
        torch.nn.functional.interpolate(torch.rand(1, 3, s, s, generator=generator), SIZE, mode="bilinear") for s in sizes
    ]
    return torch.stack(octaves).mean(0)


def photographs(blur: float, focuses: tuple[float, ...], aperture: tb.Aperture = DISC) -> Photographs:
    picture = texture()
    disparity = torch.where(torch.arange(SIZE) < SIZE // 2, NEAR, FAR).expand(1, 1, SIZE, SIZE).contiguous()
    layer = RenderedDefocus(SubAperture(1))
    blurred = [layer(picture, disparity, tb.ThinLens(blur, focus, aperture)) for focus in focuses]
    return Photographs(picture[0], torch.cat(blurred), 0.0)


def test_a_known_lens_is_taken_as_it_is():
    seen = observe(photographs(5.0, (0.2, 0.4)), 1.0, 0.0, TRIANGLE, 5.0, (0.2, 0.4))
    assert seen.blur.tolist() == [[5.0, 5.0]]
    assert torch.equal(seen.focus, torch.tensor([[0.2, 0.4]]))
    assert (seen.near, seen.far, seen.aperture) == (1.0, 0.0, TRIANGLE)


def test_a_disc_tells_the_size_of_radii_and_a_triangle_their_sign():
    for aperture, low in ((DISC, 1.25), (TRIANGLE, -1.25)):
        radii = find_radii(observe(photographs(5.0, (0.35,), aperture), 1.0, 0.0, aperture, 1.0, (0.0,)))
        assert radii.low == pytest.approx(low, abs=0.3)
        assert radii.high == pytest.approx(2.75, abs=0.3)


def test_radii_beyond_the_first_sweep_are_found(monkeypatch):
    monkeypatch.setattr("taichi_bokeh.dfd.estimate.lens_search._FIRST_PX", 3.0)
    radii = find_radii(observe(photographs(8.0, (FAR,)), 1.0, 0.0, DISC, 1.0, (0.0,)))
    assert radii.high == pytest.approx(8 * (NEAR - FAR), rel=0.1)


def test_blur_and_focus_of_a_pair_fill_the_range():
    seen = observe(photographs(6.0, (FAR,)), NEAR, FAR, DISC)
    assert float(seen.blur) == pytest.approx(6.0, rel=0.1)
    assert float(seen.focus) == pytest.approx(FAR, abs=0.05)


def test_blur_of_a_stack_is_found_from_its_foci():
    seen = observe(photographs(6.0, (FAR, NEAR)), 2.0, -1.0, DISC, None, (FAR, NEAR))  # a range that says nothing
    assert seen.blur[0, 0] == seen.blur[0, 1]
    assert float(seen.blur[0, 0]) == pytest.approx(6.0, rel=0.25)  # the steps are √2


def test_large_pictures_are_searched_in_a_smaller_size(monkeypatch):
    monkeypatch.setattr("taichi_bokeh.dfd.estimate.lens_search._SIDE_PX", SIZE // 2)
    seen = observe(photographs(8.0, (FAR,)), NEAR, FAR, DISC)
    assert float(seen.blur) == pytest.approx(8.0, rel=0.15)


@pytest.mark.parametrize(
    ("radii", "blur", "focus", "expected"),
    [
        (Radii(-2, 6), None, None, (8, 0.25)),  # both ends of the range are there
        (Radii(1, 6), None, None, (6, 0)),  # the plane in focus is one of the range
        (Radii(-6, -1), None, None, (6, 1)),
        (Radii(-2, 6), None, 0.4, (10, 0.4)),
        (Radii(-6, 2), None, 0.4, (15, 0.4)),
        (Radii(-2, 6), None, 1.0, (2, 1.0)),  # nothing can be nearer
        (Radii(1, 6), None, 0.4, (10, 0.4)),  # of unknown sign: where there is more room
        (Radii(-2, 6), 20, None, (20, 0.1)),
        (Radii(-2, 6), 1, None, (1, 1.0)),  # more blur than the range has with this K
    ],
)
def test_what_pictures_do_not_tell_is_settled_so_that_the_scene_fills_the_range(radii, blur, focus, expected):
    assert settle(radii, 1.0, 0.0, blur, focus) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("aperture", "expected"),
    [
        (DISC, True),
        (tb.Aperture(blades=6, roundness=0.0, rotation=7), True),
        (tb.Aperture(ring=0.5, squeeze=2.0), True),
        (TRIANGLE, False),
        (tb.Aperture(blades=5, roundness=0.0), False),
        (tb.Aperture(image=torch.tensor([[1.0, 1.0], [0.0, 0.0]])), False),
    ],
)
def test_openings_that_are_their_own_point_mirror(aperture, expected):
    assert is_point_mirror(aperture) is expected


def test_what_cannot_be_found_is_refused():
    pair = photographs(5.0, (FAR,))
    with pytest.raises(ValueError, match=r"focus is None; expected those of 2 pictures"):
        observe(photographs(5.0, (FAR, NEAR)), 1.0, 0.0, DISC, 5.0)
    with pytest.raises(ValueError, match=r"focus has 2 numbers; expected 1"):
        observe(pair, 1.0, 0.0, DISC, 5.0, (0.0, 1.0))
    with pytest.raises(ValueError, match=r"blur is 0; expected more than 0"):
        observe(pair, 1.0, 0.0, DISC, 0, (0.0,))
    with pytest.raises(ValueError, match=r"radii of blur up to 0.. px; expected more than 0\.5 px"):
        observe(Photographs(pair.all_in_focus, pair.all_in_focus[None], 0.0), 1.0, 0.0, DISC)
    with pytest.raises(ValueError, match=r"all_in_focus has no texture; expected some"):
        observe(Photographs(torch.full_like(pair.all_in_focus, 0.5), pair.blurred, 0.0), 1.0, 0.0, DISC)
