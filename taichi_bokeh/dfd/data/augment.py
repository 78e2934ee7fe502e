"""What may be done to a sample that is read: crops, flips, and the noise of a sensor."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from taichi_bokeh._checks import require_integer, require_number
from taichi_bokeh.dfd.observation import Sample
from taichi_bokeh.optics.aperture import Aperture


@dataclass(frozen=True)
class Noise:
    """Noise of a sensor: at linear light I it is normal, with the variance read² + I/photons; what falls below 0 becomes 0.

    Attributes:
        read: standard deviation in the dark, in linear light, ≥ 0.
        photons: counted in a pixel at white (linear light 1), > 0; None: no noise but `read`.

    Raises:
        TypeError, ValueError: a value is no number, or out of range.
    """

    read: float = 0.0
    photons: float | None = None

    def __post_init__(self) -> None:
        require_number("read", self.read, at_least=0.0)
        if self.photons is not None:
            require_number("photons", self.photons, above=0.0)

    def added(self, picture: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The picture [..., H, W] with noise, of its dtype; the generator is torch's own by default."""
        variance = torch.full_like(picture, self.read**2)
        if self.photons is not None:
            variance = variance + picture / self.photons
        normal = torch.randn(picture.shape, generator=generator, dtype=picture.dtype, device="cpu")
        return (picture + variance.sqrt() * normal.to(picture.device)).clamp(min=0.0)


def with_noise(sample: Sample, noise: Noise, generator: torch.Generator | None = None) -> Sample:
    """The sample with noise in the all-in-focus and the blurred pictures."""
    return replace(
        sample,
        all_in_focus=noise.added(sample.all_in_focus, generator),
        blurred=noise.added(sample.blurred, generator),
    )


def crop(sample: Sample, top: int, left: int, height: int, width: int) -> Sample:
    """A part of a sample. What lies beyond its border has still been blurred into it.

    Raises:
        TypeError: an argument is no integer.
        ValueError: the part does not lie within the sample.
    """
    for name, value, least in (("top", top, 0), ("left", left, 0), ("height", height, 1), ("width", width, 1)):
        require_integer(name, value, at_least=least)
    rows, columns = sample.all_in_focus.shape[-2:]
    if top + height > rows or left + width > columns:
        raise ValueError(
            f"sample {sample.name} is {rows} × {columns} px; expected a part within it, not {height} × {width} at {top}, {left}"
        )
    return _each(sample, lambda picture: picture[..., top : top + height, left : left + width].contiguous())


def flip(sample: Sample, axes: tuple[int, ...], aperture: Aperture = Aperture()) -> Sample:
    """A sample turned over.

    Args:
        sample: to be turned over.
        axes: −1: left and right change places; −2: top and bottom.
        aperture: that it was taken with.

    Raises:
        ValueError: the aperture is no disc, so that the picture would be one of another aperture; or an axis is unknown.
    """
    _require_disc(aperture)
    if not set(axes) <= {-1, -2}:
        raise ValueError(f"axes is {axes}; expected −1, −2 or both")
    return _each(sample, lambda picture: picture.flip(axes))


def transpose(sample: Sample, aperture: Aperture = Aperture()) -> Sample:
    """A sample whose rows have become its columns.

    Raises:
        ValueError: as `flip`.
    """
    _require_disc(aperture)
    return _each(sample, lambda picture: picture.transpose(-1, -2).contiguous())


@dataclass(frozen=True)
class Augmentation:
    """Random crops, flips and transposes, and fresh noise, from torch's own generator; for training.

    That generator differs among the workers of a DataLoader and follows from torch.manual_seed.

    Attributes:
        size_px: side of the square crop; None: no crop.
        flips: also flips and, of a square, transposes.
        noise: added last, or None.
        aperture: that the samples were taken with.

    Raises:
        TypeError, ValueError: a value is not what it must be, or there are to be flips of an aperture that is no disc.
    """

    size_px: int | None = None
    flips: bool = True
    noise: Noise | None = None
    aperture: Aperture = Aperture()

    def __post_init__(self) -> None:
        if self.size_px is not None:
            require_integer("size_px", self.size_px, at_least=1)
        if self.flips:
            _require_disc(self.aperture)

    def __call__(self, sample: Sample) -> Sample:
        """Another version of the sample."""
        if self.size_px is not None:
            spare = (length - self.size_px for length in sample.all_in_focus.shape[-2:])
            top, left = (int(torch.randint(max(0, room) + 1, (), device="cpu")) for room in spare)
            sample = crop(sample, top, left, self.size_px, self.size_px)
        if self.flips:
            across, down, turned = (torch.rand(3, dtype=torch.float32, device="cpu") < 0.5).tolist()
            sample = flip(sample, tuple(axis for axis, is_wanted in ((-1, across), (-2, down)) if is_wanted), self.aperture)
            height, width = sample.all_in_focus.shape[-2:]
            if turned and height == width:
                sample = transpose(sample, self.aperture)
        return sample if self.noise is None else with_noise(sample, self.noise)


def _require_disc(aperture: Aperture) -> None:
    if not aperture.is_disc:
        raise ValueError(f"aperture is no disc ({aperture.not_a_disc}); expected one, as a flip would flip the opening, too")


def _each(sample: Sample, change: Callable[[Tensor], Tensor]) -> Sample:
    """The same done to every picture of a sample."""
    return replace(
        sample,
        all_in_focus=change(sample.all_in_focus),
        blurred=change(sample.blurred),
        disparity=None if sample.disparity is None else change(sample.disparity),
    )
