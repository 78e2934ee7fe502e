"""What the commands for a photograph share: its files become layers, and the picture made of them a file."""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh.apps.common import Say, check_folder, layer_files, to_image, write_layers
from taichi_bokeh.io import check_output, read_alpha, read_disparity, read_image, read_metadata, write_atomically
from taichi_bokeh.io.disparity import as_disparity
from taichi_bokeh.io.formats.metadata import METADATA_SUFFIXES, Metadata, check_metadata
from taichi_bokeh.io.images import ALPHA_SUFFIXES, check_format, encode_image
from taichi_bokeh.io.video import is_video
from taichi_bokeh.layers import Layers
from taichi_bokeh.photo import (
    Stages,
    fill_holes,
    inpainter,
    load_model,
    outline_matte,
    refine_matte,
    resize_disparity,
    to_layers,
)
from taichi_bokeh.photo.cut_out import split_cut_out
from taichi_bokeh.photo.models import Purpose
from taichi_bokeh.photo.resize import same_aspect
from taichi_bokeh.photo.split import MOST_CUTS

Array = NDArray[np.float32]


class Photo(NamedTuple):
    """What was read, all of one size.

    Attributes:
        rgb: [H, W, 3], linear light.
        disparity: [H, W], its holes filled.
        alpha: matte of the foreground, [H, W]; None where none was given.
        coverage: the photograph's own alpha channel, [H, W]; None where it is opaque.
    """

    rgb: Array
    disparity: Array
    alpha: Array | None
    coverage: Array | None = None


def check_before_work(arguments: Namespace) -> None:
    """Find what would fail at the end, at the start.

    Raises:
        ValueError, OSError: what is wrong with the output or with a network, in one line.
    """
    has_matte = arguments.alpha is not None or arguments.matte_model is not None
    if has_matte and arguments.layers == 1:
        option = "--alpha" if arguments.alpha is not None else "--matte-model"
        raise ValueError(f"--layers 1 leaves no layer behind the foreground of {option}; it must be at least 2")
    check_format(arguments.output, arguments.bits)
    check_output(arguments.output, arguments.overwrite)
    if arguments.save_layers is not None:
        folder = Path(arguments.save_layers)
        check_folder(folder, _files(folder, arguments.layers or MOST_CUTS + 1 + has_matte), arguments.overwrite)
    stages_of(arguments)


def read_photo(arguments: Namespace, say: Say) -> Photo:
    """Read the picture, its disparity and its matte, or have a network make these.

    Raises:
        ValueError, OSError: what is wrong with a file or a network, in one line.
    """
    if arguments.disparity is None and arguments.depth_model is None:
        raise ValueError(
            "how far things are is not given: --disparity FILE takes a disparity map (with --depth a depth map), "
            "--depth-model MODEL a network that estimates one, as module:function, TorchScript file or transformers folder"
        )
    if arguments.disparity is None and arguments.resize_depth:
        raise ValueError("--resize-depth is for --disparity: a network sees the picture at its own size")
    for option in ("depth_unit", "invert_disparity"):
        if arguments.disparity is None and getattr(arguments, option):
            raise ValueError(f"--{option.replace('_', '-')} says how a file is read: it needs --disparity")
    rgb, coverage = read_image(arguments.photo)
    if coverage is not None:
        coverage = _transparency(coverage, arguments)
    if arguments.disparity is None:
        disparity = _estimated(rgb, arguments.depth_model, arguments.depth)
    else:
        disparity = _of_the_size(_read(arguments), rgb, arguments)
    alpha = None
    if arguments.alpha is not None:
        alpha = read_alpha(arguments.alpha)
        if alpha.shape != rgb.shape[:2]:
            raise ValueError(f"{arguments.alpha} is {_size(alpha)} pixels, and must be {_size(rgb)} as {arguments.photo}")
    elif arguments.matte_model is not None:
        alpha = _model(arguments.matte_model, "matte")(rgb)
    holes = float(np.isnan(disparity).mean())
    if holes > 0:
        say(f"filling the disparity's holes ({holes:.1%} of the pixels)")
    if np.nanmin(disparity) == np.nanmax(disparity):
        say("the disparity is the same everywhere: all is blurred alike")
    return Photo(rgb, fill_holes(disparity, rgb), alpha, coverage)


def _transparency(alpha: Array, arguments: Namespace) -> Array | None:
    """The alpha channel of a photograph that is to stay transparent; None for one that is opaque, or is to be."""
    if arguments.opaque or bool((alpha == 1).all()):
        return None
    if not alpha.any():
        raise ValueError(f"{arguments.photo} is transparent everywhere; --opaque takes its colours as they are")
    return alpha


def require_room_for_alpha(arguments: Namespace) -> None:
    """Refuse to render a photograph that is partly transparent to a file that holds no transparency.

    Raises:
        ValueError: with what to do.
    """
    output = arguments.output
    if is_video(output) or Path(output).suffix.lower() not in ALPHA_SUFFIXES:
        raise ValueError(
            f"{arguments.photo} is partly transparent, and {output} holds no transparency: write PNG, TIFF, EXR or npy, "
            "or give --opaque"
        )


