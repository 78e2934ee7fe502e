"""`render` with model "subaperture": rungs 2 to 8 of the ladder (docs/design.md)."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import taichi_bokeh as tb
from taichi_bokeh import ops, reference
from taichi_bokeh.models.subaperture import cells_for
from taichi_bokeh.ops.subaperture import slices as subaperture_slices
from taichi_bokeh.ops.subaperture import sums as subaperture_sums
from taichi_bokeh.ops.subaperture import windows as subaperture_windows
from tests.scenes import DEVICES, Tolerance, flat_layers, leaves, random_layers, relative_error

#: Kernel against reference. In float64 both are the same sums in another order, on integral images (algorithm "fast") with
#: the rounding of larger ones; in float32 a pixel adds up a hundred taps, and blur and focus the gradients of all pixels.
TOLERANCE = {torch.float64: Tolerance(1e-11, 1e-10), torch.float32: Tolerance(2e-6, 1e-4)}
DTYPES = list(TOLERANCE)
DISC = tb.Aperture()
APERTURES = {
    "disc": DISC,
    "blades": tb.Aperture(blades=6, roundness=0.2, rotation=10.0, ring=0.6),
    "image": tb.Aperture(image=torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.5]])),
}
every_aperture = pytest.mark.parametrize("aperture", APERTURES.values(), ids=APERTURES)
every_algorithm = pytest.mark.parametrize("algorithm", ["exact", "fast", "auto"])


def run(
    layers: tb.Layers, blur: float | Tensor = 3.0, focus: float = 0.4, aperture: tb.Aperture = DISC, **how: object
) -> Tensor:
    return tb.render(layers, tb.ThinLens(blur, focus, aperture), model="subaperture", **how)


def with_flat_layer(layers: tb.Layers) -> tb.Layers:
    """The same with the first layer at one disparity."""
    disparity = layers.disparity.clone()
    disparity[:, 0] = 0.8
    return tb.Layers(layers.rgb, layers.alpha, disparity)


def turned(layers: tb.Layers, turn: Callable[[Tensor], Tensor]) -> tb.Layers:
    return tb.Layers(turn(layers.rgb), turn(layers.alpha), turn(layers.disparity))


def smooth_picture(size: int, count: int = 1) -> Tensor:
    """[1, count, 3, size, size], noise a quarter as fine as the pixels."""
    noise = torch.rand(count, 3, size // 4, size // 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return torch.nn.functional.interpolate(noise, (size, size), mode="bilinear")[None]


def billboards(size: int = 36, count: int = 4) -> tb.Layers:
    """Overlapping opaque rectangles at disparities from 1 to 0, with hard edges, before a wall."""
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    alpha = torch.ones(1, count, 1, size, size, dtype=torch.float64)
    for k in range(count - 1):
        left, top = (size * (0.2 + 0.6 * torch.rand(2, generator=generator))).tolist()
        alpha[0, k, 0] = ((x - left).abs() < 0.22 * size) & ((y - top).abs() < 0.3 * size)
    disparity = torch.linspace(1, 0, count, dtype=torch.float64).view(1, count, 1, 1, 1).expand_as(alpha)
    return tb.Layers(smooth_picture(size, count), alpha, disparity)


def psnr(picture: Tensor, truth: Tensor) -> float:
    return -10 * math.log10(float((picture - truth).square().mean()))


def point_light(size: int, brightness: float, disparity: float = 1.0, dtype: torch.dtype = torch.float64) -> tb.Layers:
    rgb = torch.zeros(3, size, size, dtype=dtype)
    rgb[:, size // 2, size // 2] = brightness
    return flat_layers(rgb, disparity)


# ---- against the reference


@pytest.mark.parametrize(
    ("cells", "dtype"), [(1, torch.float64), (3, torch.float64), (5, torch.float64), (16, torch.float64), (16, torch.float32)]
)
@every_algorithm
def test_every_algorithm_is_the_reference(algorithm, cells, dtype):
    """A batch of layers of which the first is flat and the second crosses the focus."""
    layers = with_flat_layer(random_layers(batch=2, height=9, width=11, dtype=dtype))
    picture = run(layers, 2.0, cells=cells, algorithm=algorithm)
    truth = run(layers.to(torch.float64), 2.0, cells=cells, algorithm="reference")
    assert picture.dtype == dtype
    assert picture.shape == (2, 3, 9, 11)
    assert (picture - truth).abs().max() < TOLERANCE[dtype].picture


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("algorithm", ["exact", "fast"])
@every_aperture
def test_every_aperture_is_the_reference(aperture, algorithm, dtype, device):
    layers = with_flat_layer(random_layers(height=11, width=13, dtype=dtype)).to(device)
    picture = run(layers, 9.0, 0.75, aperture, algorithm=algorithm)
    truth = run(layers.to("cpu", torch.float64), 9.0, 0.75, aperture, algorithm="reference")
    assert picture.device == layers.device
    tolerance = TOLERANCE[dtype].picture + (1e-6 if aperture.blades else 0)  # see PSF_TOLERANCE in tests/optics/test_psf.py
    assert (picture.cpu() - truth).abs().max() < tolerance


@pytest.mark.parametrize("count", [1, 3, 5])
def test_any_number_of_layers_is_the_reference(count):
    layers = random_layers(count=count, height=7, width=9)
    assert (run(layers) - run(layers, algorithm="reference")).abs().max() < TOLERANCE[torch.float64].picture


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (4, 1), (3, 2), (2, 3), (6, 5)])
def test_pictures_of_few_pixels_are_the_reference(size):
    """Narrower than a vector, much narrower than the blur, and of fewer pixels than a place of the grid of large radii."""
    layers = with_flat_layer(random_layers(height=size[0], width=size[1]))
    for blur in (1.0, 12.0, 300.0):
        truth = run(layers, blur, cells=4, algorithm="reference")
        for algorithm in ("exact", "fast"):
            picture = run(layers, blur, cells=4, algorithm=algorithm)
            assert (picture - truth).abs().max() < TOLERANCE[torch.float64].picture, algorithm


def test_radii_that_are_summed_on_coarser_grids_are_the_reference():
    """From −56 to 84 px, on grids of 1, 2 and 4 pixels; in the picture are places of all three."""
    layers = random_layers(height=27, width=22)
    truth = run(layers, 140.0, cells=4, algorithm="reference")
    for algorithm in ("exact", "fast", "auto"):
        picture = run(layers, 140.0, cells=4, algorithm=algorithm)
        assert (picture - truth).abs().max() < TOLERANCE[torch.float64].picture, algorithm


# ---- gradients


@pytest.mark.parametrize(("algorithm", "dtype"), [("exact", torch.float64), ("fast", torch.float64), ("auto", torch.float32)])
@pytest.mark.parametrize("aperture", [APERTURES["disc"], APERTURES["image"]], ids=["disc", "image"])
def test_gradients_are_the_references(aperture, algorithm, dtype):
    layers = with_flat_layer(random_layers(batch=2, height=7, width=9, dtype=dtype))
    cotangent = torch.rand(2, 3, 7, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    grads = {}
    for name, precision in ((algorithm, dtype), ("reference", torch.float64)):
        inputs = leaves(layers.to(precision))
        lens = [torch.tensor(value, dtype=precision, requires_grad=True) for value in (2.0, 0.51)]
        thin = tb.ThinLens(*lens, aperture)
        picture = tb.render(tb.Layers(*inputs), thin, model="subaperture", algorithm=name)
        grads[name] = torch.autograd.grad(picture, (*inputs, *lens), cotangent.to(precision))
    for name, ours, truth in zip(("rgb", "alpha", "disparity", "blur", "focus"), *grads.values(), strict=True):
        assert relative_error(ours, truth) < TOLERANCE[dtype].gradient, name


def test_gradients_on_coarser_grids_are_the_references():
    layers = random_layers(height=6, width=9)
    cotangent = torch.rand(1, 3, 6, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    grads = []
    for name in ("exact", "fast", "reference"):
        inputs = leaves(layers)
        lens = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (140.0, 0.41)]
        picture = tb.render(tb.Layers(*inputs), tb.ThinLens(*lens), model="subaperture", cells=4, algorithm=name)
        grads.append(torch.autograd.grad(picture, (*inputs, *lens), cotangent))
    for name, exact, fast, truth in zip(("rgb", "alpha", "disparity", "blur", "focus"), *grads, strict=True):
        assert relative_error(exact, truth) < TOLERANCE[torch.float64].gradient, name
        assert relative_error(fast, truth) < TOLERANCE[torch.float64].gradient, name


def test_gradients_of_colours_alone_are_the_references():
    """Where no radius asks for a gradient, none is made of a flat layer's kernel."""
    layers = with_flat_layer(random_layers(height=7, width=9))
    cotangent = torch.rand(1, 3, 7, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    grads = []
    for algorithm in ("auto", "reference"):
        rgb, alpha, _ = leaves(layers)
        picture = run(tb.Layers(rgb, alpha, layers.disparity), algorithm=algorithm)
        grads.append(torch.autograd.grad(picture, (rgb, alpha), cotangent))
    for ours, truth in zip(*grads, strict=True):
        assert relative_error(ours, truth) < TOLERANCE[torch.float64].gradient


def test_gradcheck_of_radii_across_the_border_of_the_grid_of_pixels():
    layers = random_layers(height=3, width=4)
    inputs = leaves(tb.Layers(layers.rgb + 0.1, 0.8 * layers.alpha + 0.1, layers.disparity))
    lens = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (70.0, 0.503)]

    def picture(rgb, alpha, disparity, blur, focus):
        return tb.render(tb.Layers(rgb, alpha, disparity), tb.ThinLens(blur, focus), model="subaperture", cells=4)

    assert torch.autograd.gradcheck(picture, (*inputs, *lens), atol=1e-6, rtol=1e-4, fast_mode=True)


