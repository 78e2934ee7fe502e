"""The hand-written adjoint as Taichi sees it: the custom gradient of the scatter sums inside a taped Taichi program."""

import torch

from taichi_bokeh import ops
from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.scatter.gather import LANES, scatter
from taichi_bokeh.kernels.scatter.occlusion import PAPER
from taichi_bokeh.ops.scatter.operator import _prepare
from taichi_bokeh.ops.scatter.plan import ScatterPlan, ScatterSources


def test_a_taichi_tape_reaches_the_sources_through_the_override():
    torch.manual_seed(0)
    channels = torch.rand(1, 5, 6, 9, dtype=torch.float64, requires_grad=True)
    radius, disparity, in_focus = (torch.rand(1, 6, 9, dtype=torch.float64) for _ in range(3))
    cotangent = torch.rand(1, 5, 6, 9, dtype=torch.float64)
    lens = torch.tensor([40.0], dtype=torch.float64), torch.tensor([0.5], dtype=torch.float64)
    plan = ScatterPlan(*lens, "disc", 0.0, "replicate", "exact", PAPER)
    sources = ScatterSources(channels, 2 * radius + 0.1, disparity, in_focus)
    sums = ops.scatter(sources, plan)
    (expected,) = torch.autograd.grad(sums, channels, cotangent)

    arrays = ti.types.ndarray(dtype=ti.f64, ndim=4)
    loss = ti.field(ti.f64, (), needs_grad=True)

    @ti.kernel
    def weigh(sums: arrays, cotangent: arrays):
        for n, c, y, x in cotangent:
            loss[None] += sums[n, c, y, x] * cotangent[n, c, y, x]

    p = _prepare(sources.plain(), plan, float(sources.radius_px.max()))
    out = torch.zeros(1, 5, 6, 9 + LANES, dtype=torch.float64, requires_grad=True)
    for tensor in (p.source, p.focus, out):
        tensor.grad = torch.zeros_like(tensor)
    weights = cotangent.clone().requires_grad_()
    weights.grad = torch.zeros_like(weights)
    with ti.ad.Tape(loss):
        scatter("disc", "float64").sums(p.source, p.focus, p.spans, p.table, p.reach, out, p.pad, p.limit, p.occlusion)
        weigh(out, weights)
    torch.testing.assert_close(torch.tensor(loss[None], dtype=torch.float64), (sums * cotangent).sum().detach())
    from taichi_bokeh.ops._common import pad_planes_adjoint

    torch.testing.assert_close(pad_planes_adjoint(p.source.grad, p.pad, "replicate")[:, :5], expected)
