"""Planes of one disparity each: their exact blur, by Fourier transforms, and the composite of several.

All of a plane has one radius r of the circle of confusion, so that its blur is one correlation, with the border replicated:

    B(x) = Σ_δ k(δ)·I(x + δ)

with k the aperture at the scale r, convolved with the tent of bilinear interpolation (optics/psf.py).

The composite of planes n = 0 (farthest) … N − 1, where a pixel lies in plane n with the probability p_n:

    c_n = k_n∗(p_n·I),   v_n = k_n∗p_n
    C ← c_n + (1 − v_n)·C,   V ← v_n + (1 − v_n)·V        back to front, from C = V = 0
    B = (C + e·I)/(V + e),   e = 10⁻⁴·(1 − V)             where nothing covers a pixel, it stays

Source: Srinivasan et al., Aperture supervision for monocular depth estimation (2018), the compositional form.
"""

from collections.abc import Iterable, Iterator, Sequence

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from taichi_bokeh._autocast import in_full_precision
from taichi_bokeh._checks import (
    Bounded,
    refuse_forward_mode,
    require_float_tensor,
    require_number,
    require_same_kind,
    require_shape,
    require_type,
    require_values,
)
from taichi_bokeh.dfd.layers.base import DefocusLayer, single_layer
from taichi_bokeh.models.base import blur_radius
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.psf import divide, kernel_reach
from taichi_bokeh.optics.thin_lens import ThinLens

MOST_RADIUS_PX = 4096.0
_PRIOR = 1e-4  # of a pixel that nothing covers, staying as it is
_SUM_ROUNDING = 2**-8  # of a sum of probabilities that autocast has made bfloat16
_ROUNDING_PX = 1e-3  # by which a radius may exceed the largest: one was computed in float64 and the other in float32


class PlaneBlur:
    """Pictures whose blur by an aperture is wanted at many radii; their spectrum is kept.

    The error is that of the transform: some 1e-7 (float32) or 1e-16 (float64) of the picture's brightest value, which can
    leave values that little below 0.

    Args:
        picture: [B, C, H, W], float32 or float64, of any sign.
        aperture: the opening, the same for all pixels.
        largest_radius_px: no radius is larger.

    Raises:
        TypeError: an argument is of the wrong type or dtype.
        ValueError: picture has another shape, the radius is out of [0, 4096], or the aperture has a cat-eye, with which it
            changes from pixel to pixel.
    """

    @in_full_precision
    def __init__(self, picture: Tensor, aperture: Aperture, largest_radius_px: float) -> None:
        require_float_tensor("picture", picture)
        require_shape("picture", picture, "B", "C", "H", "W")
        require_one_shape(aperture)
        require_number("largest_radius_px", largest_radius_px, at_least=0.0, at_most=MOST_RADIUS_PX)
        self._cells = divide(aperture, 1)
        self._largest_px = largest_radius_px + _ROUNDING_PX
        self._pad = pad = kernel_reach(self._largest_px, aperture.extent)
        self._shape = tuple(picture.shape)
        self._dtype = picture.dtype
        # A correlation that reaches no further than the padding never sees what wraps round the transform.
        self._size = tuple(next_fast_len(length + 2 * pad, real=True) for length in self._shape[-2:])
        padded = torch.nn.functional.pad(picture, (pad, pad, pad, pad), mode="replicate")
        self._spectrum = torch.fft.rfft2(padded, s=self._size)

    @in_full_precision
    def at(self, radius_px: float | Sequence[float]) -> Tensor:
        """The pictures blurred, [B, C, H, W], differentiable in them.

        Args:
            radius_px: signed radius of the circle of confusion: one for all, or one for each of the B pictures.

        Raises:
            TypeError: it is no number.
            ValueError: it is larger than the largest, or there are not B of them.
        """
        radii = self._radii(radius_px)
        kernels = {radius: self._transfer(radius) for radius in set(radii)}
        transfer = torch.stack([kernels[radius] for radius in radii])[:, None]
        blurred = torch.fft.irfft2(self._spectrum * transfer, s=self._size)
        height, width = self._shape[-2:]
        return blurred[..., self._pad : self._pad + height, self._pad : self._pad + width]

    def _radii(self, radius_px: float | Sequence[float]) -> list[float]:
        """As many as the transfer functions that are needed: one, or one for each picture."""
        radii = [radius_px] if not isinstance(radius_px, Sequence) else list(radius_px)
        if isinstance(radius_px, Sequence) and len(radii) != self._shape[0]:
            raise ValueError(f"radius_px has {len(radii)} numbers; expected {self._shape[0]}, one for each picture")
        for radius in radii:
            require_number("radius_px", radius)
            if abs(radius) > self._largest_px:
                raise ValueError(f"radius_px is {radius!r}; expected at most {self._largest_px:g} on either side of 0")
        return [float(radius) for radius in radii]

    def _transfer(self, radius_px: float) -> Tensor:
        """Spectrum of the kernel, conjugate, as it is correlated and not convolved."""
        kernel = self._cells.kernels(radius_px)[0].to(self._spectrum.device, self._dtype)
        reach = kernel.shape[0] // 2
        whole = kernel.new_zeros(self._size)
        whole[: kernel.shape[0], : kernel.shape[1]] = kernel
        return torch.fft.rfft2(whole.roll((-reach, -reach), (0, 1))).conj()


