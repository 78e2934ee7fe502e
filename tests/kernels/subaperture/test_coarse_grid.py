"""Interpolation from a coarse grid, and its adjoint."""

import pytest
import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.subaperture.coarse_grid import interpolation


def run(which, coarse, fine, *where):
    _runtime.launch(getattr(interpolation(coarse.shape[-1], "float64"), which), coarse, fine, *where)


def seen(fine: Tensor) -> Tensor:
    """Every tile of 16 × 16 pixels."""
    return torch.ones(-(-fine.shape[1] // 16), -(-fine.shape[2] // 16), dtype=torch.int32)


@pytest.mark.parametrize(("step", "top", "left"), [(2, 1, 2), (4, 2, 5), (8, 11, 4)])
def test_a_plane_that_is_linear_stays_so(step, top, left):
    def plane(y, x):
        return torch.stack([y[:, None] + 0 * x, 3 - 2 * x + 0 * y[:, None]], -1)[None]

    places = torch.arange(6, dtype=torch.float64)
    pixels = torch.arange(3 * step, dtype=torch.float64)
    fine = torch.zeros(1, 3 * step, 3 * step, 2, dtype=torch.float64)
    middles = (places + 0.5) * step - 0.5
    run("forward", plane(middles, middles), fine, seen(fine), step, top, left)
    torch.testing.assert_close(fine, plane(pixels + top, pixels + left))


@pytest.mark.parametrize(("step", "top", "left"), [(2, 1, 2), (4, 2, 5), (8, 11, 4)])
def test_the_adjoint_is_the_transpose_and_both_add(step, top, left):
    generator = torch.Generator().manual_seed(0)
    coarse, d_coarse = (torch.randn(2, 6, 7, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    fine, d_fine = (torch.randn(2, 2 * step + 3, 3 * step, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    before, d_before = fine.clone(), d_coarse.clone()
    run("forward", coarse, fine, seen(fine), step, top, left)
    run("adjoint", d_coarse, d_fine, step, top, left)
    pushed, pulled = ((fine - before) * d_fine).sum(), (coarse * (d_coarse - d_before)).sum()
    assert pushed.item() == pytest.approx(pulled.item(), rel=1e-12)
