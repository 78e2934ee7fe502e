"""The blur of the benchmark's baselines: one disc over a whole plane. It shares no code with the package's renderers."""

import math

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import pad

_ROWS = 32  # of a pixel, on which the disc's chords are measured exactly


def disc(radius_px: float) -> Tensor:
    """The part of each pixel that a disc round the middle one's centre covers, over the disc's area.

    Args:
        radius_px: at least 0. A disc that fits into one pixel gives the identity.

    Returns:
        float64 [2R + 1, 2R + 1], sum 1, continuous in the radius, equal to its transpose and mirror images.

    Raises:
        ValueError: the radius is negative or not finite.
    """
    if not 0 <= radius_px < math.inf:
        raise ValueError(f"radius_px is {radius_px!r}; expected a finite number of at least 0")
    reach = max(0, math.ceil(radius_px - 0.5))
    if reach == 0:
        return torch.ones(1, 1, dtype=torch.float64, device="cpu")
    left = torch.arange(-reach, reach + 1, dtype=torch.float64, device="cpu") - 0.5
    rows = left[:, None] + (torch.arange(_ROWS, dtype=torch.float64, device="cpu") + 0.5) / _ROWS
    half_chord = (radius_px**2 - rows**2).clamp(min=0).sqrt()[..., None]
    covered = torch.minimum(half_chord, left + 1) - torch.maximum(-half_chord, left)
    kernel = covered.clamp(min=0).mean(1)
    kernel = kernel + kernel.T  # the chords of columns, too
    return kernel / kernel.sum()


def blur(planes: Tensor, radius_px: float) -> Tensor:
    """Average planes over the disc of a radius (its sign does not matter); edges are replicated.

    Args:
        planes: [N, H, W], ≥ 0.
        radius_px: of all planes.

    Returns:
        float32 [N, H, W], ≥ 0; computed in float64.
    """
    kernel = disc(abs(radius_px))
    reach = kernel.shape[0] // 2
    if reach == 0:
        return planes.float()
    height, width = planes.shape[-2:]
    padded = pad(planes.double(), (reach, reach, reach, reach), mode="replicate")
    size = [next_fast_len(length, real=True) for length in padded.shape[-2:]]
    spectrum = torch.fft.rfft2(padded, s=size) * torch.fft.rfft2(kernel, s=size)
    # What wraps round the transform falls into the first 2·reach rows and columns, which are cut off.
    whole = torch.fft.irfft2(spectrum, s=size)[..., 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]
    return whole.clamp(min=0).float()  # rounding leaves light of −1e-17
