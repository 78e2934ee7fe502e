"""Scenes that the tests render, and how closely results must agree."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
#: (model, profile): everything that `render` can evaluate.
MODELS = [
    pytest.param("scatter", "disc", id="disc"),
    pytest.param("scatter", "soft", id="soft"),
    pytest.param("scatter-official", None, id="official"),
]


@dataclass(frozen=True)
class Tolerance:
    """Largest absolute error of a picture of values in [0, 1], and largest relative L2 error of a gradient."""

    picture: float
    gradient: float


#: Kernel against reference. The disc table interpolates cubically between 16 (float32) or 64 (float64) radii a pixel; the
#: kernels leave out the 1e-6 in the released tanh's denominator; float32 sums of some thousand terms round to 1e-6.
TOLERANCE = {
    ("disc", torch.float64): Tolerance(3e-7, 5e-4),
    ("disc", torch.float32): Tolerance(3e-5, 2e-2),
    ("soft", torch.float64): Tolerance(1e-12, 1e-10),
    ("soft", torch.float32): Tolerance(3e-6, 2e-4),
    (None, torch.float64): Tolerance(2e-7, 1e-5),
    (None, torch.float32): Tolerance(3e-6, 2e-4),
}


def random_layers(
    batch: int = 1, count: int = 2, height: int = 13, width: int = 17, dtype: torch.dtype = torch.float64, seed: int = 0
) -> tb.Layers:
    """Noise in colour and alpha; disparity in [0, 1] with its upper third close to 0.5, so that part is in focus there."""
    generator = torch.Generator().manual_seed(seed)
    rgb, alpha, disparity = (
        torch.rand(batch, count, channels, height, width, generator=generator, dtype=torch.float64) for channels in (3, 1, 1)
    )
    top = max(1, height // 3)
    disparity[..., :top, :] = 0.5 + 0.03 * (disparity[..., :top, :] - 0.5)
    return tb.Layers(rgb.to(dtype), alpha.to(dtype), disparity.to(dtype))


def flat_layers(rgb: Tensor, disparity: float, alpha: Tensor | None = None) -> tb.Layers:
    """One layer at one disparity; rgb [3, H, W], alpha [H, W]."""
    coverage = torch.ones_like(rgb[:1]) if alpha is None else alpha[None]
    return tb.Layers(rgb[None, None], coverage[None, None], torch.full_like(coverage, disparity)[None, None])


def leaves(layers: tb.Layers) -> list[Tensor]:
    """The layers' tensors as new leaves that require gradients."""
    return [t.detach().clone().requires_grad_() for t in (layers.rgb, layers.alpha, layers.disparity)]


def relative_error(value: Tensor, truth: Tensor) -> float:
    """Relative L2 error."""
    return float((value.double() - truth.double()).norm() / truth.double().norm().clamp(min=1e-30))