@in_full_precision
def blur_plane(picture: Tensor, aperture: Aperture, radius_px: float | Sequence[float]) -> Tensor:
    """Pictures [B, C, H, W] blurred at one radius, or one for each: `PlaneBlur` where no other radius is wanted."""
    radii = list(radius_px) if isinstance(radius_px, Sequence) else [radius_px]
    for radius in radii:
        require_number("radius_px", radius)
    return PlaneBlur(picture, aperture, max((abs(radius) for radius in radii), default=0.0)).at(radius_px)


def require_one_shape(aperture: Aperture) -> None:
    """TypeError unless this is an aperture, ValueError where its shape changes from pixel to pixel."""
    require_type("aperture", aperture, Aperture, "an Aperture")
    if aperture.cat_eye != 0:
        raise ValueError(
            f"aperture.cat_eye is {aperture.cat_eye!r}; expected 0, as a plane is blurred by one kernel for all pixels"
        )


class CompositionalPlanes(DefocusLayer):
    """Disparity planes, each blurred by the aperture and composited over the ones behind it.

    `forward` shares every pixel linearly between the two planes next to it. Any opening without a cat-eye.

    Args:
        planes: their disparities [N], N ≥ 2, from far to near; what lies beyond them is put on the last. By default planes
            stand at all multiples of step_px of the signed radius that a picture has. Radii of planes that are given have no
            gradient, so that then neither the lens's blur nor its focus may require one.
        step_px: between the radii of two planes, where none are given.

    Raises:
        TypeError, ValueError: an argument is not what it must be.
    """

    planes: Tensor | None

    def __init__(self, planes: Tensor | None = None, step_px: float = 0.5) -> None:
        super().__init__()
        require_number("step_px", step_px, above=0.0)
        if planes is not None:
            _require_planes("planes", planes)
            if len(planes) < 2:
                raise ValueError("planes has 1 disparity; expected at least 2")
        self.register_buffer("planes", planes)
        self.step_px = float(step_px)
        self.title = "Compositional planes"

    @in_full_precision
    def forward(self, all_in_focus: Tensor, disparity: Tensor, lens: ThinLens) -> Tensor:
        """See `DefocusLayer`; with a cat-eye or a radius above 4096 px, ValueError."""
        _require_lens(lens)
        layers = single_layer(all_in_focus, disparity)
        blur, focus = lens.per_image(layers)
        refuse_forward_mode(all_in_focus, disparity, blur, focus)
        if self.planes is not None:
            _refuse_gradients(blur, focus)
            planes = self.planes.to(disparity)
            radii = _radii(planes, blur, focus)
            return _composited(all_in_focus, lens.aperture, ((radii[k], p) for k, p in _shares(*_among(planes, disparity))))
        radius = blur_radius(layers, blur, focus).reshape(disparity.shape)
        largest = float(radius.detach().abs().max())
        if not largest <= MOST_RADIUS_PX:
            raise ValueError(f"the largest blur radius is {largest:g} px; expected at most {MOST_RADIUS_PX:g}: lower blur")
        pictures = []
        for picture, place in zip(all_in_focus.split(1), (radius / self.step_px).split(1), strict=True):
            below = place.detach().floor()  # for each picture, as they have different planes
            shares = _shares(below, place - below)
            pictures.append(_composited(picture, lens.aperture, ((k * self.step_px, p) for k, p in shares)))
        return torch.cat(pictures)

    @staticmethod
    @in_full_precision
    def composite(all_in_focus: Tensor, probabilities: Tensor, lens: ThinLens, disparities: Tensor) -> Tensor:
        """The blurred picture [B, 3, H, W], differentiable in the picture and the probabilities.

        Args:
            all_in_focus: [B, 3, H, W], linear light, ≥ 0; float32 or float64.
            probabilities: [B, N, H, W], that a pixel lies in each plane: in [0, 1], with the sum 1 over the planes.
            lens: blur in px per unit of disparity, and focus, neither of which may require a gradient; numbers, [] or [B].
            disparities: [N], from far to near, of the same dtype and device.

        Raises:
            TypeError, ValueError: an argument is not what it must be; the message names it.
        """
        _require_lens(lens)
        require_float_tensor("all_in_focus", all_in_focus)
        blur, focus = lens.per_image(single_layer(all_in_focus, torch.zeros_like(all_in_focus[:, :1])))
        _refuse_gradients(blur, focus)
        _require_planes("disparities", disparities)
        batch, _, height, width = all_in_focus.shape
        require_float_tensor("probabilities", probabilities)
        require_shape("probabilities", probabilities, batch, len(disparities), height, width)
        for name, value in (("probabilities", probabilities), ("disparities", disparities)):
            require_same_kind(name, value, "all_in_focus", all_in_focus)
        sums = probabilities.detach().sum(1)
        one = Bounded(sums, 0.999, 1.001, _SUM_ROUNDING)
        require_values({"probabilities": Bounded(probabilities, 0.0), "the sum of probabilities": one})
        planes = zip(_radii(disparities, blur, focus), probabilities.split(1, dim=1), strict=True)
        return _composited(all_in_focus, lens.aperture, planes)


