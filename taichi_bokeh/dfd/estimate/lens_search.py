"""The blur and the focus of photographs whose lens is not known: where an optimisation that learns them starts.

What a picture shows is the radius r = K·(D − F) of its circles of confusion, so that not all of K, F and D follow from it:

- One picture tells r, and through an opening that is its own point mirror, as a disc is, only |r|. Blur K and disparities D
  trade off: twice the blur with half the disparities is the same picture. What is missing is settled by convention: the scene
  fills the range of disparities in question as far as it can. Without a focus the farthest point seen lies at its far end, and
  where the sign is not seen, all lies nearer than the focus.
- Of a stack the foci F_s are known. A point then shows r_s − r_t = K·(F_t − F_s), so K and D both follow from the pictures.

One picture: a plane sweep over radii up to R = 16, 32, 64 … px, until the radii found end well below R. From their ends, at
pixels with texture and without outliers, K and F follow. A stack: a plane sweep for one K after the other, √2 apart, until
two have fitted worse than the best before them.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import NamedTuple

import torch
from torch.nn.functional import avg_pool2d

from taichi_bokeh._checks import require_number
from taichi_bokeh.dfd.data.scenes import weak_texture
from taichi_bokeh.dfd.estimate.photo_pair import Photographs
from taichi_bokeh.dfd.estimate.plane_sweep import SweepSettings, cost_volume, plane_disparities, plane_sweep
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.optics.aperture import Aperture

_SIDE_PX = 512  # pictures are halved, and so on, until no side is longer
_PLANES = SweepSettings(step_px=0.5)
_FIRST_PX = 16.0  # the largest radius of the first sweep
_SHARE_OF_SIDE = 4  # no radius is larger than the shorter side over this
_ENDS_BELOW = 0.75  # of the largest radius: there the radii found must end
_OUTLIERS = 0.01  # of the pixels with texture, at either end
_LEAST_PX = 0.5  # a smaller radius is no blur to tell depth from
_STACK_FIRST_PX, _LEAST_TRIED = 4.0, 3  # radius over the whole range, of the first blur that is tried for a stack


class Radii(NamedTuple):
    """The ends of the signed radii that a picture shows, px."""

    low: float
    high: float


def observe(
    photographs: Photographs,
    near: float,
    far: float,
    aperture: Aperture,
    blur: float | None = None,
    focus: Sequence[float] | None = None,
) -> Observation:
    """Photographs as an observation; blur and focus are searched for where they are not known, as above.

    Args:
        photographs: of one view.
        near: the largest disparity that may occur.
        far: the smallest.
        aperture: the opening, one shape for all pixels.
        blur: px per unit of disparity, the same for all pictures, > 0; None: not known.
        focus: the disparity in focus of each picture; None: not known, of a single picture only.

    Returns:
        An observation with a batch of one.

    Raises:
        TypeError, ValueError: an argument is not what it must be, or nothing can be found, as no pixel has texture or
            none is blurred.
    """
    count = len(photographs.blurred)
    if blur is not None:
        require_number("blur", blur, above=0.0)
    if focus is None and count > 1:
        raise ValueError(f"focus is None; expected those of {count} pictures: of a stack they must be known")
    if focus is not None and len(focus) != count:
        raise ValueError(f"focus has {len(focus)} numbers; expected {count}, one for each blurred picture")
    blurs = photographs.blurred.new_full((1, count), 1.0 if blur is None else blur)
    focuses = photographs.blurred.new_tensor([[far] * count if focus is None else [*focus]])
    seen = Observation(
        photographs.all_in_focus[None], photographs.blurred[None], blurs, focuses, near=near, far=far, aperture=aperture
    )
    if blur is not None and focus is not None:
        return seen
    if count > 1:
        return replace(seen, blur=torch.full_like(seen.blur, _blur_of_stack(seen)))
    found_blur, found_focus = settle(find_radii(seen), near, far, blur, None if focus is None else focus[0])
    return replace(seen, blur=torch.full_like(seen.blur, found_blur), focus=torch.full_like(seen.focus, found_focus))


def find_radii(observation: Observation) -> Radii:
    """The ends of the signed radii in the first picture of one view; of |r|, where the opening is its own point mirror.

    Raises:
        ValueError: no pixel has texture, or none is blurred.
    """
    small, scale = _shrunk(observation)
    largest_px = min(small.all_in_focus.shape[-2:]) / _SHARE_OF_SIDE
    lowest = 0.0 if is_point_mirror(observation.aperture) else -1.0
    radius_px = min(_FIRST_PX, largest_px)
    while True:
        over_radii = replace(
            small,
            blurred=small.blurred[:, :1],
            blur=torch.full_like(small.blur[:, :1], radius_px),
            focus=torch.zeros_like(small.focus[:, :1]),
            near=1.0,
            far=lowest,
        )
        ends = _ends(over_radii)
        largest_found_px = max(-ends.low, ends.high)
        if radius_px == largest_px or largest_found_px <= _ENDS_BELOW * radius_px:
            break
        radius_px = min(2 * radius_px, largest_px)
    if largest_found_px <= _LEAST_PX:
        raise ValueError(
            f"the blurred picture has radii of blur up to {max(0.0, largest_found_px) * scale:.1f} px; expected more than "
            f"{_LEAST_PX * scale:g} px to find the lens from"
        )
    return Radii(ends.low * scale, ends.high * scale)


def settle(radii: Radii, near: float, far: float, blur: float | None, focus: float | None) -> tuple[float, float]:
    """Blur and focus for which the scene fills the range from far to near, as far as what is known of them allows it.

    Args:
        radii: that the scene shows, px; low ≥ 0 where the sign is not seen.
        near: the largest disparity.
        far: the smallest.
        blur: px per unit of disparity, or None: not known.
        focus: the disparity in focus, in [far, near], or None: not known.
    """
    low, high = min(radii.low, 0.0), max(radii.high, 0.0)  # the plane in focus is one of the range, too
    if focus is not None:
        before, behind = near - focus, focus - far
        if radii.low >= 0:  # the sign was not seen, so the larger side of the range may hold all
            return blur or high / max(before, behind), focus
        sides = ((high, before), (-low, behind))
        return blur or max(radius / room for radius, room in sides if room > 0), focus
    if blur is None:
        blur = (high - low) / (near - far)
    return blur, min(max(far - low / blur, far), near)


def is_point_mirror(aperture: Aperture) -> bool:
    """Whether the opening is its own point mirror, so that blur before and behind the focus look the same."""
    line = torch.linspace(-aperture.extent, aperture.extent, 64, dtype=torch.float64, device="cpu")
    points = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
    light = aperture.transmission(points)
    return float((light - light.flip(0, 1)).abs().sum()) <= 0.02 * float(light.sum())  # pixels on the rim may fall either way


@torch.no_grad()
def _ends(over_radii: Observation) -> Radii:
    """The ends of the radii where there is texture, without the outliers."""
    textured = ~weak_texture(over_radii.all_in_focus[0])
    if not bool(textured.any()):
        raise ValueError("all_in_focus has no texture; expected some to find the lens from: give blur and focus")
    radii = (plane_sweep(over_radii, _PLANES).disparity[0, 0][textured] * over_radii.blur.max()).sort().values
    outliers = int(_OUTLIERS * len(radii))
    return Radii(float(radii[outliers]), float(radii[-1 - outliers]))


@torch.no_grad()
def _blur_of_stack(observation: Observation) -> float:
    """The blur, common to all pictures of a stack, with which one disparity explains them best."""
    small, scale = _shrunk(observation)
    span = small.near - small.far
    largest_px = min(small.all_in_focus.shape[-2:]) / _SHARE_OF_SIDE
    radii_px: list[float] = []  # over the whole range of disparities
    misfits: list[float] = []
    while len(misfits) < _LEAST_TRIED or (min(misfits[-2:]) < min(misfits[:-2]) and radii_px[-1] < largest_px):
        radii_px.append(_STACK_FIRST_PX * sqrt(2) ** len(radii_px))
        tried = replace(small, blur=torch.full_like(small.blur, radii_px[-1] / span))
        costs = cost_volume(tried, plane_disparities(tried, _PLANES.step_px), _PLANES.window_px, _PLANES.truncation)
        misfits.append(float(costs.amin(1).mean()))
    return radii_px[misfits.index(min(misfits))] / span * scale


def _shrunk(observation: Observation) -> tuple[Observation, int]:
    """The observation with its pictures shrunk to a size at which a search is quick, and how many times smaller they are."""
    scale = 1
    while max(observation.all_in_focus.shape[-2:]) > scale * _SIDE_PX:
        scale *= 2
    if scale == 1:
        return observation, 1
    sharp = avg_pool2d(observation.all_in_focus, scale)
    blurred = avg_pool2d(observation.blurred[0], scale)[None]
    return replace(observation, all_in_focus=sharp, blurred=blurred, blur=observation.blur / scale), scale
