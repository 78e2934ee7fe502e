"""``taichi-bokeh render``: one photograph with its disparity, refocused."""

from argparse import Namespace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.apps.common import (
    Say,
    check_folder,
    largest_radius_px,
    layer_files,
    progress_bar,
    speaker,
    to_picture,
    write_layers,
)
from taichi_bokeh.io import check_output, read_alpha, read_disparity, read_image, write_image
from taichi_bokeh.io.images import check_format
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.photo import fill_holes, to_layers
from taichi_bokeh.render import render

Array = NDArray[np.float32]


def render_photo(arguments: Namespace) -> None:
    """Run the command; see ``taichi-bokeh render --help``.

    Raises:
        ValueError, OSError: what is wrong with an argument or a file, in one line.
    """
    say = speaker(arguments.quiet)
    _check_before_work(arguments)
    rgb, disparity, alpha = _read(arguments)
    disparity = _filled(rgb, disparity, say)
    focus = arguments.focus if arguments.focus_at is None else disparity_at(disparity, *arguments.focus_at)
    say(f"disparity: {disparity.min():.4g} to {disparity.max():.4g}, in focus: {focus:.4g}")
    layers = to_layers(rgb, disparity, alpha, arguments.layers)
    say(f"layers: {layers.count}, largest blur radius: {largest_radius_px(layers, arguments.blur, focus):.1f} px")
    lens = ThinLens(blur=arguments.blur, focus=focus)
    options = {} if arguments.profile is None else {"profile": arguments.profile}
    with progress_bar("rendering", arguments.quiet) as progress:
        image = render(layers, lens, model=arguments.model, max_radius=arguments.max_radius, progress=progress, **options)
    if arguments.save_layers is not None:
        folder = Path(arguments.save_layers)
        check_folder(folder, _files(folder, layers.count), arguments.overwrite)
        folder.mkdir(exist_ok=True)
        write_layers(layers, folder, arguments.overwrite)
        say(f"layers written to {folder}")
    write_image(arguments.output, to_picture(image), overwrite=arguments.overwrite, bits=arguments.bits)
    say(f"written: {arguments.output}")


def disparity_at(disparity: Array, x: int, y: int) -> float:
    """Median disparity of the 5×5 pixels round column x, row y, as far as they lie in the picture.

    Raises:
        ValueError: the pixel lies outside the picture.
    """
    height, width = disparity.shape
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(f"--focus-at {x},{y} lies outside the picture, which has {width} columns and {height} rows")
    return float(np.median(disparity[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]))


def _check_before_work(arguments: Namespace) -> None:
    """Find what would fail at the end, at the start."""
    if arguments.model == "scatter-official" and arguments.profile is not None:
        raise ValueError("--profile is for --model scatter: scatter-official has a profile of its own")
    if arguments.alpha is not None and arguments.layers == 1:
        raise ValueError("--layers 1 leaves no layer behind the foreground of --alpha; it must be at least 2")
    check_format(arguments.output, arguments.bits)
    check_output(arguments.output, arguments.overwrite)
    if arguments.save_layers is not None:
        folder = Path(arguments.save_layers)
        expected = arguments.layers or (3 if arguments.alpha is None else 2)
        check_folder(folder, _files(folder, expected), arguments.overwrite)


def _files(folder: Path, count: int) -> list[Path]:
    return [file for pair in layer_files(folder, count) for file in pair]


def _read(arguments: Namespace) -> tuple[Array, Array, Array | None]:
    """The picture, its disparity (NaN: hole) and its matte, all of one size."""
    rgb = read_image(arguments.photo).rgb
    disparity = read_disparity(arguments.disparity, depth=arguments.depth)
    alpha = None if arguments.alpha is None else read_alpha(arguments.alpha)
    for path, plane in ((arguments.disparity, disparity), (arguments.alpha, alpha)):
        if plane is not None and plane.shape != rgb.shape[:2]:
            sizes = [f"{shape[1]}×{shape[0]}" for shape in (plane.shape, rgb.shape)]
            raise ValueError(f"{path} is {sizes[0]} pixels, and must be {sizes[1]} as {arguments.photo}")
    return rgb, disparity, alpha


def _filled(rgb: Array, disparity: Array, say: Say) -> Array:
    holes = float(np.isnan(disparity).mean())
    if holes > 0:
        say(f"filling the disparity's holes ({holes:.1%} of the pixels)")
    return fill_holes(disparity, rgb)
