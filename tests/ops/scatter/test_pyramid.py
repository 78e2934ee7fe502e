"""The two ends of a draft's level against pooling and interpolation by torch, and against their own transposes."""

import pytest
import torch

from taichi_bokeh import ops
from taichi_bokeh.kernels.scatter.gather import NEGLIGIBLE_FOCUS
from taichi_bokeh.kernels.scatter.occlusion import PAPER
from taichi_bokeh.ops._common import dtype_name
from taichi_bokeh.reference.scatter import pyramid as reference
from tests.scenes import relative_error

TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-5}
NODES = [0.45, 0.5, 0.56]
MANY = [0.38 + 0.06 * k for k in range(6)]


def drawn(size: tuple[int, int], dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """Channels, signed radii of up to 100 px, disparity, in-focus weight."""
    generator = torch.Generator().manual_seed(0)
    channels = torch.rand(1, 5, *size, generator=generator, dtype=torch.float64)
    radius = 200 * torch.rand(1, *size, generator=generator, dtype=torch.float64) - 100
    disparity = torch.rand(1, *size, generator=generator, dtype=torch.float64)
    in_focus = torch.exp(-3000 * (disparity - 0.5).square())
    return tuple(value.to(dtype) for value in (channels, radius, disparity, in_focus))


def gradients(outputs: torch.Tensor, *leaves: torch.Tensor) -> tuple[torch.Tensor, ...]:
    cotangent = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return torch.autograd.grad(outputs, leaves, cotangent.to(outputs))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("size", [(21, 35), (16, 8), (1, 3)], ids=str)
@pytest.mark.parametrize(("level", "side", "nodes"), [(1, 1, NODES), (2, -1, MANY), (3, 1, [])])
def test_reducing_is_pooling_and_its_gradient_is_that_of_pooling(level, side, nodes, size, dtype):
    channels, radius, disparity, _ = drawn(size, dtype)
    channels.requires_grad_()
    reduced, radius_px, _ = ops.reduce(channels, radius, disparity, nodes, PAPER, level, side)
    wanted, wanted_radius_px = reference.reduce(channels, radius, disparity, nodes, PAPER, level, side)
    assert relative_error(reduced.detach(), wanted.detach()) < TOLERANCE[dtype]
    assert relative_error(radius_px, wanted_radius_px) < TOLERANCE[dtype]
    ours, theirs = (gradients(value, channels)[0] for value in (reduced, wanted))
    assert relative_error(ours[:, :4], theirs[:, :4]) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("size", [(21, 34), (1, 3)], ids=str)
@pytest.mark.parametrize("nodes", [NODES, MANY, []], ids=len)
def test_expanding_is_interpolation_and_occludes_what_is_in_focus(nodes, size, dtype):
    fine, _, disparity, in_focus = drawn(size, dtype)
    in_focus = torch.where(in_focus > NEGLIGIBLE_FOCUS[dtype_name(in_focus)], in_focus, 0.0)
    blocks = [-(-length // 2) + 2 for length in size]
    scattered = torch.rand(1 + len(nodes), 5, *blocks, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    inputs = [value.to(dtype).requires_grad_() for value in (fine, scattered)]
    results = [expands.expand(*inputs, disparity, in_focus, nodes) for expands in (ops, reference)]
    assert relative_error(*(value.detach() for value in results)) < TOLERANCE[dtype]
    for ours, theirs in zip(*(gradients(value, *inputs) for value in results), strict=True):
        assert relative_error(ours, theirs) < TOLERANCE[dtype]


def test_merging_passes_opcheck():
    channels, radius, disparity, _ = drawn((9, 14), torch.float64)
    torch.library.opcheck(ops.reduce, (channels.requires_grad_(), radius, disparity, NODES, PAPER, 2, 1))


def test_planes_that_are_equal_stay_equal():
    """The rows sum up one plane less where alpha is 1 throughout."""
    channels, radius, disparity, _ = drawn((40, 50), torch.float32)
    channels[:, 3] = channels[:, 4]
    for level in (1, 2, 3):
        reduced = ops.reduce(channels, radius, disparity, NODES, PAPER, level, 1)[0]
        assert torch.equal(reduced[:, 3], reduced[:, 4])
