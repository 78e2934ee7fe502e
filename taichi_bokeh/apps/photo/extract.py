"""``taichi-bokeh extract``: what a phone's photograph holds beside the picture, as files."""

from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taichi_bokeh.apps.options.requests import add_command, opt

if TYPE_CHECKING:
    from taichi_bokeh.io.phones import Part

_EXAMPLES = """\
examples:
  taichi-bokeh extract IMG_0001.HEIC -o parts
  taichi-bokeh render IMG_0001.HEIC --disparity parts/depth.tif --blur 30 --focus-at 640,360 -o out.png

Depth becomes depth.tif: disparity in floats, larger is nearer. Mattes, gain maps and other views become
PNG files. All are upright, as the picture is. `inspect` lists them without writing.
"""

_TEXTS = {
    "help": "write what a phone's photograph holds beside the picture: depth, mattes, other views, gain map",
    "description": "Write depth, mattes, other views and the gain map of a HEIC or JPEG photograph as files.",
    "epilog": _EXAMPLES,
}


@dataclass(frozen=True)
class ExtractRequest:
    """A photograph to be taken apart."""

    photo: Path = opt("a HEIC or JPEG file of a phone or a stereo camera", "PHOTO", Path, default=MISSING, names=["photo"])
    output: Path = opt("folder for the files", "DIR", Path, default=MISSING, required=True, names=["-o", "--output"])
    overwrite: bool = opt("replace files that exist", default=False)
    quiet: bool = opt("print nothing", default=False)


def add_extract(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    add_command(commands, "extract", ExtractRequest, "taichi_bokeh.apps.photo.extract:extract_parts", texts=_TEXTS)


def extract_parts(request: ExtractRequest) -> None:
    """Run the command; see ``taichi-bokeh extract --help``.

    Raises:
        ValueError, OSError: what is wrong with a file, in one line.
    """
    from taichi_bokeh.apps.common import check_folder, speaker
    from taichi_bokeh.io.phones import find_parts, read_part
    from taichi_bokeh.storage.atomic_files import write_atomically

    say, parts = speaker(request.quiet), find_parts(request.photo)
    for problem in parts.problems:
        say(f"left out: {problem}")
    if not parts.found:
        raise ValueError(
            f"{request.photo} holds no depth, matte, other view or gain map" + "".join(f"; {p}" for p in parts.problems)
        )
    files = [request.output / f"{part.name}{'.tif' if part.kind == 'depth' else '.png'}" for part in parts.found]
    check_folder(request.output, files, request.overwrite)
    contents = [_encoded(part, file, read_part(part, request.photo)) for part, file in zip(parts.found, files, strict=True)]
    request.output.mkdir(exist_ok=True)
    for part, file, content in zip(parts.found, files, contents, strict=True):
        write_atomically(file, content, request.overwrite)
        say(f"written: {file} ({part.kind}: {part.text})")


def _encoded(part: "Part", file: Path, values: Any) -> bytes:
    """The file of a part; all are made before the first is written."""
    import numpy as np

    from taichi_bokeh.io.formats import png, raster, tiff
    from taichi_bokeh.io.images import encode_image

    if part.kind == "depth":
        return tiff.encode(values)
    if part.kind in ("view", "original"):
        return encode_image(file, values)
    if values.dtype == np.uint16:
        return png.encode(values if values.ndim == 3 else np.dstack([values] * 3))
    samples = values if values.dtype == np.uint8 else np.rint(values * 255).astype(np.uint8)
    return raster.encode(".png", samples)