FLAT_RADII_PX = [0.0, 0.02, 0.9, 1.3, 2.3, 5.7, 12.0]


def flat_scene(height: int, width: int, dtype: torch.dtype = torch.float64) -> tb.Layers:
    """Two layers, each at one disparity: 1 and −0.3."""
    noise = random_layers(count=2, height=height, width=width, dtype=dtype)
    disparity = torch.tensor([1.0, -0.3], dtype=dtype).view(1, 2, 1, 1, 1).expand_as(noise.disparity)
    return tb.Layers(noise.rgb, noise.alpha, disparity)


@pytest.mark.parametrize("dtype", DTYPES)
@every_algorithm
def test_the_image_of_flat_layers_is_the_same_whatever_wants_a_gradient(algorithm, dtype):
    layers = flat_scene(19, 23, dtype)
    for blur in FLAT_RADII_PX:
        image = run(layers, blur, 0.0, algorithm=algorithm)
        assert torch.equal(run(tb.Layers(*leaves(layers)), blur, 0.0, algorithm=algorithm).detach(), image)
        learnt = torch.tensor(blur, dtype=dtype, requires_grad=True)
        assert torch.equal(run(layers, learnt, 0.0, algorithm=algorithm).detach(), image)


@pytest.mark.parametrize(("blur", "algorithm"), [(0.9, "exact"), (2.3, "fast"), (12.0, "exact"), (12.0, "fast")])
def test_gradcheck_of_flat_layers(blur, algorithm):
    """A step of a pixel's disparity makes its layer uneven: the image has no jump there."""
    layers = flat_scene(3, 4)
    inputs = leaves(tb.Layers(layers.rgb + 0.1, 0.8 * layers.alpha + 0.1, layers.disparity))
    lens = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (blur, 0.013)]

    def image(rgb, alpha, disparity, blur, focus):
        how = {"model": "subaperture", "cells": 4, "algorithm": algorithm}
        return tb.render(tb.Layers(rgb, alpha, disparity), tb.ThinLens(blur, focus), **how)

    assert torch.autograd.gradcheck(image, (*inputs, *lens), atol=1e-6, rtol=1e-4, fast_mode=True)


