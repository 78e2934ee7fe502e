"""Networks for depth, mattes and inpainting: from Python, from TorchScript, or from transformers and its hub.

None is part of this package. Whatever its kind, a network sees colours as a file holds them: sRGB in
[0, 1], highlights clipped.
"""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module, util
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from taichi_bokeh.io import srgb_decode, srgb_encode
from taichi_bokeh.io.require import require_light
from taichi_bokeh.photo.hub_models import is_hub_name, load_transformers
from taichi_bokeh.photo.known_models import Output

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Purpose = Literal["depth", "matte", "inpaint"]

PURPOSES: tuple[Purpose, ...] = ("depth", "matte", "inpaint")
_TORCHSCRIPT = (".pt", ".ts", ".pth", ".torchscript")
_MULTIPLE_PX = 32  # TorchScript gets sides that this divides, as most networks halve their input up to five times
_KINDS = (
    "module:function, file.py:function, a TorchScript file (.pt, .ts), the folder of a transformers model, or its name "
    "OWNER/NAME on the Hugging Face hub"
)


def load_model(
    spec: str, purpose: Purpose, say: Callable[[str], None] = lambda _: None, trust_code: bool = False
) -> Callable[..., Array]:
    """Load a network.

    Args:
        spec: where it is.

            - "module:function" or "file.py:function": called with sRGB, float32 [H, W, 3] in [0, 1], and for inpainting also
              the hole, bool [H, W]; it returns an array or a tensor.
            - A TorchScript file (.pt, .ts): called with sRGB [1, 3, H, W], and for inpainting also the hole, [1, 1, H, W]
              of 0 and 1; both continued at the right and the lower edge to sides that 32 divides.
            - A transformers model: its folder, with its image processor, its name OWNER/NAME on the Hugging Face hub, or "auto"
              for `known_models.default_of`. Depth estimation for depth; for a matte, semantic segmentation with one label or
              with a first label "background". Only one that is named and not in the cache of transformers is downloaded.
        purpose: "depth", "matte" or "inpaint".
        say: is told before something is downloaded, and under which licence it comes.
        trust_code: run code that a model of the hub brings itself.

    Returns:
        For depth and matte, a callable (rgb [H, W, 3] in linear light) → float32 [H, W]; a matte lies in [0, 1]. Depth is
        what the network calls so: disparity up to scale and shift, or depth in metres, as the attribute ``output`` of the
        callable says where it is known: "relative disparity" or "metres". For inpainting, a
        callable (rgb, known [H, W]) → rgb as `Stages.inpaint` takes it, with the known pixels as they were. Each raises
        ValueError where the network fails or returns what does not fit.

    Raises:
        ValueError: the purpose is unknown, or the network is not there or cannot be loaded for it.
    """
    if purpose not in PURPOSES:
        raise ValueError(f"purpose is {purpose!r}; expected one of {', '.join(PURPOSES)}")
    network, output = _network(spec, purpose, say, trust_code)
    name = f"the {purpose} model {spec}"
    if purpose == "inpaint":
        return partial(_inpaint, network, name)
    return DepthModel(network, name, output) if purpose == "depth" else partial(_matte, network, name)


@dataclass(frozen=True)
class DepthModel:
    """A network for depth, as a callable (rgb [H, W, 3] in linear light) → float32 [H, W].

    Attributes:
        network: a callable of sRGB.
        name: for messages.
        output: what it gives; None where that is not known.
    """

    network: Callable[..., Any]
    name: str
    output: Output | None = None

    def __call__(self, rgb: Array) -> Array:
        """Estimate; ValueError where the network fails or returns what does not fit."""
        return _plane(self.network, self.name, rgb)


def _network(
    spec: str, purpose: Purpose, say: Callable[[str], None], trust_code: bool
) -> tuple[Callable[..., Any], Output | None]:
    """A callable of sRGB [H, W, 3] (and the hole [H, W]), and what it gives, if that is known."""
    path = Path(spec)
    if path.suffix.lower() in _TORCHSCRIPT and not path.is_dir():
        return _of_torchscript(path), None
    if path.is_dir() or is_hub_name(spec):
        if purpose == "inpaint":
            kind = "a folder" if path.is_dir() else "a name on the hub"
            raise ValueError(f"{spec} is {kind}, which can hold a model for depth or a matte; for inpainting expected {_KINDS}")
        return load_transformers(spec, purpose, say, trust_code)
    if ":" in spec:
        return _of_python(spec), None
    raise ValueError(f"{spec} is no model; expected {_KINDS}")