def stages_of(arguments: Namespace) -> Stages:
    """How the arguments have a photograph taken apart.

    Raises:
        ValueError: a network or a package is missing, in one line.
    """
    model = arguments.inpaint_model
    inpaint = inpainter(arguments.inpaint) if model is None else _model(model, "inpaint")
    return Stages(matte=refine_matte if arguments.matte == "refine" else outline_matte, inpaint=inpaint)


def split(photo: Photo, layers: int | Literal["auto"], stages: Stages) -> tuple[Layers, Tensor | None]:
    """The photograph in layers, and if it is partly transparent their coverage [1, L, 1, H, W]."""
    if photo.coverage is None:
        return to_layers(photo.rgb, photo.disparity, photo.alpha, layers, stages), None
    return split_cut_out(photo.rgb, photo.coverage, photo.disparity, photo.alpha, layers, stages)


@cache
def _model(spec: str, purpose: Purpose) -> Callable[..., Array]:
    """A network, loaded once for all pictures of a sequence."""
    return load_model(spec, purpose)


def _estimated(rgb: Array, spec: str, depth: bool) -> Array:
    """The disparity that a network gives, [H, W]; NaN at holes. Without a unit of its own it is scaled to [0, 1]."""
    disparity = as_disparity(_model(spec, "depth")(rgb), depth, f"what {spec} estimated")
    if not depth:
        low, high = np.nanmin(disparity), np.nanmax(disparity)
        disparity = (disparity - low) / (high - low if high > low else 1)
    return disparity.astype(np.float32)


def _read(arguments: Namespace) -> Array:
    if arguments.depth_unit is not None and not arguments.depth:
        raise ValueError("--depth-unit is of a depth file: it needs --depth")
    if arguments.invert_disparity and arguments.depth:
        raise ValueError("--invert-disparity is of a disparity file: it does not go with --depth")
    unit, invert = arguments.depth_unit, arguments.invert_disparity
    return read_disparity(arguments.disparity, depth=arguments.depth, unit=unit, invert=invert)


def _of_the_size(disparity: Array, rgb: Array, arguments: Namespace) -> Array:
    """The disparity at the picture's size, resized only if that was asked for."""
    if disparity.shape == rgb.shape[:2]:
        return disparity
    wrong = f"{arguments.disparity} is {_size(disparity)} pixels, and must be {_size(rgb)} as {arguments.photo}"
    if not same_aspect(disparity.shape, rgb.shape):
        raise ValueError(f"{wrong}, or of the same aspect ratio with --resize-depth")
    if not arguments.resize_depth:
        raise ValueError(f"{wrong}; --resize-depth resizes it")
    return resize_disparity(disparity, rgb)


def _size(picture: Array) -> str:
    return f"{picture.shape[1]}×{picture.shape[0]}"


def disparity_at(disparity: Array, x: int, y: int) -> float:
    """Median disparity of the 5×5 pixels round column x, row y, as far as they lie in the picture.

    Raises:
        ValueError: the pixel lies outside the picture.
    """
    height, width = disparity.shape
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(f"--focus-at {x},{y} lies outside the picture, which has {width} columns and {height} rows")
    return float(np.median(disparity[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]))


def write_result(layers: Layers, coverage: Tensor | None, image: Tensor, arguments: Namespace, say: Say) -> None:
    """Write the picture [1, 3 or 4, H, W], and the layers where they were asked for, as transparent as they are.

    Raises:
        OSError: a file exists or cannot be written.
    """
    if arguments.save_layers is not None:
        folder = Path(arguments.save_layers)
        check_folder(folder, _files(folder, layers.count), arguments.overwrite)
        folder.mkdir(exist_ok=True)
        seen = layers if coverage is None else replace(layers, alpha=layers.alpha * coverage)
        write_layers(seen, folder, arguments.overwrite)
        say(f"layers written to {folder}")
    write_atomically(arguments.output, encoded_result(image, arguments, say), overwrite=arguments.overwrite)
    say(f"written: {arguments.output}")


def encoded_result(image: Tensor, arguments: Namespace, say: Say) -> bytes:
    """The file of the picture [1, 3 or 4, H, W], with what the photograph's file says of it."""
    metadata = _metadata(arguments, say)
    return encode_image(arguments.output, *to_image(image), bits=arguments.bits, metadata=metadata)


def _metadata(arguments: Namespace, say: Say) -> Metadata | None:
    """What the photograph's file says of it, where the output can hold it."""
    if Path(arguments.output).suffix.lower() not in METADATA_SUFFIXES:
        return None
    try:
        metadata = read_metadata(arguments.photo)
        check_metadata(metadata, Path(arguments.output).suffix.lower())
    except ValueError as error:
        say(f"the photograph's EXIF is left out: {error}")
        return None
    return metadata


def _files(folder: Path, count: int) -> list[Path]:
    return [file for pair in layer_files(folder, count) for file in pair]