@pytest.mark.parametrize("algorithm", ["exact", "fast"])
@pytest.mark.parametrize("aperture", [APERTURES["disc"], APERTURES["image"]], ids=["disc", "image"])
def test_layers_that_are_nearly_flat_are_the_reference(aperture, algorithm):
    """Their first-order term and its gradients; and the image tends to that of the flat layer."""
    flat = flat_scene(9, 11)
    unevenness = 1e-4 * torch.rand(flat.disparity.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    layers = tb.Layers(flat.rgb, flat.alpha, flat.disparity + unevenness)
    cotangent = torch.rand(1, 3, 9, 11, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    images, grads = [], []
    for name in (algorithm, "reference"):
        inputs = leaves(layers)
        images.append(run(tb.Layers(*inputs), 7.0, 0.1, aperture, algorithm=name))
        grads.append(torch.autograd.grad(images[-1], inputs, cotangent))
    assert (images[0] - images[1]).abs().max() < TOLERANCE[torch.float64].picture
    for name, ours, truth in zip(("rgb", "alpha", "disparity"), *grads, strict=True):
        assert relative_error(ours, truth) < TOLERANCE[torch.float64].gradient, name
    assert 0 < (images[0] - run(flat, 7.0, 0.1, aperture, algorithm=algorithm)).abs().max() < 1e-3


def operator_inputs(height: int, width: int, summation: str = "auto") -> tuple:
    """Arguments of the operator: textures and radii, no image, a disc, four cells, all of the picture at once."""
    layers = random_layers(height=height, width=width)
    textures = torch.cat([layers.alpha * layers.rgb, layers.alpha], 2).requires_grad_()
    radius = (5 * layers.disparity[:, :, 0] - 2.013).requires_grad_()
    disc = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    return textures, radius, None, disc, 4, [0, height, 0, width], [0.0, 0.0], summation, True


def test_the_device_is_waited_for_twice_whatever_the_layers_and_not_at_all_for_the_gradient(monkeypatch):
    """Once for the range of the radii, once for the nodes between which uneven layers have any."""
    waits, copy = [], torch.Tensor.to

    def watched(tensor: Tensor, *args: object, **kwargs: object) -> Tensor:
        if args and args[0] == "cpu":
            waits.append(tensor)
        return copy(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "to", watched)
    monkeypatch.setattr(subaperture_sums, "read_back", waits.append)
    monkeypatch.setattr(subaperture_slices, "read_back", waits.append)
    inputs = leaves(with_flat_layer(random_layers(batch=2, count=3, height=4, width=5)))
    picture = run(tb.Layers(*inputs), 70.0, cells=4)
    assert len(waits) == 2
    picture.sum().backward()
    assert len(waits) == 2


def test_the_operator_passes_opcheck():
    torch.library.opcheck(ops.subaperture, operator_inputs(4, 5))


@pytest.mark.parametrize("summation", ["taps", "integral images"])
def test_the_adjoint_is_the_transpose_of_the_jacobian(summation):
    """⟨Jv, u⟩ = ⟨v, Jᵀu⟩; J v by central differences."""
    textures, radius, *settings = operator_inputs(21, 18, summation)
    generator = torch.Generator().manual_seed(0)
    v_textures, v_radius, u = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in (textures.shape, radius.shape, (1, 3, 21, 18))
    )
    transposed = torch.autograd.grad(ops.subaperture(textures, radius, *settings)[0], (textures, radius), u)
    step = 1e-7
    with torch.no_grad():
        ahead, behind = (
            ops.subaperture(textures + sign * step * v_textures, radius + sign * step * v_radius, *settings)[0]
            for sign in (1, -1)
        )
    pushed = ((ahead - behind) / (2 * step) * u).sum()
    pulled = (v_textures * transposed[0]).sum() + (v_radius * transposed[1]).sum()
    assert pushed.item() == pytest.approx(pulled.item(), rel=1e-6)


def test_light_that_is_pulled_back_is_light_that_was_pushed():
    """The picture is linear in rgb, so ⟨∂(⟨u, picture⟩)/∂rgb, rgb⟩ = ⟨u, picture⟩; behind a cat-eye's views as well."""
    for aperture in (tb.Aperture(), tb.Aperture(cat_eye=0.4)):
        inputs = leaves(random_layers(height=9, width=10))
        picture = run(tb.Layers(*inputs), 2.0, aperture=aperture, cells=4)
        u = torch.rand(picture.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        grads = torch.autograd.grad(picture, inputs, u)
        assert (grads[0] * inputs[0]).sum().item() == pytest.approx((u * picture).sum().item(), rel=1e-10)
        assert all(grad.isfinite().all() and grad.abs().max() > 1e-3 for grad in grads)


# ---- properties


@pytest.mark.parametrize("dtype", DTYPES)
@every_algorithm
def test_no_blur_is_the_identity(algorithm, dtype):
    layers = random_layers(count=3, dtype=dtype)
    sharp = reference.composite(layers.alpha * layers.rgb, layers.alpha[:, :, 0])
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-6}[dtype]
    torch.testing.assert_close(run(layers, 0.0, algorithm=algorithm), sharp, atol=tolerance, rtol=0)
    opaque = flat_layers(layers.rgb[0, 0], 0.7)
    torch.testing.assert_close(run(opaque, 50.0, 0.7, algorithm=algorithm)[0], opaque.rgb[0, 0], atol=tolerance, rtol=0)


@pytest.mark.parametrize("cells", [1, 16])
@every_algorithm
def test_a_constant_opaque_picture_stays_constant(algorithm, cells):
    noise = random_layers(dtype=torch.float32)
    layers = tb.Layers(torch.full_like(noise.rgb, 0.37), torch.ones_like(noise.alpha), noise.disparity)
    picture = run(layers, cells=cells, algorithm=algorithm)
    torch.testing.assert_close(picture, torch.full_like(picture, 0.37), atol=5e-7, rtol=0)


@every_algorithm
@every_aperture
def test_energy_is_kept_away_from_the_border(aperture, algorithm):
    picture = run(point_light(33, 1e4), 9.0, 0.0, aperture, algorithm=algorithm)
    assert picture[0, 0].sum().item() == pytest.approx(1e4, rel=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cells", [1, 16, 64])
@pytest.mark.parametrize("algorithm", ["exact", "fast"])
def test_a_point_light_of_10000_is_an_even_disc_without_dots(algorithm, cells, dtype):
    layers = point_light(33, 1e4, dtype=dtype)
    picture = run(layers, 10.0, 0.0, cells=cells, algorithm=algorithm)[0, 0]
    distance = torch.hypot(*torch.meshgrid(torch.arange(33.0) - 16, torch.arange(33.0) - 16, indexing="ij"))
    inside = distance < 10 - 1.5
    assert picture[inside].max() / picture[inside].min() < 1 + 1e-5
    assert picture[inside].mean().item() == pytest.approx(1e4 / (math.pi * 10**2), rel=1e-5)
    assert picture[distance > 10 + 1.5].abs().max() < 1e-9  # integral images leave roundings, of 1e4
    rays = tb.trace(layers, tb.ThinLens(10.0, 0.0), rays=64)[0, 0]
    assert rays[inside].max() > 100 * rays[inside].min()  # 64 rays draw 64 dots


@pytest.mark.parametrize("algorithm", ["exact", "fast"])
def test_near_highlights_are_the_point_mirrors_of_far_ones(algorithm):
    near, far = (
        run(point_light(33, 1.0, disparity), 9.0, 0.0, APERTURES["image"], algorithm=algorithm)[0, 0]
        for disparity in (1.0, -1.0)
    )
    torch.testing.assert_close(near, far.flip(0, 1), atol=1e-13, rtol=0)
    assert (near - far).abs().max() > 1e-3


@pytest.mark.parametrize(("cells", "tolerance"), [(1, 1e-12), (4, 1e-12), (16, 0.02)])
def test_transposes_commute_with_blur_as_far_as_the_cells_do(cells, tolerance):
    """Quarters of the disc are symmetric in x and y; but 16 cells are cut across before they are cut along."""
    layers = random_layers(height=16, width=16)
    transpose = lambda t: t.transpose(-2, -1)  # noqa: E731
    difference = run(turned(layers, transpose), cells=cells) - transpose(run(layers, cells=cells))
    assert difference.abs().max() < tolerance


@pytest.mark.parametrize("blur", [3.0, 70.0])
def test_tiles_leave_no_seam(monkeypatch, blur):
    layers = with_flat_layer(random_layers(height=40, width=22))
    inputs = leaves(layers)
    whole = run(tb.Layers(*inputs), blur, cells=4)
    expected = torch.autograd.grad(whole.square().sum(), inputs)

    monkeypatch.setattr(subaperture_windows, "_WINDOW_BYTES", 1)
    heard = []
    picture = run(tb.Layers(*inputs), blur, cells=4, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(done, 6) for done in range(1, 7)]
    torch.testing.assert_close(picture, whole, atol=1e-12, rtol=0)
    for ours, truth in zip(torch.autograd.grad(picture.square().sum(), inputs), expected, strict=True):
        torch.testing.assert_close(ours, truth, atol=1e-10, rtol=1e-10)


def test_the_same_bits_twice_and_on_any_number_of_threads():
    layers = with_flat_layer(random_layers(height=24, width=25, dtype=torch.float32))
    results = []
    for count in (2, 2, 1):
        torch.set_num_threads(count)
        inputs = leaves(layers)
        picture = run(tb.Layers(*inputs), 2.0)
        results.append((picture, *torch.autograd.grad(picture.square().sum(), inputs)))
    for again in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], again, strict=True))


