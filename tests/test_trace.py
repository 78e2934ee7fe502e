"""`trace`: closed forms, the reference, gradients, progressive rendering."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import taichi_bokeh as tb
from taichi_bokeh import ops, reference
from taichi_bokeh._trace import trace_progressively
from taichi_bokeh.ops.trace import operator as trace_operator
from tests.scenes import DEVICES, flat_layers, leaves, random_layers, relative_error


def psnr(picture: torch.Tensor, truth: torch.Tensor) -> float:
    return -10 * math.log10(float((picture - truth).square().mean()))


def bumpy_layers(dtype: torch.dtype = torch.float64, count: int = 2, height: int = 9, width: int = 11) -> tb.Layers:
    """Smooth layers, disparities 0.3 to 0.7 with slopes of up to a few pixels of radius a pixel."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    noise = random_layers(1, count, height, width, seed=3)
    disparity = torch.stack([0.5 + 0.1 * torch.sin(5 * x + 2 * y + k) + 0.1 * y - 0.1 * k for k in range(count)])
    return tb.Layers(noise.rgb, 0.1 + 0.8 * noise.alpha, disparity[None, :, None].double()).to(dtype)


def test_a_ray_walks_on_however_large_the_blur_is():
    layers = bumpy_layers(torch.float32, height=6, width=7)
    lens = tb.ThinLens(4000.0, 0.5)
    single = tb.trace(layers, lens, rays=32)
    torch.testing.assert_close(single.double(), tb.trace(layers.to(torch.float64), lens, rays=32), atol=1e-3, rtol=0)


# ---- closed forms


@pytest.mark.parametrize("disparity", [0.6, -0.6])
def test_a_point_light_becomes_the_aperture_with_unit_energy(disparity):
    rgb = torch.zeros(3, 41, 41, dtype=torch.float64)
    rgb[:, 20, 20] = 1000
    picture = tb.trace(flat_layers(rgb, disparity), tb.ThinLens(20.0, 0.0), rays=20000)[0, 0]
    assert picture.sum().item() == pytest.approx(1000, rel=1e-3)
    radius = 12.0
    plateau = picture[20 - 6 : 20 + 7, 20 - 6 : 20 + 7]
    assert plateau.mean().item() == pytest.approx(1000 / (math.pi * radius**2), rel=1e-2)
    distance = torch.hypot(*torch.meshgrid(torch.arange(41.0) - 20, torch.arange(41.0) - 20, indexing="ij"))
    assert picture[distance > radius + 1.5].abs().max() == 0


def test_near_and_far_bokeh_of_a_triangle_are_mirrored():
    rgb = torch.zeros(3, 41, 41, dtype=torch.float64)
    rgb[:, 20, 20] = 1000
    lens = tb.ThinLens(20.0, 0.0, tb.Aperture(blades=3, roundness=0.0, rotation=20.0))
    near, far = (tb.trace(flat_layers(rgb, d), lens, rays=4096)[0, 0] for d in (0.6, -0.6))
    torch.testing.assert_close(near, far.flip(0, 1), atol=1e-9, rtol=0)
    assert (near - far).abs().max() > 1


def test_an_in_focus_opaque_layer_is_returned_exactly():
    layers = random_layers(count=2)
    opaque = tb.Layers(layers.rgb, torch.ones_like(layers.alpha), torch.full_like(layers.disparity, 0.5))
    torch.testing.assert_close(tb.trace(opaque, tb.ThinLens(30.0, 0.5), rays=64)[0], layers.rgb[0, 0])


def test_a_slanted_plane_is_met_where_the_ray_crosses_it():
    """D = c + g·x: the ray meets it at d = (c + g·base)/(1 − g·slope), and a ramp of colour tells where."""
    width, gradient, level, blur, focus = 200, 0.002, 0.3, 40.0, 0.45
    x = torch.arange(width, dtype=torch.float64).expand(3, 5, width)
    ones = torch.ones(1, 1, 1, 5, width, dtype=torch.float64)
    layers = tb.Layers(x[None, None].contiguous(), ones, (level + gradient * x[:1])[None, None].contiguous())
    lens = tb.ThinLens(blur, focus)
    points, weights = lens.aperture.samples(200)
    pixel = torch.arange(width, dtype=torch.float64)[:, None]
    base, slope = pixel - points[:, 0] * blur * focus, points[:, 0] * blur
    d = (level + gradient * base) / (1 - gradient * slope)
    expected = ((base + slope * d) * weights).sum(1)
    inner = slice(40, 160)
    torch.testing.assert_close(tb.trace(layers, lens, rays=200)[0, 0, 2, inner], expected[inner], atol=1e-7, rtol=0)


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_steep_height_fields_have_no_gaps_and_count_once(alpha):
    noise = random_layers(count=1, height=30, width=30)
    layers = tb.Layers(torch.full_like(noise.rgb, 0.8), torch.full_like(noise.alpha, alpha), noise.disparity)
    picture = tb.trace(layers, tb.ThinLens(25.0, 0.5), rays=100)
    torch.testing.assert_close(picture, torch.full_like(picture, 0.8 * alpha), atol=1e-9, rtol=0)


