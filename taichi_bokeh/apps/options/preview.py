"""``taichi-bokeh preview``: its options. Imports nothing that is slow."""

import argparse
import re
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taichi_bokeh.apps.options.arguments import BLUR_HELP, finite, not_negative, positive
from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.options.requests import add_options, given_options, opt, option, request_of

_EXAMPLES = """\
examples:
  taichi-bokeh preview                                     (the demo's photograph; it needs scikit-image)
  taichi-bokeh preview photo.jpg --disparity photo.png
  taichi-bokeh preview photo.jpg --disparity metres.npy --depth --f-number 1.8 --focal-length 50 --sensor-width 36
  taichi-bokeh preview photo.jpg --disparity photo.png --offscreen --script actions.json -o frames

Click to focus; h shows the keys. While a control moves, the image is a draft, as large as leaves 15 frames a second; then it
is rendered as it is saved, in the size of the window. s saves it in full size and prints the command line that makes the same
file again. With a camera the f-number takes the place of the blur, and disparity must be in 1/m.

Without a window, a script is a JSON list of actions, after each of which a frame is written:
  [{"click": [0.5, 0.4]}, {"set": {"blur": 30, "blades": 6}}, {"wait": 1}, {"key": "v"}, {"save": "out.png"}]
click and drag are at parts of the width and height from the top left corner; set takes a control's name; wait is until nothing
better comes, or that many rays are in; besides there are drag, release, key and resize ([WIDTH, HEIGHT]).
"""


def _size(text: str) -> tuple[int, int]:
    """Width and height."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})[x×]([1-9][0-9]{0,4})", text)
    if match is None or max(int(match[1]), int(match[2])) > 16384:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: give WIDTHxHEIGHT as in 1200x800, each up to 16384")
    return int(match[1]), int(match[2])


@dataclass(frozen=True)
class PreviewRequest:
    """A photograph to be looked at.

    Attributes:
        scene: the photograph; None: the demo's.
    """

    scene: PhotoRequest | None = None
    blur: float | None = opt(BLUR_HELP, "K", not_negative, group="lens at first")
    f_number: float | None = opt("instead: focal length over diameter of the aperture", "N", positive, group="lens at first")
    focal_length: float | None = opt("in millimetres", "MM", positive, group="lens at first")
    sensor_width: float | None = opt("in millimetres; the image is as wide", "MM", positive, group="lens at first")
    focus: float | None = opt("the disparity in focus (that of the middle)", "F", finite, group="lens at first")
    size: tuple[int, int] | None = opt("of the window or the frames, in px (follows the image)", "WxH", _size, group="window")
    save_as: Path | None = opt("what s writes; further images are numbered (PHOTO-bokeh.png)", "FILE", Path, group="window")
    device: str = opt("where to render (%(default)s)", choices=("cpu", "cuda"), default="cpu", group="window")
    offscreen: bool = opt("open none: do what --script says", default=False, group="without a window")
    script: Path | None = opt("the actions", "FILE", Path, group="without a window")
    output: Path | None = opt(
        "folder for the frames and state.json", "DIR", Path, names=["-o", "--output"], group="without a window"
    )
    scale: float | None = opt("of the text in the frames: 2 for HiDPI (1)", "S", positive, group="without a window")
    overwrite: bool = opt("replace frames of an earlier run", default=False, group="without a window")
    quiet: bool = opt("print nothing, show no progress", default=False)

    @classmethod
    def of(cls, arguments: Namespace) -> "PreviewRequest":
        """Make it of parsed arguments.

        Raises:
            ValueError: something is said of a photograph, and there is none.
        """
        scene = request_of(PhotoRequest, arguments)
        for name in given_options(scene):
            if arguments.photo is None and name != "photo":
                raise ValueError(f"{option(name)} belongs to a photograph: give PHOTO as well, or nothing for the demo's")
        scene = scene.seen_by(arguments.focal_length, arguments.sensor_width)
        arguments.scene = None if arguments.photo is None else scene
        return request_of(cls, arguments)

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            ValueError: what, in one line.
        """
        for name, value in (("--script", self.script), ("-o", self.output)):
            if self.offscreen and value is None:
                raise ValueError(f"--offscreen needs {name} as well: --offscreen --script actions.json -o frames")
            if not self.offscreen and value is not None:
                raise ValueError(f"{name} is for --offscreen: give that as well, or leave {name} out for a window")
        if self.scale is not None and not (self.offscreen and self.scale <= 8):
            raise ValueError(f"--scale is {self.scale:g}: it is for --offscreen, as a window finds its own, and at most 8")
        if self.offscreen and self.save_as is not None:
            raise ValueError('--save-as is of the window: a script has the action {"save": "FILE"}')
        camera = {"f_number": self.f_number, "focal_length": self.focal_length, "sensor_width": self.sensor_width}
        missing = [name for name, value in camera.items() if value is None]
        if 0 < len(missing) < len(camera):
            raise ValueError(f"a camera needs {option(missing[0])} as well")
        if not missing and self.blur is not None:
            raise ValueError("--blur describes a lens without a camera, --f-number one with: give one or the other")


def add_preview(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    preview = commands.add_parser(
        "preview",
        help="tune the blur in a window, or by a script",
        description="Tune the lens blur of a photograph in a window: click to focus, and see what each control does at once.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    preview.set_defaults(run="taichi_bokeh.apps.preview:preview", request=PreviewRequest.of)
    add_options(preview, PhotoRequest, changed={"photo": {"nargs": "?"}})  # none is the demo's
    add_options(preview, PreviewRequest)


def scene_words(photo: PhotoRequest) -> list[str]:
    """Return the words of a command line that say what this request says."""
    given = given_options(photo)
    words = [str(given.pop("photo"))]
    for name, value in given.items():
        several = value if isinstance(value, list) else [":".join(map(str, value)) if isinstance(value, tuple) else value]
        words += [option(name) if one is True else f"{option(name)}={'none' if one is None else one}" for one in several]
    return words
