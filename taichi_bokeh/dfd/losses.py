"""What an estimate of disparity is judged by: how its blurred picture differs from the one that was taken, and how rough it is.

Every loss gives one number for each picture of a batch, [B], and is differentiable.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from taichi_bokeh._autocast import in_full_precision, product
from taichi_bokeh._checks import (
    require_choice,
    require_float_tensor,
    require_integer,
    require_number,
    require_same_kind,
    require_shape,
    require_type,
)

WINDOWS = (3, 5, 11, 21, 31)
_C1, _C2 = 0.01**2, 0.03**2  # of a range of values of 1


@in_full_precision
def to_gamma(picture: Tensor, gamma: float = 2.2, offset: float = 1e-3) -> Tensor:
    """(max(picture, 0) + offset)^(1/gamma): roughly as bright as the eye sees it; the offset keeps the slope at 0 finite."""
    return (picture.contiguous().clamp(min=0) + offset) ** (1 / gamma)


@in_full_precision
def l1(picture: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference [B] of pictures [B, C, H, W].

    Raises:
        TypeError, ValueError: they are no such tensors, or differ in shape, dtype or device.
    """
    _require_picture("target", target)
    _require_alike("picture", picture, target)
    return _mean((picture.contiguous() - target.contiguous()).abs())


def ssim(picture: Tensor, target: Tensor, window: int = 11) -> Tensor:
    """Mean structural similarity [B] of pictures [B, C, H, W], in [−1, 1], 1 where they are equal: see `SSIM`."""
    return SSIM(target, (window,))(picture)


def hssim(picture: Tensor, target: Tensor, windows: Sequence[int] = WINDOWS) -> Tensor:
    """Loss of hierarchical structural similarity [B]: the mean of 1 − SSIM over several windows (Dr.Bokeh's H_SSIM)."""
    return 1 - SSIM(target, windows)(picture)


class SSIM:
    """Structural similarity (Wang et al. 2004) to a fixed target, whose statistics are computed once.

    The windows are Gaussian with σ = 1.5·window/11 px, the border is replicated, and values are taken to range over [0, 1]:
    C1 = 0.01², C2 = 0.03². Each axis is smoothed by one matrix, [H, H] and [W, W] for each window, which up to some thousand
    pixels is several times faster than a convolution.

    Args:
        target: [B, C, H, W], float32 or float64.
        windows: widths in px, odd and at least 3; results are means over them.

    Raises:
        TypeError, ValueError: target is no such tensor, or a window is even, too small, or larger than the target.
    """

    @in_full_precision
    def __init__(self, target: Tensor, windows: Sequence[int] = (11,)) -> None:
        _require_picture("target", target)
        _require_windows(windows)
        height, width = target.shape[-2:]
        if max(windows) > min(height, width):
            raise ValueError(f"windows has {max(windows)} px; expected at most the size of target, {width}x{height} px")
        self._target = target = target.contiguous()
        self._axes = [(_smoothing(height, window, target), _smoothing(width, window, target)) for window in windows]
        self._means = [self._smooth(target, axes) for axes in self._axes]
        squares = [self._smooth(target * target, axes) for axes in self._axes]
        self._variances = [square - mean * mean for square, mean in zip(squares, self._means, strict=True)]

    @in_full_precision
    def __call__(self, picture: Tensor) -> Tensor:
        """Mean over windows, channels and pixels, [B], of the similarity of a picture [B, C, H, W].

        Raises:
            TypeError, ValueError: it is not of the target's shape, dtype and device.
        """
        _require_alike("picture", picture, self._target)
        picture = picture.contiguous()
        moments = torch.cat([picture, picture * picture, picture * self._target], 1)
        similarity = [_mean(self._map(moments, k)) for k in range(len(self._axes))]
        return torch.stack(similarity).mean(0)

    def _map(self, moments: Tensor, k: int) -> Tensor:
        mean, square, product = self._smooth(moments, self._axes[k]).chunk(3, 1)
        target_mean, target_variance = self._means[k], self._variances[k]
        luminance = (2 * mean * target_mean + _C1) / (mean * mean + target_mean * target_mean + _C1)
        covariance = product - mean * target_mean
        return luminance * (2 * covariance + _C2) / (square - mean * mean + target_variance + _C2)

    @staticmethod
    def _smooth(planes: Tensor, axes: tuple[Tensor, Tensor]) -> Tensor:
        return product(product(axes[0], planes), axes[1].mT)


