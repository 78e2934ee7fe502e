"""A photograph's layers, made once and kept where the user wants them kept."""

import hashlib
import zipfile
import zlib
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import taichi_bokeh
from taichi_bokeh._version import __version__
from taichi_bokeh.apps.common import Say
from taichi_bokeh.apps.photo.scene import read_photo, require_room_for_alpha, split, stages_of
from taichi_bokeh.apps.photo.sequence_cuts import split_at
from taichi_bokeh.layers import Layers
from taichi_bokeh.storage.atomic_files import whole_file
from taichi_bokeh.storage.fingerprint import fingerprint, folder_digest

Array = NDArray[np.float32]
Check = Callable[[Array], None]

_DAMAGED = (OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
_ENTRIES, _COVERAGE = ("rgb", "alpha", "disparity", "map"), "coverage"

# Options that layers do not depend on; of every other, a new one too, they are taken to.
_OF_THE_LENS = ("blur", "f_number", "focal_length", "sensor_width", "lens", "refractive_index", "abbe")
_OF_THE_FOCUS = ("focus", "focus_distance", "focus_at", "focus_box")
_OF_THE_APERTURE = ("blades", "rotation", "roundness", "squeeze", "cat_eye", "ring", "aperture_image")
_OF_THE_LOOK = ("highlights", "highlight_threshold", "near_blur", "far_blur")
_OF_THE_MODEL = ("model", "cells", "profile", "algorithm", "draft", "max_radius", "device")
_OF_THE_OUTPUT = ("output", "bits", "save_layers", "overwrite", "show_focus", "cache")
_OF_A_SERIES = ("frames", "ease", "fps", "frame_numbers")
_OF_THE_PROGRAM = ("command", "run", "quiet", "explain")
_NOT_OF_LAYERS = frozenset(
    (
        *_OF_THE_LENS,
        *_OF_THE_FOCUS,
        *_OF_THE_APERTURE,
        *_OF_THE_LOOK,
        *_OF_THE_MODEL,
        *_OF_THE_OUTPUT,
        *_OF_A_SERIES,
        *_OF_THE_PROGRAM,
    )
)


class Scene(NamedTuple):
    """A photograph in layers.

    Attributes:
        layers: of one picture.
        disparity: that of the photograph, [H, W], its holes filled.
        coverage: that of the layers of a photograph that is partly transparent, [1, L, 1, H, W]; else None.
    """

    layers: Layers
    disparity: Array
    coverage: Tensor | None = None


def check_cache(arguments: Namespace) -> None:
    """Refuse a cache that cannot be one.

    Raises:
        OSError: it is a file, or would lie in no folder.
    """
    if arguments.cache is None:
        return
    folder = Path(arguments.cache)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, and must be a folder")
    if not folder.absolute().parent.is_dir():
        raise FileNotFoundError(f"{folder} cannot be made: there is no folder {folder.parent}")


def read_scene(arguments: Namespace, say: Say, check: Check = lambda _: None) -> Scene:
    """Read the photograph and split it into layers; with --cache, only if it has not been done before.

    What is kept is found by the content of the input files, the options, and the code that makes layers. An entry that is
    damaged is made again.

    Args:
        arguments: of the command.
        say: prints a line.
        check: is given the disparity [H, W] before it is split, and raises where it could not be rendered.

    Raises:
        ValueError, OSError: what is wrong with a file, in one line.
    """
    if arguments.cache is None:
        return _made(arguments, say, check)
    folder = Path(arguments.cache)
    path = folder / f"{_key(arguments)}.npz"
    scene = _load(path) if path.exists() else None
    if scene is not None:
        say(f"layers from {path}")
        if scene.coverage is not None:
            require_room_for_alpha(arguments)
        check(scene.disparity)
        return scene
    scene = _made(arguments, say, check)
    folder.mkdir(exist_ok=True)
    _save(path, scene)
    return scene


def _made(arguments: Namespace, say: Say, check: Check) -> Scene:
    photo = read_photo(arguments, say)
    check(photo.disparity)
    if photo.coverage is not None:
        require_room_for_alpha(arguments)
    cuts = getattr(arguments, "cuts", None)  # of a picture of a sequence
    if cuts is None:
        layers, coverage = split(photo, arguments.layers or "auto", stages_of(arguments))
    else:
        layers, coverage = split_at(photo, arguments, cuts)
    return Scene(layers, photo.disparity, coverage)


def _key(arguments: Namespace) -> str:
    package = Path(taichi_bokeh.__file__).parent
    code = [folder_digest(package / part, ".py") for part in ("photo", "io")]
    return fingerprint(arguments, _NOT_OF_LAYERS, version=__version__, code=code)


def _load(path: Path) -> Scene | None:
    """What was kept; None if it is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as entry:
            arrays = [entry[name] for name in (*_ENTRIES, *([_COVERAGE] if _COVERAGE in entry.files else []))]
            if str(entry["digest"]) != _digest(path.stem, arrays):
                return None
        coverage = torch.from_numpy(arrays[4]) if len(arrays) > 4 else None
        return Scene(Layers(*(torch.from_numpy(array) for array in arrays[:3])), arrays[3], coverage)
    except _DAMAGED:
        return None


def _save(path: Path, scene: Scene) -> None:
    entry = {name: getattr(scene.layers, name).numpy() for name in _ENTRIES[:3]} | {_ENTRIES[3]: scene.disparity}
    if scene.coverage is not None:
        entry[_COVERAGE] = scene.coverage.numpy()
    with whole_file(path, overwrite=True) as temporary, temporary.open("wb") as file:
        np.savez(file, digest=np.array(_digest(path.stem, list(entry.values()))), **entry)


def _digest(key: str, arrays: list[Array]) -> str:
    digest = hashlib.sha256(key.encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
