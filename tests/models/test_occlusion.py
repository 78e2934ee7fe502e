"""The on-focal occlusion of model "scatter" near focus: against rays, and what a fit of disparity makes of it."""

import math

import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb

LENS = tb.ThinLens(blur=1.0, focus=0.0)  # so that disparity is the radius in px
SIZE = 64


def texture(seed: int) -> Tensor:
    """[3, SIZE, SIZE]: noise, the hardest to get right near focus."""
    return 0.4 + 0.2 * torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


def stack(*layers: tuple[Tensor, Tensor, Tensor | float]) -> tb.Layers:
    """Layers of (rgb, alpha, radius in px)."""
    radii = [torch.as_tensor(radius).expand(SIZE, SIZE) for _, _, radius in layers]
    rgb, alpha = (torch.stack([layer[k] for layer in layers]) for k in (0, 1))
    return tb.Layers(rgb[None], alpha[None, :, None], torch.stack(radii)[None, :, None].contiguous())


def psnr(image: Tensor, truth: Tensor) -> float:
    return -10 * math.log10((image - truth).square().mean().item())


def test_a_near_object_a_quarter_of_a_pixel_off_focus_does_not_reject_itself():
    y, x = torch.meshgrid(*[torch.arange(float(SIZE)) - SIZE / 2 + 0.5] * 2, indexing="ij")
    alpha = (SIZE / 3 - (x * x + y * y).sqrt()).clamp(0, 1)
    layers = stack((texture(0), alpha, 0.24), (texture(1), torch.ones_like(alpha), -8.0))
    assert psnr(tb.render(layers, LENS, "scatter"), tb.trace(layers, LENS, rays=1024)) > 60


@pytest.mark.parametrize("algorithm", ["exact", "fast"])
def test_a_plane_slanted_through_the_focus_is_what_rays_see(algorithm):
    layers = stack((texture(0), torch.ones(SIZE, SIZE), torch.linspace(-1.5, 1.5, SIZE)))
    assert psnr(tb.render(layers, LENS, "scatter", algorithm=algorithm), tb.trace(layers, LENS, rays=1024)) > 55


def test_what_lies_behind_an_object_in_focus_stays_behind_it():
    """A white wall 16 px out of focus beside a black object in focus: less than a hundredth of it on the object."""
    left = torch.arange(SIZE).expand(SIZE, SIZE) < SIZE // 2
    rgb = torch.where(left, 0.0, 1.0).expand(3, SIZE, SIZE)
    layers = stack((rgb, torch.ones(SIZE, SIZE), torch.where(left, 0.0, -16.0)))
    assert tb.render(layers, LENS, "scatter")[..., : SIZE // 2].max() < 0.01
    assert tb.render(layers, LENS, "scatter", occlusion=False)[..., SIZE // 2 - 1].min() > 0.3


def loss_of(radius: float, truth: Tensor) -> tuple[float, float]:
    """Half the squared error of a flat plane of this radius, and its slope."""
    plane = torch.tensor(radius, requires_grad=True)
    layers = stack((texture(0), torch.ones(SIZE, SIZE), plane))
    loss = (tb.render(layers, LENS, "scatter") - truth).square().sum() / 2
    return float(loss.detach()), float(torch.autograd.grad(loss, plane)[0])


def test_a_flat_plane_of_a_quarter_of_a_pixel_is_fitted_as_that():
    truth = tb.trace(stack((texture(0), torch.ones(SIZE, SIZE), 0.25)), LENS, rays=4096)
    radii = torch.linspace(0.15, 0.4, 26).tolist()
    best = min(radii, key=lambda radius: loss_of(radius, truth)[0])
    assert best == pytest.approx(0.25, abs=0.025)


def test_the_slope_near_focus_is_that_of_rays():
    """Of a flat plane's squared error to what is sharp: d/dr, by the model and by differences of the ray tracer."""
    sharp, around = texture(0)[None], []
    for radius in (0.45, 0.55):
        image = tb.trace(stack((texture(0), torch.ones(SIZE, SIZE), radius)), LENS, rays=4096)
        around.append(float((image - sharp).square().sum() / 2))
    assert loss_of(0.5, sharp)[1] == pytest.approx((around[1] - around[0]) / 0.1, rel=0.3)


def test_the_step_of_the_occlusion_is_a_field_of_the_model():
    layers = stack((texture(0), torch.ones(SIZE, SIZE), torch.linspace(-1.5, 1.5, SIZE)))
    truth = tb.trace(layers, LENS, rays=256)
    papers = tb.Scatter(occlusion_gap=0.1, occlusion_steepness=20.0).render(layers, LENS)
    assert psnr(papers, truth) + 8 < psnr(tb.Scatter().render(layers, LENS), truth)
    with pytest.raises(ValueError, match="occlusion_steepness is 0"):
        tb.Scatter(occlusion_steepness=0.0)
    with pytest.raises(TypeError, match="occlusion_gap"):
        tb.Scatter(occlusion_gap="near")


def test_the_gradient_of_the_occlusion_reaches_disparity_blur_and_focus():
    """In px of the radius Δ depends on all three."""
    generator = torch.Generator().manual_seed(0)
    rgb, alpha = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64).split([1, 1])
    disparity = (0.5 + 0.2 * torch.rand(1, 1, 1, 4, 5, generator=generator, dtype=torch.float64)).requires_grad_()
    lens = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (9.0, 0.56)]

    def image(disparity, blur, focus):
        layers = tb.Layers(rgb[None], alpha[None, :, :1], disparity)
        return tb.render(layers, tb.ThinLens(blur, focus), "scatter", algorithm="exact")

    assert torch.autograd.gradcheck(image, (disparity, *lens), atol=1e-5, rtol=1e-3, fast_mode=True)
