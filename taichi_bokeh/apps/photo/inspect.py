"""``taichi-bokeh inspect``: what an image or depth file holds, and how it will be read."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taichi_bokeh.apps.options.requests import add_command, opt
from taichi_bokeh.apps.terminal import print_result

if TYPE_CHECKING:
    from taichi_bokeh.io import DepthDescription
    from taichi_bokeh.io.depth.readings import Reading
    from taichi_bokeh.io.phones import Parts

_EXAMPLES = """\
examples:
  taichi-bokeh inspect depth.png
  taichi-bokeh inspect photo.exr disparity.pfm

Whether numbers are disparity or depth, and in what unit, most files do not say. What they look like is told with the options
of the other commands that would read them so.
"""
_BAR = 40  # characters
_EIGHTHS = " ▏▎▍▌▋▊▉"
_CLEAR_SLOPE = 0.1  # of the range, for a hint


_TEXTS = {
    "help": "say what an image or depth file holds, and how it will be read",
    "description": "Say what image or depth files hold, and how they will be read.",
    "epilog": _EXAMPLES,
}


@dataclass(frozen=True)
class InspectRequest:
    """Files to be looked at."""

    files: Sequence[Path] = opt(
        "PNG, JPEG, HEIC, TIFF, OpenEXR, PFM, npy, npz, WebP, GIF", "FILE", Path, default=MISSING, names=["files"], nargs="+"
    )


def add_inspect(commands: Any) -> None:
    """Add the command to those of ``taichi-bokeh``."""
    add_command(commands, "inspect", InspectRequest, "taichi_bokeh.apps.photo.inspect:inspect_files", texts=_TEXTS)


def inspect_files(request: InspectRequest) -> None:
    """Run the command; see ``taichi-bokeh inspect --help``.

    Raises:
        ValueError, OSError: what is wrong with a file, or that the disk behind stdout is full, in one line.
    """
    from taichi_bokeh.io import describe_depth
    from taichi_bokeh.io.phones import find_parts

    for i, path in enumerate(request.files):
        layers = _layer_lines(path)
        try:
            text = "\n".join([*_lines(path, describe_depth(path)), *layers, *_part_lines(find_parts(path))])
        except ValueError as error:
            if not layers:
                raise
            text = "\n".join([*layers, f"by default: {error}"])  # one of them has to be chosen
        print_result("\n" * (i > 0) + text + "\n")


def _lines(path: Path, found: "DepthDescription") -> list[str]:
    names = f" ({', '.join(found.channel_names)})" if found.channel_names else ""
    channels = f"{found.channels} channel{'s' * (found.channels > 1)}{names}"
    head = f"{path}: {found.format}, {found.width}×{found.height} pixels, {found.dtype}, {channels}"
    head += f", array {found.array!r}" * bool(found.array) + f", the first of {found.count} frames" * (found.count > 1)
    values = f"values: {found.minimum:.6g} … {found.maximum:.6g}, median {found.median:.6g}"
    return [
        head,
        *([f"colour profile: {found.profile}"] if found.profile is not None else []),
        f"{values}; holes {found.hole_share:.1%}, zeros {found.zero_share:.1%}",
        *_histogram(found),
        f"{found.finding}{_options(found)}",
        f"by default: {_default(found)}",
        *_hints(found),
        *(["what it would mean, as only you can tell:"] if found.readings else []),
        *map(_reading, found.readings),
    ]


def _reading(one: "Reading") -> str:
    ends = f"nearest {one.nearest}, farthest {one.farthest}, holes {one.hole_share:.1%}"
    return f"- {one.options or 'by default'}: {one.meaning}: {ends}"


def _layer_lines(path: Path) -> list[str]:
    """The layers of an OpenEXR file, and what is not usual of it; the arrays of an npz file of several."""
    from taichi_bokeh.io.arrays import read_bytes, refusal
    from taichi_bokeh.io.exr import is_exr, summary
    from taichi_bokeh.io.formats.numpy_files import arrays_of, is_npz

    content = read_bytes(path)
    try:
        if is_npz(content):
            arrays = arrays_of(content)
            return [f"arrays: {', '.join(arrays)}"] if len(arrays) > 1 else []
        return summary(content) if is_exr(content) else []
    except ValueError as error:
        raise refusal(path, error) from None


def _part_lines(parts: "Parts") -> list[str]:
    """A line for each thing that a phone has put beside the picture."""
    lines = [f"beside it: {part.kind}, {part.text}" for part in parts.found]
    if parts.first("depth") is not None:
        lines.append("so render needs no --disparity; extract writes these as files")
    elif any(part.is_right is not None for part in parts.found):
        lines.append("so render --stereo finds the disparity")
    return [*lines, *(f"not made out: {problem}" for problem in parts.problems)]


def _histogram(found: "DepthDescription") -> list[str]:
    """A line for each bin: from where to where, a bar, the share."""
    counts = found.counts
    total, most = sum(counts), max(counts, default=1)
    edges = [f"{edge:.6g}" for edge in found.edges]
    wide = max(map(len, edges), default=0)
    ranges = [f"{low:>{wide}} … {high:>{wide}}" for low, high in pairwise(edges)]
    return [f"  {span}  {_bar(count / most):<{_BAR}} {count / total:6.1%}" for span, count in zip(ranges, counts, strict=True)]


def _bar(part: float) -> str:
    """A bar of `part` of the full length, to an eighth of a character; nothing but 0 is without any."""
    eighths = round(part * _BAR * 8) or (part > 0)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _options(found: "DepthDescription") -> str:
    """What to give the other commands, where it is not what they do by default."""
    if not found.depth:
        return ""
    return "; give --depth" + (" --depth-unit mm" if found.unit == "mm" else "")


def _default(found: "DepthDescription") -> str:
    scaled = found.dtype in ("uint8", "uint16")
    if found.kind == "image":
        if not scaled:
            return "an image in linear light"
        return "an image in sRGB" if found.profile is None else "an image, brought from its colour profile to sRGB"
    if found.is_named_depth:
        return "refused, unless --depth is given, or --inverse-depth, if it is one over depth"
    if found.channels > 4 and not found.channel_names:
        return "refused"
    numbers = f"divided by {65535 if found.dtype == 'uint16' else 255}" if scaled else "as they are"
    return f"disparity, its numbers {numbers}, larger is nearer"


def _hints(found: "DepthDescription") -> list[str]:
    if found.kind not in ("disparity", "unclear") or found.slope > -_CLEAR_SLOPE:
        return []
    return [
        "its lower third has smaller numbers than its upper third: if what is near is small, "
        "give --invert-disparity, or if it is depth, --depth"
    ]