@pytest.mark.parametrize(("blur", "focus"), [(0.0, 0.5), (1e-6, 0.5), (12.0, 0.8)])
@pytest.mark.parametrize("alpha", [0.0, 1.0, None])
def test_pictures_and_gradients_are_finite_in_float32(alpha, blur, focus):
    noise = with_flat_layer(random_layers(height=9, width=10, dtype=torch.float32))
    rgb = noise.rgb.clone()
    rgb[..., ::4, ::3] = 1e4
    inputs = leaves(tb.Layers(rgb, noise.alpha if alpha is None else torch.full_like(noise.alpha, alpha), noise.disparity))
    lens = [torch.tensor(value, requires_grad=True) for value in (blur, focus)]
    picture = tb.render(tb.Layers(*inputs), tb.ThinLens(*lens), model="subaperture", cells=4)
    assert picture.isfinite().all()
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(picture.sum(), (*inputs, *lens)))


# ---- against ray tracing


@pytest.mark.parametrize("focus", [0.0, 0.5, 1.0])
def test_more_cells_are_nearer_the_truth_and_16_beat_the_scatter_model_by_8_db(focus):
    layers, lens = billboards(), tb.ThinLens(10.0, focus)
    truth = tb.trace(layers, lens, rays=4096)
    accuracy = [psnr(run(layers, 10.0, focus, cells=cells), truth) for cells in (1, 4, 16, 64)]
    assert accuracy == sorted(accuracy)
    assert min(after - before for before, after in itertools.pairwise(accuracy)) > 4
    assert accuracy[2] > psnr(tb.render(layers, lens, "scatter"), truth) + 8


