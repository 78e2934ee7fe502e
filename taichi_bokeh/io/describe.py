"""What an image or depth file holds, and how its numbers would be read."""

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.arrays import read_contents, refusal
from taichi_bokeh.io.depth.code import looks_relative
from taichi_bokeh.io.depth.holes import Hole, holes_of
from taichi_bokeh.io.depth.readings import Reading, readings_of
from taichi_bokeh.io.disparity import is_one_channel, single_channel
from taichi_bokeh.io.formats.colour_profile import profile_name
from taichi_bokeh.io.formats.contents import Contents

Kind = Literal["image", "disparity", "depth", "unclear"]

_MOST_BINS = 20
_FULL = 0.95  # of the largest integer: a map that was scaled to its type reaches at least this
_NEAREST_MM = 100  # a depth camera measures nothing nearer
_LONGEST_M = 100  # depth up to this in metres, beyond in millimetres


@dataclass(frozen=True)
class DepthDescription:
    """What `describe_depth` found.

    Attributes:
        format: "PNG", "OpenEXR" …
        width: in pixels.
        height: in pixels.
        dtype: of the numbers in the file.
        channels: how many, alpha among them.
        channel_names: those of an OpenEXR file; what follows is said of those that depth or else an image would be read from.
        profile: name of the embedded colour profile, or what else a PNG says of its colours; None: nothing.
        minimum: of the finite numbers, as they are in the file, without alpha; NaN where there are none.
        median: of these.
        maximum: of these.
        hole_share: part of the pixels that hold NaN or infinite values.
        zero_share: part of the pixels that are 0 in all channels.
        counts: histogram of the finite numbers, in at most 20 bins of equal width.
        edges: of its bins, one more than these.
        slope: of a map, by how much of the range its lower third is above its upper third in the median: as the ground below is
            nearer in most photographs, a negative one hints at numbers that grow with distance. Of an image 0.
        kind: what it is, or is most likely.
        is_certain: it is an image, as its colours tell; of a map all is a guess.
        depth: what to give `read_disparity`, if it is a map.
        unit: likewise.
        finding: why, in words.
        is_named_depth: the file calls it depth.
        readings: what it would mean, read in one way or another; of an image none.
        count: how many frames the file has; this is the first.
        array: name of the array of an npz file, else empty.
    """

    format: str
    width: int
    height: int
    dtype: str
    channels: int
    channel_names: tuple[str, ...]
    profile: str | None
    minimum: float
    median: float
    maximum: float
    hole_share: float
    zero_share: float
    counts: tuple[int, ...]
    edges: tuple[float, ...]
    slope: float
    kind: Kind
    is_certain: bool
    depth: bool
    unit: str | None
    finding: str
    is_named_depth: bool = False
    readings: tuple[Reading, ...] = ()
    count: int = 1
    array: str = ""


@dataclass(frozen=True)
class _Guess:
    """What the numbers may be."""

    kind: Kind
    finding: str
    is_certain: bool = False
    depth: bool = False
    unit: str | None = None


def describe_depth(path: str | os.PathLike[str]) -> DepthDescription:
    """Describe a file of any format that `read_image` or `read_disparity` reads.

    What is said of depth is a guess from the numbers, for a person to judge, as even the channel Z of OpenEXR may hold one over
    it; whether near is bright or dark, its slope may hint at.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the system refuses to read it.
        ValueError: it cannot be read.
    """
    contents = read_contents(path, "depth", index=0)
    try:
        profile = contents.coding and contents.coding.name
        profile = profile if contents.profile is None else profile_name(contents.profile)
    except ValueError as error:
        raise refusal(path, error) from None
    values = contents.values
    planes = values[..., None] if values.ndim == 2 else values
    colours = planes[..., :-1] if planes.shape[2] in (2, 4) and not contents.is_cmyk else planes
    numbers = colours[np.isfinite(colours)].astype(np.float64)
    some = numbers if numbers.size else np.array([np.nan])
    is_map = not contents.is_cmyk and is_one_channel(values) and numbers.size > 0
    plane = single_channel(values, path) if is_map else None
    guess = _guess(contents, plane)
    counts, edges = _histogram(numbers, whole=not np.issubdtype(values.dtype, np.floating))
    return DepthDescription(
        format=contents.format,
        width=values.shape[1],
        height=values.shape[0],
        dtype=str(values.dtype),
        channels=len(contents.channels) or planes.shape[2],
        channel_names=contents.channels,
        profile=profile,
        minimum=float(some.min()),
        median=float(np.median(some)),
        maximum=float(some.max()),
        hole_share=float(1 - np.isfinite(colours).all(axis=-1).mean()),
        zero_share=float((colours == 0).all(axis=-1).mean()),
        counts=counts,
        edges=edges,
        slope=0.0 if guess.kind == "image" else _slope(planes[..., 0]),
        is_named_depth=contents.is_depth,
        readings=() if plane is None else readings_of(plane, contents.is_depth, Path(path)),
        count=contents.frames,
        array=contents.name,
        **vars(guess),
    )


