"""Focus pulls and sequences, for ``taichi-bokeh render``: many images, the lens moving, nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.apps.blur_limit import Work, check_blur
from taichi_bokeh.apps.common import Say, largest_radius_px, speaker
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.apps.options.render import RenderRequest
from taichi_bokeh.apps.options.requests import Ramp
from taichi_bokeh.apps.photo.layer_cache import PhotoScene, read_scene
from taichi_bokeh.apps.photo.lens import focus_of, thin_lens_of
from taichi_bokeh.apps.photo.rendering import render_layers, span_of, with_highlights, with_near_and_far
from taichi_bokeh.apps.photo.scene import Photo, Result, read_photo, require_room_for_alpha, stages_of
from taichi_bokeh.apps.photo.sequence_cuts import choose_for_all
from taichi_bokeh.apps.progress import progress_bar
from taichi_bokeh.apps.sequence.footage import Footage, footage_of, is_footage
from taichi_bokeh.apps.sequence.frames_out import check_frames, frame_writer, is_frames, output_timing
from taichi_bokeh.io.exr import Frame
from taichi_bokeh.io.video import Timing, is_video
from taichi_bokeh.layers import Layers
from taichi_bokeh.models import SubAperture
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens

Array = NDArray[np.float32]
Mapped = tuple[Array, Frame | None]  # disparity [H, W] and the frame that it lies in

_LOOKED_AT = 5  # images of a sequence, to choose the cuts between layers from


def is_series(request: RenderRequest) -> bool:
    """Whether more than one image is asked for."""
    return bool(request.lens.ramps) or is_footage(request.photo.photo) or is_frames(request.output.output)


def render_series(request: RenderRequest, aperture: Aperture, say: Say) -> None:
    """Render a focus pull through one photograph, or a sequence.

    Raises:
        ValueError, OSError: what is wrong with an option or a file, in one line.
        KeyboardInterrupt: with what was done.
    """
    request.check_series()
    photo, output, series = request.photo, request.output.output, request.series
    if series.fps is not None and not is_video(output):
        raise ValueError(f"--fps is for a video: -o {output} has no frame rate")
    if series.frame_numbers is not None and (is_video(photo.photo) or is_video(output)):
        raise ValueError("--frame-numbers is for a folder of images that becomes images: the frames of a video have no names")
    stages_of(photo)
    if is_footage(photo.photo):
        _render_footage(request, aperture, say)
    else:
        _render_focus_pull(request, aperture, say)


def eased(part: float, ease: str | None) -> float:
    """How far a series is, from 0 to 1, when this part of its time is over: evenly, or as t²·(3 − 2t), the default."""
    return part if ease == "linear" else part * part * (3 - 2 * part)


def lens_at(
    lens: LensRequest, aperture: Aperture, focus: Ramp[float], image_width: int, t: float, frame: Frame | None = None
) -> ThinLens:
    """The lens at t from 0 to 1. Disparity in focus, blur and, of a camera, the width of the aperture change evenly."""
    return thin_lens_of(lens.at(t), aperture, focus.at(t), image_width, frame)


def _render_focus_pull(request: RenderRequest, aperture: Aperture, say: Say) -> None:
    ramps, count, output = request.lens.ramps, request.series.frames, request.output
    if request.series.frame_numbers is not None:
        raise ValueError(
            f"--frame-numbers is for a folder of images as PHOTO: a pull through {request.photo.photo} counts from 1"
        )
    if not ramps:
        raise ValueError(f"-o {output.output} is for several images, but nothing moves: give --focus A:B or the like")
    if count is None or count < 2:
        raise ValueError(f"{ramps[0]} goes from A to B: give --frames N as well, the number of images, from 2 up")
    numbers = range(1, count + 1)
    check_frames(output.output, numbers, output.bits, output.overwrite)
    parts = [eased(index / (count - 1), request.series.ease) for index in range(count)]

    def check(disparity: Array, is_transparent: bool, frame: Frame | None) -> None:
        one = (disparity, frame)
        _check_blur(request, aperture, one, _focus(request.lens, one, one), parts)
        _check_alpha(request, is_transparent)

    scene = read_scene(request.photo, request.cache, say, check)
    layers, disparity, coverage, frame = scene
    focus = _focus(request.lens, (disparity, frame), (disparity, frame))
    lenses = [lens_at(request.lens, aperture, focus, disparity.shape[1], t, frame) for t in parts]
    layers = with_highlights(layers, request.model, request.look, frame)
    model, radius_px = request.model.build(), 0.0
    for seen, lens in _seen(layers, lenses, request):
        radius_px = max(radius_px, largest_radius_px(seen, float(lens.blur), float(lens.focus)))
    if isinstance(model, SubAperture):  # as many cells in all, lest the change shows
        model = replace(model, cells=max(model.cells_of(*one) for one in _seen(layers, lenses, request)))
    say(f"disparity: {disparity.min():.4g} to {disparity.max():.4g}, in focus: {focus.start:.4g} to {focus.end:.4g}")
    say(f"layers: {layers.count}, largest blur radius: {radius_px:.1f} px, model: {request.model.model}, images: {count}")
    images = (
        Result(render_layers(seen, lens, model, coverage=coverage), frame) for seen, lens in _seen(layers, lenses, request)
    )
    _write(images, numbers, Timing(request.series.fps), request, say)


def _check_blur(request: RenderRequest, aperture: Aperture, there: Mapped, focus: Ramp[float], parts: list[float]) -> None:
    """Refuse a series whose blur is too large at any of these parts of it."""
    disparity, frame = there
    work = Work.of(request.model, aperture, disparity.shape[1], disparity.shape[0])
    for t in parts:
        lens = lens_at(request.lens, aperture, focus, disparity.shape[1], t, frame)
        check_blur(request.lens, work, float(lens.blur), span_of(disparity, float(lens.focus), request.look))


def _check_alpha(request: RenderRequest, is_transparent: bool) -> None:
    if is_transparent:
        require_room_for_alpha(request.photo.photo, request.output.output)


def _seen(layers: Layers, lenses: list[ThinLens], request: RenderRequest) -> Iterator[tuple[Layers, ThinLens]]:
    for lens in lenses:
        yield with_near_and_far(layers, float(lens.focus), request.look), lens


def _render_footage(request: RenderRequest, aperture: Aperture, say: Say) -> None:
    photo, series, output = request.photo, request.series, request.output
    if series.frames is not None:
        raise ValueError(f"--frames is for one photograph: {photo.photo} has as many images as it has")
    if photo.depth_model is not None and not photo.depth:
        raise ValueError(
            "--depth-model scales each image by itself, and would flicker in a sequence: write the disparities to files in "
            "one range, or give --depth where the network tells metres"
        )
    if request.model.cells == "auto":
        raise ValueError("--cells auto is for one photograph: in a sequence it would change from image to image")
    if series.ease is not None and not request.lens.ramps:
        raise ValueError("--ease is for A:B, but nothing moves: give --focus A:B or the like")
    footage = footage_of(photo, series.frame_numbers)
    check_frames(output.output, footage.numbers, output.bits, output.overwrite)
    focus, cuts = _survey(footage, request, aperture)
    found = f"images: {footage.count}, in focus: disparity {focus.start:.4g} to {focus.end:.4g}"
    say(f"{found}, model: {request.model.model}")
    timing = output_timing(footage.timing, series.fps, output.output, say)
    images = (
        _image(scene, lens_at(request.lens, aperture, focus, scene.layers.width, t, scene.frame), request)
        for scene, t in _scenes(footage, request, cuts)
    )
    _write(images, footage.numbers, timing, request, say)


def _scenes(footage: Footage, request: RenderRequest, cuts: tuple[float, ...]) -> Iterator[tuple[PhotoScene, float]]:
    first: tuple[object, Sequence[int]] | None = None
    for index, one in enumerate(footage.photos()):
        t = eased(index / max(1, footage.count - 1), request.series.ease)
        scene = read_scene(
            replace(one, cuts=cuts), request.cache, speaker(quiet=True), lambda _, is_clear, __: _check_alpha(request, is_clear)
        )
        first = first or (one.photo, scene.disparity.shape)
        _require_size(one.photo, scene.disparity.shape, *first)
        yield scene, t


def _image(scene: PhotoScene, lens: ThinLens, request: RenderRequest) -> Result:
    raised = with_highlights(scene.layers, request.model, request.look, scene.frame)
    seen = with_near_and_far(raised, float(lens.focus), request.look)
    return Result(render_layers(seen, lens, request.model.build(), coverage=scene.coverage), scene.frame)


def _survey(footage: Footage, request: RenderRequest, aperture: Aperture) -> tuple[Ramp[float], tuple[float, ...]]:
    """The foci, looked up in the first image and the last, and the cuts between layers, chosen from some.

    Raises:
        ValueError: with one of these, the blur is too large.
    """
    last = footage.count - 1
    looked_at = {round(part * last / (_LOOKED_AT - 1)) for part in range(_LOOKED_AT)}
    photos: list[Photo] = []
    first: object = None
    for index, one in enumerate(footage.photos()):
        if index in looked_at:
            photos.append(read_photo(one, speaker(quiet=True)))
            first = first or one.photo
            _require_size(one.photo, photos[-1].disparity.shape, first, photos[0].disparity.shape)
    maps = [(photo.disparity, photo.frame) for photo in photos]
    focus = _focus(request.lens, maps[0], maps[-1])
    for one_map in maps:
        _check_blur(request, aperture, one_map, focus, [0.0, 1.0])
    return focus, choose_for_all(photos, request.photo)


def _require_size(name: object, shape: Sequence[int], first: object, expected: Sequence[int]) -> None:
    if tuple(shape) != tuple(expected):
        sizes = [f"{width}×{height}" for height, width in (shape, expected)]
        raise ValueError(f"{name} is {sizes[0]} pixels, and must be {sizes[1]} as {first}: a sequence has one size")


def _focus(lens: LensRequest, first: Mapped, last: Mapped) -> Ramp[float]:
    """The disparity in focus, in the first image and in the last."""
    start = focus_of(lens, *first)
    return Ramp(start, focus_of(lens.at_end(), *last) if lens.moves_focus else start)


def _write(images: Iterator[Result], numbers: Sequence[int], timing: Timing, request: RenderRequest, say: Say) -> None:
    output = request.output
    done, count = 0, len(numbers)
    try:
        with (
            progress_bar("rendering", output.quiet, "images", speed_over_s=300.0) as progress,
            frame_writer(output.output, numbers, timing, output.bits, output.overwrite) as write,
        ):
            if progress is not None:
                progress(0, count)
            for image in images:
                write(image)
                done += 1
                if progress is not None:
                    progress(done, count)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"after {done} of {count} images") from None
    kept = "" if is_video(output.output) or numbers[0] == 1 else f", from number {numbers[0]} on"
    say(f"written: {output.output}, {count} images{kept}")
