"""``taichi-bokeh dfd optimize``: the work."""

import itertools
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from taichi_bokeh.apps.checkpoint import alone_with, check_checkpoint, checkpoint_of, save_after
from taichi_bokeh.apps.common import Say, check_folder, layer_files, speaker, write_layers
from taichi_bokeh.apps.dfd.optimize_options import OptimizeRequest
from taichi_bokeh.apps.options.model import device_of
from taichi_bokeh.apps.options.requests import option
from taichi_bokeh.apps.photo.lens import aperture_of
from taichi_bokeh.apps.progress import progress_bar, progress_with_note
from taichi_bokeh.dfd.estimate.lens_search import is_point_mirror, observe
from taichi_bokeh.dfd.estimate.optimize import Optimization, Optimized, OptimizeSettings
from taichi_bokeh.dfd.estimate.photo_pair import Photographs, read_photographs
from taichi_bokeh.dfd.estimate.plane_sweep import Estimate
from taichi_bokeh.dfd.estimate.variables import require_two
from taichi_bokeh.dfd.evaluation.metrics import SIGNED_PX
from taichi_bokeh.dfd.layers.base import DefocusLayer
from taichi_bokeh.dfd.layers.planes import require_one_shape
from taichi_bokeh.dfd.layers.registry import layer_named
from taichi_bokeh.dfd.losses import Objective
from taichi_bokeh.dfd.observation import Observation
from taichi_bokeh.io import check_map_format, check_output, srgb_decode, write_image, write_map
from taichi_bokeh.io.images import check_format
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.report.pictures import heat
from taichi_bokeh.storage.fingerprint import file_digest
from taichi_bokeh.storage.resumable import Checkpoint

_FORMAT = 2  # of the checkpoint; to be raised when it, or what a step with a given number does, changes
_SPEED_OVER_S = 60.0
_LINES = 10  # that tell of the loss
_PREVIEWS = (".png", ".jpg", ".jpeg")


def optimize_photos(request: OptimizeRequest) -> None:
    """Run the command: see ``taichi-bokeh dfd optimize --help``, and `apps.dfd.command` for what it raises."""
    say = speaker(request.quiet)
    _check_options(request)
    _check_outputs(request)
    aperture = aperture_of(request.aperture)
    require_one_shape(aperture)
    settings, layer = _settings(request), _layer(request)
    device = device_of(request.device)
    blurred = [path for path in (request.seen.blurred, *(shot.path for shot in request.seen.stack or ())) if path]
    photographs = read_photographs(request.seen.sharp, blurred, allow_saturated=request.allow_saturated).to(device)
    _try_out(layer, photographs, aperture)
    with alone_with(request.saving.checkpoint):
        _begin_and_optimize(photographs, aperture, settings, layer, request, say)


def _begin_and_optimize(
    photographs: Photographs,
    aperture: Aperture,
    settings: OptimizeSettings,
    layer: DefocusLayer,
    request: OptimizeRequest,
    say: Say,
) -> None:
    checkpoint = checkpoint_of(request.saving, "optimisation", partial(_record, request))
    saved = None if checkpoint is None else checkpoint.load()
    height, width = photographs.all_in_focus.shape[1:]
    saturated = f"saturated: at most {photographs.saturated:.1%} of the pixels"
    say(f"pictures: {width}×{height}, {len(photographs.blurred)} blurred; {saturated}")
    if saved is not None:
        say(f"going on from {request.saving.checkpoint}: {_done(saved)} of {settings.steps} steps")
    try:
        seen = _observation(photographs, aperture, request, saved)
        _tell_lens(seen, request, say)
        say(
            "plane sweep …" if saved is None else "plane sweep once more, as its costs are evidence and not in the checkpoint …"
        )
        with progress_bar("plane sweep", request.quiet, speed_over_s=_SPEED_OVER_S) as progress:
            if saved is None:
                work = Optimization(seen, layer, settings, progress=progress)
            else:
                initial = Estimate(*(saved[name].to(seen.all_in_focus) for name in ("disparity", "confidence")))
                work = Optimization(seen, layer, settings, initial, progress)
                work.load_state_dict(saved["state"])
    except KeyboardInterrupt:
        raise KeyboardInterrupt("before the first step") from None
    _optimize(work, checkpoint, request, say)