@in_full_precision
def edge_aware_gradient(disparity: Tensor, guide: Tensor, edge_weight: float = 10.0, levels: int = 4, order: int = 1) -> Tensor:
    """Roughness of a disparity map, less where the guide has edges, [B].

        G = 1/levels·Σ_level mean(|∂_x D|·exp(−w·|∂_x I|)) + mean(|∂_y D|·exp(−w·|∂_y I|))

    Each level halves the size of the one before by means over 2×2 pixels, at a border of an odd size over those that are
    there. A level of one pixel has no gradient, and an axis of fewer than order + 1 pixels adds nothing. Source: Dr.Bokeh, G,
    which has w = 1.

    Args:
        disparity: [B, 1, H, W], in any unit; the result is in this unit.
        guide: [B, C, H, W]; |∂I| is the mean over its channels.
        edge_weight: w, ≥ 0.
        levels: of the pyramid, at least 1.
        order: 1, or 2 for second differences, which leave slanted planes unpunished; |∂I| is then the larger of the two steps.

    Raises:
        TypeError, ValueError: an argument is not what it must be.
    """
    _require_picture("guide", guide)
    batch, _, height, width = guide.shape
    require_float_tensor("disparity", disparity)
    require_shape("disparity", disparity, batch, 1, height, width)
    require_same_kind("disparity", disparity, "guide", guide)
    require_number("edge_weight", edge_weight, at_least=0.0)
    require_integer("levels", levels, at_least=1)
    require_choice("order", order, (1, 2))
    disparity, guide = disparity.contiguous(), guide.contiguous()  # elementwise functions round by the layout
    total = disparity.new_zeros(batch)
    for level in range(levels):
        if level:
            disparity, guide = (avg_pool2d(t, 2, ceil_mode=True, count_include_pad=False) for t in (disparity, guide))
        for axis in (-1, -2):
            if disparity.shape[axis] > order:
                total = total + _mean(_roughness(disparity, guide, edge_weight, order, axis))
    return total / levels


def _roughness(disparity: Tensor, guide: Tensor, edge_weight: float, order: int, axis: int) -> Tensor:
    """|∂D|·exp(−w·|∂I|) along an axis, [B, 1, H', W']."""
    contrast = guide.diff(dim=axis).abs().mean(1, keepdim=True)
    if order == 2:
        pairs = contrast.shape[axis] - 1
        contrast = torch.maximum(contrast.narrow(axis, 0, pairs), contrast.narrow(axis, 1, pairs))
    return disparity.diff(n=order, dim=axis).abs() * (-edge_weight * contrast).exp()


class Loss(NamedTuple):
    """A loss and what it is made of.

    Attributes:
        total: scalar, the weighted sum of the means of the terms.
        terms: those of weight above 0, unweighted, one number for each picture: "l1", "ssim" (1 − SSIM) and "gradient".
    """

    total: Tensor
    terms: dict[str, Tensor]


