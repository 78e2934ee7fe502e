"""What can be handed to other processes: copied and pickled, everything gives what the original gives."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb
from taichi_bokeh.dfd.layers.registry import LAYERS
from taichi_bokeh.dfd.losses import PRESETS, SSIM
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.dfd.training.network import DepthUNet
from tests.scenes import random_layers

COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda value: pickle.loads(pickle.dumps(value))}
LENS = tb.ThinLens(4.0, 0.5)


def flat(value: object) -> list[object]:
    """The parts of a result, down to tensors and plain values."""
    if isinstance(value, Tensor | str | int | float | None):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else vars(value).values()
    return [leaf for part in parts for leaf in flat(part)]


def assert_same(found: object, expected: object) -> None:
    for a, b in zip(flat(found), flat(expected), strict=True):
        assert torch.equal(a, b) if isinstance(b, Tensor) else a == b


def layers() -> tb.Layers:
    return random_layers(height=12, width=14, dtype=torch.float32)


def image() -> tb.Aperture:
    return tb.Aperture(image=torch.eye(5))


def observation() -> Observation:
    pictures = layers().rgb
    number = torch.tensor([[4.0]])
    return Observation(pictures[:, 0], pictures[:, 1:], number, number / 8, near=1.0, far=0.0)


#: What is copied, and what is asked of it.
THINGS: dict[str, tuple[Callable[[], object], Callable[[object], object]]] = {
    "Layers": (layers, lambda it: tb.render(it, LENS)),
    "ThinLens": (lambda: tb.ThinLens(torch.tensor(4.0), 0.5, image()), lambda it: tb.render(layers(), it)),
    "BiconvexLens": (
        lambda: tb.BiconvexLens(0.1, 0.02, 1.5, 2.0, 0.036, 14.0, image()),
        lambda it: tb.trace(tb.Layers(layers().rgb, layers().alpha, layers().disparity + 1), it, rays=8),
    ),
    "Aperture": (image, lambda it: [*it.samples(5), it == image()]),
    "Explanation": (lambda: tb.explain(layers(), LENS), lambda it: [str(it), *vars(it).values()]),
    "TraceState": (
        lambda: next(tb.trace_progressively(layers(), LENS, rays=16, batch=8)),
        lambda it: [*tb.trace_progressively(layers(), LENS, rays=16, resume=it)][-1].image,
    ),
    "BokehRenderer": (
        lambda: tb.BokehRenderer(torch.nn.Parameter(torch.tensor(4.0)), torch.tensor(0.5), aperture=image()),
        lambda it: [it(layers().rgb, layers().alpha, layers().disparity), list(it.state_dict())],
    ),
    **{
        f"layer {name}": (
            lambda name=name: LAYERS[name]().train(),
            lambda it: it(layers().rgb[:, 0], layers().disparity[:, 0], LENS),
        )
        for name in LAYERS
    },
    **{
        f"loss {name}": (
            lambda name=name: PRESETS[name],
            lambda it: it.against(layers().rgb[:, 0].tile(1, 1, 3, 3), layers().rgb[:, 0].tile(1, 1, 3, 3))(
                layers().rgb[:, 1].tile(1, 1, 3, 3)
            ),
        )
        for name in PRESETS
    },
    "SSIM": (lambda: SSIM(layers().rgb[:, 0]), lambda it: it(layers().rgb[:, 1])),
    "Observation": (observation, lambda it: it),
    "DepthUNet": (lambda: torch.manual_seed(0) and DepthUNet(4, (4, 8)), lambda it: it(observation())),
}


@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("way", COPIES)
def test_a_copy_does_what_the_original_does(way, thing):
    make, ask = THINGS[thing]
    original = make()
    duplicate = COPIES[way](original)
    assert type(duplicate) is type(original)
    assert_same(ask(duplicate), ask(make()))
    assert_same(ask(original), ask(make()))
