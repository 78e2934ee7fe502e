"""The arguments of ``taichi-bokeh render``, and the parts of them that other commands share. Imports nothing that is slow."""

import argparse
from typing import Any

from taichi_bokeh.apps.options.arguments import (
    BLUR_HELP,
    add_aperture,
    add_output,
    add_scene,
    below_white,
    box,
    finite,
    frame_rate,
    highlight_gain,
    not_negative,
    or_pull,
    pixel,
    positive,
    whole,
    whole_or_auto,
)
from taichi_bokeh.apps.options.device import add_device

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

A:B goes from A in the first picture to B in the last: of --focus and --focus-distance evenly in disparity, of --f-number in
the width of the opening. PHOTO may also be a folder of pictures in the order of their names, or a video; --disparity and
--alpha are then folders with the same names, or videos as long. What lies at --focus-at or in --focus-box is looked up in the
first picture (after the colon: in the last), and 8- and 16-bit disparities are scaled by their type alone.

Where the pictures of a folder are numbered as frames, all with as many digits (f_0101, f_0103) or without a gap (f_9, f_10),
-o out_%04d.png keeps their numbers; else it counts from 1. --frame-numbers keep or count says which.
"""


def add_render(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    render = commands.add_parser(
        "render",
        help="refocus a photograph, or a sequence, that comes with a disparity or depth map",
        description="Refocus a photograph by its disparity or depth map; or pull the focus through it; or refocus a sequence.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    render.set_defaults(run="taichi_bokeh.apps.render:render_photo")
    add_scene(render)
    add_lens(render, pulls=True)
    add_aperture(render)
    add_look(render)
    add_model(render)
    frames = render.add_argument_group("focus pulls and sequences")
    frames.add_argument("--frames", metavar="N", type=whole, help="how many pictures a pull has, from 2 up")
    frames.add_argument("--ease", choices=("linear", "smooth"), help="how it moves: evenly, or gently at its ends (smooth)")
    frames.add_argument("--fps", metavar="F", type=frame_rate, help="of a video: 25, 30000/1001 … (the input's, else 25)")
    frames.add_argument(
        "--frame-numbers", choices=("keep", "count"), help="of pictures of a folder: their own, or from 1 (see below)"
    )
    add_output(render)
    render.add_argument("--show-focus", metavar="FILE", help="also write a picture of what is sharp, what nearer, what farther")
    render.add_argument("--explain", action="store_true", help="also say how each layer is computed, and why so")
    add_cache(render)


def add_lens(command: argparse.ArgumentParser, *, pulls: bool = False, glass: bool = False) -> None:
    """The group that describes the lens and its focus; read by camera.py.

    Args:
        command: gets the group.
        pulls: values may be A:B.
        glass: the lens may be one of real glass.
    """
    convert = or_pull if pulls else (lambda of: of)
    ends = ", or A:B" if pulls else ""
    lens = command.add_argument_group("lens", "Either --blur, or --f-number, --focal-length and --sensor-width; and one focus.")
    lens.add_argument("--blur", metavar="K", type=convert(not_negative), help=BLUR_HELP + ends)
    lens.add_argument("--f-number", metavar="N", type=convert(positive), help="focal length over width of the opening" + ends)
    lens.add_argument("--focal-length", metavar="MM", type=positive, help="in millimetres")
    lens.add_argument("--sensor-width", metavar="MM", type=positive, help="in millimetres; the picture is as wide")
    focus = lens.add_mutually_exclusive_group()
    focus.add_argument("--focus", metavar="F", type=convert(finite), help="the disparity in focus, with --blur" + ends)
    focus.add_argument(
        "--focus-distance", metavar="M", type=convert(positive), help="the distance in focus in metres, with a camera" + ends
    )
    focus.add_argument(
        "--focus-at", metavar="X,Y", type=convert(pixel), help="the pixel in focus: column, row, from 0 at top left" + ends
    )
    focus.add_argument(
        "--focus-box", metavar="X,Y,W,H", type=convert(box), help="the box whose median disparity is in focus" + ends
    )
    if glass:
        lens.add_argument("--lens", choices=("thin", "biconvex"), default="thin", help="ideal, or of real glass (%(default)s)")
        lens.add_argument("--refractive-index", metavar="N", type=positive, help="of the glass of a biconvex lens (1.5)")
        lens.add_argument("--abbe", metavar="V", type=positive, help="its Abbe number, to focus colours apart (they are not)")
    else:
        command.set_defaults(lens="thin", refractive_index=None, abbe=None)


def add_look(command: argparse.ArgumentParser) -> None:
    """The group of what no lens does; obeyed by apps/photo/rendering.py."""
    look = command.add_argument_group("look")
    look.add_argument(
        "--highlights", metavar="GAIN", type=highlight_gain, default=1.0, help="how many times brighter white becomes (1: off)"
    )
    look.add_argument(
        "--highlight-threshold", metavar="Y", type=below_white, help="linear luminance from which on colours are raised (0.7)"
    )
    look.add_argument(
        "--near-blur", metavar="S", type=not_negative, default=1.0, help="factor of the blur before the focus (1: off)"
    )
    look.add_argument("--far-blur", metavar="S", type=not_negative, default=1.0, help="factor of the blur behind it (1: off)")


def add_model(command: argparse.ArgumentParser) -> None:
    """The group that says how to render; obeyed by apps/photo/rendering.py."""
    model = command.add_argument_group("model")
    model.add_argument(
        "--model",
        choices=("subaperture", "scatter", "scatter-official"),
        default="subaperture",
        help="how layers are blurred and put together (%(default)s); scatter-official knows the disc only",
    )
    model.add_argument(
        "--cells", metavar="N|auto", type=whole_or_auto, help="cells of the aperture, for subaperture: more are finer (16)"
    )
    model.add_argument("--profile", choices=("disc", "soft"), help="edge of the blur disc, for scatter (disc)")
    model.add_argument(
        "--algorithm",
        choices=("auto", "exact", "fast"),
        default="auto",
        help="every weight of the blur, or time linear in the radius, or what costs less (%(default)s)",
    )
    model.add_argument("--draft", action="store_true", help="merge what is far out of focus, for scatter: rough, and fast")
    model.add_argument(
        "--max-radius", metavar="R", type=whole, help="look no further than R pixels, for scatter models (as far as needed)"
    )
    add_device(model)


def add_cache(command: argparse.ArgumentParser) -> None:
    """Where layers are kept; obeyed by apps/photo/layer_cache.py."""
    command.add_argument("--cache", metavar="DIR", help="keep the layers of each picture there, and take them from there")
