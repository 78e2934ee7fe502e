"""Layers are left out where nothing of them is seen: the image and every gradient are those of all layers everywhere."""

import itertools

import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb
from tests.scenes import relative_error

INPUTS = ("rgb", "alpha", "disparity", "blur", "focus")
SUBSETS = [subset for count in range(1, 6) for subset in itertools.combinations(INPUTS, count)]


def scene(batch: int = 1, light: float = 1.0, height: int = 70, width: int = 84) -> tb.Layers:
    """Behind each other: a strip with a soft edge, opaque and empty halves, a frame, and a wall; slanted but the third."""
    generator = torch.Generator().manual_seed(1)
    rgb = light * torch.rand(batch, 4, 3, height, width, generator=generator, dtype=torch.float64)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    strip = ((30.0 - x) / 3).clamp(0, 1)
    half = (y > height // 2).double()
    frame = ((x < 20) | (y < 12)).double()
    alpha = torch.stack([strip, half, frame, torch.ones_like(strip)]).double()
    slant = torch.linspace(-0.2037, 0.2019, width, dtype=torch.float64)  # no radius is that of a node, where slopes differ
    disparity = torch.stack([0.9 + slant, 0.6 - slant, torch.full_like(slant, 0.413), 0.1 + 0.5 * slant])[:, None].repeat(
        1, height, 1
    )
    return tb.Layers(rgb, alpha[None, :, None].repeat(batch, 1, 1, 1, 1), disparity[None, :, None].repeat(batch, 1, 1, 1, 1))


def render(layers: tb.Layers, algorithm: str, blur: object = 5.0, focus: object = 0.5, **lens: object) -> Tensor:
    aperture = tb.Aperture(**lens)
    return tb.render(layers, tb.ThinLens(blur, focus, aperture), tb.SubAperture(cells=4, algorithm=algorithm))


def test_much_is_left_out_and_explain_says_how_much():
    explanation = tb.explain(scene(), tb.ThinLens(5.0, 0.5), tb.SubAperture())
    hidden = [plan.hidden for plan in explanation.layers]
    assert hidden[0] > 0.4  # the strip ends at column 30
    assert hidden[1] > 0.1
    assert hidden[3] > 0.1
    assert f"not seen in {hidden[3]:.0%} of the image" in str(explanation)
    reference = tb.explain(scene(), tb.ThinLens(5.0, 0.5), tb.SubAperture(algorithm="reference"))
    assert not any(plan.hidden for plan in reference.layers)


@pytest.mark.parametrize("lens", [{}, {"blades": 5, "rotation": 9.0}, {"squeeze": 1.6}, {"cat_eye": 0.1}], ids=str)
def test_the_image_is_that_of_all_layers_everywhere(lens):
    layers = scene(batch=2)
    if "cat_eye" in lens:  # whose oracle are the taps, layer by layer opened a little, so that none is left out
        truth = render(tb.Layers(layers.rgb, layers.alpha.clamp(1e-13, 1 - 1e-13), layers.disparity), "exact", **lens)
    else:
        truth = render(layers, "reference", **lens)
    assert (render(layers, "exact", **lens) - truth).abs().max() < 1e-11
    assert (render(layers, "fast", **lens) - truth).abs().max() < 1e-11


@pytest.mark.slow
def test_layers_are_left_out_where_grids_are_coarse_too():
    layers = scene(height=110, width=150)
    image = render(layers, "auto", 110.0)
    assert any(plan.hidden for plan in tb.explain(layers, tb.ThinLens(110.0, 0.5)).layers)
    assert (image - render(layers, "reference", 110.0)).abs().max() < 1e-11


def test_bright_light_behind_an_opaque_layer_does_not_shine_through():
    layers = scene(light=1e4)
    assert relative_error(render(layers, "auto"), render(layers, "reference")) < 1e-12
    single = tb.Layers(layers.rgb.float(), layers.alpha.float(), layers.disparity.float())
    assert relative_error(render(single, "auto"), render(layers, "reference")) < 1e-6


SCATTERS = {
    "fast": tb.Scatter(algorithm="fast"),
    "exact": tb.Scatter(algorithm="exact"),
    "auto": tb.Scatter(),
    "soft": tb.Scatter(profile="soft"),
    "without occlusion": tb.Scatter(occlusion=False),
}


def all_seen(layers: tb.Layers) -> tb.Layers:
    """Open every layer by so little that it hides nothing for certain, and cover by as little that it is seen everywhere."""
    return tb.Layers(layers.rgb, layers.alpha.clamp(1e-13, 1 - 1e-13), layers.disparity)


@pytest.mark.parametrize(
    ("model", "aperture"), [*((name, {}) for name in SCATTERS), ("fast", {"blades": 5}), ("exact", {"cat_eye": 0.4})], ids=str
)
def test_scatter_sums_what_is_seen_only(model, aperture):
    layers, lens = scene(batch=2), tb.ThinLens(25.0, 0.5, tb.Aperture(**aperture))
    model = SCATTERS[model]
    hidden = [plan.hidden for plan in tb.explain(layers, lens, model).layers]
    assert hidden[0] > 0.3  # the strip ends at column 30
    assert hidden[2] > 0.1
    assert not any(plan.hidden for plan in tb.explain(all_seen(layers), lens, model).layers)
    assert (tb.render(layers, lens, model) - tb.render(all_seen(layers), lens, model)).abs().max() < 1e-11


def test_scatter_leaves_out_no_layer_of_the_official_model_or_of_a_draft_or_without_another():
    layers, lens = scene(), tb.ThinLens(25.0, 0.5)
    for model in (tb.OfficialScatter(), tb.Scatter(quality="draft"), tb.Scatter(algorithm="reference")):
        assert not any(plan.hidden for plan in tb.explain(layers, lens, model).layers)
    alone = tb.Layers(layers.rgb[:, :1], layers.alpha[:, :1], layers.disparity[:, :1])
    assert not any(plan.hidden for plan in tb.explain(alone, lens, tb.Scatter()).layers)


def test_points_that_are_exactly_in_focus_are_seen_and_hide():
    layers = scene()
    flat = tb.Layers(layers.rgb, layers.alpha, torch.full_like(layers.disparity, 0.5))
    assert [plan.hidden > 0 for plan in tb.explain(flat, tb.ThinLens(25.0, 0.5), tb.Scatter()).layers] == [
        True,
        True,
        True,
        True,
    ]
    image = tb.render(flat, tb.ThinLens(25.0, 0.5), tb.Scatter())
    through = torch.cumprod(torch.cat([torch.ones_like(flat.alpha[:, :1]), 1 - flat.alpha], 1), 1)[:, :-1]
    assert (image - (through * flat.alpha * flat.rgb).sum(1)).abs().max() < 1e-12


def gradients(layers: tb.Layers, model: tb.SubAperture | tb.Scatter, subset: tuple[str, ...]) -> list[Tensor]:
    values = {"rgb": layers.rgb, "alpha": layers.alpha, "disparity": layers.disparity}
    values |= {"blur": torch.tensor([5.0], dtype=torch.float64), "focus": torch.tensor([0.5], dtype=torch.float64)}
    values = {name: value.clone().requires_grad_(name in subset) for name, value in values.items()}
    lens = tb.ThinLens(values["blur"], values["focus"])
    image = tb.render(tb.Layers(values["rgb"], values["alpha"], values["disparity"]), lens, model)
    weights = torch.rand(image.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return list(torch.autograd.grad((image * weights).sum(), [values[name] for name in subset]))


@pytest.fixture(scope="module")
def every_gradient() -> dict[str, Tensor]:
    found = gradients(scene(), tb.SubAperture(cells=4, algorithm="reference"), INPUTS)
    return dict(zip(INPUTS, found, strict=True))


@pytest.mark.parametrize("subset", SUBSETS, ids="+".join)
def test_each_gradient_is_that_of_all_layers_everywhere_whatever_else_has_one(subset, every_gradient):
    found = gradients(scene(), tb.SubAperture(cells=4, algorithm="exact"), subset)
    for name, ours in zip(subset, found, strict=True):
        assert relative_error(ours, every_gradient[name]) < 1e-9, name


@pytest.fixture(scope="module")
def every_gradient_of_scatter() -> dict[str, Tensor]:
    return dict(zip(INPUTS, gradients(all_seen(scene()), SCATTERS["fast"], INPUTS), strict=True))


@pytest.mark.parametrize("subset", SUBSETS, ids="+".join)
def test_each_gradient_of_scatter_is_that_of_all_layers_everywhere(subset, every_gradient_of_scatter):
    for name, ours in zip(subset, gradients(scene(), SCATTERS["fast"], subset), strict=True):
        assert relative_error(ours, every_gradient_of_scatter[name]) < 1e-9, name


@pytest.mark.parametrize("subset", [INPUTS, ("rgb", "disparity", "blur", "focus")], ids="+".join)
def test_gradients_of_scatter_weight_by_weight_are_those_of_all_layers_everywhere(subset):
    truth = gradients(all_seen(scene()), SCATTERS["exact"], subset)
    for name, ours, expected in zip(subset, gradients(scene(), SCATTERS["exact"], subset), truth, strict=True):
        assert relative_error(ours, expected) < 1e-9, name
