"""Each operator: opcheck, gradcheck, the dot test, refusals."""

import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh import ops
from taichi_bokeh.kernels.scatter.occlusion import PAPER
from taichi_bokeh.ops._common import BORDERS, border_index, pad_planes, pad_planes_adjoint
from taichi_bokeh.ops.scatter.plan import ScatterPlan, ScatterSources
from taichi_bokeh.ops.scatter.visibility import tiles_seen
from taichi_bokeh.optics.aperture import shape_of


def rand(*shape: int, seed: int = 0, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)
    return values.requires_grad_()


#: Blur and focus of the two pictures, for which the scatter is planned.
PLAN = (torch.full((2,), 40.0, dtype=torch.float64), torch.full((2,), 0.5, dtype=torch.float64))

PLAN_OF_ONE = tuple(value[:1] for value in PLAN)

DISC, HEXAGON, LEMON = (
    shape_of(aperture) for aperture in (tb.Aperture(), tb.Aperture(blades=6, roundness=0.0), tb.Aperture(cat_eye=0.5))
)


def close(least_px: float) -> tuple[torch.Tensor, ...]:
    """Channels, radius, disparity and in-focus weight of one small image, close to the focus."""
    n, h, w = 1, 3, 4
    spread = rand(n, h, w, low=least_px, high=2.5, seed=2)
    return rand(n, 5, h, w), spread, rand(n, h, w, low=0.46, high=0.54, seed=3), rand(n, h, w, seed=4)


def cases() -> list:
    n, h, w = 2, 3, 4
    tiles = torch.tensor([1, 0], dtype=torch.int32).reshape(n, 1, 1)  # the second is not seen
    covers = torch.tensor([1.0, 1.0, 0.5], dtype=torch.float64)[:, None, None].expand(1, 3, 40, 50)
    made = [
        pytest.param(tiles_seen, (covers, rand(1, 3, 40, 50, low=-9).detach(), "disc", None, DISC, 1), id="tiles_seen"),
        pytest.param(ops.circle_of_confusion, (rand(n, h, w), rand(n, high=9), rand(n)), id="circle_of_confusion"),
        pytest.param(ops.composite, (rand(n, 3, 3, h, w), rand(n, 3, h, w)), id="composite"),
        pytest.param(ops.resolve_official, (rand(n, 5, h, w, low=0.1), rand(n, h, w)), id="resolve_official"),
        pytest.param(ops.square_mean, (rand(n, h, w), rand(n, h, w, high=5).detach(), 9), id="square_mean"),
    ]
    nodes, near = [0.45, 0.5, 0.56], rand(1, h, w, low=0.4, high=0.6, seed=3).detach()
    back = (rand(1, 5, h, w), rand(4, 5, 4, 4, seed=1), near, rand(1, h, w, seed=2).detach(), nodes)
    made.append(pytest.param(ops.expand, back, id="expand"))
    for profile in ("disc", "soft", "official"):
        radius = rand(n, h, w, low=-3, high=3, seed=1)
        made.append(pytest.param(ops.sources, (rand(n, 3, h, w), rand(n, h, w), radius, profile), id=f"sources-{profile}"))
        spread = rand(n, h, w, low=0.1, high=2.5, seed=2)
        border = "reflect" if profile == "official" else "replicate"
        sums = (rand(n, 5, h, w), spread, rand(n, h, w, seed=3), rand(n, h, w, seed=4))
        made.append(
            pytest.param(
                ops.scatter_sums,
                (*sums, *PLAN, profile, 0.0, border, "exact", PAPER, None, DISC, tiles, False),
                id=f"scatter-{profile}",
            )
        )
        if profile != "official":
            for saves in (True, False):
                settings = (*PLAN_OF_ONE, profile, 0.0, border, "fast", PAPER, None, DISC, None, saves)
                made.append(pytest.param(ops.scatter_sums, (*close(0.1), *settings), id=f"rows-{profile}{'-saved' * saves}"))
    for name, algorithm, shape in (("hexagon", "fast", HEXAGON), ("hexagon", "exact", HEXAGON), ("lemon", "exact", LEMON)):
        settings = (*PLAN_OF_ONE, "shape", 0.0, "replicate", algorithm, PAPER, None, shape, None, algorithm == "fast")
        made.append(pytest.param(ops.scatter_sums, (*close(-2.5), *settings), id=f"{name}-{algorithm}"))
    for profile in ("disc", "soft"):
        small = rand(n, h, w, low=-0.05, high=0.05, seed=5)
        inputs = (rand(n, 5, h, w, low=0.5), rand(n, 3, h, w), rand(n, h, w), small, profile)
        made.append(pytest.param(ops.resolve, inputs, id=f"resolve-{profile}"))
    return made


