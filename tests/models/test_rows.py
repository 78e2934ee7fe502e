"""Model "scatter" in time linear in the radius: against the exact gather, its own derivative, and across its switches."""

import itertools
import math

import pytest
import torch

import taichi_bokeh as tb
from taichi_bokeh.kernels.scatter.occlusion import PAPER
from taichi_bokeh.kernels.scatter.rows.row_sums import stride_of
from taichi_bokeh.models import scatter as _scatter
from taichi_bokeh.models.scatter import PX_STEP
from taichi_bokeh.ops.scatter import bands as _bands
from taichi_bokeh.ops.scatter import rows as _rows
from taichi_bokeh.ops.scatter.occlusion_nodes import occlusion_nodes
from tests.scenes import flat_layers, leaves, random_layers, relative_error

#: Fast against exact. Both interpolate the same profile; the nodes of disparity leave 1e-7 (1.2e-3) of the occlusion; float32
#: sums along rows round to 1e-5. Cotangents are white noise, the hardest for whatever is not quite the same kernel.
PICTURE = {torch.float64: 1e-7, torch.float32: 2e-4}
GRADIENT = {torch.float64: 5e-5, torch.float32: 3e-3}
NAMES = ("rgb", "alpha", "disparity", "blur", "focus")


def render(layers: tb.Layers, lens: tb.ThinLens, **how: object) -> torch.Tensor:
    return tb.render(layers, lens, **{"model": "scatter", **how})


def picture_and_gradients(layers: tb.Layers, blur: float, focus: float, **how: object) -> tuple:
    inputs = leaves(layers)
    lens = [torch.tensor(value, dtype=layers.dtype, requires_grad=True) for value in (blur, focus)]
    picture = render(tb.Layers(*inputs), tb.ThinLens(*lens, how.pop("aperture", tb.Aperture())), **how)
    cotangent = torch.randn(picture.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return picture.detach(), torch.autograd.grad(picture, (*inputs, *lens), cotangent.to(picture))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("blur", [16.0, 60.0])
@pytest.mark.parametrize("profile", ["disc", "soft"])
def test_fast_is_exact(profile, blur, dtype):
    layers = random_layers(batch=2, height=18, width=70, dtype=dtype)
    fast, fast_gradients = picture_and_gradients(layers, blur, 0.51, profile=profile, algorithm="fast")
    exact, exact_gradients = picture_and_gradients(layers, blur, 0.51, profile=profile, algorithm="exact")
    assert (fast - exact).abs().max() < PICTURE[dtype]
    for name, ours, theirs in zip(NAMES, fast_gradients, exact_gradients, strict=True):
        assert relative_error(ours, theirs) < GRADIENT[dtype], name


SHAPES = {
    "hexagon": tb.Aperture(blades=6, roundness=0.0, rotation=10.0),
    "triangle": tb.Aperture(blades=3, roundness=0.2),
    "squeezed": tb.Aperture(squeeze=1.6),
    "image": tb.Aperture(image=torch.tensor([[1.0, 0.0, 1.0], [1.0, 0.5, 0.0], [0.0, 1.0, 1.0]])),
}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("hexagon", torch.float64),
        pytest.param("hexagon", torch.float32, marks=pytest.mark.slow),
        pytest.param("triangle", torch.float64, marks=pytest.mark.slow),
        ("squeezed", torch.float32),
        ("image", torch.float64),
    ],
)
def test_other_openings_are_fast_and_exact_as_well(name, dtype):
    layers, aperture = random_layers(height=20, width=41, dtype=dtype), SHAPES[name]
    fast, fast_gradients = picture_and_gradients(layers, 24.0, 0.51, aperture=aperture, algorithm="fast")
    exact, exact_gradients = picture_and_gradients(layers, 24.0, 0.51, aperture=aperture, algorithm="exact")
    assert (fast - exact).abs().max() < PICTURE[dtype]
    for name, ours, theirs in zip(NAMES, fast_gradients, exact_gradients, strict=True):
        assert relative_error(ours, theirs) < GRADIENT[dtype], name


