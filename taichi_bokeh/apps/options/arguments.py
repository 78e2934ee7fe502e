"""Arguments that commands share, and what turns their text into values. Imports nothing that is slow."""

import argparse
import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Literal, NamedTuple

BLUR_HELP = "strength of the blur: the radius of the blur disc in pixels, per unit of disparity"
_LARGEST = 3.4e38  # of what float32 holds
_RATE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?(?:/[0-9]{1,9})?")  # as a Fraction 1e999999 takes minutes


class Pull(NamedTuple):
    """What an option is in the first picture of a series, and in the last."""

    start: Any
    end: Any


def add_scene(command: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """PHOTO and the group that says what it shows; read by apps/photo/scene.py.

    Args:
        command: gets them.
        optional: whether PHOTO may be left out.
    """
    command.add_argument(
        "photo",
        metavar="PHOTO",
        nargs="?" if optional else None,
        help="the picture, sharp everywhere: PNG, JPEG, TIFF, OpenEXR, PFM or npy",
    )
    scene = command.add_argument_group("scene")
    distance = scene.add_mutually_exclusive_group()
    distance.add_argument("--disparity", metavar="FILE", help="its disparity: npy, npz ('data'), EXR, PFM, PNG or TIFF")
    foreground = scene.add_mutually_exclusive_group()
    foreground.add_argument("--alpha", metavar="FILE", help="matte of the foreground (grey, or an alpha channel)")
    add_layering(scene, distance, foreground)


def add_layering(
    scene: argparse._ArgumentGroup, distance: argparse._ActionsContainer, foreground: argparse._ActionsContainer
) -> None:
    """How photographs become layers, whichever they are; read by apps/photo/scene.py.

    Args:
        scene: the group that gets the arguments.
        distance: the part of it for what tells how far things are.
        foreground: the part of it for what tells the foreground.
    """
    distance.add_argument("--depth-model", metavar="MODEL", help="a network of yours that estimates it, scaled to [0, 1]")
    scene.add_argument("--depth", action="store_true", help="the file or the network gives depth: take 1/depth")
    scene.add_argument("--depth-unit", choices=("m", "mm"), help="of a depth file of integers (scaled to [0, 1]; see inspect)")
    scene.add_argument("--invert-disparity", action="store_true", help="the file's white is far: turn it round")
    scene.add_argument("--resize-depth", action="store_true", help="bring a disparity of another resolution to the picture's")
    foreground.add_argument("--matte-model", metavar="MODEL", help="a network of yours that makes the matte")
    scene.add_argument("--opaque", action="store_true", help="take a photograph with an alpha channel as if it had none")
    scene.add_argument(
        "--layers", metavar="N", type=whole, help="layers to split into (as many as depth edges ask for, up to 5)"
    )
    scene.add_argument(
        "--matte",
        choices=("outline", "refine"),
        default="outline",
        help="edges of layers: as the disparity has them, or for hair found anew by closed-form matting, slower (%(default)s)",
    )
    hidden = scene.add_mutually_exclusive_group()
    hidden.add_argument(
        "--inpaint", choices=("push-pull", "patchmatch"), default="push-pull", help="how to invent what is hidden (%(default)s)"
    )
    hidden.add_argument("--inpaint-model", metavar="MODEL", help="a network of yours that invents it")
    scene.description = (
        "MODEL is module:function, file.py:function, a TorchScript file, or the folder of a transformers model (no download)."
    )


def add_aperture(command: argparse.ArgumentParser) -> None:
    """The group that describes the opening; read by camera.py."""
    aperture = command.add_argument_group("aperture")
    aperture.add_argument("--blades", metavar="N", type=whole_from_0, help="straight blades, at least 3 (0: a disc)")
    aperture.add_argument(
        "--rotation", metavar="DEGREES", type=finite, help="angle of a corner, or of the image, clockwise from the right (0)"
    )
    aperture.add_argument("--roundness", metavar="R", type=finite, help="bulge of the blades: 0 a polygon (default), 1 a disc")
    aperture.add_argument("--squeeze", metavar="S", type=positive, help="height over width (1)")
    aperture.add_argument("--cat-eye", metavar="C", type=finite, help="how much of it is cut off in the corners, 0 to 1 (0)")
    aperture.add_argument("--ring", metavar="R", type=finite, help="how much brighter its rim is than its mean, -1 to 1 (0)")
    aperture.add_argument("--aperture-image", metavar="FILE", help="a picture of the opening instead: grey, or alpha channel")


def add_output(command: argparse.ArgumentParser) -> None:
    """The group that says what to write; obeyed by apps/photo/scene.py."""
    output = command.add_argument_group("output")
    output.add_argument(
        "-o", "--output", metavar="OUT", required=True, help="PNG or JPEG (sRGB); OpenEXR, TIFF, PFM or npy (linear float)"
    )
    add_bits(output)
    output.add_argument("--save-layers", metavar="DIR", help="also write each layer: RGBA PNG and disparity npy")
    output.add_argument("--overwrite", action="store_true", help="replace files that exist")
    output.add_argument("--quiet", action="store_true", help="print nothing, show no progress")


def add_bits(output: argparse._ArgumentGroup) -> None:
    """How fine the colours of a picture are that is written."""
    output.add_argument(
        "--bits", type=int, choices=(8, 16, 32), help="a channel: 8 or 16 of a PNG (8), 16 or 32 of OpenEXR (32)"
    )


def finite(text: str) -> float:
    """A number that float32 can hold."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    if abs(value) > _LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is too large: numbers go up to {_LARGEST:g}")
    return value


def not_negative(text: str) -> float:
    """A number from 0 up."""
    value = finite(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def positive(text: str) -> float:
    """A number above 0."""
    value = finite(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def whole(text: str) -> int:
    """A whole number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def whole_from_0(text: str) -> int:
    """A whole number from 0 up."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def whole_or_auto(text: str) -> int | Literal["auto"]:
    """A whole number from 1 up, or the word auto."""
    if text == "auto":
        return "auto"
    try:
        return whole(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, nor 'auto'") from None


def shard(text: str) -> tuple[int, int]:
    """Part I of N."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, as in 1/2")
    return int(match[1]), int(match[2])


def pixel(text: str) -> tuple[int, int]:
    """Column and row."""
    try:
        x, y = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a pixel: give column,row as in 640,360") from None
    return x, y


def box(text: str) -> tuple[int, int, int, int]:
    """Column and row of the top left pixel, width, height."""
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        width = height = x = y = 0
    if width < 1 or height < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a box: give column,row,width,height as in 600,320,80,60")
    return x, y, width, height


def or_pull(of: Callable[[str], Any]) -> Callable[[str], Any]:
    """The same, or two of them as in A:B, which make a `Pull`."""

    def convert(text: str) -> Any:
        start, colon, end = text.partition(":")
        return Pull(of(start), of(end)) if colon else of(text)

    return convert


def highlight_gain(text: str) -> float:
    """A number from 1 up."""
    value = finite(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1, which leaves highlights as they are")
    return value


def below_white(text: str) -> float:
    """A luminance from 0 up to that of white, which is 1, but not 1 itself."""
    value = not_negative(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"{text} is not below 1, the luminance of white")
    return value


def frame_rate(text: str) -> Fraction:
    """Frames a second: a number above 0, or a fraction."""
    try:
        value = Fraction(text).limit_denominator(1001000) if _RATE.fullmatch(text) else Fraction(0)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a frame rate: give 25 or 30000/1001, at most 1000")
    return value
