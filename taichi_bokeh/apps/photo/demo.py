"""``taichi-bokeh demo``: a real stereo photograph, refocused."""

import time

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh._render import render
from taichi_bokeh.apps.blur_limit import Work, check_blur
from taichi_bokeh.apps.common import (
    check_folder,
    largest_radius_px,
    layer_files,
    speaker,
    to_array,
    write_layers,
)
from taichi_bokeh.apps.options.demo import DemoRequest
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.apps.photo.demo_photo import demo_photo
from taichi_bokeh.apps.progress import progress_bar
from taichi_bokeh.io import srgb_decode, write_image
from taichi_bokeh.layers import Layers
from taichi_bokeh.models import DEFAULT
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.photo import fill_holes, to_layers
from taichi_bokeh.photo.measure import disparity_at

Array = NDArray[np.float32]

_LAYERS = 3
_FOCI = {"near": (380, 335), "far": (409, 72)}  # column, row: the motorcycle's engine, the yellow can on the shelf


def demo(request: DemoRequest) -> None:
    """Run the command; see ``taichi-bokeh demo --help``.

    Raises:
        ValueError, OSError, ModuleNotFoundError: what is wrong, in one line.
    """
    start = time.perf_counter()
    say = speaker(request.quiet)
    folder = request.output
    names = [folder / f"{name}.png" for name in ("input", "disparity", "near", "far")]
    check_folder(folder, names + [f for pair in layer_files(folder, _LAYERS) for f in pair], request.overwrite)
    rgb, disparity = demo_photo()
    height, width = disparity.shape
    say(f"photograph: {width}×{height} pixels, disparity unmeasured at {np.isnan(disparity).mean():.1%} of them")
    say("disparity divided by its maximum, so that the nearest point has disparity 1")
    disparity = fill_holes(disparity, rgb)
    for xy in _FOCI.values():
        span = float(np.abs(disparity - disparity_at(disparity, *xy)).max())
        check_blur(LensRequest(blur=request.blur), Work(DEFAULT, width, height, Aperture()), request.blur, span)
    layers = to_layers(rgb, disparity, layers=_LAYERS)
    images = {name: _focused_at(layers, disparity, xy, request, name) for name, xy in _FOCI.items()}
    folder.mkdir(exist_ok=True)
    write_layers(layers, folder, request.overwrite)
    shades = srgb_decode(np.repeat(disparity[..., None], 3, axis=2))  # so that the file's numbers are the disparity's
    images = {"input": rgb, "disparity": shades, **images}
    for name, image in images.items():
        write_image(folder / f"{name}.png", image, overwrite=request.overwrite)
    say(f"written to {folder.absolute()}: {', '.join(f'{name}.png' for name in images)}, {layers.count} layers")
    say(f"{time.perf_counter() - start:.1f} s")


def _focused_at(layers: Layers, disparity: Array, xy: tuple[int, int], request: DemoRequest, name: str) -> Array:
    focus = disparity_at(disparity, *xy)
    radius_px = largest_radius_px(layers, request.blur, focus)
    speaker(request.quiet)(f"{name} focus: disparity {focus:.3f}, largest blur radius {radius_px:.1f} px")
    with progress_bar(f"{name} focus", request.quiet) as progress:
        lens = ThinLens(blur=request.blur, focus=focus)
        return to_array(render(layers, lens, DEFAULT, progress=progress))
