"""Sequences in: a folder of images or a video, with as many disparities and mattes, as requests of single images."""

import io
import re
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.io import write_atomically
from taichi_bokeh.io.arrays import IMAGE_SUFFIXES, read_contents, read_stack
from taichi_bokeh.io.candidates import is_candidate
from taichi_bokeh.io.depth.code import looks_relative
from taichi_bokeh.io.formats.contents import Contents
from taichi_bokeh.io.video import Timing, is_video, read_video, timing_of

_PARTS = ("photo", "disparity", "alpha")  # the options that name a part of each image
_LAST_NUMBER = re.compile(r"(?P<before>.*?)(?P<number>[0-9]+)(?P<after>[^0-9]*)")


@dataclass(frozen=True)
class Footage:
    """A sequence.

    Attributes:
        request: of the whole sequence.
        sources: for each part that is given, the files of a folder in order, or a video or a file with a stack of maps.
        count: how many images there are.
        timing: of its images where PHOTO is a video.
        numbers: that the images get in the names of files, see `numbers_of`; of a video from 1.
    """

    request: PhotoRequest
    sources: dict[str, list[Path] | Path]
    count: int
    timing: Timing
    numbers: Sequence[int]

    def photos(self) -> Iterator[PhotoRequest]:
        """The request for each image alone, one after the other.

        The frames of a video are files of a temporary folder, which are gone when the next one comes.
        """
        with tempfile.TemporaryDirectory(prefix="taichi-bokeh-") as scratch, ExitStack() as streams:
            files = {name: _files(name, source, Path(scratch), self.request) for name, source in self.sources.items()}
            for one in files.values():
                streams.enter_context(closing(one))  # before the folder goes
            request = self.request
            if isinstance(self.sources.get("disparity"), Path):
                request = replace(request, depth_layer=None)  # it was chosen when the map was taken out
            for _ in range(self.count):
                paths: dict[str, Any] = {name: next(one) for name, one in files.items()}
                yield replace(request, **paths)

    def is_relative(self) -> bool:
        """Whether all its depths together fill [0, 1]."""
        code = self.request.map_code()
        ends = [code.unit_range(_map_of(one)) for one in self.photos()]
        return looks_relative(np.array([end for pair in ends if pair is not None for end in pair]))


def is_footage(path: Path) -> bool:
    """Whether PHOTO is a sequence: a folder or a video."""
    return path.is_dir() or is_video(path)


def footage_of(request: PhotoRequest, frame_numbers: str | None) -> Footage:
    """Find the images, and that each has its disparity and its matte. Videos are read through once, to count their frames.

    Raises:
        ValueError, OSError: what is missing, too much, or cannot be read, in one line.
    """
    if request.stereo is not None and (is_video(request.photo) or isinstance(request.stereo, Path)):
        raise ValueError("--stereo in a series is for a folder of pictures that each hold two views")
    if request.is_own_depth and is_video(request.photo):
        raise ValueError(
            f"how far things are is not given: {request.photo} needs --disparity, a video or a folder, or --depth-model"
        )
    given = {name: getattr(request, name) for name in _PARTS if getattr(request, name) is not None}
    sources = {name: _source(name, path, request) for name, path in given.items()}
    photos = sources["photo"]
    for name, source in sources.items():
        if isinstance(photos, list) and isinstance(source, list):
            sources[name] = _with_stems_of(photos, source, given[name])
    counts = {name: _count(name, source, request) for name, source in sources.items()}
    for name, count in counts.items():
        if count != counts["photo"]:
            raise ValueError(f"{given[name]} has {count} images, and must have {counts['photo']} as {request.photo}")
    timing = timing_of(photos) if isinstance(photos, Path) else Timing(None)
    if timing.times is not None and len(timing.times) != counts["photo"]:
        timing = timing._replace(times=None)  # a damaged index
    numbers = numbers_of(photos, frame_numbers) if isinstance(photos, list) else range(1, counts["photo"] + 1)
    footage = Footage(request, sources, counts["photo"], timing, numbers)
    if request.disparity is None or not request.depth or request.depth_unit is not None:
        return footage
    return replace(footage, request=replace(request, relative_depth=footage.is_relative()))  # alike in all, against flicker


