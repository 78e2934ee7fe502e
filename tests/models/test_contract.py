"""What holds for every renderer, whatever its model: physics, and the rules of torch."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb
from taichi_bokeh.models import Model
from tests.scenes import flat_layers, leaves, random_layers

DISC, HEXAGON = tb.Aperture(), tb.Aperture(blades=6, roundness=0.0)
FLIPS = (lambda t: t.flip(-1), lambda t: t.flip(-2), lambda t: t.transpose(-1, -2))
DRAFT_BLUR = 200.0  # with which it merges something


@dataclass(frozen=True)
class RendererContract:
    """A renderer, and how closely it keeps to what holds for all.

    Attributes:
        model: what renders; None is the ray tracer.
        blur: px per unit of disparity.
        constant, flips: largest error of an image of values in [0, 1]; the rays' lens samples are not symmetric.
        energy: largest relative error.
        edge: largest error of a blurred half plane; the soft profiles are no disc.
        aperture: of the lens.
        differentiates_depth: whether it takes gradients of disparity, blur and focus.
    """

    model: Model | None
    blur: float = 9.0
    constant: float = 2e-6
    energy: float = 1e-6
    flips: float = 1e-12
    edge: float = 3e-3
    aperture: tb.Aperture = DISC
    differentiates_depth: bool = True

    def render(self, layers: tb.Layers, blur: float | Tensor | None = None, focus: float | Tensor = 0.5) -> Tensor:
        lens = tb.ThinLens(self.blur if blur is None else blur, focus, self.aperture)
        return tb.trace(layers, lens, rays=64) if self.model is None else self.model.render(layers, lens)

    def inputs(self, layers: tb.Layers, blur: float, focus: float) -> list[Tensor]:
        """Leaves of all five inputs that it differentiates; the others are constants."""
        lens = [torch.tensor(value, dtype=layers.dtype) for value in (blur, focus)]
        found = [*leaves(layers), *(value.requires_grad_() for value in lens)]
        return [value if self.differentiates_depth or k < 2 else value.detach() for k, value in enumerate(found)]

    def of_inputs(self, *inputs: Tensor) -> Tensor:
        return self.render(tb.Layers(*inputs[:3]), *inputs[3:])


RENDERERS = {
    "disc": RendererContract(tb.Scatter()),
    "disc, fast": RendererContract(tb.Scatter(algorithm="fast"), blur=22.0),
    "hexagon, fast": RendererContract(tb.Scatter(algorithm="fast"), blur=22.0, aperture=HEXAGON, energy=1e-5),
    "soft": RendererContract(tb.Scatter("soft"), edge=2e-2),
    "draft": RendererContract(tb.Scatter(quality="draft"), DRAFT_BLUR, 2e-5, flips=1e-9, edge=2e-2, differentiates_depth=False),
    "official": RendererContract(tb.OfficialScatter(), energy=1e-2, edge=2e-2),
    "subaperture": RendererContract(tb.SubAperture(4), constant=5e-7, energy=1e-9),
    "trace": RendererContract(None, energy=2e-2, flips=0.2, edge=3e-2),
}
every_renderer = pytest.mark.parametrize("renderer", RENDERERS.values(), ids=RENDERERS)


def without(*names: str) -> pytest.MarkDecorator:
    """All renderers but these."""
    left = {name: renderer for name, renderer in RENDERERS.items() if name not in names}
    return pytest.mark.parametrize("renderer", left.values(), ids=left)


def turned(layers: tb.Layers, turn: Callable[[Tensor], Tensor]) -> tb.Layers:
    return tb.Layers(turn(layers.rgb), turn(layers.alpha), turn(layers.disparity))


# ---- physics


@every_renderer
def test_a_constant_opaque_image_stays_constant(renderer):
    noise = random_layers(height=21, width=24)
    layers = tb.Layers(torch.full_like(noise.rgb, 0.37), torch.ones_like(noise.alpha), noise.disparity)
    image = renderer.render(layers)
    torch.testing.assert_close(image, torch.full_like(image, 0.37), atol=renderer.constant, rtol=0)


@every_renderer
def test_energy_is_kept_away_from_the_border(renderer):
    rgb = torch.zeros(3, 51, 51, dtype=torch.float64)
    rgb[:, 25, 25] = 1e4
    image = renderer.render(flat_layers(rgb, 1.5), blur=11.0)
    assert image[0, 0].sum().item() == pytest.approx(1e4, rel=renderer.energy)


@without("hexagon, fast")
def test_a_half_plane_becomes_the_cumulative_integral_of_the_disc(renderer):
    rgb = torch.zeros(3, 3, 61, dtype=torch.float64)
    rgb[:, :, 31:] = 1
    row = renderer.render(flat_layers(rgb, 1.0), blur=12.0, focus=0.0)[0, 0, 1]
    t = ((torch.arange(61, dtype=torch.float64) - 30.5) / 12).clamp(-1, 1)
    torch.testing.assert_close(row, 0.5 + (t * (1 - t**2).sqrt() + t.asin()) / math.pi, atol=renderer.edge, rtol=0)


@without("hexagon, fast")
def test_flips_and_transposes_commute_with_blur(renderer):
    layers = random_layers(height=16, width=16)
    image = renderer.render(layers)
    for turn in FLIPS:
        torch.testing.assert_close(renderer.render(turned(layers, turn)), turn(image), atol=renderer.flips, rtol=1e-9)


@every_renderer
def test_a_batch_is_a_loop_over_its_scenes(renderer):
    layers = random_layers(batch=2)
    blur, focus = torch.tensor([0.7, 1.0]) * renderer.blur, torch.tensor([0.45, 0.52])
    together = renderer.render(layers, blur, focus)
    for b in range(2):
        alone = renderer.render(turned(layers, lambda t, b=b: t[b : b + 1]), float(blur[b]), float(focus[b]))
        torch.testing.assert_close(together[b : b + 1], alone, atol=3e-6, rtol=1e-5)


@every_renderer
def test_layers_are_front_to_back(renderer):
    layers = random_layers(dtype=torch.float32)
    assert (renderer.render(layers) - renderer.render(turned(layers, lambda t: t.flip(1)))).abs().max() > 0.1


# ---- gradients


@without("trace")
def test_gradcheck_with_radii_across_the_border(renderer):
    layers = random_layers(count=2, height=3, width=4)
    inputs = renderer.inputs(tb.Layers(layers.rgb + 0.1, 0.8 * layers.alpha + 0.1, layers.disparity), renderer.blur, 0.503)
    assert torch.autograd.gradcheck(renderer.of_inputs, inputs, atol=1e-5, rtol=1e-4, fast_mode=True)


@every_renderer
def test_the_users_grad_stays_the_users(renderer):
    inputs = renderer.inputs(random_layers(height=9, width=11), renderer.blur, 0.51)
    mine = inputs[0].grad = torch.ones_like(inputs[0])
    renderer.of_inputs(*inputs).sum().backward()
    assert inputs[0].grad is mine
    assert all(value.grad.isfinite().all() for value in inputs if value.requires_grad)


@every_renderer
def test_strided_views_render_as_their_copies(renderer):
    views = turned(random_layers(height=9, width=10), lambda t: t.transpose(-1, -2))
    results = []
    for layers in (views, turned(views, Tensor.contiguous)):
        inputs = renderer.inputs(layers, renderer.blur, 0.5)
        image = renderer.of_inputs(*inputs)
        results.append((image, *torch.autograd.grad(image.square().sum(), [t for t in inputs if t.requires_grad])))
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


@without("draft")
def test_it_compiles_to_one_graph_with_the_same_gradients(renderer):
    inputs = renderer.inputs(random_layers(height=8, width=9), renderer.blur, 0.5)
    torch._dynamo.reset()
    compiled = torch.compile(renderer.of_inputs, fullgraph=True, backend="aot_eager")(*inputs)
    eager = renderer.of_inputs(*inputs)
    assert torch.equal(compiled, eager)
    for pair in zip(*(torch.autograd.grad(image.sum(), inputs) for image in (compiled, eager)), strict=True):
        assert torch.equal(*pair)


@every_renderer
def test_double_backward_and_forward_mode_are_refused(renderer):
    layers = random_layers(height=6, width=7)
    rgb, tangent = layers.rgb.clone().requires_grad_(), torch.ones_like(layers.rgb)

    def image(x):
        return renderer.render(tb.Layers(x, layers.alpha, layers.disparity))

    (first,) = torch.autograd.grad(image(rgb).square().sum(), rgb, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward"):
        first.sum().backward()
    for transformed in (lambda: torch.func.jvp(image, (layers.rgb,), (tangent,)), lambda: torch.func.grad(
        lambda x: image(x).sum())(layers.rgb)):  # fmt: skip
        with pytest.raises(RuntimeError, match="not supported"):
            transformed()
    with torch.autograd.forward_ad.dual_level(), pytest.raises(RuntimeError, match="forward-mode"):
        image(torch.autograd.forward_ad.make_dual(layers.rgb, tangent))


# ---- progress


@without("trace", "draft")  # whose passes are each told of
def test_progress_is_told_to_the_end_and_changes_nothing(renderer):
    layers = random_layers(batch=2, height=30)
    heard: list[tuple[int, int]] = []
    lens = tb.ThinLens(renderer.blur, 0.5, renderer.aperture)
    image = tb.render(layers, lens, renderer.model, progress=lambda *told: heard.append(told))
    assert torch.equal(image, renderer.render(layers))
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert len(heard) >= 2
    assert heard[-1][0] == heard[-1][1]
