"""What the commands for a photograph share: its files become layers, and the picture made of them a file."""

from argparse import Namespace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh.apps.common import Say, check_folder, layer_files, to_picture, write_layers
from taichi_bokeh.io import check_output, read_alpha, read_disparity, read_image, write_image
from taichi_bokeh.io.images import check_format
from taichi_bokeh.layers import Layers
from taichi_bokeh.photo import fill_holes, to_layers

Array = NDArray[np.float32]


class Photo(NamedTuple):
    """What was read, all of one size.

    Attributes:
        rgb: [H, W, 3], linear light.
        disparity: [H, W], its holes filled.
        alpha: matte of the foreground, [H, W]; None where none was given.
    """

    rgb: Array
    disparity: Array
    alpha: Array | None


def check_before_work(arguments: Namespace) -> None:
    """Find what would fail at the end, at the start.

    Raises:
        ValueError, OSError: what is wrong with the output, in one line.
    """
    if arguments.alpha is not None and arguments.layers == 1:
        raise ValueError("--layers 1 leaves no layer behind the foreground of --alpha; it must be at least 2")
    check_format(arguments.output, arguments.bits)
    check_output(arguments.output, arguments.overwrite)
    if arguments.save_layers is not None:
        folder = Path(arguments.save_layers)
        expected = arguments.layers or (3 if arguments.alpha is None else 2)
        check_folder(folder, _files(folder, expected), arguments.overwrite)


def read_photo(arguments: Namespace, say: Say) -> Photo:
    """Read the picture, its disparity and its matte.

    Raises:
        ValueError, OSError: what is wrong with a file, in one line.
    """
    rgb = read_image(arguments.photo).rgb
    disparity = read_disparity(arguments.disparity, depth=arguments.depth)
    alpha = None if arguments.alpha is None else read_alpha(arguments.alpha)
    for path, plane in ((arguments.disparity, disparity), (arguments.alpha, alpha)):
        if plane is not None and plane.shape != rgb.shape[:2]:
            sizes = [f"{shape[1]}×{shape[0]}" for shape in (plane.shape, rgb.shape)]
            raise ValueError(f"{path} is {sizes[0]} pixels, and must be {sizes[1]} as {arguments.photo}")
    holes = float(np.isnan(disparity).mean())
    if holes > 0:
        say(f"filling the disparity's holes ({holes:.1%} of the pixels)")
    return Photo(rgb, fill_holes(disparity, rgb), alpha)


def split(photo: Photo, arguments: Namespace) -> Layers:
    """The photograph in layers."""
    return to_layers(photo.rgb, photo.disparity, photo.alpha, arguments.layers or "auto")


def disparity_at(disparity: Array, x: int, y: int) -> float:
    """Median disparity of the 5×5 pixels round column x, row y, as far as they lie in the picture.

    Raises:
        ValueError: the pixel lies outside the picture.
    """
    height, width = disparity.shape
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(f"--focus-at {x},{y} lies outside the picture, which has {width} columns and {height} rows")
    return float(np.median(disparity[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]))


def write_result(layers: Layers, image: Tensor, arguments: Namespace, say: Say) -> None:
    """Write the picture [1, 3, H, W], and the layers where they were asked for.

    Raises:
        OSError: a file exists or cannot be written.
    """
    if arguments.save_layers is not None:
        folder = Path(arguments.save_layers)
        check_folder(folder, _files(folder, layers.count), arguments.overwrite)
        folder.mkdir(exist_ok=True)
        write_layers(layers, folder, arguments.overwrite)
        say(f"layers written to {folder}")
    write_image(arguments.output, to_picture(image), overwrite=arguments.overwrite, bits=arguments.bits)
    say(f"written: {arguments.output}")


def _files(folder: Path, count: int) -> list[Path]:
    return [file for pair in layer_files(folder, count) for file in pair]
