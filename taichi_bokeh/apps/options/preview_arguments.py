"""The arguments of ``taichi-bokeh preview``. Imports nothing that is slow."""

import argparse
import re
from typing import Any

from taichi_bokeh.apps.options.arguments import BLUR_HELP, add_scene, finite, not_negative, positive

_EXAMPLES = """\
examples:
  taichi-bokeh preview                                     (the demo's photograph; it needs scikit-image)
  taichi-bokeh preview photo.jpg --disparity photo.png
  taichi-bokeh preview photo.jpg --disparity metres.npy --depth --f-number 1.8 --focal-length 50 --sensor-width 36
  taichi-bokeh preview photo.jpg --disparity photo.png --offscreen --script actions.json -o frames

Click to focus; h shows the keys. While a control moves, the picture is a draft, as large as leaves 15 frames a second; then it
is rendered as it is saved, in the size of the window. s saves it in full size and prints the command line that makes the same
file again. With a camera the f-number takes the place of the blur, and disparity must be in 1/m.

Without a window, a script is a JSON list of actions, after each of which a frame is written:
  [{"click": [0.5, 0.4]}, {"set": {"blur": 30, "blades": 6}}, {"wait": 1}, {"key": "v"}, {"save": "out.png"}]
click and drag are at parts of the width and height from the top left corner; set takes a control's name; wait is until nothing
better comes, or that many rays are in; besides there are drag, release, key and resize ([WIDTH, HEIGHT]).
"""


def add_preview(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    preview = commands.add_parser(
        "preview",
        help="tune the blur in a window, or by a script",
        description="Tune the lens blur of a photograph in a window: click to focus, and see what each control does at once.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    preview.set_defaults(run="taichi_bokeh.apps.preview:preview")
    add_scene(preview, optional=True)  # none is the demo's
    lens = preview.add_argument_group("lens at first")
    lens.add_argument("--blur", metavar="K", type=not_negative, help=BLUR_HELP)
    lens.add_argument("--f-number", metavar="N", type=positive, help="instead: focal length over diameter of the opening")
    lens.add_argument("--focal-length", metavar="MM", type=positive, help="in millimetres")
    lens.add_argument("--sensor-width", metavar="MM", type=positive, help="in millimetres; the picture is as wide")
    lens.add_argument("--focus", metavar="F", type=finite, help="the disparity in focus (that of the middle)")
    window = preview.add_argument_group("window")
    window.add_argument("--size", metavar="WxH", type=_size, help="of the window or the frames, in px (follows the picture)")
    window.add_argument("--save-as", metavar="FILE", help="what s writes; further pictures are numbered (PHOTO-bokeh.png)")
    window.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to render (%(default)s)")
    frames = preview.add_argument_group("without a window")
    frames.add_argument("--offscreen", action="store_true", help="open none: do what --script says")
    frames.add_argument("--script", metavar="FILE", help="the actions")
    frames.add_argument("-o", "--output", metavar="DIR", help="folder for the frames and state.json")
    frames.add_argument("--scale", metavar="S", type=positive, help="of the text in the frames: 2 for HiDPI (1)")
    frames.add_argument("--overwrite", action="store_true", help="replace frames of an earlier run")
    preview.add_argument("--quiet", action="store_true", help="print nothing, show no progress")


def scene_words(arguments: argparse.Namespace) -> list[str]:
    """The words of a command line that say what `add_scene` read into these arguments."""
    parser = argparse.ArgumentParser(add_help=False)
    add_scene(parser, optional=True)
    words = []
    for name, usual in vars(parser.parse_args([])).items():
        value, option = getattr(arguments, name), f"--{name.replace('_', '-')}"
        if value == usual:
            continue
        if name == "photo":
            words.append(value)
        else:
            words.append(option if value is True else f"{option}={value}")
    return words


def _size(text: str) -> tuple[int, int]:
    """Width and height."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})[x×]([1-9][0-9]{0,4})", text)
    if match is None or max(int(match[1]), int(match[2])) > 16384:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: give WIDTHxHEIGHT as in 1200x800, each up to 16384")
    return int(match[1]), int(match[2])
