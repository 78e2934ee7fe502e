"""Rung 2 of the disc profile: the table's nodes and what the kernels read between them, against the reference."""

import pytest
import torch

from taichi_bokeh._runtime import launch, ti
from taichi_bokeh.kernels.scatter.disc_table import GAUSS, SAMPLES_PER_PX, disc_table
from taichi_bokeh.reference import disc_profile

SIZE = 12


@pytest.mark.parametrize(("dtype", "value_error", "slope_error"), [(torch.float32, 2e-4, 2e-2), (torch.float64, 2e-6, 2e-3)])
def test_table_gives_the_disc_and_its_slope_at_any_radius(dtype, value_error, slope_error):
    name = str(dtype).removeprefix("torch.")
    kit = disc_table(name)
    table = torch.empty(SIZE, SIZE, kit.nodes, 2, dtype=dtype)
    launch(kit.build, table, torch.from_numpy(GAUSS))
    real = ti.f32 if dtype == torch.float32 else ti.f64
    sample = kit.sample

    @ti.kernel
    def read(
        table: ti.types.ndarray(dtype=real, ndim=4),
        offsets: ti.types.ndarray(dtype=ti.i32, ndim=2),
        radii: ti.types.ndarray(dtype=real, ndim=1),
        out: ti.types.ndarray(dtype=real, ndim=2),
    ):
        for i in range(radii.shape[0]):
            row, column = offsets[i, 0], offsets[i, 1]
            distance = ti.sqrt(ti.cast(row * row + column * column, real))
            weight = sample(table, row, column, radii[i], distance)
            out[i, 0], out[i, 1] = weight[0], weight[1]

    generator = torch.Generator().manual_seed(3)
    offsets = torch.randint(0, SIZE, (4000, 2), generator=generator, dtype=torch.int32)
    radii = (offsets.double().norm(dim=1) + 3 * torch.rand(4000, generator=generator).double() - 1.5).clamp(min=1 / 16)
    out = torch.empty(4000, 2, dtype=dtype)
    launch(read, table, offsets, radii.to(dtype), out)
    r = radii.to(dtype).double().requires_grad_()
    truth = disc_profile(offsets[:, 1].double(), offsets[:, 0].double(), r) * torch.pi * r**2
    (slope,) = torch.autograd.grad(truth.sum(), r)
    assert (out[:, 0] - truth).abs().max() < value_error
    assert (out[:, 1] - slope).abs().max() < slope_error * slope.abs().max()


def test_least_radius_is_a_node_of_either_table():
    assert all(steps % 16 == 0 for steps in SAMPLES_PER_PX.values())