def test_an_in_focus_plateau_ends_where_its_picture_does():
    """The flat top of a step, in focus, in one layer with the ground far below: no ray that starts on it may miss it."""
    disparity = torch.zeros(1, 1, 1, 9, 33, dtype=torch.float64)
    disparity[..., 16:] = 1
    rgb = disparity.expand(1, 1, 3, 9, 33).contiguous()
    row = tb.trace(tb.Layers(rgb, torch.ones_like(disparity), disparity), tb.ThinLens(8.0, 1.0), rays=256)[0, 0, 4]
    torch.testing.assert_close(row[16:], torch.ones(17, dtype=torch.float64), atol=1e-9, rtol=0)


@pytest.mark.parametrize("scene", ["step", "ridge", "dots", "rough"])
@pytest.mark.parametrize("focus", [0.0, 0.5])
def test_no_ray_slips_through_thin_or_steep_parts(scene, focus):
    noise = random_layers(count=1, height=10, width=12)
    disparity = torch.zeros_like(noise.disparity)
    if scene == "step":
        disparity[..., 9:] = 1
    elif scene == "ridge":
        disparity[..., 9] = 1
    elif scene == "dots":
        disparity[..., 3::5, 4::6] = 1
    else:
        disparity = noise.disparity
    ones = torch.ones_like(disparity)
    points = tb.Aperture().samples(8)
    ours = tb.trace(tb.Layers(noise.rgb, ones, disparity), tb.ThinLens(6.0, focus), rays=8)
    blur, focused = (torch.tensor([value], dtype=torch.float64) for value in (6.0, focus))
    assert psnr(ours, reference.trace(noise.rgb, ones, disparity, blur, focused, *points)) > 60


def test_a_huge_radius_takes_no_huge_memory():
    layers = flat_layers(torch.rand(3, 8, 8), 0.0)
    picture = tb.trace(layers, tb.ThinLens(1e5, 1.0), rays=16)
    assert picture.isfinite().all()


def test_more_rays_change_little():
    layers = random_layers(count=2, height=40, width=40)
    lens = tb.ThinLens(12.0, 0.5)
    flat = tb.Layers(layers.rgb, layers.alpha, layers.disparity.mean((-1, -2), keepdim=True).expand_as(layers.disparity) * 2)
    assert psnr(tb.trace(flat, lens, rays=1024), tb.trace(flat, lens, rays=4096)) > 65


def test_render_comes_close_to_the_truth_and_meets_it_for_one_flat_layer():
    """Rung 8 of the ladder for the scatter model."""
    rgb = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 12, dtype=torch.float64), size=48, mode="bilinear")[0]
    lens = tb.ThinLens(9.0, 0.0)
    layers = flat_layers(rgb, 0.8)
    assert psnr(tb.render(layers, lens, "scatter"), tb.trace(layers, lens, rays=4096)) > 75
    y, x = torch.meshgrid(torch.linspace(-1, 1, 48), torch.linspace(-1, 1, 48), indexing="ij")
    matte = ((0.5 - torch.hypot(x, y)) * 24 + 0.5).clamp(0, 1).double()
    two = tb.Layers(
        torch.stack([rgb.flip(0), rgb])[None],
        torch.stack([matte, torch.ones_like(matte)])[None, :, None],
        torch.tensor([0.9, 0.0], dtype=torch.float64).view(1, 2, 1, 1, 1).expand(1, 2, 1, 48, 48),
    )
    assert psnr(tb.render(two, lens, "scatter"), tb.trace(two, lens, rays=4096)) > 40