def numbers_of(photos: Sequence[Path], how: str | None) -> Sequence[int]:
    """The numbers of a sequence's images, in order.

    Where the names are alike but for the last number in them, and that is padded to one width (f_0101, f_0103) or counts up
    without a gap (f_9, f_10), it is the number of a frame, and is kept; else the images are counted from 1.

    Args:
        photos: their files, in order.
        how: "keep": whatever the padding and the gaps; "count": from 1; None: as above.

    Raises:
        ValueError: numbers are to be kept, and the names have none that tell the images apart.
    """
    counted = range(1, len(photos) + 1)
    found = [match for photo in photos if (match := _LAST_NUMBER.fullmatch(photo.stem))]
    numbers = [int(match["number"]) for match in found]
    alike = len(found) == len(photos) and len({(match["before"], match["after"]) for match in found}) == 1
    are_frames = alike and len(set(numbers)) == len(numbers)
    if how == "keep" and not are_frames:
        raise ValueError(f"--frame-numbers keep: the images in {photos[0].parent} do not differ in one number of their names")
    is_padded = len({len(match["number"]) for match in found}) == 1
    without_gap = numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else False
    return numbers if are_frames and how != "count" and (how == "keep" or is_padded or without_gap) else counted


def natural_order(path: Path) -> tuple[tuple[bool, int, str], ...]:
    """A key that sorts names by the numbers in them: frame_2 before frame_10."""
    parts = re.split(r"([0-9]+)", path.name)
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts)


def _source(name: str, path: Path, request: PhotoRequest) -> list[Path] | Path:
    may_be_stack = name == "disparity" and path.is_file() and request.depth_frame is None
    if is_video(path) or (may_be_stack and _map(path, request, 0).frames > 1):
        return path
    option = "PHOTO" if name == "photo" else f"--{name}"
    if not path.is_dir():
        what = "does not exist" if not path.exists() else "is one file"
        raise ValueError(f"{option} {path} {what}, and must be a folder, a video or a stack of maps, as PHOTO is a sequence")
    files = [file for file in path.iterdir() if is_candidate(file)]
    if name == "photo":
        files = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise ValueError(f"{option} {path} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return sorted(files, key=natural_order)


def _with_stems_of(photos: list[Path], files: list[Path], folder: Path) -> list[Path]:
    by_stem: dict[str, list[Path]] = {}
    for file in files:
        by_stem.setdefault(file.stem, []).append(file)
    for photo in photos:
        found = by_stem.get(photo.stem, [])
        if len(found) != 1:
            what = "nothing" if not found else " and ".join(file.name for file in found)
            raise ValueError(f"{folder} holds {what} for {photo.name}, and must hold one file of the name {photo.stem}")
    return [by_stem[photo.stem][0] for photo in photos]


def _count(name: str, source: list[Path] | Path, request: PhotoRequest) -> int:
    if isinstance(source, list):
        return len(source)
    return sum(1 for _ in read_video(source, grey=name != "photo")) if is_video(source) else _map(source, request, 0).frames


def _map(path: Path, request: PhotoRequest, index: int | None) -> Contents:
    """A map of a file that may hold several."""
    return read_contents(path, request.map_code().use, request.depth_layer, index)


def _map_of(one: PhotoRequest) -> NDArray[Any]:
    """The numbers of the map of one image."""
    assert one.disparity is not None  # `is_relative` is asked of no other
    return _map(one.disparity, one, one.depth_frame).values


def _files(name: str, source: list[Path] | Path, scratch: Path, request: PhotoRequest) -> Generator[Path]:
    """The file of each image; a frame of a video or a stack is one that lasts until the next is asked for."""
    if isinstance(source, list):
        yield from source
        return
    frames = (
        read_video(source, grey=name != "photo")
        if is_video(source)
        else read_stack(source, request.map_code().use, request.depth_layer)
    )
    for number, pixels in enumerate(frames, 1):
        path = scratch / f"{name}_{number:06d}.npy"
        buffer = io.BytesIO()
        np.save(buffer, pixels)
        write_atomically(path, buffer.getvalue())
        yield path
        path.unlink()