@pytest.mark.parametrize("aperture", [APERTURES["blades"], APERTURES["image"]], ids=["blades", "image"])
def test_other_apertures_are_as_accurate(aperture):
    layers, lens = billboards(), tb.ThinLens(10.0, 0.5, aperture)
    assert psnr(run(layers, 10.0, 0.5, aperture), tb.trace(layers, lens, rays=4096)) > 48


@pytest.mark.parametrize("shape", ["slanted", "curved"])
@pytest.mark.parametrize("focus", [0.0, 0.35, 1.0])
def test_slanted_and_curved_layers_are_those_that_rays_see(shape, focus):
    y, x = torch.meshgrid(*[torch.linspace(0, 1, 32, dtype=torch.float64)] * 2, indexing="ij")
    plane = 0.5 * x + 0.2 * y if shape == "slanted" else 0.3 + 0.2 * torch.sin(3 * x) * torch.cos(2 * y)
    disparity = plane[None, None, None]
    layers = tb.Layers(smooth_picture(32), torch.ones_like(disparity), disparity)
    truth = tb.trace(layers, tb.ThinLens(10.0, focus), rays=4096)
    assert psnr(run(layers, 10.0, focus), truth) > 50


def test_a_slanted_layer_of_large_radii_is_that_which_rays_see():
    """From 40 to 68 px, on grids of 2 and 4 pixels."""
    x = torch.linspace(0.6, 1, 96, dtype=torch.float64).expand(1, 1, 1, 96, 96).contiguous()
    layers = tb.Layers(smooth_picture(96), torch.ones_like(x), x)
    picture, truth = run(layers, 67.0, 0.0), tb.trace(layers, tb.ThinLens(67.0, 0.0), rays=1024)
    inside = (..., slice(20, -20), slice(20, -20))
    assert psnr(picture[inside], truth[inside]) > 50