def test_a_curved_layer_is_the_limit_of_many_thin_flat_ones():
    """On a grid ten times as fine: slabs of disparity, nearest first, each opaque where the layer has come at least so near."""
    size, finer, slabs = 20, 10, 80
    y, x = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, 7, 7, generator=generator)
    rgb = torch.nn.functional.interpolate(noise, size=size, mode="bicubic").clamp(0, 1)[0].double()
    disparity = (0.3 + 0.25 * x + 0.1 * torch.sin(3 * y)).double()[None]
    curved = tb.Layers(rgb[None, None], torch.ones(1, 1, 1, size, size).double(), disparity[None, None])

    wide = (size - 1) * finer + 1
    fine_rgb, fine_disparity = (
        torch.nn.functional.interpolate(t[None], size=wide, mode="bilinear", align_corners=True)[0] for t in (rgb, disparity)
    )
    edges = torch.linspace(float(disparity.max()), float(disparity.min()), slabs + 1).double()
    alpha = (fine_disparity >= edges[1:, None, None]).double()
    alpha[-1] = 1
    middles = ((edges[1:] + edges[:-1]) / 2).view(1, slabs, 1, 1, 1).expand(1, slabs, 1, wide, wide)
    flat = tb.Layers(fine_rgb.expand(1, slabs, 3, wide, wide), alpha[None, :, None], middles)
    slabwise = tb.trace(flat, tb.ThinLens(10.0 * finer, 0.45), rays=128)[..., ::finer, ::finer]
    assert psnr(tb.trace(curved, tb.ThinLens(10.0, 0.45), rays=128), slabwise) > 60


# ---- against the reference


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("dtype", "picture_error", "gradient_error"), [(torch.float64, 1e-9, 1e-6), (torch.float32, 5e-5, 5e-3)]
)
def test_trace_and_its_gradients_are_the_references(dtype, picture_error, gradient_error, device):
    lens_points = tb.Aperture().samples(7)
    cotangent = torch.rand(1, 3, 9, 11, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    results = {}
    for name, precision in (("ours", dtype), ("reference", torch.float64)):
        inputs = [t.to(device if name == "ours" else "cpu").detach().requires_grad_() for t in leaves(bumpy_layers(precision))]
        blur, focus = (torch.tensor(v, dtype=precision, device=inputs[0].device, requires_grad=True) for v in (6.0, 0.52))
        if name == "ours":
            picture = tb.trace(tb.Layers(*inputs), tb.ThinLens(blur, focus), rays=7)
        else:
            picture = reference.trace(*inputs, blur[None], focus[None], *lens_points)
        grads = torch.autograd.grad(picture, (*inputs, blur, focus), cotangent.to(picture))
        results[name] = [t.cpu().double() for t in (picture.detach(), *grads)]
    assert (results["ours"][0] - results["reference"][0]).abs().max() < picture_error
    for ours, truth in zip(results["ours"][1:], results["reference"][1:], strict=True):
        assert relative_error(ours, truth) < gradient_error


def test_gradcheck_of_all_five_inputs():
    inputs = leaves(bumpy_layers(height=4, width=5))
    lens = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (3.0, 0.55)]

    def picture(rgb, alpha, disparity, blur, focus):
        return tb.trace(tb.Layers(rgb, alpha, disparity), tb.ThinLens(blur, focus), rays=9)

    assert torch.autograd.gradcheck(picture, (*inputs, *lens), eps=1e-7, atol=1e-5, rtol=1e-4, fast_mode=True)


def test_the_adjoint_is_the_transpose_of_the_jacobian():
    """⟨Jv, u⟩ = ⟨v, Jᵀu⟩, J v by central differences, with several tiles and rays that leave the picture."""
    inputs = leaves(bumpy_layers(height=24, width=37))
    lens = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (9.0, 0.52)]
    values = [*inputs, *lens]
    generator = torch.Generator().manual_seed(4)
    directions = [torch.randn(value.shape, generator=generator, dtype=torch.float64) for value in values]
    cotangent = torch.randn(1, 3, 24, 37, generator=generator, dtype=torch.float64)

    def run(rgb, alpha, disparity, blur, focus):
        layers = tb.Layers(rgb.clamp(min=0), alpha.clamp(0, 1), disparity)
        return (tb.trace(layers, tb.ThinLens(blur, focus), rays=10) * cotangent).sum()

    pulled = sum((v * g).sum() for v, g in zip(directions, torch.autograd.grad(run(*values), values), strict=True))
    step = 1e-7
    with torch.no_grad():
        ahead, behind = (
            run(*(value + sign * step * v for value, v in zip(values, directions, strict=True))) for sign in (1, -1)
        )
    assert ((ahead - behind) / (2 * step)).item() == pytest.approx(pulled.item(), rel=1e-4)


