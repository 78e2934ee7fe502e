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
    layers = random_layers(height=7, width=8, dtype=dtype)
    cotangent = torch.rand(1, 3, 7, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    grads = {}
    for algorithm, precision in (("exact", dtype), ("reference", torch.float64)):
        inputs = leaves(layers.to(precision))
        lens = [torch.tensor(value, dtype=precision, requires_grad=True) for value in (7.0, 0.51)]
        picture = tb.render(tb.Layers(*inputs), tb.ThinLens(*lens), model=model, profile=profile, algorithm=algorithm)
        grads[algorithm] = torch.autograd.grad(picture, (*inputs, *lens), cotangent.to(precision))
    for name, ours, truth in zip(("rgb", "alpha", "disparity", "blur", "focus"), *grads.values(), strict=True):
        assert relative_error(ours, truth) < TOLERANCE[profile, dtype].gradient, name


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


def test_near_and_far_blur_are_alike_for_a_disc():
    rgb = torch.rand(3, 21, 22, dtype=torch.float64)
    torch.testing.assert_close(run(flat_layers(rgb, 1.0), 6.0), run(flat_layers(rgb, 0.0), 6.0))


def test_culling_leaves_no_trace():
    """A large in-focus part, discs of all sizes and tiles that no disc reaches: the same bits twice, and the reference."""
    layers = random_layers(count=1, height=35, width=37)
    layers.disparity[..., :20, :] = 0.5
    layers.disparity[..., 20:, :17] = 0.45
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


# ---- arguments


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"layers": torch.rand(1, 1, 3, 4, 4)}, TypeError, "layers is of type Tensor"),
        ({"lens": 30.0}, TypeError, "lens is of type float"),
        ({"algorithm": "fast", "max_radius": 2}, ValueError, "algorithm is 'fast', but max_radius"),
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
