"""Semi-global matching: the kernel against its reference, and what it is for."""

import pytest
import torch

from taichi_bokeh.ops.dfd.semi_global import semi_global
from taichi_bokeh.reference.dfd.semi_global import semi_global as slow
from tests.scenes import DEVICES


def random_problem(height: int, width: int, labels: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    cost = torch.rand(height, width, labels, generator=generator, dtype=torch.float64)
    return cost.to(dtype), torch.rand(height, width, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("height", "width", "labels"), [(5, 7, 6), (7, 5, 2), (1, 6, 3), (6, 1, 3), (4, 4, 1)])
def test_kernel_is_the_reference(height, width, labels, dtype, tolerance, device):
    cost, guide = random_problem(height, width, labels, dtype)
    penalties = (0.1, 0.4, 3.0)
    ours = semi_global(cost.to(device), guide.to(device), *penalties)
    truth = slow(cost.double(), guide.double(), *penalties)
    assert ours.dtype == dtype
    assert (ours.cpu() - truth).abs().max() < tolerance


def test_without_penalties_every_pixel_decides_alone():
    cost, guide = random_problem(6, 8, 5, torch.float64)
    assert torch.equal(semi_global(cost, guide, 0.0, 0.0, 0.0).argmin(-1), cost.argmin(-1))


def test_a_pixel_without_a_preference_takes_its_neighbours():
    cost, guide = random_problem(9, 9, 5, torch.float64)
    cost[:] = 1.0
    cost[..., 3] = 0.0
    cost[4, 4] = 0.5  # knows nothing
    cost[4, 4, 0] = 0.45  # and is slightly wrong
    labels = semi_global(cost, guide, 0.05, 0.2, 0.0).argmin(-1)
    assert (labels == 3).all()


def test_labels_jump_where_the_guide_has_an_edge():
    cost = torch.full((8, 8, 6), 0.5, dtype=torch.float64)
    cost[:, :4, 0], cost[:, 7, 5] = 0.3, 0.45  # the left is sure, and of the right only its last column says something
    flat, edge = torch.zeros(8, 8, dtype=torch.float64), torch.zeros(8, 8, dtype=torch.float64)
    edge[:, 4:] = 1.0
    labels = {name: semi_global(cost, guide, 0.02, 0.2, 20.0).argmin(-1) for name, guide in (("flat", flat), ("edge", edge))}
    assert (labels["edge"][:, :4] == 0).all()
    assert (labels["edge"][:, 4:] == 5).all()
    assert (labels["flat"][:, 4] == 0).all()