@pytest.mark.parametrize("focus", [0.0, 0.5])
def test_a_cat_eye_is_that_of_the_rays(focus):
    layers, aperture = billboards(28, 2), tb.Aperture(cat_eye=0.3)
    truth = tb.trace(layers, tb.ThinLens(6.0, focus, aperture), rays=4096)
    accuracy = psnr(run(layers, 6.0, focus, aperture), truth)
    assert accuracy > 40
    assert accuracy > psnr(run(layers, 6.0, focus), truth) + 8


@pytest.mark.slow
def test_where_the_rim_shuts_the_lens_it_is_dark():
    """A narrow opening behind a full cat-eye: no ray reaches the corners, and nothing is divided by their light."""
    inputs = leaves(flat_layers(torch.ones(3, 16, 16, dtype=torch.float64), 1.0))
    picture = run(tb.Layers(*inputs), 4.0, 0.0, tb.Aperture(squeeze=4.0, cat_eye=1.0), cells=1)
    assert picture[0, 0, 8, 8].item() == pytest.approx(1, abs=1e-9)
    assert picture[0, 0, 0, 0].item() == 0
    assert all(grad.isfinite().all() for grad in torch.autograd.grad(picture.sum(), inputs))


# ---- cells


@pytest.mark.parametrize(
    ("count", "largest_px", "cells"), [(1, 30.0, 1), (2, 2.0, 4), (2, 2.1, 16), (8, 40.0, 16), (9, 30.0, 64), (2, 41.0, 64)]
)
def test_auto_takes_as_many_cells_as_layers_and_radii_ask_for(count, largest_px, cells):
    layers = random_layers(count=count, height=4, width=4)
    radius = torch.linspace(-1, 1, count).view(1, count, 1, 1).expand(1, count, 4, 4) * largest_px
    assert cells_for(layers, radius) == cells


