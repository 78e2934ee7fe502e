"""Planes of one disparity each: their exact blur, by Fourier transforms.

All of a plane has one radius r of the circle of confusion, so that its blur is one correlation, with the border replicated:

    B(x) = Σ_δ k(δ)·I(x + δ)

with k the aperture at the scale r, convolved with the tent of bilinear interpolation (optics/aperture_cells.py).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from taichi_bokeh._checks import require_float_tensor, require_number, require_shape
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.aperture_cells import divide, kernel_reach

MOST_RADIUS_PX = 4096.0
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
        self._size = tuple(_fast_length(length + 2 * pad) for length in self._shape[-2:])
        padded = torch.nn.functional.pad(picture, (pad, pad, pad, pad), mode="replicate")
        self._spectrum = torch.fft.rfft2(padded, s=self._size)

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


def blur_plane(picture: Tensor, aperture: Aperture, radius_px: float | Sequence[float]) -> Tensor:
    """Pictures [B, C, H, W] blurred at one radius, or one for each: `PlaneBlur` where no other radius is wanted."""
    radii = list(radius_px) if isinstance(radius_px, Sequence) else [radius_px]
    for radius in radii:
        require_number("radius_px", radius)
    return PlaneBlur(picture, aperture, max((abs(radius) for radius in radii), default=0.0)).at(radius_px)


def require_one_shape(aperture: Aperture) -> None:
    """TypeError unless this is an aperture, ValueError where its shape changes from pixel to pixel."""
    if not isinstance(aperture, Aperture):
        raise TypeError(f"aperture is of type {type(aperture).__name__}; expected an Aperture")
    if aperture.cat_eye != 0:
        raise ValueError(
            f"aperture.cat_eye is {aperture.cat_eye!r}; expected 0, as a plane is blurred by one kernel for all pixels"
        )


def _fast_length(length: int) -> int:
    """The least number from `length` on that has no prime factor beyond 5, which transforms are fast for."""
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1
