"""Inside of what torch wraps around a training, results are those of outside, bit for bit: picture, dtype and gradients."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import taichi_bokeh as tb
from taichi_bokeh.dfd import losses
from taichi_bokeh.dfd.layers.planes import CompositionalPlanes
from taichi_bokeh.dfd.layers.registry import LAYERS
from taichi_bokeh.ops.scatter import aperture_lists as _shape_lists
from taichi_bokeh.ops.scatter import bands as _bands
from taichi_bokeh.ops.subaperture import slices as _slices
from taichi_bokeh.optics import psf

Function = Callable[..., Tensor]

HEXAGON = tb.Aperture(blades=6, roundness=0.2)
CAT_EYE = tb.Aperture(cat_eye=0.5)


def image_aperture() -> tb.Aperture:
    return tb.Aperture(image=torch.rand(9, 9, generator=torch.Generator().manual_seed(3), device="cpu", dtype=torch.float64))


RENDERERS = {
    "scatter": {},
    "scatter fast": {"algorithm": "fast"},
    "scatter soft": {"profile": "soft"},
    "scatter soft fast": {"profile": "soft", "algorithm": "fast"},
    "scatter hexagon": {"aperture": HEXAGON},
    "scatter hexagon fast": {"aperture": HEXAGON, "algorithm": "fast"},
    "scatter image": {"aperture": image_aperture()},
    "scatter cat-eye": {"aperture": CAT_EYE},
    "official": {"model": "scatter-official"},
    "subaperture": {"model": "subaperture", "cells": 4},
    "subaperture exact": {"model": "subaperture", "cells": 4, "algorithm": "exact"},
    "subaperture fast": {"model": "subaperture", "cells": 4, "algorithm": "fast"},
    "subaperture reference": {"model": "subaperture", "cells": 4, "algorithm": "reference"},
    "subaperture auto": {"model": "subaperture", "cells": "auto"},
    "subaperture cat-eye": {"model": "subaperture", "cells": 4, "aperture": tb.Aperture(cat_eye=0.05)},
    "subaperture image": {"model": "subaperture", "cells": 4, "aperture": image_aperture()},
}
SLOW = ("subaperture reference", "subaperture cat-eye")  # and so done on a part


def rendered(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor, *, name: str) -> Tensor:
    options = dict(RENDERERS[name])
    if name in SLOW:
        rgb, alpha, disparity = (value[..., :3, :4] for value in (rgb, alpha, disparity))
    lens = tb.ThinLens(blur, focus, options.pop("aperture", tb.Aperture()))
    return tb.render(tb.Layers(rgb, alpha, disparity), lens, **{"model": "scatter", **options})


def drafted(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    lens = tb.ThinLens(blur.detach(), focus.detach())
    return tb.render(tb.Layers(rgb, alpha, disparity.detach()), lens, "scatter", quality="draft")


def traced(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    return tb.trace(tb.Layers(rgb, alpha, disparity), tb.ThinLens(blur, focus), rays=16)


def traced_through_glass(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    lens = tb.BiconvexLens(0.1, 0.02, 1.5, 2.0, 0.036, 14.0)
    return tb.trace(tb.Layers(rgb, alpha, disparity.float() + 1), lens, rays=16)


def traced_progressively(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    layers, lens = tb.Layers(rgb, alpha, disparity), tb.ThinLens(blur, focus)
    return [*tb.trace_progressively(layers, lens, rays=16, batch=8)][-1].image


def by_module(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    return tb.BokehRenderer(blur, focus)(rgb, alpha, disparity)


def blurred(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    radius_px = blur.float() * (disparity[:, 0].float() - focus.float())  # lest autocast's inputs round it
    return tb.blur(rgb[:, 0], radius_px, model="scatter")


def refocused(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    return tb.refocus(rgb[:, 0], disparity[:, 0], blur, focus, layers="one", model="scatter")


def stacked(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    return tb.focal_stack(tb.Layers(rgb, alpha, disparity), tb.ThinLens(blur, 0.0), focus.reshape(1), "scatter")


def defocused(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor, *, name: str) -> Tensor:
    return LAYERS[name]().eval()(rgb[:, 0], disparity[:, 0], tb.ThinLens(blur, focus))


def splatted_in_training(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    return LAYERS["splat"]().train()(rgb[:, 0], disparity[:, 0], tb.ThinLens(blur, focus))


def composite(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    lens = tb.ThinLens(blur.detach(), focus.detach())
    near = disparity[:, 0].float()  # lest autocast round 1 − near
    shares = torch.cat([near, 1 - near], 1)
    planes = torch.tensor([0.2, 0.7], dtype=near.dtype, device=rgb.device)
    return CompositionalPlanes.composite(rgb[:, 0], shares, lens, planes)


def judged(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor, *, name: str) -> Tensor:
    objective = losses.PRESETS[name]
    objective = losses.Objective(**{**vars(objective), "windows": objective.windows[:2]})
    return objective.against(rgb[:, 1].detach(), rgb[:, 0].detach())(rgb[:, 0], disparity[:, 0]).total


def similar(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    return losses.ssim(rgb[:, 0], rgb[:, 1].detach())


def rough(rgb: Tensor, alpha: Tensor, disparity: Tensor, blur: Tensor, focus: Tensor) -> Tensor:
    return losses.edge_aware_gradient(disparity[:, 0], rgb[:, 1].detach(), order=2)


CASES: dict[str, Function] = {
    **{name: partial(rendered, name=name) for name in RENDERERS},
    "scatter draft": drafted,
    "BokehRenderer": by_module,
    "blur": blurred,
    "refocus": refocused,
    "focal stack": stacked,
    "trace": traced,
    "trace glass": traced_through_glass,
    "trace progressively": traced_progressively,
    **{f"layer {name}": partial(defocused, name=name) for name in LAYERS},
    "layer splat in training": splatted_in_training,
    "planes composite": composite,
    **{f"loss {name}": partial(judged, name=name) for name in losses.PRESETS},
    "loss ssim": similar,
    "loss roughness": rough,
}
#: One for each operator, and for what torch's own differentiate.
OPERATORS = (
    "scatter",
    "scatter fast",
    "scatter hexagon",
    "scatter cat-eye",
    "official",
    "subaperture",
    "trace",
    "layer gausspsf",
)
OPERATORS += ("planes composite", "layer splat", "layer splat in training", "loss l1+g+hssim", "loss l1+tv")
#: These, and every layer and loss.
KINDS = sorted({*OPERATORS, *(set(CASES) - set(RENDERERS))})


def leaves() -> list[Tensor]:
    """rgb, alpha and disparity of two layers, blur and focus."""
    generator = torch.Generator().manual_seed(0)
    options = {"generator": generator, "dtype": torch.float32, "device": "cpu"}
    rgb, alpha, disparity = (torch.rand(1, 2, channels, 12, 13, **options) for channels in (3, 1, 1))
    alpha[:, -1] = 1
    numbers = [torch.tensor(value, dtype=torch.float32, device="cpu") for value in (5.0, 0.6)]
    return [tensor.requires_grad_() for tensor in (rgb, 0.5 + 0.5 * alpha, disparity, *numbers)]


def forget_tables() -> None:
    """What is computed once and kept is computed again, inside."""
    tables = _bands.disc_table_of, _bands._row_lists, _shape_lists._table, psf._divided, psf.sample_points
    for table in tables:
        table.cache_clear()
    _slices._SAVED.clear()


def cotangent(picture: Tensor) -> Tensor:
    """Another weight for every value."""
    line = torch.linspace(0.1, 1, picture.numel(), dtype=picture.dtype, device=picture.device)
    return line.reshape(picture.shape)


def outcome(function: Function, inputs: list[Tensor], weights: Tensor | None = None, **options: bool) -> list[Tensor | None]:
    """The result and its gradients; None where there is none."""
    result = function(*inputs)
    weights = cotangent(result) if weights is None else weights
    return [result.detach(), *gradients(result, inputs, weights, **options)]


def gradients(result: Tensor, inputs: list[Tensor], weights: Tensor, **options: bool) -> list[Tensor | None]:
    if not result.requires_grad:
        return [None] * len(inputs)
    return list(torch.autograd.grad(result, inputs, weights, allow_unused=True, **options))


@cache
def outside(name: str) -> list[Tensor | None]:
    return outcome(CASES[name], leaves())


def differing(found: list[Tensor | None], expected: list[Tensor | None]) -> list[str]:
    """Names of what is not the same in dtype, device and bits."""

    def same(a: Tensor | None, b: Tensor | None) -> bool:
        if a is None or b is None:
            return a is b
        return (a.dtype, a.device) == (b.dtype, b.device) and torch.equal(a, b)

    names = ("result", "rgb", "alpha", "disparity", "blur", "focus")
    return [name for name, a, b in zip(names, found, expected, strict=True) if not same(a, b)]


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def other_defaults() -> Iterator[None]:
    """A device that holds no values, and a wider dtype."""
    with default_device("meta"), default_dtype(torch.float64):
        yield


SURROUNDINGS = {"autocast": lambda: torch.autocast("cpu", torch.bfloat16), "other defaults": other_defaults}


@pytest.fixture(scope="module", params=SURROUNDINGS)
def surroundings(request: pytest.FixtureRequest) -> str:
    forget_tables()
    return request.param


@pytest.mark.parametrize("name", CASES)
def test_surroundings_change_no_bit(surroundings, name):
    expected, inputs = outside(name), leaves()
    if name == next(iter(CASES)):
        forget_tables()  # which the line above has made
    with SURROUNDINGS[surroundings]():
        found = outcome(CASES[name], inputs)
    assert differing(found, expected) == []


@pytest.mark.parametrize("name", KINDS)
def test_a_backward_pass_inside_of_autocast_is_that_of_outside_if_the_forward_pass_was_outside(name):
    inputs = leaves()
    result = CASES[name](*inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = gradients(result, inputs, cotangent(result))
    assert differing([result, *found], outside(name)) == []


@pytest.mark.parametrize("name", KINDS)
def test_inference_changes_no_bit_and_leaves_nothing_that_training_stumbles_over(name):
    expected = outside(name)
    if name == KINDS[0]:
        forget_tables()
    with torch.inference_mode():
        result = CASES[name](*(value.detach() for value in leaves()))
    assert torch.equal(result, expected[0])
    assert differing(outcome(CASES[name], leaves()), expected) == []


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_activation_checkpointing_changes_no_bit(name, use_reentrant):
    function = partial(checkpoint, CASES[name], use_reentrant=use_reentrant)
    inputs = leaves()
    result = function(*inputs)
    found = [None] * len(inputs)
    if result.requires_grad:
        (result * cotangent(result)).sum().backward()
        found = [value.grad for value in inputs]
    assert differing([result.detach(), *found], outside(name)) == []


@pytest.mark.parametrize("name", OPERATORS)
def test_a_second_backward_pass_changes_no_bit(name):
    inputs = leaves()
    result = CASES[name](*inputs)
    first, second = (gradients(result, inputs, cotangent(result), retain_graph=True) for _ in range(2))
    assert differing([result, *first], outside(name)) == []
    assert differing([result, *second], outside(name)) == []


def strided(weights: Tensor) -> Iterator[Tensor]:
    """The same weights, the other way round in memory, and with every other place left out."""
    yield weights.mT.contiguous().mT if weights.ndim > 1 else weights
    yield weights.contiguous(memory_format=torch.channels_last) if weights.ndim == 4 else weights
    yield weights.repeat_interleave(2, -1)[..., ::2] if weights.ndim else weights
    yield torch._neg_view(-weights)  # as of the imaginary part of a conjugate


@pytest.mark.parametrize("name", OPERATORS)
def test_strides_of_a_gradient_change_no_bit(name):
    inputs = leaves()
    result = CASES[name](*inputs)
    for weights in strided(cotangent(result)):
        assert differing([result, *gradients(result, inputs, weights, retain_graph=True)], outside(name)) == []
    one = torch.ones((), dtype=result.dtype).expand(result.shape)
    flat = gradients(result, inputs, one, retain_graph=True)
    assert differing([result, *flat], [result, *gradients(result, inputs, one.contiguous())]) == []


class Marked(Tensor):
    """A tensor of another class."""


@pytest.mark.parametrize("name", OPERATORS)
def test_strides_and_classes_of_inputs_change_no_bit(name):
    plain = leaves()
    for change in (
        lambda value: value.mT.contiguous().mT if value.ndim else value,
        lambda value: value.movedim(2, -1).contiguous().movedim(-1, 2) if value.ndim else value,
        lambda value: torch._neg_view(-value),
        lambda value: value.as_subclass(Marked),
    ):
        found = outcome(CASES[name], [change(value.detach()).requires_grad_() for value in plain])
        found = [value if value is None else value.as_subclass(Tensor) for value in found]
        assert differing(found, outside(name)) == []
    found = outcome(CASES[name], [torch.nn.Parameter(value.detach()) for value in plain])
    assert differing(found, outside(name)) == []


@pytest.mark.parametrize("name", KINDS)
def test_autocast_takes_bfloat16_as_float32(name):
    halves = [value.detach().bfloat16() for value in leaves()]
    if name.startswith("loss"):  # their bounds need not be kept by rounding
        halves = [value.clamp(0, 1) for value in halves]
    expected = outcome(CASES[name], [value.float().requires_grad_() for value in halves])
    inputs = [value.requires_grad_() for value in halves]
    with torch.autocast("cpu", torch.bfloat16):
        found = outcome(CASES[name], inputs)
    assert found[0].dtype == torch.float32
    rounded = [value if value is None else value.bfloat16() for value in expected[1:]]
    assert differing(found, [expected[0], *rounded]) == []


def trained(weight: Tensor, picture: Tensor, blur: Tensor) -> Tensor:
    """The loss of a model that is blurred, all of it inside of autocast."""
    with torch.autocast("cpu", torch.bfloat16):
        rgb = torch.nn.functional.linear(picture.movedim(2, -1), weight).movedim(-1, 2)
        alpha, disparity = torch.ones_like(rgb[:, :, :1]), rgb[:, :, :1]
        image = tb.render(tb.Layers(rgb, alpha, disparity), tb.ThinLens(blur.bfloat16(), 0.5))
        objective = losses.Objective(ssim=1.0, windows=(3, 5))
        return objective.against(picture[:, 0], picture[:, 0])(image, disparity[:, 0]).total


# The compiler does this to every autograd function that it traces.
@pytest.mark.filterwarnings("ignore:.*autograd.function.Function.* should not be instantiated:DeprecationWarning")
def test_a_training_step_in_autocast_compiles_whole_to_the_same_bits():
    picture, _, _, blur, _ = leaves()
    inputs = [torch.rand(3, 3, generator=torch.Generator().manual_seed(1)).requires_grad_(), picture[:, :1].detach(), blur]
    results = []
    for function in (trained, torch.compile(trained, fullgraph=True, backend="aot_eager")):
        loss = function(*inputs)
        results.append([loss.detach(), *torch.autograd.grad(loss, [inputs[0], blur])])
    plain, compiled = results
    assert plain[0].dtype == torch.float32
    assert all(gradient.abs().max() > 0 for gradient in plain[1:])
    assert all(torch.equal(a, b) for a, b in zip(compiled, plain, strict=True))
