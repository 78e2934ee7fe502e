"""``taichi-bokeh dfd optimize``: the disparity of one view from photographs of it. Here its arguments, and no slow import."""

import argparse
import math
import re
from typing import Any, NamedTuple

from taichi_bokeh.apps.options.aperture import ApertureRequest
from taichi_bokeh.apps.options.arguments import BLUR_HELP, positive, whole
from taichi_bokeh.apps.options.checkpoint import CheckpointRequest
from taichi_bokeh.apps.options.model import add_device
from taichi_bokeh.apps.options.requests import add_options

_EXAMPLES = """\
examples:
  taichi-bokeh dfd optimize --sharp sharp.png --blurred blurred.png --blur 12 --focus 0 -o depth.exr --preview depth.png
  taichi-bokeh dfd optimize --sharp sharp.tif --blurred blurred.tif --layers 2 --checkpoint depth.state -o depth.pfm
  taichi-bokeh dfd optimize --sharp sharp.tif --stack a.tif:0.5m b.tif:1m c.tif:4m --near 0.4m --far 20m --depth -o metres.exr

A plane sweep finds a first map, and gradients through a model of the blur refine it. Pictures are compared in linear light, so
take them from one raw development: same exposure, nothing moved, not more than 5 % of the pixels saturated.

D is a disparity, or a distance in metres as in 1.5m, whose disparity is 1/1.5. Of a pixel of the disparity D a picture shows
the radius of blur K · (D − F), and not D itself:
- A pair without --blur tells D but for its scale, and without --focus but for its offset. The blur and focus are then such that
  the scene fills the range from --far to --near, and are refined with the map. Only the radius is measured.
- Through an opening that is its own point mirror, as a disc is, nearer and farther than the focus look the same in a pair.
  Without --focus all is taken to lie nearer than the focus. With it, where it lies within the range, the sign of D − F is a
  guess. A triangle tells the sign; so does a stack.
- A stack tells blur and disparity both, as its focus distances are known.
Stopped at any time, the same command with --checkpoint goes on from there to the same map, bit for bit.
"""


class Shot(NamedTuple):
    """A blurred picture of a stack.

    Attributes:
        path: its file.
        focus: the disparity in focus.
    """

    path: str
    focus: float


def add_optimize(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add ``optimize`` to the commands of ``taichi-bokeh dfd``."""
    optimize = commands.add_parser(
        "optimize",
        help="find the depth of a sharp picture from one or more blurred ones",
        description="Find the disparity of a sharp picture from blurred pictures of the same view.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    optimize.set_defaults(run="taichi_bokeh.apps.dfd.optimize:optimize_photos")
    pictures = optimize.add_argument_group("pictures")
    pictures.add_argument("--sharp", metavar="FILE", required=True, help="the picture that is sharp everywhere")
    blurred = pictures.add_mutually_exclusive_group(required=True)
    blurred.add_argument("--blurred", metavar="FILE", help="the blurred picture of the same view")
    blurred.add_argument(
        "--stack", metavar="FILE:D", nargs="+", type=shot, help="or several, at least 2, each with the disparity D in focus"
    )
    pictures.add_argument("--allow-saturated", action="store_true", help="go on where pictures are overexposed")
    scene = optimize.add_argument_group("scene")
    scene.add_argument("--near", metavar="D", type=disparity, default=1.0, help="the largest disparity that may occur (1)")
    scene.add_argument("--far", metavar="D", type=disparity, default=0.0, help="the smallest (0)")
    lens = optimize.add_argument_group("lens")
    lens.add_argument("--blur", metavar="K", type=positive, help=f"{BLUR_HELP} (found with the map)")
    lens.add_argument("--focus", metavar="D", type=disparity, help="the disparity in focus of --blurred (found with the map)")
    add_options(optimize, ApertureRequest)
    how = optimize.add_argument_group("optimisation")
    how.add_argument("--layers", type=int, choices=(1, 2), default=1, help="2: foreground and hidden background (%(default)s)")
    how.add_argument("--layer", metavar="NAME", help="model of the blur: scatter, splat, subaperture, … (scatter; of 2 splat)")
    how.add_argument("--steps", metavar="N", type=whole, help="of gradient descent (120)")
    how.add_argument("--objective", metavar="NAME", help="loss: l1+g, l1+g+ssim, l1+g+hssim, l1+tv, gausspsf (l1+g, smoother)")
    work = optimize.add_argument_group("work")
    add_options(work, CheckpointRequest)
    add_device(work)
    output = optimize.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="OUT", required=True, help="disparity as OpenEXR, PFM, npy or TIFF")
    output.add_argument("--depth", action="store_true", help="write depth instead, 1/disparity; needs --far above 0")
    output.add_argument("--confidence", metavar="FILE", help="also write how sure each pixel is, 0 to 1: formats as OUT")
    output.add_argument("--preview", metavar="FILE", help="also write the disparity in colours, dark is far: PNG or JPEG")
    output.add_argument("--save-layers", metavar="DIR", help="of --layers 2: also write each layer: RGBA PNG and disparity npy")
    output.add_argument("--overwrite", action="store_true", help="replace files that exist")
    output.add_argument("--quiet", action="store_true", help="print nothing, show no progress")


def disparity(text: str) -> float:
    """A number, or a distance in metres as in 1.5m, which is the disparity 1/1.5."""
    is_distance = text.endswith("m")
    try:
        value = float(text.removesuffix("m"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (is_distance and value <= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a disparity nor a distance as in 1.5m")
    return 1 / value if is_distance else value


def shot(text: str) -> Shot:
    """A file and the disparity in focus."""
    match = re.fullmatch(r"(.+):([^:]+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not FILE:D, a picture and the disparity in focus, as in a.png:0.5")
    return Shot(match[1], disparity(match[2]))
