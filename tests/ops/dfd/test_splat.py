"""Splats through lens points: the reference against closed forms, the kernels against the reference, the adjoint."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb
from taichi_bokeh.kernels.dfd.splat import splat as kernels
from taichi_bokeh.ops.dfd import splat as ops_splat
from taichi_bokeh.ops.dfd.splat import splat
from taichi_bokeh.reference.dfd.splat import splat as slow
from tests.runtime.test_runtime import script
from tests.scenes import DEVICES, relative_error

SHARPNESS, HOLE = 3.0, 0.25
#: Largest error of a picture of values in [0, 1], and relative L2 error of a gradient: float32 lands to within 1e-6 px.
TOLERANCE = {torch.float64: (1e-13, 1e-11), torch.float32: (2e-5, 2e-3)}


class Problem(NamedTuple):
    rgb: Tensor
    alpha: Tensor
    radius: Tensor
    order: Tensor
    points: Tensor
    weights: Tensor

    @property
    def sources(self) -> list[Tensor]:
        """New leaves that require gradients."""
        return [value.detach().clone().requires_grad_() for value in self[:4]]

    def picture(self, sources: list[Tensor] | None = None, how=splat) -> Tensor:
        return how(*(sources or self[:4]), self.points, self.weights, SHARPNESS, HOLE)[0]

    def to(self, *where) -> "Problem":
        return Problem(*(value.to(*where) for value in self))


def random_problem(
    batch: int = 2, surfaces: int = 2, height: int = 7, width: int = 9, count: int = 5, opaque: bool = False
) -> Problem:
    """Noise; the order is not the radius, so that their gradients are told apart."""
    generator = torch.Generator().manual_seed(0)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    size = batch, surfaces, height, width
    radius = 5 * rand(*size) - 2.5
    alpha = torch.ones(size, dtype=torch.float64) if opaque else (1.2 * rand(*size) - 0.2).clamp(min=0)
    order = radius + 0.5 * rand(*size)
    points, _ = tb.Aperture(blades=5, roundness=0.2).samples(count, seed=1)
    return Problem(rand(batch, surfaces, 3, height, width), alpha, radius, order, points, rand(count) + 0.5)


# ---- closed forms


@pytest.mark.parametrize("sign", [1, -1], ids=["near", "far"])
@pytest.mark.parametrize("how", [slow, splat], ids=["reference", "kernel"])
def test_a_point_of_light_is_seen_where_each_lens_point_sees_it(how, sign):
    """The ray of pixel x through u meets the layer at x + u·r, so the source y is seen at x = y − u·r."""
    rgb = torch.zeros(1, 1, 3, 11, 13, dtype=torch.float64)
    rgb[..., 5, 6] = 1.0
    radius = torch.full((1, 1, 11, 13), 4.0 * sign, dtype=torch.float64)
    points = torch.tensor([[0.5, 0.0], [0.0, 1.0], [-1.0, 0.25]], dtype=torch.float64)
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    picture, confidence = how(rgb, torch.ones_like(radius), radius, radius, points, weights, SHARPNESS, HOLE)
    expected = torch.zeros(11, 13, dtype=torch.float64)
    expected[5, 6 - 2 * sign], expected[5 - 4 * sign, 6], expected[5 - sign, 6 + 4 * sign] = 0.5, 0.3, 0.2
    torch.testing.assert_close(picture[0], expected.expand(3, -1, -1), rtol=0, atol=1e-12)
    torch.testing.assert_close(confidence, torch.full_like(confidence, 1 - torch.tensor(-1 / HOLE).exp().item()))


@pytest.mark.parametrize("how", [slow, splat], ids=["reference", "kernel"])
def test_between_pixels_a_point_is_split_bilinearly(how):
    rgb = torch.zeros(1, 1, 3, 5, 7, dtype=torch.float64)
    rgb[..., 2, 3] = 1.0
    radius = torch.ones(1, 1, 5, 7, dtype=torch.float64)
    points = torch.tensor([[0.75, -0.4]], dtype=torch.float64)
    picture, _ = how(rgb, radius, radius, radius, points, torch.ones(1, dtype=torch.float64), SHARPNESS, HOLE)
    expected = torch.zeros(5, 7, dtype=torch.float64)
    expected[2:4, 2:4] = torch.tensor([[0.6 * 0.75, 0.6 * 0.25], [0.4 * 0.75, 0.4 * 0.25]], dtype=torch.float64)
    torch.testing.assert_close(picture[0, 0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("how", [slow, splat], ids=["reference", "kernel"])
def test_a_uniform_picture_stays_uniform_whatever_its_radii(how):
    problem = random_problem()
    uniform = problem._replace(rgb=torch.full_like(problem.rgb, 0.7))
    torch.testing.assert_close(uniform.picture(how=how), torch.full_like(problem.rgb[:, 0], 0.7))


@pytest.mark.parametrize("how", [slow, splat], ids=["reference", "kernel"])
def test_a_near_surface_hides_a_far_one_and_where_it_is_not_does_not(how):
    problem = random_problem(surfaces=2, opaque=True)
    near, far = torch.full_like(problem.radius[:, 0], 3.0), torch.full_like(problem.radius[:, 0], -3.0)
    radius = torch.stack([near, far], 1)
    flat = problem._replace(radius=radius, order=radius)
    for visible, alpha in ((0, problem.alpha), (1, problem.alpha * torch.tensor([0.0, 1.0])[:, None, None])):
        alone = [value[:, visible : visible + 1] for value in (flat.rgb, problem.alpha, radius, radius)]
        together = flat._replace(alpha=alpha).picture(how=how)
        torch.testing.assert_close(together, problem.picture(alone, how), rtol=0, atol=1e-7)  # exp(−18) of the other


@pytest.mark.parametrize("opacity", [0.1, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("how", [slow, splat], ids=["reference", "kernel"])
def test_a_near_surface_that_covers_part_of_a_pixel_lets_the_rest_through(how, opacity):
    """A white surface before a black wall: the picture is how much of it the white covers."""
    rgb = torch.stack([torch.ones(1, 3, 6, 12), torch.zeros(1, 3, 6, 12)], 1).double()
    radius = torch.stack([torch.full((1, 6, 12), 3.0), torch.full((1, 6, 12), -6.0)], 1).double()
    alpha = torch.stack([torch.full((1, 6, 12), opacity), torch.ones(1, 6, 12)], 1).double()
    points = torch.tensor([[0.5, 0.0], [0.0, -0.3]], dtype=torch.float64)
    picture, _ = how(rgb, alpha, radius, radius, points, torch.full((2,), 0.5, dtype=torch.float64), SHARPNESS, HOLE)
    gap = 1.05 * (1 - opacity) ** 2 / (1 - opacity + 0.05)
    torch.testing.assert_close(picture, torch.full_like(picture, 1 - gap / (1 + 0.01 * (1 - gap))), rtol=0, atol=1e-7)
    assert abs(picture[0, 0, 3, 6].item() - opacity) < 0.041


@pytest.mark.parametrize("how", [slow, splat], ids=["reference", "kernel"])
def test_no_colour_leaves_the_range_of_the_sources(how):
    """Where the splats leave holes too: what is behind the front is never found by a difference below 0."""
    problem = random_problem(surfaces=1, height=20, width=30, opaque=True)
    rgb = (problem.rgb > 0.5).double()
    for radius in (0.3 * problem.radius, 2 * problem.radius):
        picture = problem.picture([rgb, problem.alpha, radius, 0.2 * radius], how)
        assert -1e-12 < picture.min() < 0.01
        assert 0.99 < picture.max() < 1 + 1e-12


@pytest.mark.parametrize("how", [slow, splat], ids=["reference", "kernel"])
def test_where_nothing_arrives_the_picture_is_that_of_the_first_surface(how):
    problem = random_problem(surfaces=1, opaque=True)
    radius = 0.2 * problem.radius  # within half a pixel
    alpha = problem.alpha.clone()
    alpha[..., 2:6, 3:8] = 0
    picture = problem.picture([problem.rgb, alpha, radius, radius], how)
    inside = (..., slice(3, 5), slice(4, 7))
    assert torch.equal(picture[inside], problem.rgb[:, 0][inside])


def test_a_lens_point_counts_less_where_its_splats_leave_a_hole():
    """A step in radius tears, seen from the left; through the lens point on the right the same pixels are covered."""
    radius = torch.zeros(1, 1, 3, 16, dtype=torch.float64)
    radius[..., 8:] = 4.0
    points = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    rgb = torch.rand(1, 1, 3, 3, 16, dtype=torch.float64)
    weights = torch.full((2,), 0.5, dtype=torch.float64)
    picture, confidence = splat(rgb, torch.ones_like(radius), radius, radius, points, weights, SHARPNESS, HOLE)
    one = 1 - torch.tensor(-1 / HOLE).exp().item()
    assert confidence[0, 1, 9].item() == pytest.approx(one / 2)
    assert confidence[0, 1, 2].item() == pytest.approx(one)
    torch.testing.assert_close(picture[0, :, 1, 9], rgb[0, 0, :, 1, 13])


# ---- the kernels


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("surfaces", "height", "width"), [(1, 8, 6), (2, 6, 11), (3, 1, 5), (2, 5, 1)])
def test_kernel_is_the_reference_and_its_adjoint_is_the_references_gradient(surfaces, height, width, dtype, device):
    problem = random_problem(surfaces=surfaces, height=height, width=width).to(dtype)
    at = problem.to(device)
    ours, truths = at.sources, problem.to(torch.float64).sources
    picture, truth = at.picture(ours), problem.to(torch.float64).picture(truths, slow)
    atol, relative = TOLERANCE[dtype]
    assert (picture.dtype, picture.device) == (dtype, at.rgb.device)
    assert (picture.cpu() - truth).abs().max() < atol
    cotangent = torch.randn(truth.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    pulled = torch.autograd.grad(picture, ours, cotangent.to(picture))
    for gradient, expected in zip(pulled, torch.autograd.grad(truth, truths, cotangent), strict=True):
        assert relative_error(gradient.cpu(), expected) < relative


@pytest.mark.parametrize("surfaces", [1, 2])
def test_gradient_is_the_derivative(surfaces):
    problem = random_problem(batch=1, surfaces=surfaces, height=4, width=5, count=3)
    problem = problem._replace(alpha=problem.alpha.clamp(min=0.2))
    places = problem.radius[..., None, None] * problem.points
    assert (places - places.round()).abs().min() > 1e-5  # bilinear weights have kinks at whole pixels
    assert torch.autograd.gradcheck(
        lambda *sources: problem.picture(list(sources)), problem.sources, atol=1e-6, rtol=1e-5, fast_mode=True
    )


def test_adjoint_is_the_transpose_of_the_jacobian():
    """⟨Jv, u⟩ = ⟨v, Jᵀu⟩, with J v by central differences."""
    problem = random_problem(height=24, width=30, count=8)
    problem = problem._replace(radius=3 * problem.radius, alpha=problem.alpha.clamp(min=0.2))
    generator = torch.Generator().manual_seed(2)
    directions = [torch.randn(v.shape, dtype=v.dtype, generator=generator) for v in problem[:4]]
    cotangent = torch.randn(problem.rgb[:, 0].shape, dtype=torch.float64, generator=generator)
    sources, step = problem.sources, 1e-7
    pulled = torch.autograd.grad(problem.picture(sources), sources, cotangent)
    ahead, behind = (
        problem.picture([v.detach() + sign * step * d for v, d in zip(sources, directions, strict=True)]) for sign in (1, -1)
    )
    pushed = ((ahead - behind) / (2 * step) * cotangent).sum().item()
    assert pushed == pytest.approx(sum((d * g).sum().item() for d, g in zip(directions, pulled, strict=True)), rel=1e-4)


def test_operator_passes_opcheck():
    problem = random_problem(height=3, width=4)
    torch.library.opcheck(splat, (*problem.sources, problem.points, problem.weights, SHARPNESS, HOLE))


def test_operator_compiles():
    problem = random_problem(height=3, width=4)
    compiled = torch.compile(problem.picture, fullgraph=True, backend="aot_eager")
    ours, theirs = problem.sources, problem.sources
    compiled(ours).square().sum().backward()
    problem.picture(theirs).square().sum().backward()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_double_backward_is_refused_by_name():
    problem = random_problem()
    sources = problem.sources
    (first,) = torch.autograd.grad(problem.picture(sources).square().sum(), sources[0], create_graph=True)
    with pytest.raises(RuntimeError, match="double backward through splat"):
        first.sum().backward()


# ---- properties


def test_a_batch_is_a_loop():
    problem = random_problem(batch=3)
    pictures = [problem.picture([value[n : n + 1] for value in problem[:4]]) for n in range(3)]
    assert torch.equal(problem.picture(), torch.cat(pictures))


def test_surfaces_come_in_any_order():
    problem = random_problem(surfaces=3)
    turned = problem._replace(**{name: getattr(problem, name).flip(1) for name in ("rgb", "alpha", "radius", "order")})
    torch.testing.assert_close(turned.picture(), problem.picture())


def test_a_mirrored_scene_through_mirrored_lens_points_is_the_mirrored_picture():
    problem = random_problem()
    mirrored = Problem(*(value.flip(-1) for value in problem[:4]), problem.points * torch.tensor([-1.0, 1.0]), problem.weights)
    torch.testing.assert_close(mirrored.picture(), problem.picture().flip(-1))


def test_lens_points_in_groups_are_the_same_lens_points(monkeypatch):
    problem = random_problem()
    sources, grouped = problem.sources, problem.sources
    whole = problem.picture(sources)
    whole.square().sum().backward()
    monkeypatch.setattr(ops_splat, "_GROUP_BYTES", 2 * 9 * 11 * 9 * 8)
    parts = problem.picture(grouped)
    parts.square().sum().backward()
    torch.testing.assert_close(parts, whole)
    for one, other in zip(grouped, sources, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_threads_that_share_a_lens_point_add_up_the_same(monkeypatch):
    """What a GPU runs, on any device."""
    problem = random_problem(height=20, width=30)
    alone = problem.picture()
    monkeypatch.setattr(ops_splat, "_kernels", lambda tensor: kernels(True, "float64"))
    torch.testing.assert_close(problem.picture(), alone)


def test_float32_keeps_what_is_far_behind():
    """exp(−540) is no float32, yet the far surface is seen where the near one is not."""
    problem = random_problem(surfaces=1, opaque=True).to(torch.float32)
    order = torch.full_like(problem.order, -80.0)
    order[..., :4, :4] = 100.0
    radius = torch.zeros_like(order)
    sources = [problem.rgb, problem.alpha, radius.requires_grad_(), order]
    picture = problem.picture(sources)
    torch.testing.assert_close(picture, problem.rgb[:, 0])
    (gradient,) = torch.autograd.grad(picture.square().sum(), radius)
    assert gradient.isfinite().all()
    with pytest.raises(ValueError, match="sharpness is 3 with blur radii that span 220 px; expected a product of at most 600"):
        problem.picture([problem.rgb, problem.alpha, radius, order * 220 / 180])


def test_an_infinite_radius_is_an_error():
    problem = random_problem()
    radius = problem.radius.clone()
    radius[0, 0, 0, 0] = torch.inf
    with pytest.raises(ValueError, match="blur radius is not finite"):
        problem.picture([problem.rgb, problem.alpha, radius, problem.order])


@pytest.mark.slow
def test_thread_count_changes_no_bit():
    code = """
import taichi as ti
ti.init(arch=ti.cpu, log_level=ti.ERROR, cpu_max_num_threads={})
import hashlib, torch
from taichi_bokeh.ops.dfd.splat import splat
torch.manual_seed(0)
size = 1, 2, 70, 50
sources = [t.requires_grad_() for t in (torch.rand(1, 2, 3, 70, 50), *(5 * torch.rand(size) - b for b in (0, 2, 2)))]
picture, _ = splat(*sources, 2 * torch.rand(6, 2) - 1, torch.rand(6), 3.0, 0.25)
results = [picture, *torch.autograd.grad(picture.square().sum(), sources)]
print(hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in results)).hexdigest())
"""
    assert script(code.format(1)).split()[-1] == script(code.format(2)).split()[-1]