def _check_options(request: OptimizeRequest) -> None:
    """Refuse options that contradict each other, before a file is read."""
    near, far, stack = request.seen.near, request.seen.far, request.seen.stack
    if not far < near:
        raise ValueError(f"--far is {far:g}; expected less than --near, {near:g}: both are disparities, larger is nearer")
    if stack is not None and len(stack) < 2:
        raise ValueError("--stack has one picture; expected at least 2 (for one there are --blurred and --focus)")
    if stack is not None and request.seen.focus is not None:
        raise ValueError("--focus goes with --blurred: each picture of --stack has its own, as in a.png:0.5")
    for focus in [request.seen.focus] if stack is None else [shot.focus for shot in stack]:
        if focus is not None and not far <= focus <= near:
            raise ValueError(f"focus {focus:g} is outside the range of disparities; expected --far {far:g} to --near {near:g}")
    if stack is not None and len({shot.focus for shot in stack}) == 1:
        raise ValueError(f"--stack has the focus {stack[0].focus:g} only; expected at least 2 different ones")
    if request.depth and far <= 0:
        raise ValueError(f"--depth needs --far above 0, and it is {far:g}: the depth of a disparity of 0 is infinite")
    if request.save_layers is not None and request.fit.layers == 1:
        raise ValueError("--save-layers goes with --layers 2: of one layer the picture is --sharp and the disparity OUT")


def _check_outputs(request: OptimizeRequest) -> None:
    """Find what would fail at the end, at the start."""
    check_map_format(request.output)
    if request.confidence is not None:
        check_map_format(request.confidence)
    if request.preview is not None:
        check_format(request.preview)
        if request.preview.suffix.lower() not in _PREVIEWS:
            raise ValueError(f"--preview {request.preview}: colours are for the eye; expected one of {', '.join(_PREVIEWS)}")
    files = {"-o": request.output, "--confidence": request.confidence, "--preview": request.preview}
    given = {option: Path(path) for option, path in files.items() if path is not None}
    for (first, one), (second, other) in itertools.combinations(given.items(), 2):
        if one.resolve() == other.resolve():
            raise ValueError(f"{first} and {second} are both {one}; expected files of their own")
    for path in given.values():
        check_output(path, request.overwrite)
    check_checkpoint(request.saving, *given.values())
    if request.save_layers is not None:
        folder = request.save_layers
        check_folder(folder, [file for pair in layer_files(folder, 2) for file in pair], request.overwrite)


def _settings(request: OptimizeRequest) -> OptimizeSettings:
    given: dict[str, Any] = {} if request.fit.steps is None else {"steps": request.fit.steps}
    if request.fit.objective is not None:
        given["objective"] = Objective.named(request.fit.objective)
    is_pair = request.seen.stack is None
    learn_blur, learn_focus = request.seen.blur is None, is_pair and request.seen.focus is None
    return OptimizeSettings(layers=request.fit.layers, learn_blur=learn_blur, learn_focus=learn_focus, **given)


def _layer(request: OptimizeRequest) -> DefocusLayer:
    name = request.fit.layer or ("scatter" if request.fit.layers == 1 else "splat")
    layer = layer_named(name)
    return layer if request.fit.layers == 1 else require_two(layer)


@torch.no_grad()
def _try_out(layer: DefocusLayer, photographs: Photographs, aperture: Aperture) -> None:
    """Blur a corner, so that an aperture that the layer does not know is refused before the sweep."""
    corner = photographs.all_in_focus[None, :, :8, :8].contiguous()
    layer.eval()
    layer(corner, torch.zeros_like(corner[:, :1]), ThinLens(1.0, 0.0, aperture))


def _record(request: OptimizeRequest) -> dict[str, Any]:
    """What a checkpoint belongs to: by the names of the options, numbers and digests of files."""
    seen = replace(request.seen, stack=None)
    fit = replace(request.fit, steps=OptimizeSettings().steps if request.fit.steps is None else request.fit.steps)
    values = {option(name): value for part in (seen, request.aperture, fit) for name, value in vars(part).items()}
    for number, shot in enumerate(request.seen.stack or (), 1):
        values |= {f"--stack {number}": shot.path, f"--focus of {number}": shot.focus}
    digests = {name: file_digest(value) for name, value in values.items() if isinstance(value, Path)}
    return {"format": _FORMAT} | values | digests


def _observation(
    photographs: Photographs, aperture: Aperture, request: OptimizeRequest, saved: dict[str, Any] | None
) -> Observation:
    """What is known; where the lens is not, it is searched for, or in the checkpoint."""
    blur, focus = request.seen.blur, None if request.seen.focus is None else [request.seen.focus]
    if request.seen.stack is not None:
        focus = [shot.focus for shot in request.seen.stack]
    if saved is not None:
        blur, focus = float(saved["blur"][0, 0]), saved["focus"][0].tolist()
    return observe(photographs, request.seen.near, request.seen.far, aperture, blur, focus)


