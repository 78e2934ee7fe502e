"""The scatter model, straight from its equations (docs/mathematics.md), one offset at a time over whole pictures."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.reference.psf import shape_profiles
from taichi_bokeh.reference.scatter.profiles import disc_profile, logistic_profile, open_rim

#: As in the kernels: below this radius (px) a source is a mixture of a point and a disc of this radius.
LEAST_RADIUS_PX = 1 / 16


def composite(colour: Tensor, coverage: Tensor) -> Tensor:
    """Premultiplied colour [B, L, 3, H, W] and coverage [B, L, H, W], front to back, into [B, 3, H, W]."""
    ones = torch.ones_like(coverage[:, :1])
    transmittance = torch.cat([ones, (1 - coverage).cumprod(1)[:, :-1]], 1)
    return (transmittance[:, :, None] * colour).sum(1)


def _border_index(size: int, pad: int, reflect: bool, device: torch.device) -> Tensor:
    places = torch.arange(-pad, size + pad, device=device)
    if not reflect:
        return places.clamp(0, size - 1)
    if size == 1:
        return torch.zeros_like(places)
    folded = places.remainder(2 * (size - 1))
    return torch.minimum(folded, 2 * (size - 1) - folded)


def _padded(values: Tensor, pad: int, reflect: bool) -> Tensor:
    rows, columns = (_border_index(values.shape[k], pad, reflect, values.device) for k in (-2, -1))
    return values[..., rows, :][..., columns]


def _offsets(limit: float) -> Iterator[tuple[int, int]]:
    reach = math.ceil(limit)
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if math.hypot(dx, dy) < limit:
                yield dx, dy


def _occlusion(d_source: Tensor, d_pixel: Tensor, in_focus: Tensor, step: tuple[float, float], floor: float) -> Tensor:
    """O = 1 + e·(½·tanh(steepness/2·(d_y − d_x − gap)) − ½); the released tanh has a floor in its denominator."""
    gap, steepness = step
    t = steepness / 2 * (d_source - d_pixel - gap)
    decay = torch.exp(-2 * t.abs())
    tanh = t.sign() * (1 - decay) / (1 + decay + floor * torch.exp(-t.abs()))
    return 1 + in_focus * (0.5 * tanh - 0.5)


def _disc_weights(size: Tensor, dx: int, dy: int) -> Tensor:
    """Weights of sources of radii `size` [N, H, W] at an offset; below the least radius mixed with a point's."""
    offset = (size.new_tensor(float(dx)), size.new_tensor(float(dy)))
    point = (1 - size / LEAST_RADIUS_PX).clamp(min=0)
    disc = checkpoint(disc_profile, *offset, size.clamp(min=LEAST_RADIUS_PX), use_reentrant=False)  # its nodes are many
    weight = (1 - point) * disc
    return weight + point if dx == dy == 0 else weight


def _shape_weights(radius: Tensor, aperture: Aperture, reach: int) -> Tensor:
    """Weights of sources [N, H, W] at all offsets, [D, D, N, H, W]; below the least radius mixed with a point's."""
    flat = radius.flatten()
    size = flat.abs().clamp(min=LEAST_RADIUS_PX)
    signed = torch.where(flat < 0, -size, size)
    disc = shape_profiles(signed, aperture, reach)
    point = (1 - flat.abs() / LEAST_RADIUS_PX).clamp(min=0)[:, None, None]
    weights = (1 - point) * disc
    middle = torch.zeros_like(disc)
    middle[:, reach, reach] = 1
    return (weights + point * middle).permute(1, 2, 0).unflatten(-1, radius.shape)


