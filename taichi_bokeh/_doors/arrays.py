"""Images and planes as people have them, numpy or torch, as the renderers take them, and back again."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh._autocast import full_precision
from taichi_bokeh._checks import Bounded, require_values
from taichi_bokeh.layers import LIGHT_ROUNDING

Array = NDArray[Any]
ImageT = TypeVar("ImageT", Array, Tensor)

_LAYOUTS = "[H, W, 3] of a numpy array, [3, H, W] or [B, 3, H, W] of a torch tensor"
_FLOATS = (torch.float32, torch.float64)
_INTEGERS = (torch.uint8, torch.uint16)


class Light(NamedTuple):
    """An image as the renderers take it.

    Attributes:
        values: [B, 3, H, W], linear light, float32 or float64.
        restore: brings a result [B, 3, H, W] to the kind, layout, dtype and device in which the image came.
    """

    values: Tensor
    restore: Callable[[Tensor], Any]


def take_image(name: str, image: object, *, srgb: bool) -> Light:
    """Take linear light of a numpy array [H, W, 3], or of a torch tensor [3, H, W] or [B, 3, H, W].

    Args:
        name: of the argument.
        image: float32 or float64, linear light, ≥ 0; with `srgb` also uint8 or uint16 on the sRGB curve.
        srgb: whether integers are taken.

    Raises:
        TypeError: it is neither array nor tensor, or of another dtype.
        ValueError: its shape is another, or a value is negative or not finite.
    """
    tensor = _tensor(name, image)
    if tensor.dtype not in _FLOATS and not (srgb and tensor.dtype in _INTEGERS):
        integers = "uint8 or uint16 (sRGB), or " if srgb else ""
        hint = "" if srgb else "; taichi_bokeh.io.srgb_decode makes light of sRGB with 8 or 16 bits"
        raise TypeError(f"{name} has dtype {tensor.dtype}; expected {integers}float32 or float64 in linear light{hint}")
    is_array = isinstance(image, np.ndarray)
    channels_at = tensor.ndim - (1 if is_array else 3)
    fits = tensor.ndim in ((3,) if is_array else (3, 4)) and tensor.shape[channels_at] == 3
    if not fits or 0 in tensor.shape:
        raise ValueError(f"{name} has shape {list(tensor.shape)}; expected {_LAYOUTS}")
    sizes = tensor.shape[:2] if is_array else tensor.shape[-2:]
    batched = (tensor.movedim(-1, 0) if is_array else tensor).reshape(-1, 3, *sizes)
    light = _decoded(batched)
    light = require_values({name: Bounded(light, at_least=0.0, rounding=LIGHT_ROUNDING)})[name]

    def restore(result: Tensor) -> Any:
        encoded = _encoded(result, tensor.dtype).to(tensor.device)
        if is_array:
            return np.ascontiguousarray(encoded[0].movedim(0, -1).detach().cpu().numpy())
        return encoded.reshape(tensor.shape)

    return Light(light, restore)


def take_plane(name: str, plane: object, like: Tensor, *, unit: bool) -> Tensor:
    """Take one number a pixel of an image, [B, 1, H, W], of the dtype and on the device of the image.

    Args:
        name: of the argument.
        plane: numpy [H, W]; torch [H, W], [1, H, W] or [B, 1, H, W]. Any real numbers.
        like: the image, [B, 3, H, W].
        unit: whether uint8 and uint16 are divided by their largest value, as those of files are.

    Raises:
        TypeError: it is neither array nor tensor, or not of real numbers.
        ValueError: it has not the size of the image, or is on another device.
    """
    tensor = _tensor(name, plane)
    if isinstance(plane, Tensor) and tensor.device != like.device:
        raise ValueError(f"{name} is on device {tensor.device}; expected that of the image, {like.device}")
    if unit and tensor.dtype in _INTEGERS:
        from taichi_bokeh.io.arrays import to_unit  # io brings imageio, which importing the package does not wait for

        tensor = torch.from_numpy(to_unit(tensor.cpu().numpy()))
    batch, _, height, width = like.shape
    shapes = [(height, width), (1, height, width), (batch, 1, height, width)]
    if tuple(tensor.shape) not in (shapes[:1] if isinstance(plane, np.ndarray) else shapes):
        expected = f"[{height}, {width}] or [{batch}, 1, {height}, {width}], the size of the image"
        raise ValueError(f"{name} has shape {list(tensor.shape)}; expected {expected}")
    return tensor.to(like.device, like.dtype).reshape(-1, 1, height, width).expand(batch, 1, height, width)


def _tensor(name: str, values: object) -> Tensor:
    """Make a tensor of these values; of an array a copy, whatever its strides and the order of its bytes."""
    if isinstance(values, np.ndarray):
        if values.dtype.kind not in "buif" or values.dtype.itemsize > 8:
            raise TypeError(f"{name} has dtype {values.dtype}; expected real numbers")
        return torch.from_numpy(values.astype(values.dtype.newbyteorder("="), order="C"))
    if not isinstance(values, Tensor):
        raise TypeError(f"{name} is of type {type(values).__name__}; expected a numpy array or a torch tensor")
    if values.is_complex() or values.layout != torch.strided:
        raise TypeError(f"{name} has dtype {values.dtype} and layout {values.layout}; expected real numbers, torch.strided")
    return full_precision(values)


def _decoded(image: Tensor) -> Tensor:
    if image.dtype in _FLOATS:
        return image
    from taichi_bokeh.io.srgb import srgb_decode

    return torch.from_numpy(srgb_decode(image.cpu().numpy())).to(image.device)


def _encoded(light: Tensor, dtype: torch.dtype) -> Tensor:
    """Encode light in the dtype of the image that it was made of; integers on the sRGB curve, clipped to what they hold."""
    if dtype in _FLOATS:
        return light.to(dtype)
    from taichi_bokeh.io.srgb import srgb_encode

    largest = torch.iinfo(dtype).max
    encoded = srgb_encode(light.detach().clamp(0, 1).cpu().numpy()) * largest + 0.5
    return torch.from_numpy(encoded.astype(np.uint8 if dtype == torch.uint8 else np.uint16))