@pytest.mark.parametrize(
    "aperture",
    [SHAPES["hexagon"], tb.Aperture(ring=0.7), tb.Aperture(blades=3, roundness=0.2, cat_eye=0.4)],
    ids=["hexagon", "ring", "triangle and cat-eye"],
)
def test_other_openings_are_the_references(aperture):
    """Kernels interpolate between 16 radii a pixel; the reference rasters the opening for the radius of every source."""
    layers = random_layers(height=7, width=8)
    ours, our_gradients = picture_and_gradients(layers, 7.0, 0.51, aperture=aperture, algorithm="exact")
    truth, gradients = picture_and_gradients(layers, 7.0, 0.51, aperture=aperture, algorithm="reference")
    assert (ours - truth).abs().max() < 2e-5
    for name, mine, theirs in zip(NAMES, our_gradients, gradients, strict=True):
        assert relative_error(mine, theirs) < 1e-2, name


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["exact", "reference"])
def test_a_corner_that_a_cat_eye_shuts_is_black_without_gradients(algorithm):
    """As in the sub-aperture model and the ray tracer: no point of the opening is seen from there."""
    noise, aperture = random_layers(count=1, height=16, width=16), tb.Aperture(cat_eye=1.0, squeeze=6.0)
    layers = tb.Layers(noise.rgb, noise.alpha, 0.9 + 0.1 * noise.disparity)
    inputs = leaves(layers)
    lens = [torch.tensor(value, dtype=layers.dtype, requires_grad=True) for value in (8.0, 0.0)]
    picture = render(tb.Layers(*inputs), tb.ThinLens(*lens, aperture), algorithm=algorithm)
    assert picture.isfinite().all()
    assert (picture[:, :, 0, 0] == 0).all()
    assert (picture[:, :, 7:9, 7:9] > 0).all()
    for gradient in torch.autograd.grad(picture[:, :, 0, 0].sum(), (*inputs, *lens), retain_graph=True):
        assert (gradient == 0).all()
    for gradient in torch.autograd.grad(picture.sum(), (*inputs, *lens)):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("aperture", [tb.Aperture(), SHAPES["hexagon"]], ids=["disc", "hexagon"])
