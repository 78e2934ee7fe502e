"""``taichi-bokeh trace``: one photograph with its disparity, ray traced through a lens."""

import time
from functools import partial
from typing import Any

from taichi_bokeh._trace import Lens, TraceState, trace_progressively
from taichi_bokeh.apps.blur_limit import Work, check_blur
from taichi_bokeh.apps.checkpoint import alone_with, check_checkpoint, checkpoint_of, save_after
from taichi_bokeh.apps.common import Say, largest_radius_px, speaker
from taichi_bokeh.apps.options.trace import TraceRequest
from taichi_bokeh.apps.photo.lens import aperture_of, focus_of, lens_of
from taichi_bokeh.apps.photo.scene import Result, check_before_work, read_photo, split_photo, write_result
from taichi_bokeh.apps.photo.unit import warn_of_unit
from taichi_bokeh.apps.progress import progress_bar
from taichi_bokeh.io.exr import Frame
from taichi_bokeh.layers import Layers
from taichi_bokeh.storage.fingerprint import value_digest

_RAYS_IN_A_BATCH = 1 << 21  # of all pixels together: a fraction of a second, after which Ctrl-C and the bar have their turn
_FORMAT = 2  # of the checkpoint; to be raised when it, or what a ray with a given number adds to the sums, changes


def trace_photo(request: TraceRequest) -> None:
    """Run the command; see ``taichi-bokeh trace --help``.

    Raises:
        ValueError, OSError: what is wrong with an argument or a file, in one line.
        KeyboardInterrupt: with what was done, and how to go on.
    """
    say = speaker(request.output.quiet)
    request.lens.check()
    check_checkpoint(request.saving, request.output.output)
    check_before_work(request.photo, request.output)
    aperture = aperture_of(request.aperture)
    warn_of_unit(request.photo, request.lens, say)
    photo = read_photo(request.photo, say)
    if photo.coverage is not None:
        raise ValueError(
            f"{request.photo.photo} is partly transparent, and rays are traced of opaque images only: give --opaque"
        )
    lens = lens_of(
        request.lens, aperture, focus_of(request.lens, photo.disparity, photo.frame), photo.disparity.shape[1], photo.frame
    )
    span = max(abs(float(end) - float(lens.focus)) for end in (photo.disparity.min(), photo.disparity.max()))
    height, width = photo.disparity.shape
    check_blur(request.lens, Work(None, width, height, aperture), float(lens.blur), span)
    say(f"disparity: {photo.disparity.min():.4g} to {photo.disparity.max():.4g}, in focus: {float(lens.focus):.4g}")
    layers, _ = split_photo(photo, request.photo)
    radius_px = largest_radius_px(layers, float(lens.blur), float(lens.focus))
    say(f"layers: {layers.count}, largest blur radius: {radius_px:.1f} px")
    with alone_with(request.saving.checkpoint):
        _trace(layers, lens, photo.frame, request, say)


def _trace(layers: Layers, lens: Lens, frame: Frame | None, request: TraceRequest, say: Say) -> None:
    """Trace, and write the image. Whatever comes between, Ctrl-C or a full disk, the checkpoint has the rays so far."""
    rays, seed, pixels = request.rays, request.seed, layers.height * layers.width
    checkpoint = checkpoint_of(request.saving, "trace", partial(_record, layers, lens, request))
    saved = None if checkpoint is None else checkpoint.load()
    state = None if saved is None else TraceState(**saved, rays=rays, seed=seed)
    resumed = 0 if state is None else state.done
    if state is not None:
        say(f"going on from {request.saving.checkpoint}: {resumed} of {rays} rays a pixel")
    start = time.perf_counter()
    try:
        with progress_bar("tracing", request.output.quiet, "M rays", pixels / 1e6) as progress:
            if progress is not None:
                progress(resumed, rays)
            batch = max(1, _RAYS_IN_A_BATCH // pixels)
            states = trace_progressively(layers, lens, rays=rays, seed=seed, batch=batch, resume=state)
            for state in states:
                if checkpoint is not None:
                    checkpoint.save_if_due(_saved(state))
                if progress is not None:
                    progress(state.done, rays)
        assert state is not None  # there is at least one ray
        seconds = time.perf_counter() - start
        say(f"rays a pixel: {rays}, in {seconds:.1f} s: {(rays - resumed) * pixels / 1e6 / seconds:.3g} million rays/s")
        write_result(layers, None, Result(state.image, frame), request.photo.photo, request.output, say)
    except BaseException as error:
        if checkpoint is not None and state is not None:
            save_after(error, partial(checkpoint.save, _saved(state)))
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(_how_to_go_on(state, request)) from None
        raise
    if checkpoint is not None:
        checkpoint.remove()


def _record(layers: Layers, lens: Lens, request: TraceRequest) -> dict[str, Any]:
    """What a checkpoint belongs to."""
    options = {"--rays": request.rays, "--seed": request.seed, "the image's size": f"{layers.width}×{layers.height}"}
    return {"format": _FORMAT, **options, "its lens": value_digest(lens), "its scene": value_digest(layers)}


def _saved(state: TraceState) -> dict[str, Any]:
    return {"sums": state.sums.cpu(), "passed": state.passed.cpu(), "done": state.done}


def _how_to_go_on(state: TraceState | None, request: TraceRequest) -> str:
    done = 0 if state is None else state.done
    if request.saving.checkpoint is None:
        return f"{done} of {request.rays} rays a pixel are lost; with --checkpoint FILE they would have been kept"
    if state is None:
        return "before the first rays were in"
    return f"{done} of {request.rays} rays a pixel are in {request.saving.checkpoint}; the same command goes on from there"
