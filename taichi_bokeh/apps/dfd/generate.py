"""``taichi-bokeh dfd generate``: data sets for depth from defocus."""

import argparse
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from taichi_bokeh.apps.options.arguments import positive, shard, whole, whole_from_0
from taichi_bokeh.apps.options.requests import opt

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


TEXTS = {
    "help": "make a data set of known depth, by ray tracing",
    "description": "Make random scenes of known disparity, and trace them through a camera's lenses.",
    "epilog": _EXAMPLES,
}


def _size(text: str) -> tuple[int, int]:
    """Height and width of PX or WIDTHxHEIGHT."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})(?:[x×]([1-9][0-9]{0,5}))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: give 128, or 320x240")
    return int(match[2] or match[1]), int(match[1])


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _one_or_two(convert: Callable[[str], Number], text: str) -> tuple[Number, ...] | Number:
    values = tuple(convert(part) for part in text.split(","))
    if len(values) > 2 or values[0] > values[-1]:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor a range: give least,most")
    return values if len(values) == 2 else values[0]


@dataclass(frozen=True, kw_only=True)
class GenerateRequest:
    """A data set to be made."""

    out: Path = opt("folder of the set: new, empty, or that of an earlier run", "DIR", Path, default=MISSING, required=True)
    scenes: int = opt("how many, over all shards (%(default)s)", "N", whole, default=100, group="scenes")
    seed: int | None = opt("of all that is random in them (0)", "N", whole_from_0, group="scenes")
    size: tuple[int, int] | None = opt("width and height (those of the camera)", "PX|WxH", _size, group="scenes")
    kinds: tuple[str, ...] | None = opt("of surfaces (billboards,slanted,curved)", "A,B,…", _names, group="scenes")
    objects: tuple[int, ...] | int | None = opt(
        "before the background: how many, or a range (1,3)", "N|A,B", partial(_one_or_two, whole), group="scenes"
    )
    outlines: str | None = opt(
        "of objects larger than the blur, or with parts as narrow as it (whole)", choices=("whole", "fine"), group="scenes"
    )
    foregrounds: Path | None = opt(
        "cut-outs: pictures with alpha, or folders of images and mattes", "DIR", Path, group="scenes"
    )
    backgrounds: Path | None = opt("pictures for the last layer (those that scikit-image brings)", "DIR", Path, group="scenes")
    camera: str = opt("see below (%(default)s)", "NAME", default=_DEFAULT_CAMERA, group="camera")
    radius: tuple[float, ...] | float | None = opt(
        "largest blur radius in px, or a range to draw it from (6,9)", "R|A,B", partial(_one_or_two, positive), group="camera"
    )
    focus_plane: str | None = opt("where the focus lies (far)", choices=("far", "near", "middle", "any"), group="camera")
    rays: int | None = opt("rays a pixel of each blurred picture (2048)", "N", whole, group="camera")
    format: str | None = opt("WebDataset tars, or an npz for each sample (tar)", choices=("tar", "folder"), group="files")
    per_file: int | None = opt("samples in a tar (32)", "N", whole, group="files")
    half: bool = opt("pictures as float16, half as large; disparity stays float32", default=False, group="files")
    shard: tuple[int, int] = opt("make part I of N of the files only, I from 1", "I/N", shard, default=(1, 1), group="work")
    workers: int = opt("processes at the same time (%(default)s)", "N", whole, default=1, group="work")
    quiet: bool = opt("print nothing, show no progress", default=False, group="work")


def generate_command(request: GenerateRequest) -> None:
    """Run the command: see ``taichi-bokeh dfd generate --help``, and `apps.dfd.command` for what it raises."""
    from taichi_bokeh.apps.common import speaker
    from taichi_bokeh.apps.progress import progress_bar
    from taichi_bokeh.dfd.data.generate import count, generate

    say = speaker(request.quiet)
    settings = _settings(request)
    folder, shard = request.out, request.shard
    before = count(settings, folder, shard)
    if before.done:
        say(f"going on in {folder}: {before.done} of {before.total} samples are done")
    try:
        with progress_bar("data set", request.quiet, speed_over_s=_SPEED_OVER_S) as progress:
            generate(settings, folder, progress, shard=shard, workers=request.workers)
    except KeyboardInterrupt:
        done, total = count(settings, folder, shard)
        raise KeyboardInterrupt(f"{done} of {total} samples are in {folder}; the same command goes on from there") from None
    say(f"written: {before.total} samples in {folder}")


def _settings(request: GenerateRequest) -> "GenerateSettings":
    from taichi_bokeh.apps.common import existing_folder, given
    from taichi_bokeh.dfd.data.cameras import camera_named
    from taichi_bokeh.dfd.data.generate import GenerateSettings
    from taichi_bokeh.dfd.data.scenes import DefocusSceneSettings

    camera = camera_named(request.camera)
    if request.camera != _DEFAULT_CAMERA:
        for option in ("radius", "focus_plane"):
            if getattr(request, option) is not None:
                raise ValueError(
                    f"--{option.replace('_', '-')} has no meaning with --camera {request.camera}, which has lenses of its own"
                )
    if request.format == "folder" and request.per_file is not None:
        raise ValueError("--per-file has no meaning with --format folder, which has a file for each sample")
    renamed = {"objects": "foregrounds", "radius": "largest_radius_px", "focus_plane": "focal_plane"}
    scene = DefocusSceneSettings(size=request.size or camera.size, **given(request, "seed", "kinds", "outlines", **renamed))
    return GenerateSettings(
        scenes=request.scenes,
        scene=scene,
        camera=request.camera,
        picture_type="float16" if request.half else "float32",
        foregrounds=existing_folder("--foregrounds", request.foregrounds),
        backgrounds=existing_folder("--backgrounds", request.backgrounds),
        **given(request, "rays", format="file_format", per_file="samples_per_file"),
    )