class _WholePictures(TorchDispatchMode):
    """Counts the calls of torch that compute a whole picture, after each of which its threads wait for each other."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.count += isinstance(result, torch.Tensor) and result.numel() >= 40 * 40
        return result


def test_more_rays_through_flat_layers_are_no_more_calls_of_torch():
    layers = flat_layers(torch.rand(3, 40, 40), 0.8)
    counts = []
    for rays in (32, 256):
        with _WholePictures() as seen:
            list(trace_progressively(layers, tb.ThinLens(6.0, 0.3), rays=rays, batch=rays))
        counts.append(seen.count)
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("width", [13, 16])
def test_the_short_way_for_flat_layers_gives_the_sums_of_the_long_one(dtype, error, width, monkeypatch):
    layers = random_layers(count=3, height=11, width=width, dtype=dtype)
    levels = torch.tensor([0.9, 0.5, 0.1], dtype=dtype).view(1, 3, 1, 1, 1)
    flat = tb.Layers(layers.rgb, layers.alpha, levels.expand_as(layers.disparity))
    lens = tb.ThinLens(10.0, 0.45)
    short = tb.trace(flat, lens, rays=30)
    monkeypatch.setattr(trace_operator, "_are_flat", lambda scene: False)
    assert (short - tb.trace(flat, lens, rays=30)).abs().max() < error


def test_the_operator_passes_opcheck_and_compiles():
    layers = bumpy_layers()
    textures = torch.cat([layers.alpha * layers.rgb, layers.alpha], 2).requires_grad_()
    lens = torch.tensor([[5.0, 0.5, 0.0]], dtype=torch.float64, requires_grad=True)
    points = torch.cat([tb.Aperture().samples(8)[0], torch.full((8, 1), 0.125, dtype=torch.float64)], 1)
    disparity = layers.disparity[:, :, 0].clone().requires_grad_()
    torch.library.opcheck(ops.trace, (textures, disparity, lens, points, "thin", 1), atol=1e-10, rtol=1e-8)
    compiled = torch.compile(lambda *t: ops.trace(*t, "thin", 1)[0], fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(textures, disparity, lens, points), ops.trace(textures, disparity, lens, points, "thin", 1)[0])


@pytest.mark.parametrize(("unknown", "start", "rate"), [("disparity", 0.7, 0.03), ("blur", 5.0, 0.3), ("focus", 0.35, 0.03)])
def test_descent_recovers_what_a_traced_picture_was_made_with(unknown, start, rate):
    truth = {"disparity": 0.8, "blur": 8.0, "focus": 0.2}
    smooth = torch.nn.functional.interpolate(random_layers(height=6, width=6).rgb[0], size=28, mode="bilinear")[None]
    matte = torch.zeros(1, 1, 1, 28, 28)
    matte[..., 8:20, 8:20] = 1
    alpha = torch.cat([matte, torch.ones_like(matte)], 1)

    def picture(disparity, blur, focus):
        levels = torch.stack([torch.as_tensor(disparity), torch.tensor(0.3)]).view(1, 2, 1, 1, 1)
        layers = tb.Layers(smooth.float(), alpha, levels.expand(1, 2, 1, 28, 28))
        return tb.trace(layers, tb.ThinLens(blur, focus), rays=48)

    target = picture(**truth).detach()
    guess = torch.tensor(start, requires_grad=True)
    optimiser = torch.optim.Adam([guess], lr=rate)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.95)
    for _ in range(60):
        loss = (picture(**{**truth, unknown: guess}) - target).square().mean()
        (guess.grad,) = torch.autograd.grad(loss, guess)
        optimiser.step()
        decay.step()
    assert guess.item() == pytest.approx(truth[unknown], rel=0.03)


# ---- progressive


def test_progressive_tracing_ends_in_the_same_bits_whatever_the_batch():
    layers = random_layers(dtype=torch.float32)
    lens = tb.ThinLens(8.0, 0.4, tb.Aperture(blades=6, roundness=0.3, cat_eye=0.4))
    expected = tb.trace(layers, lens, rays=50)
    for batch in (1, 7, 50, 99):
        *_, last = trace_progressively(layers, lens, rays=50, batch=batch)
        assert torch.equal(last.image, expected)
        assert last.done == 50


def test_tracing_resumes_where_it_stopped_and_early_states_are_pictures():
    layers = random_layers(dtype=torch.float32)
    lens = tb.ThinLens(8.0, 0.4)
    first = next(trace_progressively(layers, lens, rays=96, batch=32))
    assert (first.image - tb.trace(layers, lens, rays=96)).abs().mean() < 0.05
    kept = first.sums.clone()
    *_, last = trace_progressively(layers, lens, rays=96, batch=64, resume=first)
    assert torch.equal(last.image, tb.trace(layers, lens, rays=96))
    assert torch.equal(first.sums, kept)
    with pytest.raises(ValueError, match="seed"):
        next(trace_progressively(layers, lens, rays=96, seed=1, resume=first))


def test_progress_and_seed():
    layers = random_layers(dtype=torch.float32)
    heard: list[tuple[int, int]] = []
    picture = tb.trace(layers, tb.ThinLens(8.0, 0.4), rays=70, progress=lambda *at: heard.append(at))
    assert heard[-1] == (70, 70)
    assert len(heard) > 1
    assert torch.equal(picture, tb.trace(layers, tb.ThinLens(8.0, 0.4), rays=70))
    assert not torch.equal(picture, tb.trace(layers, tb.ThinLens(8.0, 0.4), rays=70, seed=5))


# ---- a real lens


def real_lens(f_number: float, refractive_index: object = 1.5) -> tb.BiconvexLens:
    return tb.BiconvexLens.from_focal_length(
        0.05, f_number, focus_distance=2.0, sensor_width=0.036, image_width=64, refractive_index=refractive_index
    )


def test_a_stopped_down_biconvex_lens_is_an_ideal_one():
    rgb = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 16, dtype=torch.float64), size=(48, 64), mode="bilinear")[0]
    layers = flat_layers(rgb, 1 / 1.2)
    real, ideal = (tb.trace(layers, lens, rays=256) for lens in (real_lens(11.0), real_lens(11.0).thin_lens()))
    inner = (..., slice(16, 32), slice(22, 42))
    assert psnr(real[inner], ideal[inner]) > 40


def test_chromatic_dispersion_parts_the_channels_and_gradients_reach_the_textures():
    layers = random_layers(count=1, height=20, width=24)
    grey = tb.Layers(
        layers.rgb[:, :, :1].expand(-1, -1, 3, -1, -1).contiguous(), torch.ones_like(layers.alpha), layers.disparity
    )
    plain, dispersed = (tb.trace(grey, real_lens(2.0, index), rays=64) for index in (1.5, (1.49, 1.5, 1.51)))
    torch.testing.assert_close(plain[:, 0], plain[:, 2])
    assert (dispersed[:, 0] - dispersed[:, 2]).abs().max() > 1e-3
    inputs = leaves(bumpy_layers(height=4, width=5))
    lens = tb.BiconvexLens.from_focal_length(0.05, 2.0, 1.5, focus_distance=2.0, sensor_width=0.036, image_width=5)
    picture = lambda rgb, alpha, disparity: tb.trace(tb.Layers(rgb, alpha, disparity), lens, rays=6)  # noqa: E731
    assert torch.autograd.gradcheck(picture, inputs, eps=1e-7, atol=1e-5, rtol=1e-4, fast_mode=True)


# ---- arguments


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"layers": 3}, TypeError, "layers is of type int"),
        ({"lens": 3}, TypeError, "lens is of type int"),
        ({"rays": 0}, ValueError, "rays is 0"),
        ({"rays": 2.5}, TypeError, "rays is of type float"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"layers": flat_layers(torch.rand(3, 4, 4), 0.0), "lens": real_lens(4.0)}, ValueError, "disparity"),
    ],
)
def test_bad_arguments_are_named(bad, error, message):
    arguments = {"layers": random_layers(), "lens": tb.ThinLens(5.0, 0.5), **bad}
    with pytest.raises(error, match=message):
        tb.trace(arguments.pop("layers"), arguments.pop("lens"), **arguments)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_disparity_that_is_not_finite_is_seen_under_compilation(bad):
    """Nothing can be refused there: a network that has diverged must be noticed by its loss."""
    layers = random_layers(height=6, width=7, dtype=torch.float32)

    def image(rgb, alpha, disparity):
        return tb.trace(tb.Layers(rgb, alpha, disparity), tb.ThinLens(3.0, 0.5), rays=4)

    disparity = layers.disparity.clone()
    disparity[0, 0, 0, 2, 3] = bad
    torch._dynamo.reset()
    compiled = torch.compile(image, fullgraph=True, backend="eager")
    spoilt = compiled(layers.rgb, layers.alpha, disparity).isnan().all(1)
    assert spoilt.nonzero().tolist() == [[0, 2, 3]]
    assert torch.equal(compiled(layers.rgb, layers.alpha, layers.disparity), image(layers.rgb, layers.alpha, layers.disparity))