def _of_python(spec: str) -> Callable[..., Any]:
    source, _, name = spec.rpartition(":")
    try:
        module = _module_of_file(Path(source)) if source.endswith(".py") else import_module(source)
        function = getattr(module, name)
    except Exception as error:  # the module is the user's: it may raise anything
        raise ValueError(f"{spec} cannot be loaded: {_said(error)}; expected {_KINDS}") from error
    if not callable(function):
        raise ValueError(f"{spec} is of type {type(function).__name__}; expected a function")
    return cast(Callable[..., Any], function)


def _module_of_file(path: Path) -> Any:
    described = util.spec_from_file_location(path.stem, path)
    if not path.is_file() or described is None or described.loader is None:
        raise FileNotFoundError(f"there is no file {path}")
    module = util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


def _of_torchscript(path: Path) -> Callable[..., Any]:
    if not path.is_file():
        raise ValueError(f"{path} does not exist; expected {_KINDS}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of the format that the user has chosen
            network = torch.jit.load(os.fspath(path), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as TorchScript: {_said(error)}") from error

    def run(*planes: NDArray[Any]) -> Tensor:
        height, width = planes[0].shape[:2]
        padding = (0, -width % _MULTIPLE_PX, 0, -height % _MULTIPLE_PX)
        tensors = [torch.from_numpy(np.atleast_3d(plane).astype(np.float32)).permute(2, 0, 1)[None] for plane in planes]
        result = network(*(functional.pad(tensor, padding, mode="replicate") for tensor in tensors))
        if not isinstance(result, Tensor):
            raise TypeError(f"it returned {type(result).__name__}; expected one tensor")
        return result[..., :height, :width]

    return run


def _plane(network: Callable[..., Any], name: str, rgb: Array) -> Array:
    result = _result(name, network, _shown(rgb))
    plane = result.reshape(result.shape[-2:]) if result.ndim >= 2 and result.size == rgb.shape[0] * rgb.shape[1] else result
    if plane.shape != rgb.shape[:2]:
        raise ValueError(f"{name} returned shape {result.shape}; expected {rgb.shape[:2]}, the size of the image")
    return plane


def _matte(network: Callable[..., Any], name: str, rgb: Array) -> Array:
    alpha = _plane(network, name, rgb)
    if not (alpha.min() >= 0 and alpha.max() <= 1):
        raise ValueError(f"{name} returned values from {alpha.min():g} to {alpha.max():g}; expected values in [0, 1]")
    return alpha


def _inpaint(network: Callable[..., Any], name: str, rgb: Array, known: Mask) -> Array:
    result = _result(name, network, np.where(known[..., None], _shown(rgb), 0).astype(np.float32), ~known)
    if result.shape in ((3, *rgb.shape[:2]), (1, 3, *rgb.shape[:2])):
        result = np.moveaxis(result.reshape(3, *rgb.shape[:2]), 0, 2)
    if result.shape != rgb.shape:
        raise ValueError(f"{name} returned shape {result.shape}; expected {rgb.shape}, or [3, H, W]")
    if not np.isfinite(result).all():
        raise ValueError(f"{name} returned NaN or infinite values; expected sRGB colours in [0, 1]")
    return np.where(known[..., None], rgb, srgb_decode(np.clip(result, 0, 1))).astype(np.float32)


def _result(name: str, network: Callable[..., Any], *arguments: NDArray[Any]) -> Array:
    try:
        with torch.inference_mode():
            result = network(*arguments)
        result = result.detach().cpu().numpy() if isinstance(result, Tensor) else result
        return np.asarray(result, np.float32)
    except Exception as error:  # the network is the user's: it may raise anything
        raise ValueError(f"{name} failed: {_said(error)}") from error


def _shown(rgb: Array) -> Array:
    return srgb_encode(np.clip(require_light("rgb", rgb), 0, 1))


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