def _composited(all_in_focus: Tensor, aperture: Aperture, planes: Iterable[tuple[float | list[float], Tensor]]) -> Tensor:
    """The equations above, of planes (radii, probabilities [B, 1, H, W]) from far to near, one after the other."""
    total, covered = torch.zeros_like(all_in_focus), torch.zeros_like(all_in_focus[:, :1])
    for radii, probability in planes:
        blurred = blur_plane(torch.cat([probability * all_in_focus, probability], 1), aperture, radii)
        colour, coverage = blurred[:, :3], blurred[:, 3:]
        total = colour + (1 - coverage) * total
        covered = coverage + (1 - coverage) * covered
    uncovered = _PRIOR * (1 - covered)
    return (total + uncovered * all_in_focus) / (covered + uncovered)


def _among(planes: Tensor, disparity: Tensor) -> tuple[Tensor, Tensor]:
    """Which plane lies next below each disparity, and what part of the way to the next it has gone; beyond the ends none."""
    below = (torch.searchsorted(planes, disparity.detach().contiguous(), right=True) - 1).clamp(0, len(planes) - 2)
    rest = (disparity - planes[below]) / (planes[below + 1] - planes[below])
    return below, rest.clamp(0, 1)


def _shares(below: Tensor, rest: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Planes that have a part of any pixel, from far to near, and the part: 1 − rest on plane `below`, rest on the next."""
    first = {int(k) for k in below.unique().tolist()}
    for k in sorted(first | {k + 1 for k in first}):
        yield k, torch.where(below == k, 1 - rest, 0.0) + torch.where(below == k - 1, rest, 0.0)


def _radii(disparities: Tensor, blur: Tensor, focus: Tensor) -> list[list[float]]:
    """Radius in px of each plane in each picture."""
    radii: list[list[float]] = (blur * (disparities[:, None] - focus)).tolist()
    return radii


def _require_lens(lens: ThinLens) -> None:
    require_type("lens", lens, ThinLens, "a ThinLens")
    require_one_shape(lens.aperture)


def _require_planes(name: str, disparities: Tensor) -> None:
    require_float_tensor(name, disparities)
    require_shape(name, disparities, "N")
    require_values({name: Bounded(disparities)})
    if disparities.requires_grad:
        raise ValueError(f"{name} requires a gradient; expected one without, as the radii of planes have none")
    if not bool((disparities.diff() > 0).all()):
        raise ValueError(f"{name} does not increase; expected disparities from far to near, none of them twice")


def _refuse_gradients(blur: Tensor, focus: Tensor) -> None:
    for name, value in (("lens.blur", blur), ("lens.focus", focus)):
        if torch.is_grad_enabled() and value.requires_grad:
            raise ValueError(f"{name} requires a gradient; expected one without, as the radii of planes have none")