def _histogram(numbers: NDArray[np.float64], whole: bool) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Find the counts, and the edges of the bins; whole numbers get bins of whole width, so that each holds as many of them."""
    if numbers.size == 0:
        return (), ()
    low, high = float(numbers.min()), float(numbers.max())
    if whole:
        width = math.ceil((high - low + 1) / _MOST_BINS)
        edges = low + width * np.arange(math.ceil((high - low + 1) / width) + 1)
    else:
        edges = np.linspace(low / 2, high / 2, _MOST_BINS + 1 if high > low else 2) * 2  # halved: their range may be too large
    counts = np.bincount(np.searchsorted(edges[1:-1], numbers.ravel(), side="right"), minlength=len(edges) - 1)
    return tuple(counts.tolist()), tuple(edges.tolist())


def _guess(contents: Contents, plane: NDArray[Any] | None) -> _Guess:
    values = contents.values
    if contents.is_cmyk:
        return _Guess("image", "inks (CMYK): an image", is_certain=True)
    if values.ndim == 3 and values.shape[2] > 4:
        return _Guess("unclear", f"{values.shape[2]} channels: neither an image nor a map")
    if not is_one_channel(values):
        return _Guess("image", "its colour channels differ: an image", is_certain=True)
    if plane is None:
        return _Guess("unclear", "no finite number in it: every pixel is a hole")
    if contents.is_depth:
        return _Guess("depth", "the file calls it depth (Z), which may also be one over it", depth=True)
    lone = holes_of(plane, is_depth=True) or holes_of(plane, is_depth=False)
    known = plane[np.isfinite(plane) & ~np.isin(plane, [hole.value for hole in lone])]
    guess = _guess_floats(known) if np.issubdtype(plane.dtype, np.floating) else _guess_integers(known)
    return replace(guess, finding=guess.finding + "".join(map(_as_hole, lone)))


def _as_hole(hole: Hole) -> str:
    return f"; {hole.value:g} ({hole.share:.1%} of the pixels) is most likely a hole: {hole.reason}"


def _guess_integers(numbers: NDArray[Any]) -> _Guess:
    bits = 1 if numbers.dtype == np.bool_ else 8 * numbers.dtype.itemsize
    low, high, zeros = float(numbers.min()), float(numbers.max()), float((numbers == 0).mean())
    if bits <= 8:
        return _Guess(
            "unclear", f"{bits}-bit integers {low:.0f}…{high:.0f}: a grey image, a matte, or disparity or depth scaled to them"
        )
    positive = numbers[numbers > 0]
    is_apart = low == 0 and positive.size > 0  # zeros are told beside the range of the others
    found = f"{bits}-bit integers {positive.min() if is_apart else low:.0f}…{high:.0f}"
    found += f", zeros {zeros:.1%}" if is_apart else ""
    if low >= 0 and bits == 16 and high >= _FULL * 65535:
        return _Guess("unclear", f"{found}: their whole range, so disparity or relative depth scaled to it")
    if low >= 0 and positive.size and positive.min() >= _NEAREST_MM:
        return _Guess("depth", f"{found}: looks like depth in millimetres", depth=True, unit="mm")
    return _Guess("unclear", f"{found}: may be disparity in part of their range, or depth in some unit")


def _guess_floats(numbers: NDArray[Any]) -> _Guess:
    low, high, zeros = float(numbers.min()), float(numbers.max()), float((numbers == 0).mean())
    positive = numbers[numbers > 0].astype(np.float64)
    is_apart = low == 0 and positive.size > 0
    found = f"{8 * numbers.dtype.itemsize}-bit floats {positive.min() if is_apart else low:.4g}…{high:.4g}"
    found += f", zeros {zeros:.1%}" if is_apart else ""
    if low < 0:
        return _Guess("disparity", f"{found}: depth is not negative, so looks like disparity")
    if looks_relative(numbers):
        return _Guess("unclear", f"{found}: fill [0, 1], as relative disparity does, and relative depth")
    if is_apart and positive.min() > 0.1 * np.median(positive):
        unit = "m" if np.median(positive) <= _LONGEST_M else "mm"
        name = {"m": "metres", "mm": "millimetres"}[unit]
        return _Guess("depth", f"{found} and nothing near 0: looks like depth in {name}", depth=True, unit=unit)
    return _Guess("unclear", f"{found}: may be disparity or depth, which numbers do not tell apart")


def _slope(plane: NDArray[Any]) -> float:
    """Subtract: lower third minus upper third, in the medians of their finite numbers, over the range of all."""
    third = max(1, plane.shape[0] // 3)
    upper, lower, numbers = (part[np.isfinite(part)].astype(np.float64) for part in (plane[:third], plane[-third:], plane))
    if not upper.size or not lower.size or numbers.min() == numbers.max():
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        slope = (np.median(lower) - np.median(upper)) / (numbers.max() - numbers.min())
    return float(slope) if np.isfinite(slope) else 0.0
