"""Focus pulls and sequences, for ``taichi-bokeh render``: many pictures, the lens moving, nothing else."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.apps.blur_limit import Work, check_blur
from taichi_bokeh.apps.common import Say, largest_radius_px, speaker, to_image
from taichi_bokeh.apps.options.arguments import Pull
from taichi_bokeh.apps.options.camera import focus_of, thin_lens_of
from taichi_bokeh.apps.photo.layer_cache import Scene, read_scene
from taichi_bokeh.apps.photo.rendering import cells_of, render_layers, span_of, with_highlights, with_near_and_far
from taichi_bokeh.apps.photo.scene import Photo, read_photo, stages_of
from taichi_bokeh.apps.photo.sequence_cuts import choose_for_all
from taichi_bokeh.apps.progress import progress_bar
from taichi_bokeh.apps.sequence.footage import Footage, footage_of, is_footage
from taichi_bokeh.apps.sequence.frames_out import check_frames, frame_writer, is_frames
from taichi_bokeh.io.video import is_video
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens

Array = NDArray[np.float32]

_PULLED = ("blur", "f_number", "focus", "focus_distance", "focus_at", "focus_box")
_FPS = Fraction(25)
_LOOKED_AT = 5  # pictures of a sequence, to choose the cuts between layers from


class Ends(NamedTuple):
    """The disparity in focus in the first and the last picture."""

    start: float
    end: float


def is_series(arguments: Namespace) -> bool:
    """Whether more than one picture is asked for."""
    return bool(_pulled(arguments)) or is_footage(arguments.photo) or is_frames(arguments.output)


def refuse_options_of_a_series(arguments: Namespace) -> None:
    """Refuse what has no meaning for one picture.

    Raises:
        ValueError: which option, in one line.
    """
    for name in ("frames", "ease", "fps", "frame_numbers"):
        if getattr(arguments, name) is not None:
            raise ValueError(
                f"--{name.replace('_', '-')} is for several pictures: give an option as A:B, or a folder or video as PHOTO"
            )


def render_series(arguments: Namespace, aperture: Aperture, say: Say) -> None:
    """Render a focus pull through one photograph, or a sequence.

    Raises:
        ValueError, OSError: what is wrong with an argument or a file, in one line.
        KeyboardInterrupt: with what was done.
    """
    for name in ("save_layers", "show_focus", "explain"):
        if getattr(arguments, name) not in (None, False):
            raise ValueError(f"--{name.replace('_', '-')} is for one picture, and this is a series of them")
    if arguments.fps is not None and not is_video(arguments.output):
        raise ValueError(f"--fps is for a video: -o {arguments.output} has no frame rate")
    if arguments.frame_numbers is not None and (is_video(arguments.photo) or is_video(arguments.output)):
        raise ValueError(
            "--frame-numbers is for a folder of pictures that becomes pictures: the frames of a video have no names"
        )
    stages_of(arguments)
    if is_footage(arguments.photo):
        _render_footage(arguments, aperture, say)
    else:
        _render_pull(arguments, aperture, say)


def eased(part: float, ease: str | None) -> float:
    """How far a pull is, from 0 to 1, when this part of its time is over: evenly, or smoothly (t²·(3 − 2t)), the default."""
    return part if ease == "linear" else part * part * (3 - 2 * part)


def lens_at(arguments: Namespace, aperture: Aperture, ends: Ends, image_width: int, t: float) -> ThinLens:
    """The lens when a pull is `t` of its way, from 0 to 1.

    Disparity in focus, blur and, of a camera, the width of the opening change evenly with `t`.
    """
    values = {}
    if isinstance(arguments.blur, Pull):
        values["blur"] = _between(*arguments.blur, t)
    if isinstance(arguments.f_number, Pull):
        values["f_number"] = 1 / _between(1 / arguments.f_number.start, 1 / arguments.f_number.end, t)
    return thin_lens_of(Namespace(**vars(arguments) | values), aperture, _between(*ends, t), image_width)


def _between(start: float, end: float, t: float) -> float:
    return end if t == 1 else start + t * (end - start)


def _render_pull(arguments: Namespace, aperture: Aperture, say: Say) -> None:
    pulled, count = _pulled(arguments), arguments.frames
    if arguments.frame_numbers is not None:
        raise ValueError(
            f"--frame-numbers is for a folder of pictures as PHOTO: a pull through {arguments.photo} counts from 1"
        )
    if not pulled:
        raise ValueError(f"-o {arguments.output} is for several pictures, but nothing moves: give --focus A:B or the like")
    if count is None or count < 2:
        raise ValueError(f"{pulled[0]} is a pull: give --frames N as well, the number of pictures, from 2 up")
    numbers = range(1, count + 1)
    check_frames(arguments.output, numbers, arguments.bits, arguments.overwrite)
    parts = [eased(index / (count - 1), arguments.ease) for index in range(count)]

    def check(disparity: Array) -> None:
        _check_blur(arguments, aperture, disparity, _ends(arguments, disparity, disparity), parts)

    layers, disparity, coverage = read_scene(arguments, say, check)
    ends = _ends(arguments, disparity, disparity)
    lenses = [lens_at(arguments, aperture, ends, disparity.shape[1], t) for t in parts]
    layers = with_highlights(layers, arguments)
    cells, radius_px = None, 0.0
    for seen, lens in _seen(layers, lenses, arguments):
        radius_px = max(radius_px, largest_radius_px(seen, float(lens.blur), float(lens.focus)))
        number = cells_of(seen, lens, arguments)
        cells = number if cells is None or number is None else max(cells, number)  # the same in all, lest the change shows
    say(f"disparity: {disparity.min():.4g} to {disparity.max():.4g}, in focus: {ends.start:.4g} to {ends.end:.4g}")
    say(f"layers: {layers.count}, largest blur radius: {radius_px:.1f} px, model: {arguments.model}, pictures: {count}")
    pictures = (
        render_layers(seen, lens, arguments, cells, coverage=coverage) for seen, lens in _seen(layers, lenses, arguments)
    )
    _write(pictures, numbers, _FPS, arguments, say)


def _check_blur(arguments: Namespace, aperture: Aperture, disparity: Array, ends: Ends, parts: list[float]) -> None:
    """Refuse a pull whose blur is too large at any of these parts of its way."""
    work = Work.of(arguments, aperture, disparity.shape[1], disparity.shape[0])
    for t in parts:
        lens = lens_at(arguments, aperture, ends, disparity.shape[1], t)
        check_blur(arguments, work, float(lens.blur), span_of(disparity, float(lens.focus), arguments))


def _seen(layers: Layers, lenses: list[ThinLens], arguments: Namespace) -> Iterator[tuple[Layers, ThinLens]]:
    for lens in lenses:
        yield with_near_and_far(layers, float(lens.focus), arguments), lens


def _render_footage(arguments: Namespace, aperture: Aperture, say: Say) -> None:
    if arguments.frames is not None:
        raise ValueError(f"--frames is for one photograph: {arguments.photo} has as many pictures as it has")
    if arguments.depth_model is not None and not arguments.depth:
        raise ValueError(
            "--depth-model scales each picture by itself, and would flicker in a sequence: write the disparities to files in "
            "one range, or give --depth where the network tells metres"
        )
    if arguments.cells == "auto":
        raise ValueError("--cells auto is for one photograph: in a sequence it would change from picture to picture")
    if arguments.ease is not None and not _pulled(arguments):
        raise ValueError("--ease is for a pull, but nothing moves: give --focus A:B or the like")
    footage = footage_of(arguments)
    check_frames(arguments.output, footage.numbers, arguments.bits, arguments.overwrite)
    ends, cuts = _survey(footage, aperture)
    say(f"pictures: {footage.count}, in focus: disparity {ends.start:.4g} to {ends.end:.4g}, model: {arguments.model}")
    pictures = (
        _picture(scene, lens_at(arguments, aperture, ends, scene.layers.width, t), arguments)
        for scene, t in _scenes(footage, cuts, arguments.ease)
    )
    _write(pictures, footage.numbers, footage.rate or _FPS, arguments, say)


def _scenes(footage: Footage, cuts: tuple[float, ...], ease: str | None) -> Iterator[tuple[Scene, float]]:
    first: tuple[str, Sequence[int]] | None = None
    for index, one in enumerate(footage.pictures()):
        t = eased(index / max(1, footage.count - 1), ease)
        scene = read_scene(Namespace(**vars(one), cuts=cuts), speaker(quiet=True))
        first = first or (one.photo, scene.disparity.shape)
        _require_size(one.photo, scene.disparity.shape, *first)
        yield scene, t


def _picture(scene: Scene, lens: ThinLens, arguments: Namespace) -> Any:
    seen = with_near_and_far(with_highlights(scene.layers, arguments), float(lens.focus), arguments)
    return render_layers(seen, lens, arguments, cells_of(seen, lens, arguments), coverage=scene.coverage)


def _survey(footage: Footage, aperture: Aperture) -> tuple[Ends, tuple[float, ...]]:
    """The foci, looked up in the first picture and the last, and the cuts between layers, chosen from some.

    Raises:
        ValueError: with one of these, the blur is too large.
    """
    last = footage.count - 1
    looked_at = {round(part * last / (_LOOKED_AT - 1)) for part in range(_LOOKED_AT)}
    photos: list[Photo] = []
    first = ""
    for index, one in enumerate(footage.pictures()):
        if index in looked_at:
            photos.append(read_photo(one, speaker(quiet=True)))
            first = first or one.photo
            _require_size(one.photo, photos[-1].disparity.shape, first, photos[0].disparity.shape)
    ends = _ends(footage.arguments, photos[0].disparity, photos[-1].disparity)
    for photo in photos:
        _check_blur(footage.arguments, aperture, photo.disparity, ends, [0.0, 1.0])
    return ends, choose_for_all(photos, footage.arguments)


def _require_size(name: str, shape: Sequence[int], first: str, expected: Sequence[int]) -> None:
    if tuple(shape) != tuple(expected):
        sizes = [f"{width}×{height}" for height, width in (shape, expected)]
        raise ValueError(f"{name} is {sizes[0]} pixels, and must be {sizes[1]} as {first}: a sequence has one size")


def _ends(arguments: Namespace, first: Any, last: Any) -> Ends:
    start = focus_of(_at_end(arguments, 0), first)
    moves = any(isinstance(getattr(arguments, name), Pull) for name in _PULLED if name.startswith("focus"))
    return Ends(start, focus_of(_at_end(arguments, 1), last) if moves else start)


def _at_end(arguments: Namespace, end: int) -> Namespace:
    """The arguments of the first picture (0) or the last (1)."""
    values = {name: value[end] for name in _PULLED if isinstance(value := getattr(arguments, name), Pull)}
    return Namespace(**vars(arguments) | values)


def _pulled(arguments: Namespace) -> list[str]:
    """The options that are given as A:B."""
    return [f"--{name.replace('_', '-')}" for name in _PULLED if isinstance(getattr(arguments, name), Pull)]


def _write(pictures: Iterator[Any], numbers: Sequence[int], rate: Fraction, arguments: Namespace, say: Say) -> None:
    rate = arguments.fps or rate
    done, count = 0, len(numbers)
    try:
        with (
            progress_bar("rendering", arguments.quiet, "pictures", speed_over_s=300.0) as progress,
            frame_writer(arguments.output, numbers, rate, arguments.bits, arguments.overwrite) as write,
        ):
            if progress is not None:
                progress(0, count)
            for picture in pictures:
                write(to_image(picture))
                done += 1
                if progress is not None:
                    progress(done, count)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"after {done} of {count} pictures") from None
    kept = "" if is_video(arguments.output) or numbers[0] == 1 else f", from number {numbers[0]} on"
    say(f"written: {arguments.output}, {count} pictures{kept}")
