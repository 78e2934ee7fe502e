"""The ideal thin lens: everything at one disparity has one circle of confusion, of radius blur·(disparity − focus)."""

from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import Protocol, Self

import torch
from torch import Tensor

from taichi_bokeh._autocast import full_precision
from taichi_bokeh._checks import Bounded, require_float_tensor, require_number, require_shape, require_type, require_values
from taichi_bokeh._renamed import Renamed
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.aperture import Aperture

_LARGEST_M = {"sensor_width": 1.0, "focal_length": 20.0}  # of cameras: larger ones are in mm


class Learnt(Protocol):
    """A number that is learnt, as `taichi_bokeh.nn.Positive`: called, it gives its value, [] or [B]."""

    def __call__(self) -> Tensor: ...  # noqa: D102
    def __float__(self) -> float: ...


def value_of(number: float | Tensor | Learnt) -> float | Tensor:
    """Give the value of one of the numbers that describe a lens."""
    return number() if callable(number) else number


def _disc() -> Aperture:
    """Make the default aperture; a function, as torch.compile traces neither an object nor a class as a field's default."""
    return Aperture()


@dataclass(frozen=True, eq=False)
class ThinLens(Renamed):
    """An ideal lens, in the units of the image.

    A tensor is float32 or float64, and may require gradients; [] holds for every image, [B] has one value for each. Inside
    `torch.autocast` a bfloat16 or half tensor is taken as float32. A `taichi_bokeh.nn.Positive`, a blur that is learnt and
    stays above 0, is called whenever its value is needed.

    Attributes:
        blur: radius of the circle of confusion in pixels per unit of |disparity − focus|, ≥ 0; number, [], [B] or `Positive`.
        focus: the disparity in focus; number, [], [B] or `Positive`.
        aperture: its shape.

    Raises:
        TypeError: an argument is of the wrong type or dtype.
        ValueError: a shape is neither [] nor [B], or a value is not finite or out of range. Values of tensors are not
            read under torch.compile, nor of meta and fake tensors.
    """

    _new_names = MappingProxyType({"per_picture": "per_image"})

    blur: float | Tensor | Learnt
    focus: float | Tensor | Learnt
    aperture: Aperture = field(default_factory=_disc)

    def __post_init__(self) -> None:
        for name in ("blur", "focus"):
            object.__setattr__(self, name, full_precision(getattr(self, name)))
        _require_parameter("blur", value_of(self.blur), at_least=0.0)
        _require_parameter("focus", value_of(self.focus))
        require_type("aperture", self.aperture, Aperture, "an Aperture")

    @classmethod
    def from_camera(
        cls,
        focal_length: float,
        f_number: float,
        focus_distance: float,
        sensor_width: float,
        image_width: float,
        aperture: Aperture = Aperture(),
    ) -> Self:
        """Build the lens of a camera, for disparity in 1/m: blur = (L/2)·f·z_f / (p·(z_f − f)), focus = 1/z_f.

        Args:
            focal_length: f, in metres.
            f_number: N; the aperture is L = f/N wide.
            focus_distance: z_f, from the lens to the plane in focus, in metres; more than the focal length.
            sensor_width: in metres.
            image_width: in pixels; a pixel is p = sensor_width/image_width wide.
            aperture: its shape.

        Raises:
            TypeError: an argument is not a number.
            ValueError: an argument is not finite and positive, the focus is within the focal length, or the sensor or the focal
                length is so large that it must be in mm.
        """
        numbers = {
            "focal_length": focal_length,
            "f_number": f_number,
            "focus_distance": focus_distance,
            "sensor_width": sensor_width,
            "image_width": image_width,
        }
        for name, value in numbers.items():
            require_number(name, value, above=0.0)
        for name, most_m in _LARGEST_M.items():
            if numbers[name] > most_m:
                raise ValueError(
                    f"{name} is {numbers[name]!r} m; expected at most {most_m:g}: lengths are in metres, 50 mm is 0.05"
                )
        if focus_distance <= focal_length:
            raise ValueError(
                f"focus_distance is {focus_distance!r} m; expected more than focal_length, {focal_length!r} m, "
                "within which no lens forms an image; lengths are in metres"
            )
        aperture_radius_m = focal_length / f_number / 2
        sensor_distance_m = focal_length * focus_distance / (focus_distance - focal_length)
        pixel_m = sensor_width / image_width
        return cls(aperture_radius_m * sensor_distance_m / pixel_m, 1 / focus_distance, aperture)

    def psf(self, disparity: float | Tensor, size: int = 65, channel: None = None) -> Tensor:
        """Compute the image of a point at this disparity, in the middle; differentiable in blur, focus and disparity.

            import taichi_bokeh as tb

            lens = tb.ThinLens.from_camera(0.05, 1.8, focus_distance=2.0, sensor_width=0.036, image_width=1920)
            psf = lens.psf(disparity=1 / 8)  # of a point 8 m away, 65 × 65

        Args:
            disparity: number, or tensor [] of float32 or float64.
            size: height and width in px, odd.
            channel: None, as this lens has no colour.

        Returns:
            [size, size] as of `Aperture.psf`; the sum is 1, less what falls outside.

        Raises:
            TypeError, ValueError: an argument is not what it must be, or blur or focus has one value for each scene.
        """
        if channel is not None:
            raise ValueError(f"channel is {channel!r}; expected None, as a thin lens refracts all colours alike")
        blur, focus = value_of(self.blur), value_of(self.focus)
        for name, value in (("blur", blur), ("focus", focus), ("disparity", disparity)):
            if isinstance(value, Tensor):
                require_float_tensor(name, value)
                require_shape(name, value)
            else:
                require_number(name, value)
        return self.aperture.psf(blur * (disparity - focus), size)

    def per_image(self, layers: Layers) -> tuple[Tensor, Tensor]:
        """Give blur and focus for each image of `layers`: two [B] tensors of its dtype and device, still in the graph.

        Raises:
            ValueError: a [B] tensor has another B than `layers`, or a tensor is on another device.
        """
        return _per_image("blur", value_of(self.blur), layers), _per_image("focus", value_of(self.focus), layers)


def _require_parameter(name: str, value: float | Tensor, at_least: float = -inf) -> None:
    if not isinstance(value, Tensor):
        require_number(name, value, at_least=at_least)
        return
    require_float_tensor(name, value)
    if value.ndim:
        require_shape(name, value, "B")
    require_values({name: Bounded(value, at_least=at_least)})


def _per_image(name: str, value: float | Tensor, layers: Layers) -> Tensor:
    if not isinstance(value, Tensor):
        return torch.full((layers.batch,), float(value), dtype=layers.dtype, device=layers.device)
    if value.device != layers.device:
        raise ValueError(f"{name} is on device {value.device}; expected that of the layers, {layers.device}")
    if value.ndim and value.shape[0] != layers.batch:
        raise ValueError(f"{name} has shape {list(value.shape)}; expected [] or [{layers.batch}], one for each image")
    return value.to(layers.dtype).expand(layers.batch)