def test_auto_asks_a_layer_that_is_not_flat_for_more_than_one_cell():
    layers = random_layers(count=1, height=4, width=4)
    assert cells_for(layers, 0.5 * layers.disparity[:, :, 0]) == 4


def test_cells_are_16_unless_said_otherwise_and_auto_picks_a_number():
    layers = with_flat_layer(random_layers(height=7, width=8))
    assert torch.equal(run(layers), run(layers, cells=16))
    assert torch.equal(run(layers, 1.0, cells="auto"), run(layers, 1.0, cells=4))


def test_an_aperture_that_lets_light_through_at_a_few_points_is_rendered():
    image = torch.zeros(256, 256)
    image[20, 30] = image[230, 200] = 1  # two pinholes
    picture = run(point_light(33, 1.0, -1.0), 12.0, 0.0, tb.Aperture(image=image))[0, 0]
    assert picture.sum().item() == pytest.approx(1, abs=1e-9)
    for row, column in ((20, 30), (230, 200)):
        y, x = (round(16 + 12 * ((place + 0.5) / 128 - 1)) for place in (row, column))
        assert picture[y - 1 : y + 2, x - 1 : x + 2].sum().item() == pytest.approx(0.5, abs=1e-3)


# ---- torch's rules


@pytest.mark.parametrize("how", ["auto", "cat_eye"])
def test_what_depends_on_values_is_refused_under_compilation(how):
    layers = random_layers(height=5, width=6, dtype=torch.float32)
    lens = tb.ThinLens(3.0, 0.5, tb.Aperture(cat_eye=0.3 if how == "cat_eye" else 0.0))
    cells = "auto" if how == "auto" else 16

    def picture(rgb):
        return tb.render(tb.Layers(rgb, layers.alpha, layers.disparity), lens, model="subaperture", cells=cells)

    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="depends on the values of tensors"):
        torch.compile(picture, fullgraph=True, backend="aot_eager")(layers.rgb)


