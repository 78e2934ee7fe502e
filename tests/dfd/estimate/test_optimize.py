"""One view by gradients: better than where it starts, exactly resumable, the lens found with the depth, one layer or two."""

import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.dfd.estimate.optimize import Optimization, OptimizeSettings, optimize
from taichi_bokeh.dfd.estimate.plane_sweep import Estimate, plane_disparities
from taichi_bokeh.dfd.layers.base import RenderedDefocus
from taichi_bokeh.dfd.losses import Objective
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.models import Scatter

SIZE = 40
FAR, NEAR = 0.1, 0.9
BLUR = 5.0


def scene() -> tuple[tb.Layers, torch.Tensor]:
    """A square before a wall, of noise, and its true disparity [1, 1, H, W]."""
    generator = torch.Generator().manual_seed(0)
    rgb = torch.rand(1, 2, 3, SIZE, SIZE, generator=generator)
    alpha = torch.ones(1, 2, 1, SIZE, SIZE)
    alpha[:, 0] = 0
    alpha[:, 0, :, 10:30, 10:30] = 1
    disparity = torch.full((1, 2, 1, SIZE, SIZE), FAR)
    disparity[:, 0] = NEAR
    return tb.Layers(rgb, alpha, disparity), torch.where(alpha[:, 0] > 0, NEAR, FAR)


def observe(focuses: tuple[float, ...] = (0.0,), blur: float = BLUR) -> tuple[Observation, torch.Tensor]:
    layers, truth = scene()
    alpha = layers.alpha[:, 0]
    picture = alpha * layers.rgb[:, 0] + (1 - alpha) * layers.rgb[:, 1]
    blurred = torch.stack([tb.trace(layers, tb.ThinLens(blur, focus), rays=256) for focus in focuses], 1)
    lenses = torch.full((1, len(focuses)), blur), torch.tensor([focuses])
    return Observation(picture, blurred, *lenses, 1.0, 0.0), truth


def error_px(found: torch.Tensor, truth: torch.Tensor) -> float:
    return float(BLUR * (found - truth).abs().mean())


@pytest.mark.slow
def test_is_better_than_where_it_starts_and_beside_an_edge_with_two_layers_better_still():
    seen, truth = observe()
    near = (truth > FAR).to(truth)
    beside = (torch.nn.functional.max_pool2d(near, 2 * int(BLUR) + 1, 1, int(BLUR)) - near)[0, 0] > 0
    start = Estimate((truth + 0.08).clamp(0, 1), torch.ones_like(truth))
    errors = []
    for layers in (1, 2):
        # Noise has no even ground, and edges everywhere.
        settings = OptimizeSettings(layers=layers, objective=Objective(gradient=0.01), snap=False)
        found = optimize(seen, settings=settings, initial=start)
        assert found.losses[-1] < 0.5 * found.losses[0]
        assert found.layers.count == layers
        assert error_px(found.disparity, truth) < 0.5 * error_px(start.disparity, truth)
        errors.append(error_px(found.disparity[0, 0][beside], truth[0, 0][beside]))
    assert errors[1] < 0.85 * errors[0]  # one layer takes what it sees of the hidden background for depth


@pytest.mark.parametrize("layers", [1, 2])
def test_an_interrupted_run_goes_on_to_the_same_bits(layers):
    seen, _ = observe()
    settings = OptimizeSettings(steps=8, layers=layers)
    whole = optimize(seen, settings=settings)
    first = Optimization(seen, settings=settings)
    for _ in range(3):
        first.step()
    second = Optimization(seen, settings=settings)
    second.load_state_dict(first.state_dict())
    while second.done < settings.steps:
        second.step()
    assert torch.equal(second.result().disparity, whole.disparity)
    assert second.result().losses == whole.losses


def test_the_sweep_tells_how_far_it_is():
    seen, _ = observe()
    planes, steps = [], []
    settings = OptimizeSettings(steps=2)
    optimize(seen, None, settings, on_plane=lambda *now: planes.append(now), on_step=steps.append)
    count = len(plane_disparities(seen, settings.sweep.step_px))
    assert planes == [(k + 1, count) for k in range(count)]
    assert [report.step for report in steps] == [1, 2]


def test_blur_is_found_with_the_depth_of_a_stack():
    seen, truth = observe((0.0, 1.0))
    wrong = Observation(seen.all_in_focus, seen.blurred, 1.15 * seen.blur, seen.focus, 1.0, 0.0)
    found = optimize(wrong, settings=OptimizeSettings(steps=60, learn_blur=True, evidence=0.0))
    assert (found.blur / BLUR - 1).abs().max() < 0.07
    assert error_px(found.disparity, truth) < 0.6


def test_no_pixel_crosses_the_focus():
    seen, truth = observe((0.5,))
    start = Estimate(truth, torch.ones_like(truth))
    found = optimize(seen, settings=OptimizeSettings(steps=10, step_px=3.0, snap=False), initial=start)
    assert ((found.disparity - 0.5) * (truth - 0.5) >= 0).all()


def test_bad_arguments_are_refused_by_name():
    seen, _ = observe()
    with pytest.raises(ValueError, match=r"layer is Scatter, disc profile; expected a SplatDefocus"):
        Optimization(seen, RenderedDefocus(Scatter()), OptimizeSettings(layers=2))
    with pytest.raises(ValueError, match=r"focus is 3 to 3; expected within the range of disparities, 0 to 1"):
        Optimization(Observation(seen.all_in_focus, seen.blurred, seen.blur, seen.focus + 3, 1.0, 0.0))
    with pytest.raises(ValueError, match=r"layers is 3; expected 1 or 2"):
        OptimizeSettings(layers=3)
    state = Optimization(seen).state_dict()
    with pytest.raises(ValueError, match=r"state is of an optimisation of"):
        Optimization(seen, settings=OptimizeSettings(learn_blur=True)).load_state_dict(state)
