"""``taichi-bokeh render``: its options. Imports nothing that is slow."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from taichi_bokeh.apps.options.aperture import ApertureRequest
from taichi_bokeh.apps.options.arguments import frame_rate, whole
from taichi_bokeh.apps.options.lens import GLASS, LensRequest
from taichi_bokeh.apps.options.look import LookRequest
from taichi_bokeh.apps.options.model import ModelRequest
from taichi_bokeh.apps.options.output import OutputRequest
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.options.requests import add_command, given_options, opt, option

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

_TEXTS = {
    "help": "refocus a photograph, or a sequence, that comes with a disparity or depth map",
    "description": "Refocus a photograph by its disparity or depth map; or pull the focus through it; or refocus a sequence.",
    "epilog": _EXAMPLES,
}


@dataclass(frozen=True)
class SeriesRequest:
    """How a series of images goes on."""

    GROUP = "focus pulls and sequences"

    frames: int | None = opt("how many images a pull has, from 2 up", "N", whole)
    ease: str | None = opt("how it moves: evenly, or gently at its ends (smooth)", choices=("linear", "smooth"))
    fps: Fraction | None = opt("of a video: 25, 30000/1001 … (the input's, else 25)", "F", frame_rate)
    frame_numbers: str | None = opt("of images of a folder: their own, or from 1 (see below)", choices=("keep", "count"))


@dataclass(frozen=True, kw_only=True)
class RenderRequest:
    """A photograph, or a series of images, to be rendered."""

    GROUP = "output"

    photo: PhotoRequest
    lens: LensRequest
    aperture: ApertureRequest = ApertureRequest()
    look: LookRequest = LookRequest()
    model: ModelRequest = ModelRequest()
    series: SeriesRequest = SeriesRequest()
    output: OutputRequest
    show_focus: Path | None = opt("also write what is sharp, what nearer, what farther", "FILE", Path)
    explain: bool = opt("also say how each layer is computed, and why so", default=False)
    cache: Path | None = opt("keep the layers of each photograph there, and take them from there", "DIR", Path)

    def __post_init__(self) -> None:
        object.__setattr__(self, "photo", self.photo.seen_by(self.lens.focal_length, self.lens.sensor_width))

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
    run = "taichi_bokeh.apps.render:render_photo"
    add_command(commands, "render", RenderRequest, run, texts=_TEXTS, without=GLASS, ramps=True)
