"""``taichi-bokeh render``: one photograph with its disparity, refocused."""

from argparse import Namespace
from typing import Any

from taichi_bokeh._subaperture import DEFAULT_CELLS, MOST_CELLS, cells_for
from taichi_bokeh.apps.camera import aperture_of
from taichi_bokeh.apps.common import largest_radius_px, progress_bar, speaker
from taichi_bokeh.apps.scene import check_before_work, disparity_at, read_photo, split, write_result
from taichi_bokeh.explain import explain
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.render import Quality, render, require_renderable


def render_photo(arguments: Namespace) -> None:
    """Run the command; see ``taichi-bokeh render --help``.

    Raises:
        ValueError, OSError: what is wrong with an argument or a file, in one line.
    """
    say = speaker(arguments.quiet)
    _check_model(arguments)
    check_before_work(arguments)
    aperture = aperture_of(arguments)
    require_renderable(aperture, arguments.model, arguments.profile)
    photo = read_photo(arguments, say)
    disparity = photo.disparity
    focus = arguments.focus if arguments.focus_at is None else disparity_at(disparity, *arguments.focus_at)
    say(f"disparity: {disparity.min():.4g} to {disparity.max():.4g}, in focus: {focus:.4g}")
    layers = split(photo, arguments)
    lens = ThinLens(arguments.blur, focus, aperture)
    options = _options(arguments, layers, focus)
    cells = f" with {options['cells']} cells" if "cells" in options else ""
    radius_px = largest_radius_px(layers, arguments.blur, focus)
    say(f"layers: {layers.count}, largest blur radius: {radius_px:.1f} px, model: {arguments.model}{cells}")
    if arguments.model != "subaperture":
        say(str(explain(layers, lens, model=arguments.model, **options)).partition("\n")[2])
    quality: Quality = "draft" if arguments.draft else "full"
    with progress_bar("rendering", arguments.quiet) as progress:
        image = render(layers, lens, model=arguments.model, quality=quality, progress=progress, **options)
    write_result(layers, image, arguments, say)


def _check_model(arguments: Namespace) -> None:
    """Refuse an option that the model has not.

    Raises:
        ValueError: which, in one line.
    """
    model, cells = arguments.model, arguments.cells
    if arguments.draft and model != "scatter":
        raise ValueError(f"--draft is for --model scatter: {model} has none")
    if arguments.algorithm == "fast" and model == "scatter-official":
        raise ValueError("--algorithm fast is not for --model scatter-official: it has only exact")
    if arguments.profile is not None and model != "scatter":
        raise ValueError(f"--profile is for --model scatter: the blur discs of {model} have no other edge")
    if model == "subaperture":
        if arguments.max_radius is not None:
            raise ValueError("--max-radius is for the scatter models: give --model scatter or scatter-official with it")
        if isinstance(cells, int) and cells > MOST_CELLS:
            raise ValueError(f"--cells is {cells}, and must be at most {MOST_CELLS}")
    elif cells is not None:
        raise ValueError(f"--cells is for --model subaperture: {model} does not divide the aperture")


def _options(arguments: Namespace, layers: Layers, focus: float) -> dict[str, Any]:
    """What `render` takes for this model."""
    given = {"algorithm": arguments.algorithm, "profile": arguments.profile, "max_radius": arguments.max_radius}
    options = {name: value for name, value in given.items() if value is not None}
    if arguments.model == "subaperture":
        cells = arguments.cells or DEFAULT_CELLS
        options["cells"] = cells_for(layers, arguments.blur * (layers.disparity[:, :, 0] - focus)) if cells == "auto" else cells
    return options
