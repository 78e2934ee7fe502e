"""A photograph's layers, made once and kept where the user wants them kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import taichi_bokeh
from taichi_bokeh._version import __version__
from taichi_bokeh.apps.common import Say
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.photo.scene import read_photo, split_photo
from taichi_bokeh.io.arrays import refusal
from taichi_bokeh.io.exr import Frame, is_deep, read_deep
from taichi_bokeh.layers import Layers
from taichi_bokeh.photo.deep import deep_layers
from taichi_bokeh.storage.fingerprint import folder_digest, value_digest
from taichi_bokeh.storage.resumable import Checkpoint, check_folder

Array = NDArray[np.float32]
Check = Callable[[Array, bool, Frame | None], None]

_LAYERS = ("rgb", "alpha", "disparity")


class PhotoScene(NamedTuple):
    """A photograph in layers.

    Attributes:
        layers: of one image.
        disparity: that of the photograph, [H, W], its holes filled.
        frame: of an OpenEXR file, where the pixels lie.
        coverage: that of the layers of a photograph that is partly transparent, [1, L, 1, H, W]; else None.
    """

    layers: Layers
    disparity: Array
    coverage: Tensor | None = None
    frame: Frame | None = None


def check_cache(folder: Path | None) -> None:
    """Refuse a cache that cannot be one.

    Raises:
        OSError: it is a file, or would lie in no folder.
    """
    if folder is not None:
        check_folder(folder)


def read_scene(request: PhotoRequest, cache: Path | None, say: Say, check: Check) -> PhotoScene:
    """Read the photograph and split it into layers; with a cache, only if it has not been done before.

    What is kept is found by the content of the files that the request names, the rest of it, and the code that makes layers.
    An entry that is damaged is made again.

    Args:
        request: the photograph.
        cache: the folder.
        say: prints a line.
        check: is given the disparity [H, W], whether the photograph is partly transparent, and its frame before it is split,
            and raises where it could not be rendered.

    Raises:
        ValueError, OSError: what is wrong with a file, in one line.
    """
    if cache is None:
        return _made(request, say, check)
    key = _key(request)
    entry = Checkpoint(cache / f"{key}.pt", "photograph", {"key": key})
    scene = _load(entry)
    if scene is not None:
        say(f"layers from {entry.path}")
        check(scene.disparity, scene.coverage is not None, scene.frame)
        return scene
    scene = _made(request, say, check)
    cache.mkdir(exist_ok=True)
    kept: dict[str, Any] = {name: getattr(scene.layers, name) for name in _LAYERS}
    kept["frame"] = None if scene.frame is None else [list(part) if isinstance(part, tuple) else part for part in scene.frame]
    entry.save(kept | {"map": torch.from_numpy(scene.disparity), "coverage": scene.coverage})
    return scene


def _made(request: PhotoRequest, say: Say, check: Check) -> PhotoScene:
    if request.is_own_depth and is_deep_file(request.photo):
        return _made_of_deep(request, say, check)
    photo = read_photo(request, say)
    check(photo.disparity, photo.coverage is not None, photo.frame)
    layers, coverage = split_photo(photo, request)
    return PhotoScene(layers, photo.disparity, coverage, photo.frame)


def _made_of_deep(request: PhotoRequest, say: Say, check: Check) -> PhotoScene:
    """Bin the samples of a deep image into layers.

    Raises:
        ValueError: it cannot be read, or is to be split in another way.
    """
    request.check()
    if request.has_matte or request.opaque:
        given = "--opaque" if request.opaque else "--alpha" if request.alpha is not None else "--matte-model"
        raise ValueError(f"{given} is for flat images: {request.photo} is deep, and has coverages of its own")
    try:
        deep = read_deep(request.photo.read_bytes())
    except ValueError as error:
        raise refusal(request.photo, error) from None
    (layers, coverage), seen = deep_layers(deep, request.layers)
    say(f"deep image: {len(deep.pixels)} samples in {layers.count - 1} layers")
    disparity = np.where(np.isfinite(seen), seen, np.nanmin(seen)).astype(np.float32)
    frame = None if deep.frame.is_plain else deep.frame
    opaque = bool((layers.alpha[:, -2] == 1).all())
    check(disparity, not opaque, frame)
    if opaque:
        layers = Layers(layers.rgb[:, :-1], layers.alpha[:, :-1], layers.disparity[:, :-1])
    return PhotoScene(layers, disparity, None if opaque else coverage, frame)


def is_deep_file(path: Path) -> bool:
    """Tell whether a file is a deep image."""
    return path.suffix.lower() == ".exr" and path.is_file() and is_deep(path.read_bytes())


def _key(request: PhotoRequest) -> str:
    package = Path(taichi_bokeh.__file__).parent
    code = [folder_digest(package / part, ".py") for part in ("photo", "io")]
    return value_digest((request, __version__, code))


def _load(entry: Checkpoint) -> PhotoScene | None:
    """The photograph that was kept; None where there is none, or it is damaged."""
    try:
        kept = entry.load()
    except ValueError:
        return None
    if kept is None:
        return None
    frame = kept["frame"] and Frame.of_parts(*kept["frame"])
    return PhotoScene(Layers(*(kept[name] for name in _LAYERS)), kept["map"].numpy(), kept["coverage"], frame)
