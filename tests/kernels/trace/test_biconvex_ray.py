"""Rung 2 of the biconvex lens: the kernel's rays against the reference."""

import pytest
import torch

from taichi_bokeh._runtime import launch, ti
from taichi_bokeh.kernels.trace.biconvex_ray import PARAMETERS, biconvex_ray
from taichi_bokeh.optics.biconvex_lens import BiconvexLens, from_abbe
from taichi_bokeh.optics.biconvex_ray import biconvex_rays

WIDTH, HEIGHT = 96, 64
RAYS = 2000


@pytest.fixture(scope="module", params=[torch.float32, torch.float64], ids=["float32", "float64"])
def trace(request):
    """(lens, pixel, u, channel) -> base, slope, alive, as the kernels compute them."""
    dtype = request.param
    name = str(dtype).removeprefix("torch.")
    real = ti.f32 if dtype == torch.float32 else ti.f64
    vec2 = ti.types.vector(2, real)
    ray = biconvex_ray(name)
    pairs = ti.types.ndarray(dtype=vec2, ndim=1)

    @ti.kernel
    def run(
        lens: ti.types.ndarray(dtype=real, ndim=2),
        pixel: pairs,
        u: pairs,
        channel: ti.i32,
        base: pairs,
        slope: pairs,
        alive: ti.types.ndarray(dtype=real, ndim=1),
    ):
        for i in pixel:
            size = vec2(WIDTH, HEIGHT)
            base[i], slope[i], alive[i] = ray(lens, 1, pixel[i], size, u[i], channel)

    def trace(lens: BiconvexLens, pixel: torch.Tensor, u: torch.Tensor, channel: int):
        parameters = torch.zeros(2, PARAMETERS, dtype=dtype)
        parameters[1] = torch.tensor(lens.kernel_parameters(), dtype=torch.float64)
        base, slope = torch.empty(2, len(pixel), 2, dtype=dtype)
        alive = torch.empty(len(pixel), dtype=dtype)
        launch(run, parameters, pixel.to(dtype).contiguous(), u.to(dtype).contiguous(), channel, base, slope, alive)
        return base, slope, alive

    trace.dtype = dtype
    trace.tolerance_px = {torch.float32: 1e-4, torch.float64: 1e-10}[dtype]
    return trace


def samples(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels anywhere in the picture and lens points within the unit disc and a little beyond, as `dtype` rounds them."""
    generator = torch.Generator().manual_seed(1)
    pixel = torch.rand(RAYS, 2, generator=generator, dtype=torch.float64) * torch.tensor([WIDTH - 1, HEIGHT - 1])
    u = 2 * torch.rand(RAYS, 2, generator=generator, dtype=torch.float64) - 1
    return pixel.to(dtype).double(), u.to(dtype).double()


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize(("f_number", "focus"), [(1.4, 0.5), (2.0, 2.0), (16.0, 2.0)])
def test_rays_are_those_of_the_reference(trace, f_number, focus, channel):
    lens = BiconvexLens.from_focal_length(0.05, f_number, from_abbe(1.62, 36), focus, 0.036, WIDTH)
    pixel, u = samples(trace.dtype)
    base, slope, alive = trace(lens, pixel, u, channel)
    truth = biconvex_rays(lens, pixel, (WIDTH, HEIGHT), u, lens.refractive_indices[channel])
    assert torch.isin(alive, torch.tensor([0.0, 1.0], dtype=alive.dtype)).all()
    assert ((alive > 0) != truth.alive).sum() <= (2 if trace.dtype == torch.float32 else 0)  # at the very edge of the rim
    both = (alive > 0) & truth.alive
    assert both.sum() > RAYS / 2
    nearest = 1 / lens.focal_length / 4
    for disparity in (0.0, lens.focus, nearest):
        found, expected = (rays[0].double() + rays[1].double() * disparity for rays in ((base, slope), truth))
        assert (found - expected)[both].abs().max() < trace.tolerance_px


def test_blocked_rays_are_finite(trace):
    """So that whoever reads a texture there before asking reads no nonsense."""
    lens = BiconvexLens(0.05, 0.098, 1.9, 2.0, 0.036, WIDTH)  # almost a ball: rays miss, leave the rim and are reflected
    pixel, u = samples(trace.dtype)
    base, slope, alive = trace(lens, pixel, 3 * u, 0)
    truth = biconvex_rays(lens, pixel, (WIDTH, HEIGHT), 3 * u, 1.9)
    assert 0.02 < alive.mean() < 0.5
    assert ((alive > 0) != truth.alive).sum() <= 2
    assert base.isfinite().all()
    assert slope.isfinite().all()


def test_the_rim_itself_belongs_to_the_opening(trace):
    """The narrower the aperture, the more of the geometry is rounding."""
    angle = torch.linspace(0, 6.2, RAYS, dtype=torch.float64)
    u = torch.stack([angle.cos(), angle.sin()], -1)
    centre = torch.tensor([(WIDTH - 1) / 2, (HEIGHT - 1) / 2], dtype=torch.float64).expand(RAYS, 2)
    for f_number in (1.4, 4.0, 16.0):
        lens = BiconvexLens.from_focal_length(0.05, f_number, 1.5, 2.0, 0.036, WIDTH)
        assert trace(lens, centre, u, 0)[2].min() == 1
