"""The defocus layer with visibility: what hides what, lens points that turn, and how near to the ray tracer it comes."""

import copy

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import taichi_bokeh as tb
from taichi_bokeh.dfd.layers.base import RenderedDefocus
from taichi_bokeh.dfd.layers.splat import SplatDefocus
from taichi_bokeh.models import Scatter

SIZE, MARGIN = 64, 8
LENS = {"near in focus": tb.ThinLens(6.0, 1.0), "far in focus": tb.ThinLens(6.0, 0.0), "between": tb.ThinLens(6.0, 0.5)}


def texture(seed: int) -> Tensor:
    coarse = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bilinear")


def disc_before_a_wall() -> tb.Layers:
    y, x = torch.meshgrid(*(torch.arange(SIZE) + 0.5 - SIZE / 2,) * 2, indexing="ij")
    disc = (x.square() + y.square() < 15**2).float()[None, None]
    ones = torch.ones_like(disc)
    return tb.Layers(torch.stack([texture(0), texture(1)], 1), torch.stack([disc, ones], 1), torch.stack([ones, 0 * ones], 1))


def all_in_focus(layers: tb.Layers) -> tuple[Tensor, Tensor]:
    """The picture and its disparity, which know nothing of what the near layer hides."""
    near = layers.alpha[:, 0]
    return tuple(near * value[:, 0] + (1 - near) * value[:, 1] for value in (layers.rgb, layers.disparity))


def psnr_db(picture: Tensor, truth: Tensor) -> float:
    inside = slice(MARGIN, -MARGIN)
    return float(-10 * (picture - truth)[..., inside, inside].square().mean().log10())


@pytest.mark.parametrize(("name", "least_db"), [("near in focus", 53.5), ("far in focus", 53), ("between", 53)])
def test_two_surfaces_are_near_what_the_ray_tracer_sees(name, least_db):
    """54 to 55 dB: a blurred near edge, whose sources cover parts of pixels, is as near as a sharp one."""
    layers, lens = disc_before_a_wall(), LENS[name]
    layer = SplatDefocus(points=64).eval()
    picture = layer.surfaces(layers.rgb, layers.alpha, layers.disparity, lens)
    assert psnr_db(picture, tb.trace(layers, lens, rays=256)) > least_db


def test_what_a_slanted_surface_hides_hardly_shines_through_where_a_lens_point_sees_it_stretched():
    """A slope of 0.1 px per px leaves 10 % of pixels open to the outermost lens point."""
    slope = (torch.arange(SIZE) + 0.5 - SIZE / 2).expand(1, 1, SIZE, SIZE) / SIZE
    ones, lens = torch.ones_like(slope), LENS["between"]
    layer = SplatDefocus(points=64).eval()
    rgb = torch.stack([texture(0), torch.zeros(1, 3, SIZE, SIZE)], 1)
    both = layer.surfaces(rgb, torch.stack([ones, ones], 1), torch.stack([1 + slope, -ones], 1), lens)
    assert 42 < psnr_db(both, layer(rgb[:, 0], 1 + slope, lens)) < 60


def test_a_sharp_edge_before_a_blurred_wall_is_nearer_to_the_ray_tracer_than_with_the_scatter_model():
    layers, lens = disc_before_a_wall(), LENS["near in focus"]
    truth, picture = tb.trace(layers, lens, rays=256), all_in_focus(layers)
    ours = psnr_db(SplatDefocus(points=64).eval()(*picture, lens), truth)
    assert ours > 36
    assert ours > psnr_db(RenderedDefocus(Scatter())(*picture, lens), truth)


def test_highlights_show_the_opening_as_the_ray_tracer_shows_them():
    rgb = torch.zeros(1, 3, 33, 33)
    rgb[..., 16, 16] = 1.0
    aperture = tb.Aperture(blades=3, roundness=0.0, rotation=20.0)
    layer = SplatDefocus(points=256).eval()
    for disparity in (1.0, -1.0):
        flat, lens = torch.full((1, 1, 33, 33), disparity), tb.ThinLens(8.0, 0.0, aperture)
        truth = tb.trace(tb.Layers(rgb[:, None], torch.ones_like(flat)[:, None], flat[:, None]), lens, rays=256)
        torch.testing.assert_close(layer(rgb, flat, lens), truth, rtol=0, atol=5e-5)
        assert (layer(rgb, -flat, lens) - truth).abs().max() > 1e-3  # the mirror


def test_without_blur_the_picture_is_itself():
    layers = disc_before_a_wall()
    picture, disparity = all_in_focus(layers)
    torch.testing.assert_close(SplatDefocus()(picture, disparity, tb.ThinLens(0.0, 0.3)), picture)


