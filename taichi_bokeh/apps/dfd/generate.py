"""``taichi-bokeh dfd generate``: data sets for depth from defocus."""

import argparse
import re
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from taichi_bokeh.apps.options.arguments import positive, shard, whole, whole_from_0

if TYPE_CHECKING:
    from taichi_bokeh.dfd.data.generate import GenerateSettings

Number = TypeVar("Number", int, float)

_DEFAULT_CAMERA = "normalised"
_SPEED_OVER_S = 300.0  # a sample may take a minute

_EXAMPLES = """\
examples:
  taichi-bokeh dfd generate --out pairs --scenes 200
  taichi-bokeh dfd generate --out stacks --scenes 50 --camera dered --workers 4
  taichi-bokeh dfd generate --out pairs --scenes 10000 --shard 1/8 --half  (and 2/8 … 8/8 elsewhere)

Stopped at any time, the same command goes on after the last whole file. Shards may share a folder, or be copied into one.
Cameras: normalised (one picture a scene, disparity from 0 to 1, blur by --radius), dered (50 mm f/8, 5 pictures, 320 × 240),
defocusnet (2.9 mm f/1, 5 pictures, 256 × 256); the last two have disparity in 1/m.
"""


def add_generate(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command to those of ``taichi-bokeh dfd``."""
    generate = commands.add_parser(
        "generate",
        help="make a data set of known depth, by ray tracing",
        description="Make random scenes of known disparity, and trace them through a camera's lenses.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    generate.add_argument(
        "--out", metavar="DIR", required=True, help="folder of the set: new, empty, or that of an earlier run"
    )
    scenes = generate.add_argument_group("scenes")
    scenes.add_argument("--scenes", metavar="N", type=whole, default=100, help="how many, over all shards (%(default)s)")
    scenes.add_argument("--seed", metavar="N", type=whole_from_0, help="of all that is random in them (0)")
    scenes.add_argument("--size", metavar="PX|WxH", type=_size, help="width and height (those of the camera)")
    scenes.add_argument("--kinds", metavar="A,B,…", type=_names, help="of surfaces (billboards,slanted,curved)")
    scenes.add_argument(
        "--objects", metavar="N|A,B", type=_whole_range, help="before the background: how many, or a range (1,3)"
    )
    scenes.add_argument(
        "--outlines", choices=("whole", "fine"), help="of objects larger than the blur, or with parts as narrow as it (whole)"
    )
    scenes.add_argument("--foregrounds", metavar="DIR", help="cut-outs: pictures with alpha, or folders of images and mattes")
    scenes.add_argument("--backgrounds", metavar="DIR", help="pictures for the last layer (those that scikit-image brings)")
    camera = generate.add_argument_group("camera")
    camera.add_argument("--camera", metavar="NAME", default=_DEFAULT_CAMERA, help="see below (%(default)s)")
    camera.add_argument(
        "--radius", metavar="R|A,B", type=_range, help="largest blur radius in px, or a range to draw it from (6,9)"
    )
    camera.add_argument("--focus-plane", choices=("far", "near", "middle", "any"), help="where the focus lies (far)")
    camera.add_argument("--rays", metavar="N", type=whole, help="rays a pixel of each blurred picture (2048)")
    files = generate.add_argument_group("files")
    files.add_argument("--format", choices=("tar", "folder"), help="WebDataset tars, or an npz for each sample (tar)")
    files.add_argument("--per-file", metavar="N", type=whole, help="samples in a tar (32)")
    files.add_argument("--half", action="store_true", help="pictures as float16, half as large; disparity stays float32")
    work = generate.add_argument_group("work")
    work.add_argument("--shard", metavar="I/N", type=shard, default=(1, 1), help="make part I of N of the files only, I from 1")
    work.add_argument("--workers", metavar="N", type=whole, default=1, help="processes at the same time (%(default)s)")
    work.add_argument("--quiet", action="store_true", help="print nothing, show no progress")


def generate_command(arguments: Namespace) -> None:
    """Run the command; see ``taichi-bokeh dfd generate --help``.

    Raises:
        ValueError, OSError, ModuleNotFoundError: what is wrong, in one line.
        KeyboardInterrupt: with what was done, and how to go on.
    """
    from taichi_bokeh.apps.common import speaker
    from taichi_bokeh.apps.progress import progress_bar
    from taichi_bokeh.dfd.data.generate import count, generate

    say = speaker(arguments.quiet)
    settings = _settings(arguments)
    folder, shard = Path(arguments.out), arguments.shard
    before = count(settings, folder, shard)
    if before.done:
        say(f"going on in {folder}: {before.done} of {before.total} samples are done")
    try:
        with progress_bar("data set", arguments.quiet, speed_over_s=_SPEED_OVER_S) as progress:
            generate(settings, folder, progress, shard=shard, workers=arguments.workers)
    except KeyboardInterrupt:
        done, total = count(settings, folder, shard)
        raise KeyboardInterrupt(f"{done} of {total} samples are in {folder}; the same command goes on from there") from None
    say(f"written: {before.total} samples in {folder}")


def _settings(arguments: Namespace) -> "GenerateSettings":
    from taichi_bokeh.apps.common import existing_folder, given
    from taichi_bokeh.dfd.data.cameras import camera_named
    from taichi_bokeh.dfd.data.generate import GenerateSettings
    from taichi_bokeh.dfd.data.scenes import DefocusSceneSettings

    camera = camera_named(arguments.camera)
    if arguments.camera != _DEFAULT_CAMERA:
        for option in ("radius", "focus_plane"):
            if getattr(arguments, option) is not None:
                raise ValueError(
                    f"--{option.replace('_', '-')} has no meaning with --camera {arguments.camera}, which has lenses of its own"
                )
    if arguments.format == "folder" and arguments.per_file is not None:
        raise ValueError("--per-file has no meaning with --format folder, which has a file for each sample")
    renamed = {"objects": "foregrounds", "radius": "largest_radius_px", "focus_plane": "focal_plane"}
    scene = DefocusSceneSettings(size=arguments.size or camera.size, **given(arguments, "seed", "kinds", "outlines", **renamed))
    return GenerateSettings(
        scenes=arguments.scenes,
        scene=scene,
        camera=arguments.camera,
        picture_type="float16" if arguments.half else "float32",
        foregrounds=existing_folder("--foregrounds", arguments.foregrounds),
        backgrounds=existing_folder("--backgrounds", arguments.backgrounds),
        **given(arguments, "rays", format="file_format", per_file="samples_per_file"),
    )


def _size(text: str) -> tuple[int, int]:
    """Height and width of PX or WIDTHxHEIGHT."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})(?:[x×]([1-9][0-9]{0,5}))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: give 128, or 320x240")
    return int(match[2] or match[1]), int(match[1])


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _range(text: str) -> tuple[float, ...] | float:
    """A number above 0, or two."""
    return _one_or_two(text, positive)


def _whole_range(text: str) -> tuple[int, ...] | int:
    """A whole number from 1 up, or two."""
    return _one_or_two(text, whole)


def _one_or_two(text: str, convert: Callable[[str], Number]) -> tuple[Number, ...] | Number:
    values = tuple(convert(part) for part in text.split(","))
    if len(values) > 2 or values[0] > values[-1]:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor a range: give least,most")
    return values if len(values) == 2 else values[0]
