"""What the commands share: lines to stdout, and the files of layers."""

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh.io import check_output, write_atomically, write_image
from taichi_bokeh.io.images import Image
from taichi_bokeh.layers import Layers
from taichi_bokeh.storage import resumable

Say = Callable[[str], None]


def speaker(quiet: bool) -> Say:
    """What prints a line to stdout, unless quiet."""

    def say(line: str) -> None:
        if not quiet:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    return say


def given(request: object, *names: str, **renamed: str) -> dict[str, Any]:
    """The options that were given, by the library's names, which `renamed` has by the option; all others have its defaults."""
    library = dict(zip(names, names, strict=True)) | renamed
    return {name: value for option, name in library.items() if (value := getattr(request, option)) is not None}


def existing_folder(option: str, folder: Path | None) -> Path | None:
    """The folder that an option names, if it is given; ValueError unless it exists."""
    if folder is not None and not folder.is_dir():
        raise ValueError(f"{option} {folder} is not a folder")
    return folder and folder.absolute()


def largest_radius_px(layers: Layers, blur: float, focus: float) -> float:
    """Largest blur radius among the visible pixels of all layers."""
    visible = layers.disparity[layers.alpha > 0]
    return blur * float((visible - focus).abs().max())


def to_array(image: Tensor) -> NDArray[np.float32]:
    """[1, 3, H, W] → [H, W, 3]."""
    array: NDArray[np.float32] = image[0].permute(1, 2, 0).cpu().numpy()
    return array


def to_image(image: Tensor) -> Image:
    """[1, 3, H, W], or [1, 4, H, W] of premultiplied colours and coverage, as images are written: straight."""
    rgb = to_array(image[:, :3])
    if image.shape[1] == 3:
        return Image(rgb, None)
    alpha = image[0, 3].clamp(0, 1).cpu().numpy()
    covered = alpha[..., None]
    return Image(np.divide(rgb, covered, where=covered > 0, out=np.zeros_like(rgb)), alpha)


def layer_files(folder: Path, count: int) -> list[tuple[Path, Path]]:
    """The names of the files of each layer: RGBA image, disparity."""
    return [(folder / f"layer_{i}.png", folder / f"layer_{i}_disparity.npy") for i in range(count)]


def check_folder(folder: Path, files: Sequence[Path], overwrite: bool) -> None:
    """Refuse a folder for output that is not one, or whose files exist; it need not exist itself.

    Raises:
        NotADirectoryError: the name is that of a file.
        FileNotFoundError: the folder it would lie in does not exist.
        FileExistsError: one of the files exists and ``overwrite`` is false.
    """
    resumable.check_folder(folder)
    for file in files:
        if folder.is_dir():
            check_output(file, overwrite)


def write_layers(layers: Layers, folder: Path, overwrite: bool) -> None:
    """Write the first scene's layers into an existing folder."""
    for i, (image, disparity) in enumerate(layer_files(folder, layers.count)):
        rgb = layers.rgb[0, i].permute(1, 2, 0).cpu().numpy()
        write_image(image, rgb, layers.alpha[0, i, 0].cpu().numpy(), overwrite=overwrite)
        buffer = io.BytesIO()
        np.save(buffer, layers.disparity[0, i, 0].cpu().numpy())
        write_atomically(disparity, buffer.getvalue(), overwrite)