def test_training_turns_the_lens_points_reproducibly_and_evaluation_does_not():
    picture, disparity = all_in_focus(disc_before_a_wall())
    lens = LENS["near in focus"]
    layer = SplatDefocus(points=6)
    twin, other = copy.deepcopy(layer), SplatDefocus(points=6, seed=1)
    calls = [layer(picture, disparity, lens) for _ in range(3)]
    assert not torch.equal(calls[0], calls[1])
    assert all(torch.equal(call, twin(picture, disparity, lens)) for call in calls)
    layer.eval()
    fixed = layer(picture, disparity, lens)
    assert torch.equal(fixed, layer(picture, disparity, lens))
    assert torch.equal(fixed, SplatDefocus(points=6, rotate=False)(picture, disparity, lens))
    assert not torch.equal(fixed, other.eval()(picture, disparity, lens))


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_calls_that_a_checkpoint_repeats_see_through_the_same_lens_points_and_do_not_count(use_reentrant):
    picture, disparity = (value[..., :24, :24] for value in all_in_focus(disc_before_a_wall()))

    def trained(repeated: bool) -> tuple[list[Tensor], list[Tensor], int]:
        layer, inputs, shown = SplatDefocus(points=6), [], []
        for _ in range(2):
            inputs.append(disparity.clone().requires_grad_())
            arguments = picture, inputs[-1], LENS["between"]
            shown.append(checkpoint(layer, *arguments, use_reentrant=use_reentrant) if repeated else layer(*arguments))
        loss = (shown[0] * shown[1]).sum()
        loss.backward(retain_graph=not (repeated and use_reentrant))
        if not (repeated and use_reentrant):  # which torch lets run backward once
            loss.backward()
        return shown, [value.grad for value in inputs], layer.get_extra_state()["calls"]

    (pictures, gradients, calls), (again, again_gradients, again_calls) = trained(False), trained(True)
    assert calls == again_calls == 2
    assert not torch.equal(pictures[0], pictures[1])
    assert all(torch.equal(a, b) for a, b in zip(pictures, again, strict=True))
    times = 2 if use_reentrant else 1
    assert all(torch.equal(a, times * b) for a, b in zip(gradients, again_gradients, strict=True))


def test_a_checkpoint_without_torchs_random_state_is_told_so():
    picture, disparity = (value[..., :12, :12] for value in all_in_focus(disc_before_a_wall()))
    inputs = picture, disparity.clone().requires_grad_(), LENS["between"]
    result = checkpoint(SplatDefocus(points=6), *inputs, use_reentrant=False, preserve_rng_state=False)
    with pytest.raises(RuntimeError, match=r"expected checkpoint\(\.\.\., preserve_rng_state=True\), or rotate=False"):
        result.sum().backward()
    fixed = checkpoint(SplatDefocus(points=6, rotate=False), *inputs, use_reentrant=False, preserve_rng_state=False)
    fixed.sum().backward()
    assert inputs[1].grad.isfinite().all()


def test_gradients_reach_the_picture_the_disparity_and_the_lens():
    picture, disparity = all_in_focus(disc_before_a_wall())
    blur, focus = torch.tensor([5.0], requires_grad=True), torch.tensor([0.7], requires_grad=True)
    inputs = [picture.requires_grad_(), disparity.requires_grad_(), blur, focus]
    loss = SplatDefocus()(picture, disparity, tb.ThinLens(blur, focus)).square().mean()
    for gradient in torch.autograd.grad(loss, inputs):
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


def test_descending_the_gradient_finds_a_disparity():
    """One flat scene, one unknown: the radius that a picture was blurred with."""
    picture = texture(3)
    lens, layer = tb.ThinLens(6.0, 0.0), SplatDefocus(points=16)
    blurred = SplatDefocus(points=256).eval()(picture, torch.full_like(picture[:, :1], -0.5), lens)
    level = torch.tensor(-0.2, requires_grad=True)
    optimiser = torch.optim.Adam([level], lr=0.02)
    for _ in range(40):
        optimiser.zero_grad()
        (layer(picture, level.expand(1, 1, SIZE, SIZE), lens) - blurred).square().mean().backward()
        optimiser.step()
    assert level.item() == pytest.approx(-0.5, abs=0.02)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"points": 0}, ValueError, "points is 0; expected at least 1"),
        ({"points": 2.5}, TypeError, "points is of type float"),
        ({"sharpness": -1.0}, ValueError, "sharpness is -1.0; expected at least 0"),
        ({"hole": 0.0}, ValueError, "hole is 0.0; expected more than 0"),
        ({"rotate": 1}, TypeError, "rotate is of type int; expected a bool"),
        ({"seed": "a"}, TypeError, "seed is of type str"),
    ],
)
def test_bad_settings_are_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=message):
        SplatDefocus(**arguments)


def test_bad_inputs_are_refused_by_name():
    layer, layers = SplatDefocus(), disc_before_a_wall()
    picture, disparity = all_in_focus(layers)
    with pytest.raises(ValueError, match="disparity has shape"):
        layer(picture, disparity[..., 1:], LENS["between"])
    with pytest.raises(ValueError, match="alpha has values from"):
        layer.surfaces(layers.rgb, layers.alpha + 1, layers.disparity, LENS["between"])
    with pytest.raises(TypeError, match="lens is of type float; expected a ThinLens"):
        layer(picture, disparity, 3.0)
    with pytest.raises(ValueError, match=r"cat_eye is 0\.5; expected 0"):
        layer(picture, disparity, tb.ThinLens(6.0, 0.5, tb.Aperture(cat_eye=0.5)))
    with pytest.raises(ValueError, match="sharpness is 3 with blur radii that span 300 px"):
        layer(picture, disparity, tb.ThinLens(300.0, 0.5))