def _field(like: Tensor, cat_eye: float) -> Tensor:
    """2·cat_eye times the field of every pixel, [H, W, 2]."""
    height, width = like.shape[-2:]
    rows, columns = (torch.arange(size, dtype=like.dtype, device=like.device) + 0.5 for size in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    position = torch.stack([x - width / 2, y - height / 2], -1)
    return 2 * cat_eye * position / (math.hypot(height, width) / 2)


def scatter_sums(
    channels: Tensor,
    radius: Tensor,
    disparity: Tensor,
    profile: str,
    limit: float,
    aperture: Aperture | None = None,
    occlusion: tuple[float, float] | None = None,
) -> Tensor:
    """Σ_y channels(y)·w·O over every pixel's neighbours nearer than `limit` px; w per unit of a channel.

    channels [N, C, H, W], radius (signed, px) and disparity [N, H, W]; profile "disc", "soft", "official", or "shape" for the
    aperture; occlusion: its gap and steepness in the units of disparity, None for O = 1.
    """
    official = profile == "official"
    size = radius.abs()
    pad = math.ceil(limit)
    height, width = radius.shape[-2:]
    in_focus = torch.exp(-3 * size**2) if occlusion is not None else torch.zeros_like(size)
    padded = [_padded(value, pad, official) for value in (channels, size, disparity, radius)]
    if profile == "shape":
        assert aperture is not None
        shapes = _padded(_shape_weights(radius, aperture, pad), pad, False)
        field = _field(radius, aperture.cat_eye)
    discs: dict[tuple[int, int], Tensor] = {}
    total = torch.zeros_like(channels)
    for dx, dy in _offsets(limit):
        window = (..., slice(pad + dy, pad + dy + height), slice(pad + dx, pad + dx + width))
        values, r, d, signed = (value[window] for value in padded)
        if profile == "disc":
            eighth = (max(abs(dx), abs(dy)), min(abs(dx), abs(dy)))  # of the plane: in all eight the disc is the same
            if eighth not in discs:
                discs[eighth] = _padded(_disc_weights(size, *eighth), pad, False)
            weight = discs[eighth][window]
        elif aperture is not None and profile == "shape":  # the source lies at (dx, dy) from the pixel
            weight = shapes[(pad - dy, pad - dx, *window)]
            if aperture.cat_eye != 0:
                weight = weight * open_rim(r.new_tensor([-dx, -dy]), signed, field)
        else:
            distance = r.new_tensor(math.hypot(dx, dy))
            weight = logistic_profile(distance, r + 1, 1e-6 if official else 0.0) / (r + 1) ** 2
        if (dx, dy) != (0, 0) and occlusion is not None:
            weight = weight * _occlusion(d, disparity, in_focus, occlusion, 1e-6 if official else 0.0)
        total = total + values * weight[:, None]
    return total


def square_mean(alpha: Tensor, radius: Tensor, limit: int) -> Tensor:
    """Mean of alpha [N, H, W] over squares of half-size min(⌊(|radius| + 1)/2⌋, limit), reflected at the border."""
    half = ((radius.detach().abs() + 1) / 2).clamp(max=limit).to(torch.int64)
    pad = int(half.max())
    padded = _padded(alpha, pad, True)
    height, width = alpha.shape[-2:]
    total = torch.zeros_like(alpha)
    for dy in range(-pad, pad + 1):
        for dx in range(-pad, pad + 1):
            inside = half >= max(abs(dx), abs(dy))
            total = total + inside * padded[..., pad + dy : pad + dy + height, pad + dx : pad + dx + width]
    return total / (2 * half + 1) ** 2


def render(  # noqa: PLR0913 - as of the renderer
    rgb: Tensor,
    alpha: Tensor,
    disparity: Tensor,
    blur: Tensor,
    focus: Tensor,
    profile: str,
    max_radius: float | None = None,
    aperture: Aperture | None = None,
    occlusion: tuple[float, float] | None = None,
) -> Tensor:
    """Image [B, 3, H, W] of layers rgb [B, L, 3, H, W], alpha and disparity [B, L, 1, H, W]; blur and focus [B].

    profile: "disc" or "soft" (the scatter model), "shape" (for the aperture), "official" (the released code's variant);
    occlusion: the gap and the steepness of its step, in px of the radius for "disc" and "shape", else in units of disparity;
    None for O = 1.
    """
    batch, layers, _, height, width = rgb.shape
    per_layer = [value.repeat_interleave(layers)[:, None, None] for value in (blur, focus)]
    colour, a = rgb.flatten(0, 1), alpha.flatten(0, 1)
    d = disparity.reshape(batch * layers, height, width) - per_layer[1]
    radius = per_layer[0] * d
    largest = float(radius.detach().abs().max())
    limit = max_radius if max_radius else largest + (2.0 if profile == "disc" else 14.0)
    if profile == "shape":
        assert aperture is not None
        limit = 1.5 * (largest * aperture.extent + 2)  # to the corners of a square
    d = radius if profile in ("disc", "shape") else d
    sums = scatter_sums(torch.cat([a * colour, a, torch.ones_like(a)], 1), radius, d, profile, limit, aperture, occlusion)
    if profile == "official":
        coverage = square_mean(a[:, 0], radius, int(limit))
        blurred = coverage[:, None] * sums[:, :3] / (sums[:, 3:4] + 1e-8)
    else:
        total = torch.where(sums[:, 4:] > 0, sums[:, 4:], 1.0)  # nothing gets through where a cat-eye shuts the aperture
        blurred, coverage = sums[:, :3] / total, sums[:, 3] / total[:, 0]
    shape = (batch, layers, 3, height, width)
    return composite(blurred.reshape(shape), coverage.reshape(batch, layers, height, width))
