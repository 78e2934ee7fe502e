"""``taichi-bokeh dfd optimize``: the disparity of one view from photographs of it. Here its arguments, and no slow import."""

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import NamedTuple

from taichi_bokeh.apps.options.aperture import ApertureRequest
from taichi_bokeh.apps.options.arguments import BLUR_HELP, positive, whole
from taichi_bokeh.apps.options.checkpoint import CheckpointRequest
from taichi_bokeh.apps.options.requests import opt

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

    path: Path
    focus: float


TEXTS = {
    "help": "find the depth of a sharp image from one or more blurred ones",
    "description": "Find the disparity of a sharp image from blurred images of the same view.",
    "epilog": _EXAMPLES,
}


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
    return Shot(Path(match[1]), disparity(match[2]))


@dataclass(frozen=True, kw_only=True)
class SeenRequest:
    """The photographs, and what is known of their lens and of the scene."""

    sharp: Path = opt("the picture that is sharp everywhere", "FILE", Path, default=MISSING, required=True, group="pictures")
    blurred: Path | None = opt(
        "the blurred picture of the same view", "FILE", Path, group="pictures", one_of="given", needed=True
    )
    stack: Sequence[Shot] | None = opt(
        "or several, at least 2, each with the disparity D in focus",
        "FILE:D",
        shot,
        nargs="+",
        group="pictures",
        one_of="given",
        needed=True,
    )
    near: float = opt("the largest disparity that may occur (1)", "D", disparity, default=1.0, group="scene")
    far: float = opt("the smallest (0)", "D", disparity, default=0.0, group="scene")
    blur: float | None = opt(f"{BLUR_HELP} (found with the map)", "K", positive, group="lens")
    focus: float | None = opt("the disparity in focus of --blurred (found with the map)", "D", disparity, group="lens")


@dataclass(frozen=True)
class FitRequest:
    """What is optimised, and how."""

    GROUP = "optimisation"

    layers: int = opt("2: foreground and hidden background (%(default)s)", None, int, choices=(1, 2), default=1)
    layer: str | None = opt("model of the blur: scatter, splat, subaperture, … (scatter; of 2 splat)", "NAME")
    steps: int | None = opt("of gradient descent (120)", "N", whole)
    objective: str | None = opt("loss: l1+g, l1+g+ssim, l1+g+hssim, l1+tv, gausspsf (l1+g, smoother)", "NAME")


@dataclass(frozen=True, kw_only=True)
class OptimizeRequest:
    """A disparity to be found. The map depends on ``seen``, ``aperture`` and ``fit``, and on nothing else."""

    GROUP = "output"

    seen: SeenRequest
    allow_saturated: bool = opt("go on where pictures are overexposed", default=False, group="pictures")
    aperture: ApertureRequest = ApertureRequest()
    fit: FitRequest = FitRequest()
    saving: CheckpointRequest = CheckpointRequest()
    device: str | None = opt("where to compute (a GPU if there is one)", choices=("cpu", "cuda"), group="work")
    output: Path = opt(
        "disparity as OpenEXR, PFM, npy or TIFF", "OUT", Path, default=MISSING, required=True, names=["-o", "--output"]
    )
    depth: bool = opt("write depth instead, 1/disparity; needs --far above 0", default=False)
    confidence: Path | None = opt("also write how sure each pixel is, 0 to 1: formats as OUT", "FILE", Path)
    preview: Path | None = opt("also write the disparity in colours, dark is far: PNG or JPEG", "FILE", Path)
    save_layers: Path | None = opt("of --layers 2: also write each layer: RGBA PNG and disparity npy", "DIR", Path)
    overwrite: bool = opt("replace files that exist", default=False)
    quiet: bool = opt("print nothing, show no progress", default=False)