def _tell_lens(seen: Observation, request: OptimizeRequest, say: Say) -> None:
    how = "as given" if request.seen.blur is not None else "found"
    say(f"lens: blur {float(seen.blur[0, 0]):.4g} px per unit of disparity, {how}; {_foci(seen.focus[0].tolist())}")
    say(f"disparity from {seen.far:g} to {seen.near:g}: radius of blur up to {seen.largest_radius_px:.1f} px")
    if seen.count == 1 and is_point_mirror(seen.aperture):
        lesser_side_px = float(seen.blur) * min(seen.near - float(seen.focus), float(seen.focus) - seen.far)
        if request.seen.focus is None:
            say("the opening does not tell nearer than the focus from farther: all is taken to be nearer")
        elif lesser_side_px > SIGNED_PX:
            say("the opening does not tell nearer than the focus from farther: on which side a pixel lies is a guess")


def _foci(focus: list[float]) -> str:
    return f"focus {', '.join(f'{value:.4g}' for value in focus)}"


def _optimize(work: Optimization, checkpoint: Checkpoint | None, request: OptimizeRequest, say: Say) -> None:
    """Take the steps, and write the map. Whatever comes between, Ctrl-C or a full disk, the checkpoint has the steps so far."""
    steps = work.settings.steps
    saved = None if checkpoint is None else _snapshot(work)
    try:
        with progress_with_note("optimising", request.quiet, _SPEED_OVER_S) as show:
            show(work.done, steps, "")
            while work.done < steps:
                loss = work.step()
                if checkpoint is not None:
                    saved = _snapshot(work)  # a step in which Ctrl-C comes may be half done
                    checkpoint.save_if_due(saved)
                show(work.done, steps, f"loss {loss:.5f}")
                if work.done * _LINES // steps > (work.done - 1) * _LINES // steps:
                    say(f"step {work.done} of {steps}: loss {loss:.5f}")
        found = work.result()
        _write(found, work, request, say)
    except BaseException as error:
        if checkpoint is not None and saved is not None:
            save_after(error, partial(checkpoint.save, saved))
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(_how_to_go_on(saved, work, request)) from None
        raise
    if checkpoint is not None:
        checkpoint.remove()


def _snapshot(work: Optimization) -> dict[str, Any]:
    """From what the optimisation started, and its state."""
    seen, initial = work.observation, work.initial
    start = {"blur": seen.blur, "focus": seen.focus, "disparity": initial.disparity, "confidence": initial.confidence}
    return {**start, "state": deepcopy(work.state_dict())}


def _done(saved: dict[str, Any]) -> int:
    return len(saved["state"]["losses"])


def _how_to_go_on(saved: dict[str, Any] | None, work: Optimization, request: OptimizeRequest) -> str:
    steps = work.settings.steps
    if saved is None:
        return f"{work.done} of {steps} steps are lost; with --checkpoint FILE they would have been kept"
    return f"{_done(saved)} of {steps} steps are in {request.saving.checkpoint}; the same command goes on from there"


def _write(found: Optimized, work: Optimization, request: OptimizeRequest, say: Say) -> None:
    seen, overwrite = work.observation, request.overwrite
    if work.settings.learn_blur or work.settings.learn_focus:
        blur, focus = float(found.blur[0, 0]), found.focus[0].tolist()
        say(f"lens after the steps: blur {blur:.4g} px per unit of disparity, {_foci(focus)}")
    disparity = _plane(found.disparity)
    values = 1 / disparity if request.depth else disparity
    write_map(request.output, values, channel="Z" if request.depth else "Y", overwrite=overwrite)
    written: list[object] = [request.output]
    if request.confidence is not None:
        write_map(request.confidence, _plane(found.confidence), overwrite=overwrite)
        written.append(request.confidence)
    if request.preview is not None:
        colours = heat((disparity - seen.far) / (seen.near - seen.far)) / np.float32(255)
        write_image(request.preview, srgb_decode(colours), overwrite=overwrite)
        written.append(request.preview)
    if request.save_layers is not None:
        folder = request.save_layers
        folder.mkdir(exist_ok=True)
        write_layers(found.layers, folder, overwrite)
        written.append(f"layers in {folder}")
    say(f"written: {', '.join(map(str, written))}")


def _plane(maps: torch.Tensor) -> NDArray[np.float32]:
    """[1, 1, H, W] → [H, W]."""
    plane: NDArray[np.float32] = maps[0, 0].cpu().numpy()
    return plane
