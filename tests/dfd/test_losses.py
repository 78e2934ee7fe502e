"""The losses against slow formulas, and what they are for."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from taichi_bokeh.dfd.losses import PRESETS, SSIM, Objective, edge_aware_gradient, hssim, l1, ssim, to_gamma


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_ssim(a: Tensor, b: Tensor, window: int) -> float:
    """Of two planes [H, W], pixel by pixel."""
    height, width = a.shape
    half, sigma = window // 2, 1.5 * window / 11
    total = 0.0
    for y in range(height):
        for x in range(width):
            m = {"w": 0.0, "a": 0.0, "b": 0.0, "aa": 0.0, "bb": 0.0, "ab": 0.0}
            for j in range(-half, half + 1):
                for i in range(-half, half + 1):
                    row, column = min(max(y + j, 0), height - 1), min(max(x + i, 0), width - 1)
                    p, q, w = float(a[row, column]), float(b[row, column]), math.exp(-(i * i + j * j) / (2 * sigma**2))
                    for key, value in (("w", 1), ("a", p), ("b", q), ("aa", p * p), ("bb", q * q), ("ab", p * q)):
                        m[key] += w * value
            ma, mb, aa, bb, ab = (m[key] / m["w"] for key in ("a", "b", "aa", "bb", "ab"))
            light = (2 * ma * mb + 1e-4) / (ma * ma + mb * mb + 1e-4)
            total += light * (2 * (ab - ma * mb) + 9e-4) / (aa - ma * ma + bb - mb * mb + 9e-4)
    return total / (height * width)


# ---- pictures


def test_gamma_is_that_of_the_formula_and_finite_at_black():
    values = torch.tensor([-1.0, 0.0, 0.5, 8.0], dtype=torch.float64, requires_grad=True)
    shown = to_gamma(values)
    expected = [(max(v, 0.0) + 1e-3) ** (1 / 2.2) for v in values.tolist()]
    assert shown.tolist() == pytest.approx(expected, rel=1e-12)
    shown.sum().backward()
    assert bool(values.grad.isfinite().all())


def test_l1_is_the_mean_difference_of_every_picture():
    picture, target = noise(2, 3, 4, 5), noise(2, 3, 4, 5, seed=1)
    expected = [np.abs(p.numpy() - t.numpy()).mean() for p, t in zip(picture, target, strict=True)]
    assert l1(picture, target).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("window", [3, 7])
def test_ssim_is_its_formula_border_included(window):
    picture, target = noise(1, 2, 8, 9), noise(1, 2, 8, 9, seed=1)
    expected = sum(slow_ssim(picture[0, c], target[0, c], window) for c in range(2)) / 2
    assert float(ssim(picture, target, window)) == pytest.approx(expected, abs=1e-12)


def test_ssim_is_that_of_scikit_image_where_the_border_does_not_count():
    """It reflects borders and leaves 5 px out of its mean; a frame of equal constants has the similarity 1 in both."""
    picture, target = torch.full((2, 1, 1, 50, 41), 0.5, dtype=torch.float64)
    picture[..., 10:-10, 10:-10] = noise(30, 21)
    target[..., 10:-10, 10:-10] = 0.7 * noise(30, 21) + 0.3 * noise(30, 21, seed=1)
    _, theirs = structural_similarity(
        picture[0, 0].numpy(),
        target[0, 0].numpy(),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert float(ssim(picture, target)) == pytest.approx(theirs.mean(), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ssim_of_equal_pictures_is_one_and_it_is_symmetric(dtype):
    picture, target = noise(2, 3, 33, 35).to(dtype), noise(2, 3, 33, 35, seed=1).to(dtype)
    assert ssim(picture, picture).tolist() == pytest.approx([1.0, 1.0], abs=2e-6)
    assert hssim(picture, picture).tolist() == pytest.approx([0.0, 0.0], abs=2e-6)
    torch.testing.assert_close(ssim(picture, target), ssim(target, picture))


def test_a_shift_of_the_light_costs_by_the_luminance_term_alone():
    """Two constant pictures a, b have the similarity (2ab + C1)/(a² + b² + C1) whatever the window."""
    dark, bright = torch.full((1, 1, 31, 31), 0.2, dtype=torch.float64), torch.full((1, 1, 31, 31), 0.6, dtype=torch.float64)
    expected = (2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4)
    assert float(1 - hssim(dark, bright)) == pytest.approx(expected, rel=1e-9)


def test_hssim_is_the_mean_over_windows_and_a_fixed_target_gives_the_same():
    picture, target = noise(2, 3, 12, 15), noise(2, 3, 12, 15, seed=1)
    windows = (3, 5, 11)
    each = torch.stack([1 - ssim(picture, target, window) for window in windows]).mean(0)
    torch.testing.assert_close(hssim(picture, target, windows), each)
    torch.testing.assert_close(1 - SSIM(target, windows)(picture), each)


def test_a_batch_of_losses_is_a_loop():
    picture, target, disparity = noise(3, 3, 12, 15), noise(3, 3, 12, 15, seed=1), noise(3, 1, 12, 15, seed=2)
    for loss in (l1, ssim, lambda p, t: hssim(p, t, (3, 5)), lambda p, _: edge_aware_gradient(disparity[: len(p)], p)):
        assert loss(picture, target).shape == (3,)
        torch.testing.assert_close(loss(picture, target)[:1], loss(picture[:1], target[:1]))


def test_gradients_of_the_losses_are_their_derivatives():
    picture, target = noise(1, 1, 5, 6).requires_grad_(), noise(1, 1, 5, 6, seed=1)
    disparity = noise(1, 1, 5, 6, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(to_gamma, (picture,))
    assert torch.autograd.gradcheck(lambda p: l1(p, target), (picture,))
    assert torch.autograd.gradcheck(lambda p: hssim(p, target, (3, 5)), (picture,), fast_mode=True)
    for order in (1, 2):
        assert torch.autograd.gradcheck(lambda d, g, o=order: edge_aware_gradient(d, g, order=o), (disparity, picture))


# ---- disparity


def slow_gradient(disparity: Tensor, guide: Tensor, weight: float, levels: int) -> float:
    """Of one picture, [1, H, W] and [C, H, W]; sizes are powers of two."""
    total = 0.0
    d, g = disparity.numpy(), guide.numpy()
    for _ in range(levels):
        for axis in (1, 2):
            if d.shape[axis] > 1:
                contrast = np.abs(np.diff(g, axis=axis)).mean(0)
                total += (np.abs(np.diff(d, axis=axis))[0] * np.exp(-weight * contrast)).mean()
        if min(d.shape[1:]) > 1:
            d, g = ((t[:, ::2, ::2] + t[:, 1::2, ::2] + t[:, ::2, 1::2] + t[:, 1::2, 1::2]) / 4 for t in (d, g))
    return total / levels


def test_the_gradient_is_its_formula_over_a_pyramid():
    disparity, guide = noise(1, 1, 8, 8), noise(1, 3, 8, 8, seed=1)
    expected = slow_gradient(disparity[0], guide[0], 10.0, 3)
    assert float(edge_aware_gradient(disparity, guide, levels=3)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("height", "width"), [(5, 7), (1, 9), (3, 1), (1, 1)])
def test_odd_sizes_and_single_pixels_are_no_trouble(height, width):
    ramp = torch.arange(width, dtype=torch.float64).expand(1, 1, height, width)
    flat = torch.zeros(1, 3, height, width, dtype=torch.float64)
    for order in (1, 2):
        assert float(edge_aware_gradient(torch.ones_like(ramp), flat, order=order)) == 0
        assert bool(edge_aware_gradient(ramp, flat, order=order).isfinite().all())
    assert (float(edge_aware_gradient(ramp, flat)) > 0) == (width > 1)


def test_an_odd_border_is_averaged_over_what_is_there():
    """Three columns 0, 0, 1 halve to 0, 1, the last of which is alone."""
    step = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand(1, 1, 2, 3)
    flat = torch.zeros(1, 1, 2, 3, dtype=torch.float64)
    assert float(edge_aware_gradient(step, flat, levels=2)) == pytest.approx((0.5 + 1.0) / 2)


def test_a_slanted_plane_has_no_second_differences():
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (8, 12)), indexing="ij")
    slanted, guide = (0.3 * x - 0.2 * y)[None, None], noise(1, 3, 8, 12)
    assert float(edge_aware_gradient(slanted, guide, levels=1, order=2)) < 1e-14
    assert float(edge_aware_gradient(slanted, guide, levels=1)) > 0.01


def test_a_jump_of_disparity_is_cheap_where_the_guide_has_an_edge():
    jump, flat = torch.zeros(1, 1, 8, 8, dtype=torch.float64), torch.zeros(1, 3, 8, 8, dtype=torch.float64)
    jump[..., 4:] = 1.0
    edge, beside = flat.clone(), flat.clone()
    edge[..., 4:], beside[..., 3:] = 0.5, 0.5
    for order in (1, 2):
        on_edge, on_flat, off_edge = (float(edge_aware_gradient(jump, guide, 10.0, 1, order)) for guide in (edge, flat, beside))
        assert on_edge == pytest.approx(on_flat * math.exp(-5.0))
        assert off_edge > 0.4 * on_flat


# ---- objectives


@pytest.mark.parametrize("name", PRESETS)
def test_an_objective_is_the_weighted_sum_of_its_terms(name):
    objective = Objective.named(name)
    picture, target, guide = (noise(1, 3, 32, 33, seed=k) for k in range(3))
    disparity = noise(1, 1, 32, 33, seed=3)
    loss = objective.against(target, guide)(picture, disparity)
    shown, seen = to_gamma(picture), to_gamma(target)
    expected = objective.l1 * l1(shown, seen) + objective.ssim * hssim(shown, seen, objective.windows)
    smooth = edge_aware_gradient(disparity, to_gamma(guide), objective.edge_weight, objective.levels)
    expected = expected + objective.gradient * smooth
    torch.testing.assert_close(loss.total, expected[0])
    assert set(loss.terms) == {"l1", "gradient"} | ({"ssim"} if objective.ssim else set())


def test_the_presets_are_the_published_weights():
    assert (PRESETS["l1+g+hssim"].l1, PRESETS["l1+g+hssim"].ssim) == (0.5, 10.0)
    assert PRESETS["l1+g+hssim"].windows == (3, 5, 11, 21, 31)
    assert PRESETS["gausspsf"].ssim == 0.85 / 2
    assert PRESETS["gausspsf"].l1 == 0.15


def test_without_gamma_pictures_are_compared_in_linear_light():
    picture, target, guide = (noise(1, 3, 5, 6, seed=k) for k in range(3))
    objective = Objective(gradient=0.0, gamma=False)
    loss = objective.against(target, guide)(picture, noise(1, 1, 5, 6))
    torch.testing.assert_close(loss.total, l1(picture, target)[0])


def test_a_stack_has_more_pictures_than_disparities():
    target, guide, disparity = noise(4, 3, 6, 7), noise(2, 3, 6, 7, seed=1), noise(2, 1, 6, 7, seed=2)
    loss = Objective().against(target, guide)(target, disparity)
    assert loss.terms["l1"].tolist() == [0.0] * 4
    torch.testing.assert_close(loss.total, 0.01 * edge_aware_gradient(disparity, to_gamma(guide)).mean())


def test_the_loss_of_an_objective_is_differentiable_in_picture_and_disparity():
    target, guide = noise(1, 3, 5, 6), noise(1, 3, 5, 6, seed=1)
    loss = Objective(ssim=1.0, windows=(3, 5), order=2).against(target, guide)
    inputs = noise(1, 3, 5, 6, seed=2).requires_grad_(), noise(1, 1, 5, 6, seed=3).requires_grad_()
    assert torch.autograd.gradcheck(lambda picture, disparity: loss(picture, disparity).total, inputs, fast_mode=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"l1": -1.0}, r"l1 is -1\.0; expected at least 0"),
        ({"l1": 0.0}, "l1 and ssim are 0; expected one above 0"),
        ({"windows": (4,)}, "windows has 4 px; expected odd numbers"),
        ({"windows": (1,)}, "windows is 1; expected at least 3"),
        ({"windows": ()}, "windows is empty; expected at least one"),
        ({"levels": 0}, "levels is 0; expected at least 1"),
        ({"order": 3}, "order is 3; expected one of 1, 2"),
    ],
)
def test_an_objective_refuses_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        Objective(**settings)


def test_what_does_not_fit_is_refused_by_name():
    picture = noise(1, 3, 9, 12)
    with pytest.raises(ValueError, match="windows has 11 px; expected at most the size of target, 12x9 px"):
        ssim(picture, picture)
    with pytest.raises(ValueError, match=r"picture has shape \[1, 3, 9, 11\]; expected \[1, 3, 9, 12\]"):
        l1(picture[..., 1:], picture)
    with pytest.raises(ValueError, match=r"picture is torch\.float32 on cpu; expected that of target, torch\.float64"):
        l1(picture.float(), picture)
    with pytest.raises(ValueError, match=r"disparity has shape \[1, 3, 9, 12\]; expected \[1, 1, 9, 12\]"):
        edge_aware_gradient(picture, picture)
    with pytest.raises(ValueError, match=r"guide has shape \[1, 3, 9, 11\]; expected \[B, 3, 9, 12\]"):
        Objective().against(picture, picture[..., 1:])
    with pytest.raises(ValueError, match=r"name is 'l2'; expected one of 'l1\+g', "):
        Objective.named("l2")
    with pytest.raises(TypeError, match="gamma is of type int; expected a bool"):
        Objective(gamma=1)


def test_the_roughness_of_several_maps_is_added_up():
    target, guide, picture = (noise(1, 3, 12, 12, seed=k) for k in range(3))
    first, second = noise(1, 1, 12, 12, seed=3), noise(1, 1, 12, 12, seed=4)
    loss = Objective(gradient=0.3).against(target, guide)
    alone = [loss(picture, one).terms["gradient"] for one in (first, second)]
    both = loss(picture, first, second)
    assert torch.allclose(both.terms["gradient"], alone[0] + alone[1])
    assert torch.allclose(both.total, both.terms["l1"].mean() + 0.3 * both.terms["gradient"].mean())
