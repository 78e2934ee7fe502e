"""The command ``taichi-bokeh``: arguments in, exit code out. What a command needs is imported when it runs."""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from taichi_bokeh._version import __version__

_PROG = "taichi-bokeh"


class _UsageError(ValueError):
    """The arguments are wrong."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message} (try {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments without the program's name; default: those of the process.

    Returns:
        0 when it worked; 2, with one line on stderr, when an argument or a file is not as it must be; 130 after Ctrl-C.
    """
    try:
        arguments = _parser().parse_args(argv)
        if arguments.command == "demo":
            from taichi_bokeh.apps.demo import demo

            demo(arguments)
        else:
            from taichi_bokeh.apps.render_photo import render_photo

            render_photo(arguments)
    except KeyboardInterrupt:
        sys.stderr.write(f"{_PROG}: interrupted\n")
        return 130
    except (ValueError, TypeError, OSError, MemoryError, ModuleNotFoundError) as error:
        sys.stderr.write(f"{_PROG}: error: {_one_line(error)}\n")
        return 2
    return 0


def _one_line(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"this command needs the package {error.name} (pip install 'taichi-bokeh[photo]')"
    if isinstance(error, MemoryError):
        return "not enough memory for a picture of this size"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{os.fspath(error.filename)}: {error.strerror}"
    return " ".join(str(error).split())


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROG,
        description="Render the lens blur that a real camera would have made.",
        epilog="Start with: taichi-bokeh demo",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_render(commands)
    return parser


def _add_demo(commands: "argparse._SubParsersAction[_Parser]") -> None:
    demo = commands.add_parser(
        "demo",
        help="refocus a real photograph that comes with scikit-image",
        description="Refocus a real stereo photograph with measured disparity (Middlebury 2014, from scikit-image):\n"
        "fill the holes of the disparity, split the picture into layers, render a near and a far focus.",
        epilog="example: taichi-bokeh demo -o pictures --blur 45",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_argument(
        "-o", "--output", metavar="DIR", default="taichi-bokeh-demo", help="folder for the pictures (%(default)s)"
    )
    demo.add_argument("--blur", metavar="K", type=_not_negative, default=32.0, help=_BLUR_HELP + " (%(default)g)")
    demo.add_argument("--overwrite", action="store_true", help="replace pictures of an earlier run")
    demo.add_argument("--quiet", action="store_true", help="print nothing")


_BLUR_HELP = "strength of the blur: the radius of the blur disc in pixels, per unit of disparity"

_RENDER_EXAMPLES = """\
examples:
  taichi-bokeh render photo.jpg --disparity photo.png --blur 30 --focus-at 640,360 -o out.png
  taichi-bokeh render photo.png --disparity depth.npy --depth --blur 80 --focus 0.5 -o out.tif
  taichi-bokeh render photo.png --disparity d.npz --alpha matte.png --blur 40 --focus 0.8 -o out.jpg --save-layers parts

A pixel's blur radius is  K · |disparity − focus|  pixels. Disparity is 1/depth, larger is nearer, in any unit; 8- and
16-bit files are scaled to [0, 1]. Its holes (NaN, infinite values) are filled. Colours are blurred in linear light.
"""


def _add_render(commands: "argparse._SubParsersAction[_Parser]") -> None:
    render = commands.add_parser(
        "render",
        help="refocus a photograph that comes with a disparity or depth map",
        description="Refocus a photograph by its disparity or depth map.",
        epilog=_RENDER_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    render.add_argument("photo", metavar="PHOTO", help="the picture, sharp everywhere: PNG, JPEG, TIFF or npy")
    scene = render.add_argument_group("scene")
    scene.add_argument("--disparity", metavar="FILE", required=True, help="its disparity: npy, npz ('data'), PNG or TIFF")
    scene.add_argument("--depth", action="store_true", help="the disparity file holds depth: take 1/depth")
    scene.add_argument("--alpha", metavar="FILE", help="matte of the foreground (grey, or an alpha channel)")
    scene.add_argument("--layers", metavar="N", type=_positive, help="layers to split into (3; with --alpha 2)")
    lens = render.add_argument_group("lens")
    lens.add_argument("--blur", metavar="K", type=_not_negative, required=True, help=_BLUR_HELP)
    focus = lens.add_mutually_exclusive_group(required=True)
    focus.add_argument("--focus", metavar="F", type=_finite, help="the disparity in focus")
    focus.add_argument("--focus-at", metavar="X,Y", type=_pixel, help="the pixel in focus: column, row, from 0 at top left")
    lens.add_argument("--model", choices=("scatter", "scatter-official"), default="scatter", help="blur model (%(default)s)")
    lens.add_argument("--profile", choices=("disc", "soft"), help="edge of the blur disc, for scatter (disc)")
    lens.add_argument("--max-radius", metavar="R", type=_positive, help="look no further than R pixels (as far as needed)")
    output = render.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="OUT", required=True, help="PNG or JPEG (sRGB), TIFF or npy (linear float)")
    output.add_argument("--bits", type=int, choices=(8, 16), default=8, help="bits a channel of a PNG (%(default)s)")
    output.add_argument("--save-layers", metavar="DIR", help="also write each layer: RGBA PNG and disparity npy")
    output.add_argument("--overwrite", action="store_true", help="replace files that exist")
    output.add_argument("--quiet", action="store_true", help="print nothing, show no progress")


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return value


def _not_negative(text: str) -> float:
    value = _finite(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def _pixel(text: str) -> tuple[int, int]:
    try:
        x, y = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a pixel: give column,row as in 640,360") from None
    return x, y