@dataclass(frozen=True)
class Objective:
    """Weights of the terms of a loss.

    Attributes:
        l1: of the mean absolute difference.
        ssim: of 1 − SSIM.
        windows: of the SSIM, px; several make it hierarchical.
        gradient: of the edge-aware gradient of the disparity.
        edge_weight: how fast the gradient's weight falls with the guide's contrast.
        levels: of its pyramid.
        order: of its differences, 1 or 2.
        gamma: whether pictures and guide are compared as gamma values, else in linear light.

    Raises:
        TypeError, ValueError: a weight is not a number ≥ 0, or l1 and ssim are both 0, or another value is not what it must be.
    """

    l1: float = 1.0
    ssim: float = 0.0
    windows: tuple[int, ...] = WINDOWS
    gradient: float = 0.01
    edge_weight: float = 10.0
    levels: int = 4
    order: int = 1
    gamma: bool = True

    def __post_init__(self) -> None:
        for name in ("l1", "ssim", "gradient", "edge_weight"):
            require_number(name, getattr(self, name), at_least=0.0)
        if self.l1 == self.ssim == 0:
            raise ValueError("l1 and ssim are 0; expected one above 0, as otherwise nothing tells of depth")
        _require_windows(self.windows)
        require_integer("levels", self.levels, at_least=1)
        require_choice("order", self.order, (1, 2))
        require_type("gamma", self.gamma, bool, "a bool")

    @classmethod
    def named(cls, name: str) -> "Objective":
        """One of `PRESETS`.

        Raises:
            ValueError: there is none of this name.
        """
        require_choice("name", name, PRESETS)
        return PRESETS[name]

    @in_full_precision
    def against(self, target: Tensor, guide: Tensor) -> Callable[..., Loss]:
        """The loss of a picture [N, 3, H, W] and a disparity [B, 1, H, W] with respect to fixed pictures.

        The weights suit a disparity over its range, (D − far)/(near − far), whose unit is then no matter.

        Args:
            target: [N, 3, H, W], what was taken, in linear light; N = B, or N = B·S for stacks of S.
            guide: [B, 3, H, W], the all-in-focus pictures, in linear light, of the same dtype and device.

        Raises:
            TypeError, ValueError: an argument is not what it must be; so does the loss.
        """
        require_float_tensor("target", target)
        require_shape("target", target, "N", 3, "H", "W")
        require_float_tensor("guide", guide)
        require_shape("guide", guide, "B", 3, *target.shape[-2:])
        require_same_kind("guide", guide, "target", target)
        seen, lines = (to_gamma(target), to_gamma(guide)) if self.gamma else (target, guide)
        similarity = SSIM(seen, self.windows) if self.ssim else None

        @in_full_precision
        def loss(picture: Tensor, *disparities: Tensor) -> Loss:
            _require_alike("picture", picture, target)
            shown = to_gamma(picture) if self.gamma else picture
            terms = {}
            if self.l1:
                terms["l1"] = l1(shown, seen)
            if similarity is not None:
                terms["ssim"] = 1 - similarity(shown)
            if self.gradient and disparities:
                rough = [edge_aware_gradient(map_, lines, self.edge_weight, self.levels, self.order) for map_ in disparities]
                terms["gradient"] = torch.stack(rough).sum(0)
            total = torch.stack([getattr(self, name) * term.mean() for name, term in terms.items()]).sum()
            return Loss(total, terms)

        return loss


def _mean(values: Tensor) -> Tensor:
    """Over all but the batch."""
    return values.flatten(1).mean(1)


def _smoothing(size: int, window: int, like: Tensor) -> Tensor:
    """The matrix [size, size] that takes the Gaussian mean of a line round every pixel, its border replicated."""
    taps = torch.arange(window, dtype=torch.float64, device=like.device) - window // 2
    weights = (-0.5 * (taps / (1.5 * window / 11)).square()).exp()
    place = torch.arange(size, device=like.device)
    sources = (place[:, None] + taps.long()).clamp(0, size - 1)
    matrix = torch.zeros(size, size, dtype=torch.float64, device=like.device)
    matrix.scatter_add_(1, sources, (weights / weights.sum()).expand(size, -1))
    return matrix.to(like.dtype)


def _require_windows(windows: Sequence[int]) -> None:
    if not windows:
        raise ValueError("windows is empty; expected at least one")
    for window in windows:
        require_integer("windows", window, at_least=3)
        if window % 2 == 0:
            raise ValueError(f"windows has {window} px; expected odd numbers")


def _require_picture(name: str, value: Tensor) -> None:
    require_float_tensor(name, value)
    require_shape(name, value, "B", "C", "H", "W")


def _require_alike(name: str, value: Tensor, other: Tensor) -> None:
    """TypeError or ValueError unless the value is of target's shape, dtype and device."""
    require_float_tensor(name, value)
    require_shape(name, value, *other.shape)
    require_same_kind(name, value, "target", other)


#: Objectives by name, all of gamma values. "l1+g+hssim" has the weights of L1 and H_SSIM of Dr.Bokeh's released
#: configuration, "l1+g+ssim" the same with one window. "gausspsf" is .85·(1 − SSIM)/2 + .15·L1 + 1e-3·smoothness as Gur and
#: Wolf (2019) have it, without their reward for a sharp all-in-focus picture, which here is given and not estimated. "l1+tv" is
#: that of Aperture supervision (Srinivasan et al. 2018): L1 + 1e-10·total variation.
PRESETS: Mapping[str, Objective] = MappingProxyType(
    {
        "l1+g": Objective(),
        "l1+g+ssim": Objective(l1=0.5, ssim=10.0, windows=(11,)),
        "l1+g+hssim": Objective(l1=0.5, ssim=10.0),
        "gausspsf": Objective(l1=0.15, ssim=0.425, windows=(11,), gradient=1e-3, edge_weight=1.0, levels=1),
        "l1+tv": Objective(gradient=1e-10, edge_weight=0.0, levels=1),
    }
)
