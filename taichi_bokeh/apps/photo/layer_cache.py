"""A photograph's layers, made once and kept where the user wants them kept."""

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
from taichi_bokeh.storage.fingerprint import fingerprint, folder_digest
from taichi_bokeh.storage.resumable import Checkpoint, check_folder

Array = NDArray[np.float32]
Check = Callable[[Array], None]

_LAYERS = ("rgb", "alpha", "disparity")

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
    if arguments.cache is not None:
        check_folder(Path(arguments.cache))


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
    key = _key(arguments)
    entry = Checkpoint(folder / f"{key}.pt", "photograph", {"key": key})
    scene = _load(entry)
    if scene is not None:
        say(f"layers from {entry.path}")
        if scene.coverage is not None:
            require_room_for_alpha(arguments)
        check(scene.disparity)
        return scene
    scene = _made(arguments, say, check)
    folder.mkdir(exist_ok=True)
    kept = {name: getattr(scene.layers, name) for name in _LAYERS}
    entry.save(kept | {"map": torch.from_numpy(scene.disparity), "coverage": scene.coverage})
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


def _load(entry: Checkpoint) -> Scene | None:
    """The photograph that was kept; None where there is none, or it is damaged."""
    try:
        kept = entry.load()
    except ValueError:
        return None
    if kept is None:
        return None
    return Scene(Layers(*(kept[name] for name in _LAYERS)), kept["map"].numpy(), kept["coverage"])
