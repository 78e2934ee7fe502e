"""`render`: rungs 2 to 7 of the ladder (docs/design.md), on whole pictures."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import taichi_bokeh as tb
from tests.scenes import DEVICES, MODELS, TOLERANCE, flat_layers, leaves, random_layers, relative_error

DTYPES = [torch.float64, torch.float32]


def run(layers: tb.Layers, blur: float = 9.0, focus: float = 0.5, **how: object) -> torch.Tensor:
    return tb.render(layers, tb.ThinLens(blur, focus), **{"model": "scatter", **how})


# ---- against the reference


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("max_radius", [None, 4])
@pytest.mark.parametrize(("model", "profile"), MODELS)
def test_exact_is_the_reference(model, profile, max_radius, dtype, device):
    layers = random_layers(batch=2, dtype=dtype).to(device)
    how = {"model": model, "profile": profile, "max_radius": max_radius}
    exact = run(layers, algorithm="exact", **how)
    truth = run(layers.to(torch.float64), algorithm="reference", **how)
    assert exact.dtype == dtype
    assert exact.device == layers.device
    assert (exact - truth).abs().max() < TOLERANCE[profile, dtype].picture


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("model", "profile"), MODELS)
def test_gradients_are_the_references(model, profile, dtype):
    layers = random_layers(height=11, width=12, dtype=dtype)
    cotangent = torch.rand(1, 3, 11, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    grads = {}
    for algorithm, precision in (("exact", dtype), ("reference", torch.float64)):
        inputs = leaves(layers.to(precision))
        lens = [torch.tensor(value, dtype=precision, requires_grad=True) for value in (7.0, 0.51)]
        picture = tb.render(tb.Layers(*inputs), tb.ThinLens(*lens), model=model, profile=profile, algorithm=algorithm)
        grads[algorithm] = torch.autograd.grad(picture, (*inputs, *lens), cotangent.to(precision))
    for name, ours, truth in zip(("rgb", "alpha", "disparity", "blur", "focus"), *grads.values(), strict=True):
        assert relative_error(ours, truth) < TOLERANCE[profile, dtype].gradient, name


@pytest.mark.parametrize(("model", "profile"), MODELS)
def test_gradcheck_of_all_five_inputs_with_radii_across_the_border(model, profile):
    layers = random_layers(count=2, height=3, width=4)
    inputs = leaves(tb.Layers(layers.rgb + 0.1, 0.8 * layers.alpha + 0.1, layers.disparity))
    lens = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (8.0, 0.503)]

    def picture(rgb, alpha, disparity, blur, focus):
        return tb.render(tb.Layers(rgb, alpha, disparity), tb.ThinLens(blur, focus), model=model, profile=profile)

    assert torch.autograd.gradcheck(picture, (*inputs, *lens), atol=1e-5, rtol=1e-4)


def test_official_colour_beside_a_hole_in_alpha_is_that_of_the_far_tails():
    """It is divided by a sum of alphas + 1e-8: where only tails of discs reach, weights of 1e-10 still count."""
    alpha = torch.zeros(1, 1, 1, 32, 48)
    alpha[..., 16:, :] = 1
    layers = tb.Layers(torch.ones(1, 1, 3, 32, 48), alpha, 1 - alpha)
    how = {"model": "scatter-official", "max_radius": 35}
    truth = run(layers.to(torch.float64), 29.0, 0.0, **how)
    assert (run(layers, 29.0, 0.0, **how) - truth).abs().max() < 1e-5


def test_many_layers_composite_as_the_reference():
    layers = random_layers(count=37, height=5, width=6)
    ours, truth = (run(layers, 4.0, profile="soft", algorithm=name) for name in ("exact", "reference"))
    torch.testing.assert_close(ours, truth)


# ---- properties


def test_no_blur_is_the_identity():
    layers = random_layers(count=3)
    torch.testing.assert_close(run(layers, blur=0.0), run(layers, blur=0.0, algorithm="reference"))
    opaque = flat_layers(torch.rand(3, 9, 11), 0.7)
    torch.testing.assert_close(run(opaque, blur=0.0)[0], opaque.rgb[0, 0], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(run(opaque, blur=50.0, focus=0.7)[0], opaque.rgb[0, 0], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("model", "profile"), MODELS)
def test_a_constant_opaque_picture_stays_constant(model, profile):
    noise = random_layers(dtype=torch.float32)
    layers = tb.Layers(torch.full_like(noise.rgb, 0.37), torch.ones_like(noise.alpha), noise.disparity)
    picture = run(layers, model=model, profile=profile)
    torch.testing.assert_close(picture, torch.full_like(picture, 0.37), atol=2e-6, rtol=0)


@pytest.mark.parametrize("profile", ["disc", "soft"])
def test_energy_is_kept_away_from_the_border(profile):
    rgb = torch.zeros(3, 51, 51, dtype=torch.float64)
    rgb[:, 25, 25] = 1e4
    picture = run(flat_layers(rgb, 1.5), blur=11.0, profile=profile)
    assert picture[0, 0].sum().item() == pytest.approx(1e4, rel=1e-6)


@pytest.mark.parametrize(("model", "profile"), MODELS)
def test_flips_and_transposes_commute_with_blur(model, profile):
    layers = random_layers(height=20, width=20)
    picture = run(layers, model=model, profile=profile)
    for turn in (lambda t: t.flip(-1), lambda t: t.flip(-2), lambda t: t.transpose(-1, -2)):
        turned = tb.Layers(turn(layers.rgb), turn(layers.alpha), turn(layers.disparity))
        torch.testing.assert_close(run(turned, model=model, profile=profile), turn(picture), atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize(("model", "profile"), MODELS)
def test_a_batch_is_a_loop_over_its_scenes(model, profile):
    layers = random_layers(batch=3, dtype=torch.float32)
    blur, focus = torch.tensor([2.0, 5.0, 9.0]), torch.tensor([0.2, 0.5, 0.9])
    together = tb.render(layers, tb.ThinLens(blur, focus), model=model, profile=profile)
    for b in range(3):
        one = tb.Layers(layers.rgb[b : b + 1], layers.alpha[b : b + 1], layers.disparity[b : b + 1])
        alone = run(one, float(blur[b]), float(focus[b]), model=model, profile=profile)
        torch.testing.assert_close(together[b : b + 1], alone, atol=3e-6, rtol=1e-5)


def test_layers_are_front_to_back():
    layers = random_layers(dtype=torch.float32)
    swapped = tb.Layers(layers.rgb.flip(1), layers.alpha.flip(1), layers.disparity.flip(1))
    assert (run(layers) - run(swapped)).abs().max() > 0.1


def test_near_and_far_blur_are_alike_for_a_disc():
    rgb = torch.rand(3, 21, 22, dtype=torch.float64)
    torch.testing.assert_close(run(flat_layers(rgb, 1.0), 6.0), run(flat_layers(rgb, 0.0), 6.0))


def test_culling_leaves_no_trace():
    """A large in-focus part, discs of all sizes and tiles that no disc reaches: the same bits twice, and the reference."""
    layers = random_layers(count=1, height=50, width=52)
    layers.disparity[..., :30, :] = 0.5
    layers.disparity[..., 30:, :20] = 0.45
    first = run(layers, blur=12.0)
    assert torch.equal(first, run(layers, blur=12.0))
    assert (first - run(layers, blur=12.0, algorithm="reference")).abs().max() < 1e-6


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 2),
    count=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    blur=st.floats(0, 12),
    how=st.sampled_from([("scatter", "disc"), ("scatter", "soft"), ("scatter-official", None)]),
)
def test_any_shape_renders_as_the_reference(batch, count, height, width, blur, how):
    layers = random_layers(batch, count, height, width)
    model, profile = how
    ours = run(layers, blur, model=model, profile=profile)
    truth = run(layers, blur, model=model, profile=profile, algorithm="reference")
    assert (ours - truth).abs().max() < TOLERANCE[profile, torch.float64].picture


# ---- numbers that break renderers


def hard_scenes() -> list:
    noise = random_layers(count=2, height=40, width=40, dtype=torch.float32)
    rgb, alpha, disparity = noise.rgb, noise.alpha, noise.disparity
    bright = rgb.clone()
    bright[..., ::7, ::5] = 1e4
    return [
        pytest.param(noise, 30.0, 0.0, id="released-default"),
        pytest.param(noise, 30.0, 0.5, id="focus-inside"),
        pytest.param(tb.Layers(rgb, torch.zeros_like(alpha), disparity), 30.0, 0.5, id="alpha-0"),
        pytest.param(tb.Layers(bright, alpha, disparity), 30.0, 0.5, id="hdr"),
        pytest.param(tb.Layers(rgb, alpha, torch.full_like(disparity, 0.5)), 30.0, 0.5, id="all-in-focus"),
        pytest.param(noise, 0.0, 0.5, id="no-blur"),
        pytest.param(noise, 1e-6, 0.5, id="tiny-blur"),
    ]


@pytest.mark.parametrize(("layers", "blur", "focus"), hard_scenes())
@pytest.mark.parametrize(("model", "profile"), MODELS)
def test_pictures_and_gradients_are_finite_in_float32(model, profile, layers, blur, focus):
    inputs = leaves(layers)
    lens = [torch.tensor(value, requires_grad=True) for value in (blur, focus)]
    picture = tb.render(tb.Layers(*inputs), tb.ThinLens(*lens), model=model, profile=profile, max_radius=35)
    assert picture.isfinite().all()
    for grad in torch.autograd.grad(picture.sum(), (*inputs, *lens)):
        assert grad.isfinite().all()


# ---- torch's rules


def test_the_users_grad_stays_the_users():
    inputs = leaves(random_layers())
    tb.render(tb.Layers(*inputs), tb.ThinLens(5.0, 0.5), "scatter")
    assert all(t.grad is None for t in inputs)
    inputs[0].grad = mine = torch.ones_like(inputs[0])
    tb.render(tb.Layers(*inputs), tb.ThinLens(5.0, 0.5), "scatter").sum().backward()
    assert inputs[0].grad is mine


def test_strided_views_render_as_their_copies():
    layers = random_layers(height=12, width=12)
    views = tb.Layers(*(t.transpose(-1, -2) for t in (layers.rgb, layers.alpha, layers.disparity)))
    copies = tb.Layers(*(t.contiguous() for t in (views.rgb, views.alpha, views.disparity)))
    assert torch.equal(run(views), run(copies))
    expanded = tb.Layers(layers.rgb, layers.alpha[:, :1].expand(-1, 2, -1, -1, -1), layers.disparity)
    assert run(expanded).isfinite().all()


def test_compiles_to_one_graph_with_the_same_gradients():
    layers = random_layers(dtype=torch.float32)

    def picture(rgb, alpha, disparity, blur):
        return tb.render(tb.Layers(rgb, alpha, disparity), tb.ThinLens(blur, 0.5), "scatter")

    inputs = [*leaves(layers), torch.tensor(6.0, requires_grad=True)]
    compiled = torch.compile(picture, fullgraph=True, backend="aot_eager")(*inputs)
    eager = picture(*inputs)
    assert torch.equal(compiled, eager)
    for ours, theirs in zip(*(torch.autograd.grad(p.sum(), inputs) for p in (compiled, eager)), strict=True):
        assert torch.equal(ours, theirs)


def test_double_backward_and_forward_mode_are_refused():
    layers = random_layers()
    rgb = layers.rgb.clone().requires_grad_()
    picture = lambda x: tb.render(tb.Layers(x, layers.alpha, layers.disparity), tb.ThinLens(5.0, 0.5), "scatter")  # noqa: E731
    (first,) = torch.autograd.grad(picture(rgb).square().sum(), rgb, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward"):
        first.sum().backward()
    tangent = torch.ones_like(layers.rgb)
    with pytest.raises(RuntimeError, match="not supported"):
        torch.func.jvp(picture, (layers.rgb,), (tangent,))
    with pytest.raises(RuntimeError, match="not supported"):
        torch.func.grad(lambda x: picture(x).sum())(layers.rgb)
    with (
        torch.autograd.forward_ad.dual_level(),
        pytest.raises(RuntimeError, match="forward-mode"),
    ):
        picture(torch.autograd.forward_ad.make_dual(layers.rgb, tangent))


# ---- arguments


def test_progress_is_reported_to_the_end_and_changes_nothing():
    layers = random_layers(batch=2, height=70, dtype=torch.float32)
    heard: list[tuple[int, int]] = []
    picture = run(layers, progress=lambda done, total: heard.append((done, total)))
    assert torch.equal(picture, run(layers))
    done = [d for d, _ in heard]
    assert len(heard) > 3
    assert done == sorted(done)
    assert heard[-1][0] == heard[-1][1]


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"layers": torch.rand(1, 1, 3, 4, 4)}, TypeError, "layers is of type Tensor"),
        ({"lens": 30.0}, TypeError, "lens is of type float"),
        ({"model": "gauss"}, ValueError, "model is 'gauss'"),
        ({"profile": "hard"}, ValueError, "profile is 'hard'"),
        ({"model": "scatter-official", "profile": "disc"}, ValueError, "profile is 'disc'"),
        ({"algorithm": "fast", "model": "scatter-official"}, ValueError, "algorithm is 'fast'"),
        ({"algorithm": "fast", "max_radius": 2}, ValueError, "algorithm is 'fast', but max_radius"),
        ({"max_radius": 0}, ValueError, "max_radius"),
        ({"max_radius": float("nan")}, ValueError, "max_radius"),
        ({"max_radius": "35"}, TypeError, "max_radius"),
    ],
)
def test_bad_arguments_are_named(bad, error, message):
    arguments = {"layers": random_layers(), "lens": tb.ThinLens(5.0, 0.5), **bad}
    with pytest.raises(error, match=message):
        tb.render(arguments.pop("layers"), arguments.pop("lens"), **{"model": "scatter", **arguments})


def test_a_blur_beyond_all_memory_is_refused():
    with pytest.raises(ValueError, match="largest blur radius"):
        run(random_layers(), blur=1e6)


# ---- without the occlusion within a layer


@pytest.mark.parametrize(("model", "profile"), MODELS)
def test_without_occlusion_is_the_reference_with_its_gradients(model, profile):
    layers = random_layers(count=1, height=11, width=12)
    cotangent = torch.rand(1, 3, 11, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    results = []
    for algorithm in ("auto", "reference"):
        inputs = leaves(layers)
        how = {"model": model, "profile": profile, "algorithm": algorithm, "occlusion": False}
        picture = run(tb.Layers(*inputs), **how)
        results.append((picture.detach(), *torch.autograd.grad(picture, inputs, cotangent)))
    for ours, truth in zip(*results, strict=True):
        assert relative_error(ours, truth) < TOLERANCE[profile, torch.float64].gradient
    assert (results[0][0] - run(layers, model=model, profile=profile)).abs().max() > 1e-3  # the term does something here


def test_without_occlusion_by_rows_is_the_same():
    layers = random_layers(count=1, height=40, width=48)
    exact, fast = (run(layers, 15.0, 0.5, algorithm=name, occlusion=False) for name in ("exact", "fast"))
    assert (exact - fast).abs().max() < 1e-6
    explained = tb.explain(layers, tb.ThinLens(15.0, 0.5), "scatter", algorithm="fast", occlusion=False)
    assert explained.layers[0].reason.startswith("nothing")


def test_occlusion_is_refused_where_it_has_no_meaning():
    with pytest.raises(ValueError, match=r"occlusion is False, but model 'subaperture' has no such field"):
        run(random_layers(), model="subaperture", occlusion=False)
    with pytest.raises(TypeError, match=r"occlusion is of type int; expected a bool"):
        run(random_layers(), occlusion=0)


@pytest.mark.parametrize("algorithm", ["exact", "fast"])
@pytest.mark.parametrize("aperture", [tb.Aperture(), tb.Aperture(blades=5)], ids=["disc", "blades"])
def test_a_disparity_of_nan_is_seen_under_compilation(aperture, algorithm):
    """Nothing can be refused there: a network that has diverged must be noticed by its loss."""
    layers = random_layers(height=6, width=7, dtype=torch.float32)

    def image(rgb, alpha, disparity):
        return tb.render(
            tb.Layers(rgb, alpha, disparity), tb.ThinLens(9.0, 0.5, aperture), model="scatter", algorithm=algorithm
        )

    disparity = layers.disparity.clone()
    disparity[0, 0, 0, 2, 3] = torch.nan
    torch._dynamo.reset()
    compiled = torch.compile(image, fullgraph=True, backend="eager")
    assert compiled(layers.rgb, layers.alpha, disparity).isnan().all(1)[0, 2, 3]
    assert torch.equal(compiled(layers.rgb, layers.alpha, layers.disparity), image(layers.rgb, layers.alpha, layers.disparity))
