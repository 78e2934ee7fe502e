"""``taichi-bokeh trace``: its options. Imports nothing that is slow."""

from dataclasses import dataclass
from typing import Any

from taichi_bokeh.apps.options.aperture import ApertureRequest
from taichi_bokeh.apps.options.arguments import whole, whole_from_0
from taichi_bokeh.apps.options.checkpoint import CheckpointRequest
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.apps.options.output import OutputRequest
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.options.requests import add_command, opt

_EXAMPLES = """\
examples:
  taichi-bokeh trace photo.jpg --disparity photo.png --blur 30 --focus-at 640,360 --blades 6 -o out.png
  taichi-bokeh trace photo.png --disparity metres.npy --depth --f-number 2 --focal-length 50 --sensor-width 36 \\
    --focus-distance 1.5 --lens biconvex --rays 4096 --checkpoint out.checkpoint -o out.tif

The lens is described either by --blur, as of render, or by a camera. For a camera, disparity is in 1/m and depth in m:
take npy or floating-point TIFF, as 8- and 16-bit files are scaled to [0, 1]. Runs with equal arguments give equal images.
"""

_TEXTS = {
    "help": "refocus such a photograph by ray tracing, through an ideal or a real lens",
    "description": "Refocus a photograph by its disparity or depth map, by ray tracing: slower than render, and more exact.",
    "epilog": _EXAMPLES,
}


@dataclass(frozen=True, kw_only=True)
class TraceRequest:
    """A photograph to be ray traced."""

    photo: PhotoRequest
    lens: LensRequest
    aperture: ApertureRequest = ApertureRequest()
    rays: int = opt("rays a pixel (%(default)s)", "N", whole, default=1024, group="work")
    seed: int = opt("turns the pattern of the rays (%(default)s)", "N", whole_from_0, default=0, group="work")
    saving: CheckpointRequest = CheckpointRequest()
    output: OutputRequest

    def __post_init__(self) -> None:
        object.__setattr__(self, "photo", self.photo.seen_by(self.lens.focal_length, self.lens.sensor_width))


def add_trace(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    add_command(commands, "trace", TraceRequest, "taichi_bokeh.apps.photo.trace:trace_photo", texts=_TEXTS)