@pytest.mark.parametrize("radius", [5.0, 8.0], ids=["weights to steps", "gather to rows"])
def test_value_and_gradient_go_on_where_the_way_changes(radius, aperture):
    """Scanned through the radius at which lists turn from weights to steps, and that at which `auto` turns to rows."""
    rgb = torch.rand(3, 30, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise = torch.rand(1, 1, 1, 30, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    values, slopes = [], []
    for r in (radius - 2e-6, radius - 1e-6, radius + 1e-6, radius + 2e-6):
        blur = torch.tensor(r, dtype=torch.float64, requires_grad=True)
        layers = tb.Layers(rgb[None, None], torch.ones_like(noise), 1 + 0.1 * noise)
        layers.disparity[..., 0, 0] = 2.0  # the largest radius is r
        value = (render(layers, tb.ThinLens(blur, 1.0, aperture)) * rgb).sum()
        values.append(value.item())
        slopes.append(torch.autograd.grad(value, blur)[0].item())
    before, at, after = (b - a for a, b in itertools.pairwise(values))
    assert at == pytest.approx(before + after, abs=1e-6)
    assert slopes[2] == pytest.approx(slopes[1], rel=1e-3, abs=1e-5)


def test_bands_of_rows_leave_no_trace(monkeypatch):
    layers = random_layers(height=150, width=30, dtype=torch.float32)
    whole, whole_gradients = picture_and_gradients(layers, 30.0, 0.5, algorithm="fast")
    monkeypatch.setattr(_bands, "_BAND_BYTES", 1)
    monkeypatch.setattr(_bands, "_MOST_BAND_BYTES", 1)
    bands, bands_gradients = picture_and_gradients(layers, 30.0, 0.5, algorithm="fast")
    assert torch.equal(whole, bands)
    for ours, theirs in zip(bands_gradients[:3], whole_gradients[:3], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("largest_px", [61.2, 61.5])
def test_what_memory_held_before_does_not_matter(largest_px, monkeypatch):
    """Lists are padded to whole blocks, and so reach a little beyond the discs, to sources whose hidden planes are not made."""
    noise = random_layers(count=1, height=12, width=320)
    disparity = torch.full_like(noise.disparity, 1.5)
    disparity[..., 192:210] = 0.5 + 1e-3 * noise.disparity[..., 192:210]
    layers = tb.Layers(noise.rgb, noise.alpha, disparity)
    clean = picture_and_gradients(layers, largest_px, 0.5, algorithm="fast")
    get = _bands.Buffers.get
    monkeypatch.setattr(
        _bands.Buffers, "get", lambda *key, dtype=None: get(*key, dtype=dtype).fill_(math.nan if dtype is None else 9)
    )
    dirty = picture_and_gradients(layers, largest_px, 0.5, algorithm="fast")
    assert torch.equal(clean[0], dirty[0])
    for ours, theirs in zip(clean[1], dirty[1], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("height", [1, 7, 512])
def test_tasks_of_any_height_give_the_same_bits(height, monkeypatch):
    """Their height is that which suits the number of threads."""
    layers = random_layers(height=150, width=70, dtype=torch.float32)
    whole = render(layers, tb.ThinLens(30.0, 0.5), algorithm="fast")
    monkeypatch.setattr(_rows, "_LEAST_TALL", height)
    monkeypatch.setattr(_rows, "_MOST_TALL", height)
    assert torch.equal(render(layers, tb.ThinLens(30.0, 0.5), algorithm="fast"), whole)


def test_opaque_layers_are_summed_without_the_plane_of_alpha(monkeypatch):
    noise = random_layers(height=40, width=90, dtype=torch.float64)
    layers = tb.Layers(noise.rgb, torch.ones_like(noise.alpha), noise.disparity)
    opaque = picture_and_gradients(layers, 25.0, 0.51, algorithm="fast")
    found, plan_rows = [], _bands.plan_rows

    def with_alpha(*arguments):
        plan = plan_rows(*arguments)
        found.append(plan.opaque)
        return plan._replace(opaque=False)

    monkeypatch.setattr(_bands, "plan_rows", with_alpha)
    transparent = picture_and_gradients(layers, 25.0, 0.51, algorithm="fast")
    assert set(found) == {True}
    torch.testing.assert_close(opaque[0], transparent[0], atol=1e-12, rtol=0)
    for ours, theirs in zip(opaque[1], transparent[1], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("algorithm", ["fast", "exact"])
def test_gradients_of_colours_alone_are_the_same(algorithm):
    """Nothing is kept for them, and less is computed."""
    layers = random_layers(height=40, width=70)
    found = []
    for also_disparity in (True, False):
        rgb, disparity = layers.rgb.clone().requires_grad_(), layers.disparity.clone().requires_grad_(also_disparity)
        picture = render(tb.Layers(rgb, layers.alpha, disparity), tb.ThinLens(25.0, 0.51), algorithm=algorithm)
        found.append(torch.autograd.grad(picture.square().sum(), rgb)[0])
    assert torch.equal(*found)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 97, 540, 1080])
def test_every_row_has_its_turn(count):
    step = stride_of(count)
    assert sorted(turn * step % count for turn in range(count)) == list(range(count))


@pytest.mark.parametrize("profile", ["disc", "soft"])
@pytest.mark.parametrize("blur", [4.0, 30.0])
def test_strips_of_a_large_picture_leave_no_trace(blur, profile, monkeypatch):
    layers = random_layers(height=260, width=24, dtype=torch.float32)
    lens = tb.ThinLens(blur, 0.5)
    whole = render(layers, lens, profile=profile)
    monkeypatch.setattr(_scatter, "_STRIP_BYTES", 1)
    assert torch.allclose(render(layers, lens, profile=profile), whole, atol=5e-6 if blur == 4.0 else 2e-5)


def test_a_bright_point_in_focus_leaves_its_row_alone():
    rgb = torch.full((3, 20, 300), 0.5)
    rgb[:, 10, 20] = 1e4
    layers = flat_layers(rgb, 0.5)
    layers.disparity[..., 10:, 100:] = 1.0  # so that rows are taken
    lens = tb.ThinLens(20.0, 0.5)
    picture = render(layers, lens, algorithm="fast")
    assert (picture[0, :, :10, 40:] - 0.5).abs().max() < 1e-5
    assert (picture[0, :, 10, 30:80] - 0.5).abs().max() < 1e-5


def test_a_near_highlight_is_the_point_mirror_of_a_far_one():
    rgb = torch.zeros(3, 41, 41, dtype=torch.float64)
    rgb[:, 20, 20] = 100.0
    aperture = tb.Aperture(blades=3, roundness=0.0, rotation=20.0)
    pictures = {}
    for name, disparity in (("near", 1.5), ("far", 0.5)):
        layers = flat_layers(rgb, disparity)
        layers.disparity[..., 0, 0] += 1e-3  # not flat
        for algorithm in ("exact", "fast"):
            pictures[name, algorithm] = render(layers, tb.ThinLens(24.0, 1.0, aperture), algorithm=algorithm)
    for algorithm in ("exact", "fast"):
        near, far = (pictures[name, algorithm] for name in ("near", "far"))
        torch.testing.assert_close(near[..., 8:-8, 8:-8], far.flip(-1, -2)[..., 8:-8, 8:-8], atol=1e-4, rtol=0)
        assert (near - far).abs().max() > 0.05
    truth = tb.trace(layers, tb.ThinLens(24.0, 1.0, aperture), rays=4096)
    assert (pictures["far", "fast"] - truth)[..., 5:-5, 5:-5].abs().max() < 0.1 * truth.max()


def test_nodes_are_few_where_the_step_is_gentle_and_none_where_it_is_too_steep():
    counts = [len(occlusion_nodes(blur, PAPER, "float32")) for blur in (100.0, 20.0, 10.0, 6.0)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    assert occlusion_nodes(1.5, PAPER, "float32") is None
    assert occlusion_nodes(0.0, PAPER, "float32") is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_discs_occlusion_separates_whatever_the_blur(dtype):
    """Its step is in px, so that the nodes are the same for every blur."""
    assert occlusion_nodes(1.0, PX_STEP, dtype) is not None


# ---- explain


def explain(layers: tb.Layers, blur: float = 30.0, aperture: tb.Aperture | None = None, **how: object) -> tb.Explanation:
    return tb.explain(layers, tb.ThinLens(blur, 0.5, aperture or tb.Aperture()), **{"model": "scatter", **how})


def test_explain_says_which_way_is_taken_and_why():
    layers = random_layers(batch=2, height=40, width=40)
    assert explain(layers).strategies == {"rows": 4}
    assert explain(layers, algorithm="exact").strategies == {"gather": 4}
    assert explain(layers, algorithm="reference").strategies == {"reference": 4}
    assert explain(layers, blur=3.0).layers[0].reason == "no radius is more than 8 px"
    assert "cuts off discs" in explain(layers, max_radius=9).layers[0].reason
    assert "cat_eye" in explain(layers, aperture=tb.Aperture(cat_eye=0.5)).layers[3].reason
    assert "ring" in explain(layers, aperture=tb.Aperture(ring=0.5)).layers[0].reason
    assert explain(layers, model="scatter-official").strategies == {"gather": 4}
    assert explain(layers, model="subaperture", cells=9).cells == 9
    text = str(explain(layers))
    assert text.splitlines()[0] == repr(tb.Scatter())
    assert text.splitlines()[3].startswith("scene 1, layer 0, up to 15.0 px: rows: the occlusion is separated by ")


def test_a_flat_layer_is_correlated_with_its_one_kernel():
    assert explain(flat_layers(torch.rand(3, 50, 50), 0.8)).strategies == {"correlation": 1}
    hexagon = explain(flat_layers(torch.rand(3, 50, 50), 0.8), aperture=SHAPES["hexagon"])
    assert hexagon.strategies == {"correlation": 1}


@pytest.mark.parametrize("aperture", [SHAPES["hexagon"], SHAPES["image"], tb.Aperture(ring=0.8)])
@pytest.mark.parametrize("disparity", [0.502, 0.2, 0.8])
def test_the_correlation_of_a_flat_layer_is_the_sum_of_its_weights(disparity, aperture):
    layers = flat_layers(torch.rand(3, 40, 40, dtype=torch.float64), disparity)
    flat = render(layers, tb.ThinLens(20.0, 0.5, aperture))
    layers.disparity[..., 0, 0] += 1e-9
    torch.testing.assert_close(flat, render(layers, tb.ThinLens(20.0, 0.5, aperture), algorithm="exact"), atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"blur": 2.0, "profile": "soft"}, "algorithm is 'fast', but the occlusion, of a steepness of 10 for a px"),
        ({"aperture": tb.Aperture(cat_eye=0.5)}, "algorithm is 'fast', but with cat_eye"),
        ({"aperture": tb.Aperture(ring=0.5)}, "algorithm is 'fast', but with ring"),
        ({"max_radius": 3}, "algorithm is 'fast', but max_radius, 3 px, cuts off discs"),
    ],
)
def test_fast_is_refused_where_there_is_no_fast_way(how, message):
    with pytest.raises(ValueError, match=message):
        explain(random_layers(), algorithm="fast", **how)
    lens = tb.ThinLens(how.pop("blur", 30.0), 0.5, how.pop("aperture", tb.Aperture()))
    with pytest.raises(ValueError, match=message):
        render(random_layers(), lens, algorithm="fast", **how)


def test_a_flat_layer_in_focus_is_fast_whatever_the_blur():
    layers = flat_layers(torch.rand(3, 40, 40, dtype=torch.float64), 0.52)
    layers.rgb.requires_grad_()
    picture = render(layers, tb.ThinLens(2.0, 0.5), algorithm="fast")
    picture.sum().backward()
    assert layers.rgb.grad.isfinite().all()


@pytest.mark.parametrize("aperture", [tb.Aperture(ring=0.5), tb.Aperture(cat_eye=0.5), SHAPES["hexagon"]])
def test_a_radius_beyond_all_numbers_is_an_error_for_every_opening(aperture):
    layers = random_layers(dtype=torch.float32)
    with pytest.raises(ValueError, match="blur radius is not finite"):
        render(layers, tb.ThinLens(3e38, -1e3, aperture))


# ---- draft


@pytest.mark.parametrize(
    ("profile", "aperture"),
    [("disc", {}), ("soft", {}), pytest.param("disc", {"blades": 6, "roundness": 0.0}, marks=pytest.mark.slow)],
)
def test_a_draft_is_close_and_differentiable_in_colour_and_alpha(profile, aperture):
    noise = random_layers(count=1, height=90, width=120, dtype=torch.float32)
    disparity = torch.nn.functional.avg_pool2d(noise.disparity[0], 31, 1, 15)[None]
    disparity[..., 30:60, 40:80] = 0.2
    disparity[..., 70:, :] = 1.2
    results = []
    for quality in ("full", "draft"):
        rgb, alpha = noise.rgb.clone().requires_grad_(), (0.5 + 0.5 * noise.alpha).requires_grad_()
        lens = tb.ThinLens(100.0, 0.2, tb.Aperture(**aperture))
        picture = render(tb.Layers(rgb, alpha, disparity), lens, profile=profile, quality=quality)
        cotangent = torch.rand(picture.shape, generator=torch.Generator().manual_seed(1))
        results.append((picture.detach(), *torch.autograd.grad(picture, (rgb, alpha), cotangent)))
    full, draft = results
    assert not torch.equal(full[0], draft[0])
    assert 10 * torch.log10(1 / (draft[0] - full[0]).square().mean()) > 55
    for ours, theirs in zip(draft[1:], full[1:], strict=True):
        assert relative_error(ours, theirs) < 0.05


@pytest.mark.slow
def test_a_draft_does_not_average_near_and_far_highlights():
    """Blocks across the border between them would have no radius at all, and shine."""
    rgb = torch.rand(1, 1, 3, 101, 133, generator=torch.Generator().manual_seed(0))
    disparity = torch.where(torch.arange(133) < 68, 1.7, 0.3).expand(1, 1, 1, 101, 133).contiguous()
    layers = tb.Layers(rgb, torch.ones_like(disparity), disparity)
    lens = tb.ThinLens(100.0, 1.0, tb.Aperture(blades=3, roundness=0.0))
    full, draft = (render(layers, lens, quality=quality) for quality in ("full", "draft"))
    assert (draft - full).abs().max() < 0.02


def test_a_draft_refuses_gradients_that_would_be_of_no_use():
    layers = random_layers(dtype=torch.float32)
    blur = torch.tensor(30.0, requires_grad=True)
    with pytest.raises(ValueError, match=r"lens\.blur requires a gradient"):
        render(layers, tb.ThinLens(blur, 0.5), quality="draft")
    layers.disparity.requires_grad_()
    with pytest.raises(ValueError, match=r"layers\.disparity requires a gradient"):
        render(layers, tb.ThinLens(30.0, 0.5), quality="draft")
    with torch.no_grad():
        render(layers, tb.ThinLens(blur, 0.5), quality="draft")


def test_a_draft_merges_nothing_small():
    layers = random_layers(height=60, width=60, dtype=torch.float32)
    assert torch.equal(render(layers, tb.ThinLens(50.0, 0.5), quality="draft"), render(layers, tb.ThinLens(50.0, 0.5)))


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["disc", "soft"])
def test_strips_leave_no_trace_in_a_draft(profile, monkeypatch):
    """Nor where nothing in a strip is so large that a draft of it alone would merge anything."""
    noise = random_layers(height=1100, width=40, dtype=torch.float32)
    disparity = 0.5 + torch.linspace(1.0, 0.0, 1100)[:, None] * (noise.disparity - 0.5)
    layers = tb.Layers(noise.rgb, noise.alpha, disparity)
    lens = tb.ThinLens(300.0, 0.5)
    whole = render(layers, lens, profile=profile, quality="draft")
    assert (whole - render(layers, lens, profile=profile)).abs().max() > 1e-3
    monkeypatch.setattr(_scatter, "_STRIP_BYTES", 1)
    assert torch.allclose(render(layers, lens, profile=profile, quality="draft"), whole, atol=2e-5)


def test_a_draft_names_a_radius_that_is_not_finite():
    with pytest.raises(ValueError, match="blur radius is not finite"):
        render(random_layers(dtype=torch.float32), tb.ThinLens(3e38, -1e3), quality="draft")
