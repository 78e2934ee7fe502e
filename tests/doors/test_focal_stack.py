import math

import pytest
import torch

import taichi_bokeh as tb

FOCI = [0.1, 0.45, 0.8]


def tensors(batch=2):
    generator = torch.Generator().manual_seed(0)
    rgb, alpha, disparity = (torch.rand(batch, 2, c, 12, 13, generator=generator) for c in (3, 1, 1))
    alpha[:, -1] = 1
    return [value.requires_grad_() for value in (rgb, alpha, 0.3 * disparity + torch.tensor([0.6, 0.1])[:, None, None, None])]


def leaves(batch=2):
    rgb, alpha, disparity = (value.detach().requires_grad_() for value in tensors(batch))
    return [rgb, alpha, disparity, torch.tensor(6.0, requires_grad=True), torch.tensor(FOCI, requires_grad=True)]


def one_by_one(rgb, alpha, disparity, blur, foci, aperture, **model):
    layers = tb.Layers(rgb, alpha, disparity)
    return torch.stack([tb.render(layers, tb.ThinLens(blur, focus, aperture), **model) for focus in foci.unbind(-1)], 1)


def together(rgb, alpha, disparity, blur, foci, aperture, **model):
    return tb.focal_stack(tb.Layers(rgb, alpha, disparity), tb.ThinLens(blur, 0.0, aperture), foci, **model)


@pytest.mark.parametrize(
    "model",
    [{}, {"model": "scatter"}, {"model": "scatter-official"}, {"model": tb.SubAperture(cells="auto")}, {"memory_bytes": 1}],
    ids=str,
)
def test_slices_and_gradients_of_images_are_those_of_renders_one_by_one(model):
    inputs = leaves()
    stack = together(*inputs, tb.Aperture(), **model)
    model.pop("memory_bytes", None)
    expected = one_by_one(*inputs, tb.Aperture(), **model)
    assert stack.shape == (2, 3, 3, 12, 13)
    assert torch.equal(stack, expected)
    weights = torch.rand(stack.shape, generator=torch.Generator().manual_seed(1))
    found, truth = (torch.autograd.grad((image * weights).sum(), inputs) for image in (stack, expected))
    for a, b in zip(found, truth, strict=True):
        assert (a - b).abs().max() <= 2e-6 * b.abs().max()  # the same summands, in another order


def test_a_cat_eye_sees_each_slice_as_it_is_seen_alone():
    inputs = [value.detach() for value in leaves(1)]
    aperture = tb.Aperture(cat_eye=0.05)
    assert torch.equal(together(*inputs, aperture, cells=4), one_by_one(*inputs, aperture, cells=4))


def test_scenes_may_have_foci_of_their_own():
    rgb, alpha, disparity, _, _ = (value.detach() for value in leaves())
    foci = torch.tensor([[0.1, 0.2], [0.6, 0.7]])
    stack = tb.focal_stack(tb.Layers(rgb, alpha, disparity), tb.ThinLens(torch.tensor([3.0, 6.0]), 0.0), foci, "scatter")
    alone = tb.render(tb.Layers(rgb[1:], alpha[1:], disparity[1:]), tb.ThinLens(6.0, 0.7), "scatter")
    assert torch.equal(stack[1:, 1], alone)


@pytest.mark.parametrize(
    ("foci", "message"),
    [
        ([], "foci is empty"),
        ([0.1, math.nan], r"foci\[1\] is nan"),
        (0.5, "foci is of type float"),
        (torch.zeros(3, 2), r"foci has shape \[3, 2\]; expected \[S\] or \[2, S\]"),
        (torch.full((2,), math.nan), "foci holds NaN"),
    ],
)
def test_errors_name_the_argument(foci, message):
    with pytest.raises((TypeError, ValueError), match=message):
        tb.focal_stack(tb.Layers(*tensors()), tb.ThinLens(3.0, 0.5), foci)
