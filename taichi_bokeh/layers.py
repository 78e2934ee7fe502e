"""The scene that everything here renders: a stack of images, each with its coverage and its disparity."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from taichi_bokeh._autocast import full_precision
from taichi_bokeh._checks import Bounded, require_float_tensor, require_shape, require_values

LIGHT_ROUNDING = 1e-6  #: how far rounding may put light below 0, of the brightest light where that is above 1
ALPHA_ROUNDING = 1e-5  #: how far rounding may put alpha out of [0, 1]

_splitters: list[Callable[[Any, Any, int | Literal["auto", "one"]], "Layers"]] = []


def splits_images(split: Callable[[Any, Any, int | Literal["auto", "one"]], "Layers"]) -> Callable[..., "Layers"]:
    """Have `Layers.from_rgbd` call a function of a room above this one."""
    _splitters[:] = [split]
    return split


class _Lens(Protocol):
    """What gives every scene its blur and its focus: a `ThinLens`."""

    def per_image(self, layers: "Layers") -> tuple[Tensor, Tensor]:
        """Give blur and focus, two [B]."""


@dataclass(frozen=True, eq=False, repr=False)
class Layers:
    """A batch of scenes in layers, layer 0 nearest.

    All three tensors are float32 or all float64, on one device; they need not be contiguous, are kept as they came,
    and may require gradients. Inside `torch.autocast` a bfloat16 or half tensor is taken as float32.

    What is out of range by rounding is put on the end of the range, with the gradient of the identity: an alpha by up to 1e-5,
    light below 0 by up to 1e-6, or by 1e-6 of the brightest light where that is above 1; and by up to the resolution of
    bfloat16 or half (2⁻⁷, 2⁻¹⁰) of a tensor that autocast made one of these.

    Attributes:
        rgb: [B, L, 3, H, W], straight (not premultiplied) linear light, ≥ 0 and unbounded above.
        alpha: [B, L, 1, H, W], coverage in [0, 1].
        disparity: [B, L, 1, H, W], 1/depth in any unit, larger is nearer; defined where alpha is 0 as well.

    Raises:
        TypeError: an argument is not a float32 or float64 tensor, or their dtypes differ.
        ValueError: shapes or devices disagree, a size is 0, or a value is not finite or out of range by more than
            rounding. Values are not read under torch.compile, nor of meta and fake tensors.
    """

    rgb: Tensor
    alpha: Tensor
    disparity: Tensor

    def __post_init__(self) -> None:
        resolution = {name: self._take(name) for name in ("rgb", "alpha", "disparity")}
        require_float_tensor("rgb", self.rgb)
        require_shape("rgb", self.rgb, "B", "L", 3, "H", "W")
        batch, count, height, width = self.shape
        for name, tensor in (("alpha", self.alpha), ("disparity", self.disparity)):
            require_float_tensor(name, tensor)
            if tensor.dtype != self.dtype:
                raise TypeError(f"{name} has dtype {tensor.dtype}; expected that of rgb, {self.dtype}")
            require_shape(name, tensor, batch, count, 1, height, width)
            if tensor.device != self.device:
                raise ValueError(f"{name} is on device {tensor.device}; expected that of rgb, {self.device}")
        light, alpha = max(LIGHT_ROUNDING, resolution["rgb"]), max(ALPHA_ROUNDING, resolution["alpha"])
        values = require_values(
            {
                "rgb": Bounded(self.rgb, at_least=0.0, rounding=light),
                "alpha": Bounded(self.alpha, at_least=0.0, at_most=1.0, rounding=alpha),
                "disparity": Bounded(self.disparity),
            }
        )
        for name, tensor in values.items():
            object.__setattr__(self, name, tensor)

    @classmethod
    def from_rgbd(cls, rgb: Any, disparity: Any, layers: int | Literal["auto", "one"] = "auto") -> "Layers":
        """Split an image with its disparity into layers, and invent what each of them hides (`photo.to_layers`).

            import numpy as np
            import taichi_bokeh as tb

            rgb = np.full((48, 64, 3), 0.1, np.float32)
            rgb[8:40, 20:44] = 0.7
            disparity = np.full((48, 64), 0.2, np.float32)
            disparity[8:40, 20:44] = 0.8
            layers = tb.Layers.from_rgbd(rgb, disparity)
            lens = tb.ThinLens(blur=10.0, focus=0.8)
            print(layers.count, layers.largest_radius_px(lens))
            near = tb.render(layers, lens)

        Mattes and stages of one's own go to `photo.to_layers`.

        Args:
            rgb: numpy [H, W, 3], or torch [3, H, W] or [B, 3, H, W]; float32 or float64, linear light, ≥ 0.
            disparity: larger is nearer; numpy [H, W], or torch [H, W], [1, H, W] or [B, 1, H, W]. uint8 and uint16 are scaled
                to [0, 1], as `io.read_disparity` scales those of files. NaN marks a hole, which is filled.
            layers: how many; fewer are made where the disparity has no further jump. "auto": as many as pay, up to 5. 1 or
                "one": the image as it is, one layer, which is differentiable.

        Returns:
            Layers of the dtype and on the device of `rgb`, the last one opaque; B = 1 for an array and for [3, H, W]. Where
            scenes have fewer layers than another, there are empty ones in front.

        Raises:
            TypeError: `rgb` is not of floats (`io.srgb_decode` makes light of sRGB), or an argument is of the wrong type.
            ValueError: sizes or devices do not fit, a value is out of range, or a gradient is wanted of more than one layer.
        """
        if not _splitters:
            import_module(f"{__package__}._doors.from_rgbd")  # which says how
        (split,) = _splitters
        return split(rgb, disparity, layers)

    def _take(self, name: str) -> float:
        """Take a field by `full_precision`; the resolution of the dtype that it had, 0 where it stays as it is."""
        came = getattr(self, name)
        taken = full_precision(came)
        if taken is came:
            return 0.0
        object.__setattr__(self, name, taken)
        return float(torch.finfo(came.dtype).eps)

    def __repr__(self) -> str:
        return f"Layers({list(self.shape)} as [B, L, H, W], {self.dtype}, {self.device})"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(batch, count, height, width)."""
        batch, count, _, height, width = self.rgb.shape
        return batch, count, height, width

    @property
    def batch(self) -> int:
        """Number of scenes, B."""
        return self.shape[0]

    @property
    def count(self) -> int:
        """Number of layers in a scene, L."""
        return self.shape[1]

    @property
    def height(self) -> int:
        """Height H, in pixels."""
        return self.shape[2]

    @property
    def width(self) -> int:
        """Width W, in pixels."""
        return self.shape[3]

    @property
    def dtype(self) -> torch.dtype:
        """torch.float32 or torch.float64."""
        return self.rgb.dtype

    @property
    def device(self) -> torch.device:
        """The device of all three tensors."""
        return self.rgb.device

    def to(self, *args: Any, **kwargs: Any) -> "Layers":
        """Give the layers on another device or of another dtype, still part of the graph; arguments as of `Tensor.to`."""
        return Layers(*(tensor.to(*args, **kwargs) for tensor in (self.rgb, self.alpha, self.disparity)))

    def detach(self) -> "Layers":
        """Give layers that share these values but not their graph."""
        return Layers(self.rgb.detach(), self.alpha.detach(), self.disparity.detach())

    def repeated(self, count: int) -> "Layers":
        """Repeat every scene, one after the other: B·count scenes, still part of the graph; values are not read."""
        result = object.__new__(Layers)  # these values have been checked
        for name in ("rgb", "alpha", "disparity"):
            tensor = getattr(self, name)
            object.__setattr__(result, name, tensor[:, None].expand(-1, count, -1, -1, -1, -1).flatten(0, 1))
        return result

    def premultiplied(self) -> Tensor:
        """Give light times coverage, and coverage, [B, L, 4, H, W]: what the renderers sum. Differentiable."""
        return torch.cat([self.alpha * self.rgb, self.alpha], 2)

    def all_in_focus(self) -> Tensor:
        """Composite the layers front to back, as a pinhole camera sees them: [B, 3, H, W], linear light. Differentiable.

        A ray that meets nothing opaque is black as far as it is open.
        """
        through = torch.cat([torch.ones_like(self.alpha[:, :1]), (1 - self.alpha[:, :-1]).cumprod(1)], 1)
        return (through * self.alpha * self.rgb).sum(1)

    def largest_radius_px(self, lens: _Lens) -> Tensor:
        """Compute the largest |radius| of the circle of confusion where a layer covers anything, in px, [B, L]. Differentiable.

        Args:
            lens: a `ThinLens`.

        Raises:
            ValueError: the lens has another number of scenes, or is on another device.
        """
        blur, focus = (value[:, None, None, None, None] for value in lens.per_image(self))
        radius = blur * (self.disparity - focus)
        return torch.where(self.alpha > 0, radius.abs(), 0.0).flatten(2).amax(2)
