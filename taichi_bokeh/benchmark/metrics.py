"""How far a picture is from the truth, over the frame and over the pixels where an edge is seen through."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh.benchmark.blur_kernels import blur
from taichi_bokeh.io import srgb_encode
from taichi_bokeh.synthetic.scene import Scene

Array = NDArray[np.float64]

LIGHTS = ("linear", "srgb")
REGIONS = ("frame", "band")
METRICS = ("rmse", "rmse_s", "psnr", "ssim", "zncc")
#: What `measure` returns.
KEYS = tuple(f"{light}.{region}.{metric}" for light in LIGHTS for region in REGIONS for metric in METRICS)

_LEAST_MSE = 1e-20  # equal pictures have 200 dB, a number that JSON can hold
_CONSTANT = 1e-6  # a picture of a smaller standard deviation has no structure beyond float32's rounding
_SSIM_SIZE_PX = 11  # of the window of σ = 1.5 px


def measure(picture: Tensor, truth: Tensor, band: Tensor) -> dict[str, float | None]:
    """Every metric of `KEYS`, such as "linear.frame.psnr"; the band's are None where the band is empty.

    Both pictures are clipped to [0, 1], as a display clips them, and compared in linear light and as sRGB values:

    - rmse: root of the mean squared error over pixels and channels.
    - rmse_s: the least rmse of s·picture over all s, which forgives a wrong exposure.
    - psnr: −20·log10(rmse) dB, at most 200.
    - ssim: structural similarity (Wang et al. 2004: Gaussian window of σ = 1.5 px, 11×11), mean over pixels and channels. As
      usual its frame leaves out 5 px at the border; its band does not.
    - zncc: correlation of the two less their means, over pixels and channels together, in [−1, 1]; 1 between two constant
      pictures, 0 between a constant one and another.

    Args:
        picture: [3, H, W], linear light.
        truth: [3, H, W], linear light.
        band: bool [H, W], as `occlusion_band` finds it.

    Raises:
        ValueError: shapes disagree or are under 11×11 pixels, or a picture holds NaN or infinity.
    """
    _validate(picture, truth)
    if band.shape != truth.shape[1:] or band.dtype != torch.bool:
        raise ValueError(f"band is {band.dtype} {list(band.shape)}; expected torch.bool {list(truth.shape[1:])} like truth")
    if min(truth.shape[1:]) < _SSIM_SIZE_PX:
        raise ValueError(f"truth has shape {list(truth.shape)}; expected at least {_SSIM_SIZE_PX}×{_SSIM_SIZE_PX} pixels")
    inside = band.cpu().numpy()
    from skimage.metrics import structural_similarity  # of an extra, and most of what imports this module does without it

    values: dict[str, float | None] = {}
    for light in LIGHTS:
        pair = _displayed(picture, light), _displayed(truth, light)
        ssim, ssim_map = structural_similarity(
            *pair,
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        values |= _compare(f"{light}.frame", *pair, float(ssim))
        if inside.any():
            shown, true, similar = (part[:, inside] for part in (*pair, ssim_map))
            values |= _compare(f"{light}.band", shown, true, float(similar.mean()))
        else:
            values |= dict.fromkeys((f"{light}.band.{metric}" for metric in METRICS), None)
    return values


def frame_rmse(picture: Tensor, truth: Tensor) -> float:
    """`measure`'s "linear.frame.rmse" alone.

    Raises:
        ValueError: shapes disagree, or a picture holds NaN or infinity.
    """
    _validate(picture, truth)
    return _rmse(_displayed(picture, "linear"), _displayed(truth, "linear"))


def occlusion_band(scene: Scene) -> Tensor:
    """Bool [H, W]: where at the true blur some of the lens, but not all, is covered by a layer before the last.

    That is where the mean of the layer's alpha over its circle of confusion lies between 0.01 and 0.99.
    """
    alpha = scene.layers.alpha[0, :, 0]
    band = torch.zeros(alpha.shape[1:], dtype=torch.bool, device=alpha.device)
    for plane, radius_px in zip(alpha[:-1], scene.radii_px[:-1], strict=True):
        coverage = blur(plane[None], radius_px)[0]
        band |= (coverage > 0.01) & (coverage < 0.99)
    return band


def _validate(picture: Tensor, truth: Tensor) -> None:
    for name, value in (("truth", truth), ("picture", picture)):
        if value.ndim != 3 or value.shape[0] != 3 or value.shape != truth.shape or 0 in value.shape:
            expected = "[3, H, W]" if name == "truth" else f"{list(truth.shape)} like truth"
            raise ValueError(f"{name} has shape {list(value.shape)}; expected {expected}")
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} holds NaN or infinite values; expected finite values")


def _displayed(picture: Tensor, light: str) -> Array:
    linear = picture.detach().cpu().clamp(0, 1).numpy()
    return (linear if light == "linear" else srgb_encode(linear)).astype(np.float64)


def _compare(prefix: str, picture: Array, truth: Array, ssim: float) -> dict[str, float]:
    rmse = _rmse(picture, truth)
    values = {
        "rmse": rmse,
        "rmse_s": _rmse(_exposure(picture, truth) * picture, truth),
        "psnr": float(-10 * np.log10(max(rmse**2, _LEAST_MSE))),
        "ssim": ssim,
        "zncc": _zncc(picture, truth),
    }
    return {f"{prefix}.{metric}": values[metric] for metric in METRICS}


def _rmse(picture: Array, truth: Array) -> float:
    return float(np.sqrt(np.mean((picture - truth) ** 2)))


def _exposure(picture: Array, truth: Array) -> float:
    """The s that brings s·picture closest to the truth."""
    energy = float(np.sum(picture * picture))  # not vdot, whose last digits depend on the number of threads
    return float(np.sum(picture * truth)) / energy if energy > 0 else 1.0


def _zncc(picture: Array, truth: Array) -> float:
    deviations = float(picture.std()), float(truth.std())
    constant = [deviation < _CONSTANT for deviation in deviations]
    if any(constant):
        return float(all(constant))
    covariance = float(np.mean((picture - picture.mean()) * (truth - truth.mean())))
    return covariance / (deviations[0] * deviations[1])