# ---- arguments


@pytest.mark.parametrize("aperture", [tb.Aperture(), tb.Aperture(cat_eye=0.4)], ids=["disc", "cat-eye"])
def test_progress_is_reported_to_the_end_and_changes_nothing(aperture):
    layers = random_layers(batch=2, height=8, width=8, dtype=torch.float32)
    heard: list[tuple[int, int]] = []
    picture = run(layers, 1.5, aperture=aperture, cells=4, progress=lambda done, total: heard.append((done, total)))
    assert torch.equal(picture, run(layers, 1.5, aperture=aperture, cells=4))
    totals = {total for _, total in heard}
    assert len(totals) == 1
    assert [done for done, _ in heard] == list(range(1, totals.pop() + 1))
    assert len(heard) >= 2


@pytest.mark.parametrize("algorithm", ["auto", "exact", "fast", "reference"])
def test_a_blur_that_is_not_a_number_is_an_error(algorithm):
    with pytest.raises(ValueError, match="blur holds NaN"):
        tb.ThinLens(torch.tensor(torch.nan), 0.5)
    layers = random_layers(height=3, width=3, dtype=torch.float32)
    far = tb.Layers(layers.rgb, layers.alpha, 1e3 * layers.disparity)
    with pytest.raises(ValueError, match="blur radius is not finite"):
        run(far, 1e38, algorithm=algorithm)


def test_a_blur_beyond_all_memory_is_refused():
    with pytest.raises(ValueError, match="largest blur radius"):
        run(flat_layers(torch.rand(3, 4, 4), 1.0), 2e4, 0.0, cells=256)  # kernels of 3 TB


# ---- what it says of itself


def test_explain_tells_flat_layers_nodes_and_coarser_grids():
    layers = with_flat_layer(random_layers(height=9, width=9))
    for blur, end in ((3.0, "nodes of the radius"), (140.0, "nodes of the radius, the largest on grids of 2 and 4 px a cell")):
        plans = tb.explain(layers, tb.ThinLens(blur, 0.4), model="subaperture").layers
        assert plans[0].reason == "the layer is flat: one kernel a cell"
        assert plans[1].reason.endswith(end)