@pytest.mark.parametrize(("operator", "inputs"), cases())
def test_operator_passes_opcheck(operator, inputs):
    torch.library.opcheck(operator, inputs)


@pytest.mark.parametrize(("operator", "inputs"), [case for case in cases() if case.id != "tiles_seen"])
def test_gradient_is_the_derivative_of_the_kernel(operator, inputs):
    tensors = tuple(value for value in inputs if isinstance(value, torch.Tensor) and value.requires_grad)
    settings = inputs[len(tensors) :]
    assert torch.autograd.gradcheck(lambda *values: operator(*values, *settings), tensors, atol=1e-6, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize(
    ("profile", "algorithm"), [("disc", "exact"), ("soft", "exact"), ("official", "exact"), ("disc", "fast"), ("soft", "fast")]
)
def test_adjoint_is_the_transpose_of_the_jacobian(profile, algorithm):
    """⟨Jv, u⟩ = ⟨v, Jᵀu⟩ at a size with plateaus, culling and padding at work; J v by central differences."""
    n, h, w = 1, 40, 45
    inputs = [rand(n, 5, h, w), rand(n, h, w, low=0.1, high=12.0, seed=1), rand(n, h, w, seed=2), rand(n, h, w, seed=3)]
    inputs[3].data[:, : h // 2] = 0
    border = "reflect" if profile == "official" else "replicate"
    inputs[3].data[inputs[1] > 3] = 0  # what is in focus has a small disc, and a disparity close to the focus
    inputs[2].data[inputs[3] > 0] = 0.5 + 0.08 * (inputs[2].detach()[inputs[3] > 0] - 0.5)
    plan = (value[:1] for value in PLAN)
    settings = ScatterPlan(*plan, profile, 0.0, border, algorithm, PAPER)
    run = lambda *values: ops.scatter(ScatterSources(*values), settings)  # noqa: E731
    directions = [torch.randn(value.shape, dtype=torch.float64) for value in inputs]
    directions[3][inputs[3] == 0] = 0
    u = torch.randn(n, 5, h, w, dtype=torch.float64)
    transposed = torch.autograd.grad(run(*inputs), inputs, u)
    step = 1e-6
    with torch.no_grad():
        ahead, behind = (
            run(*(value + sign * step * v for value, v in zip(inputs, directions, strict=True))) for sign in (1, -1)
        )
    pushed = ((ahead - behind) / (2 * step) * u).sum()
    pulled = sum((v * g).sum() for v, g in zip(directions, transposed, strict=True))
    assert pushed.item() == pytest.approx(pulled.item(), rel=2e-5)


def test_the_compiler_does_not_look_into_an_operator_that_it_does_not_call():
    graphs = []

    def called_by_python(alpha):
        for _ in range(2):
            torch._dynamo.graph_break()  # within a loop: the function runs as it is, and the hook of the compiler stays on
            alpha = ops.square_mean(alpha, 3 * alpha, 9)
        return alpha

    compiled = torch.compile(called_by_python, backend=lambda graph, _: graphs.append(graph) or graph)
    alpha = rand(1, 5, 6).detach()
    assert torch.equal(compiled(alpha), called_by_python(alpha))
    assert not graphs


def test_double_backward_is_refused_by_name():
    colour, coverage = rand(1, 2, 3, 2, 2), rand(1, 2, 2, 2)
    (first,) = torch.autograd.grad(ops.composite(colour, coverage).square().sum(), colour, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward through composite"):
        first.sum().backward()


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_folding_is_the_adjoint_of_padding_for_any_size(border, size):
    x = torch.randn(2, size, size + 1, dtype=torch.float64)
    y = torch.randn(2, size + 14, size + 15, dtype=torch.float64)
    torch.testing.assert_close((pad_planes(x, 7, border) * y).sum(), (x * pad_planes_adjoint(y, 7, border)).sum())


def test_reflection_is_torchs_where_torch_has_it():
    x = torch.rand(1, 6, 7)
    torch.testing.assert_close(pad_planes(x, 4, "reflect"), torch.nn.functional.pad(x, (4, 4, 4, 4), mode="reflect"))
    assert border_index(1, 3, "reflect", x.device).tolist() == [0] * 7


def test_an_infinite_radius_is_an_error_not_a_crash():
    ones = torch.ones(1, 3, 3)
    sources = ScatterSources(torch.ones(1, 5, 3, 3), ones * torch.inf, ones, ones)
    plan = ScatterPlan(ones[:, 0, 0], ones[:, 0, 0], "disc", 0.0, "replicate", "auto", PAPER)
    with pytest.raises(ValueError, match="blur radius is not finite"):
        ops.scatter(sources, plan)
