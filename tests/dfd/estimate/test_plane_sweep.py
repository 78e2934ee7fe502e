"""The plane sweep: planes at known depth, signs through an opening without symmetry, evidence."""

import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.dfd.estimate.plane_sweep import SweepSettings, cost_volume, median, plane_disparities, plane_sweep
from taichi_bokeh.dfd.observation import Observation

SIZE = 48


def noise(seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def observe(disparity: torch.Tensor, blur: float, focus: float, aperture: tb.Aperture | None = None) -> Observation:
    picture = noise()
    layers = tb.Layers(picture[:, None], torch.ones(1, 1, 1, SIZE, SIZE), disparity[None, None, None])
    shape = aperture or tb.Aperture()
    blurred = tb.trace(layers, tb.ThinLens(blur, focus, shape), rays=512)
    return Observation(picture, blurred[:, None], torch.tensor([[blur]]), torch.tensor([[focus]]), 1.0, 0.0, shape)


def test_a_plane_is_found_where_it_is():
    seen = observe(torch.full((SIZE, SIZE), 0.62), blur=7.0, focus=0.0)
    found = plane_sweep(seen)
    assert (7 * (found.disparity - 0.62)).abs().mean() < 0.1
    assert found.confidence.min() >= 0
    assert found.confidence.max() <= 1 + 1e-6


def test_two_planes_side_by_side_are_told_apart():
    truth = torch.full((SIZE, SIZE), 0.2)
    truth[:, SIZE // 2 :] = 0.9
    found = plane_sweep(observe(truth, blur=6.0, focus=0.0)).disparity[0, 0]
    assert (6 * (found[:, :16] - 0.2)).abs().mean() < 0.2
    assert (6 * (found[:, 32:] - 0.9)).abs().mean() < 0.2


@pytest.mark.parametrize("disparity", [0.1, 0.9])
def test_a_triangle_tells_before_from_behind(disparity):
    seen = observe(torch.full((SIZE, SIZE), disparity), blur=10.0, focus=0.5, aperture=tb.Aperture(blades=3, roundness=0.0))
    found = plane_sweep(seen).disparity
    assert (10 * (found - disparity)).abs().mean() < 0.3


def test_planes_are_no_further_apart_than_asked():
    seen = observe(torch.full((SIZE, SIZE), 0.5), blur=7.3, focus=0.0)
    planes = plane_disparities(seen, 0.25)
    assert planes[0] == 0
    assert planes[-1] == 1
    assert 7.3 * planes.diff().max() <= 0.25 + 1e-6


def test_costs_of_a_stack_are_the_mean_of_those_of_its_pictures():
    one = observe(torch.full((SIZE, SIZE), 0.5), blur=5.0, focus=0.0)
    two = observe(torch.full((SIZE, SIZE), 0.5), blur=5.0, focus=1.0)
    both = Observation(
        one.all_in_focus,
        torch.cat([one.blurred, two.blurred], 1),
        torch.tensor([[5.0, 5.0]]),
        torch.tensor([[0.0, 1.0]]),
        1.0,
        0.0,
    )
    planes = plane_disparities(one)
    expected = (cost_volume(one, planes) + cost_volume(two, planes)) / 2
    assert torch.allclose(cost_volume(both, planes), expected, atol=1e-6)


def test_progress_counts_the_planes():
    seen, calls = observe(torch.full((SIZE, SIZE), 0.5), blur=3.0, focus=0.0), []
    plane_sweep(seen, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (len(calls), len(plane_disparities(seen)))


def test_median_takes_single_pixels_away():
    spike = torch.zeros(1, 7, 7)
    spike[0, 3, 3] = 1
    assert not median(spike).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window_px": 4}, "window_px is 4; expected an odd number"),
        ({"step_px": 0.0}, "step_px is 0.0; expected more than 0"),
        ({"edge": -1.0}, "edge is -1.0; expected at least 0"),
    ],
)
def test_settings_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        SweepSettings(**change)
