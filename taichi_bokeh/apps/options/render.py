"""``taichi-bokeh render``: its options, and the request that they make. Imports nothing that is slow."""

import argparse
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from taichi_bokeh.apps.options.aperture import ApertureRequest, add_aperture
from taichi_bokeh.apps.options.arguments import frame_rate, whole
from taichi_bokeh.apps.options.lens import LensRequest, add_lens
from taichi_bokeh.apps.options.look import LookRequest, add_look
from taichi_bokeh.apps.options.model import ModelRequest, add_model
from taichi_bokeh.apps.options.output import OutputRequest, add_cache, add_output
from taichi_bokeh.apps.options.photo import PhotoRequest, add_scene
from taichi_bokeh.apps.options.requests import given_options, option, request_of

_EXAMPLES = """\
examples:
  taichi-bokeh render photo.jpg --disparity photo.png --blur 30 --focus-at 640,360 -o out.png
  taichi-bokeh render photo.png --disparity depth.npy --depth --blur 80 --focus 0.5 --blades 6 --rotation 15 -o out.tif
  taichi-bokeh render photo.png --disparity d.npz --alpha matte.png --blur 40 --focus 0.8 -o out.jpg --save-layers parts
  taichi-bokeh render photo.jpg --disparity metres.npy --depth --f-number 1.8 --focal-length 50 --sensor-width 36 \\
    --focus-distance 2 --highlights 8 -o out.png
  taichi-bokeh render photo.jpg --disparity photo.png --blur 30 --focus 0.1:0.9 --frames 120 -o pull.mp4
  taichi-bokeh render frames --disparity disparities --blur 30 --focus-at 640,360 -o out_%04d.png

The lens is described either by --blur or by a camera. A pixel's blur radius is  K · |disparity − focus|  pixels. Disparity is
1/depth, larger is nearer, in any unit, but in 1/m for a camera; 8- and 16-bit files are scaled to [0, 1]. Its holes (NaN,
infinite values) are filled. Colours are blurred in linear light.

A:B goes from A in the first image to B in the last: of --focus and --focus-distance evenly in disparity, of --f-number in
the width of the aperture. PHOTO may also be a folder of images in the order of their names, or a video; --disparity and
--alpha are then folders with the same names, or videos as long. What lies at --focus-at or in --focus-box is looked up in the
first image (after the colon: in the last), and 8- and 16-bit disparities are scaled by their type alone.

Where the images of a folder are numbered as frames, all with as many digits (f_0101, f_0103) or without a gap (f_9, f_10),
-o out_%04d.png keeps their numbers; else it counts from 1. --frame-numbers keep or count says which.
"""


@dataclass(frozen=True)
class SeriesRequest:
    """How a series of images goes on. Fields are the options of the same names."""

    frames: int | None = None
    ease: str | None = None
    fps: Fraction | None = None
    frame_numbers: str | None = None


@dataclass(frozen=True)
class RenderRequest:
    """A photograph, or a series of images, to be rendered. Fields that are no requests are the options of the same names."""

    photo: PhotoRequest
    lens: LensRequest
    output: OutputRequest
    aperture: ApertureRequest = ApertureRequest()
    look: LookRequest = LookRequest()
    model: ModelRequest = ModelRequest()
    series: SeriesRequest = SeriesRequest()
    show_focus: Path | None = None
    explain: bool = False
    cache: Path | None = None

    def check_single(self) -> None:
        """Refuse what has no meaning for one image.

        Raises:
            ValueError: which option, in one line.
        """
        for name in given_options(self.series):
            raise ValueError(f"{option(name)} is for several images: give an option as A:B, or a folder or video as PHOTO")

    def check_series(self) -> None:
        """Refuse what has no meaning for several images.

        Raises:
            ValueError: which option, in one line.
        """
        single = {"save_layers": self.output.save_layers, "show_focus": self.show_focus, "explain": self.explain or None}
        for name, value in single.items():
            if value is not None:
                raise ValueError(f"{option(name)} is for one image, and this is a series of them")


def add_render(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    render = commands.add_parser(
        "render",
        help="refocus a photograph, or a sequence, that comes with a disparity or depth map",
        description="Refocus a photograph by its disparity or depth map; or pull the focus through it; or refocus a sequence.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    render.set_defaults(run="taichi_bokeh.apps.render:render_photo", request=partial(request_of, RenderRequest))
    add_scene(render)
    add_lens(render, ramps=True)
    add_aperture(render)
    add_look(render)
    add_model(render)
    frames = render.add_argument_group("focus pulls and sequences")
    frames.add_argument("--frames", metavar="N", type=whole, help="how many images a pull has, from 2 up")
    frames.add_argument("--ease", choices=("linear", "smooth"), help="how it moves: evenly, or gently at its ends (smooth)")
    frames.add_argument("--fps", metavar="F", type=frame_rate, help="of a video: 25, 30000/1001 … (the input's, else 25)")
    frames.add_argument(
        "--frame-numbers", choices=("keep", "count"), help="of images of a folder: their own, or from 1 (see below)"
    )
    add_output(render)
    render.add_argument("--show-focus", metavar="FILE", type=Path, help="also write what is sharp, what nearer, what farther")
    render.add_argument("--explain", action="store_true", help="also say how each layer is computed, and why so")
    add_cache(render)
