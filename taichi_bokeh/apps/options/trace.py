"""``taichi-bokeh trace``: its options, and the request that they make. Imports nothing that is slow."""

import argparse
from dataclasses import dataclass
from functools import partial
from typing import Any

from taichi_bokeh.apps.options.aperture import ApertureRequest, add_aperture
from taichi_bokeh.apps.options.arguments import whole, whole_from_0
from taichi_bokeh.apps.options.checkpoint import CheckpointRequest, add_checkpoint
from taichi_bokeh.apps.options.lens import LensRequest, add_lens
from taichi_bokeh.apps.options.output import OutputRequest, add_output
from taichi_bokeh.apps.options.photo import PhotoRequest, add_scene
from taichi_bokeh.apps.options.requests import request_of

_EXAMPLES = """\
examples:
  taichi-bokeh trace photo.jpg --disparity photo.png --blur 30 --focus-at 640,360 --blades 6 -o out.png
  taichi-bokeh trace photo.png --disparity metres.npy --depth --f-number 2 --focal-length 50 --sensor-width 36 \\
    --focus-distance 1.5 --lens biconvex --rays 4096 --checkpoint out.checkpoint -o out.tif

The lens is described either by --blur, as of render, or by a camera. For a camera, disparity is in 1/m and depth in m:
take npy or floating-point TIFF, as 8- and 16-bit files are scaled to [0, 1]. Runs with equal arguments give equal images.
"""


@dataclass(frozen=True)
class TraceRequest:
    """A photograph to be ray traced. Fields that are no requests are the options of the same names."""

    photo: PhotoRequest
    lens: LensRequest
    output: OutputRequest
    aperture: ApertureRequest = ApertureRequest()
    rays: int = 1024
    seed: int = 0
    saving: CheckpointRequest = CheckpointRequest()


def add_trace(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    trace = commands.add_parser(
        "trace",
        help="refocus such a photograph by ray tracing, through an ideal or a real lens",
        description="Refocus a photograph by its disparity or depth map, by ray tracing: slower than render, and more exact.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    trace.set_defaults(run="taichi_bokeh.apps.photo.trace:trace_photo", request=partial(request_of, TraceRequest))
    add_scene(trace)
    add_lens(trace, glass=True)
    add_aperture(trace)
    work = trace.add_argument_group("work")
    work.add_argument("--rays", metavar="N", type=whole, default=TraceRequest.rays, help="rays a pixel (%(default)s)")
    work.add_argument(
        "--seed", metavar="N", type=whole_from_0, default=TraceRequest.seed, help="of the rays' pattern (%(default)s)"
    )
    add_checkpoint(work)
    add_output(trace)
