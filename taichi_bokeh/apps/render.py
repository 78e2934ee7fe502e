"""``taichi-bokeh render``: one photograph with its disparity, refocused."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh.apps.blur_limit import Work, check_blur
from taichi_bokeh.apps.common import Say, largest_radius_px, speaker
from taichi_bokeh.apps.options.render import RenderRequest
from taichi_bokeh.apps.photo.focus_map import check_focus_map, write_focus_map
from taichi_bokeh.apps.photo.layer_cache import PhotoScene, check_cache, read_scene
from taichi_bokeh.apps.photo.lens import aperture_of, focus_of, thin_lens_of
from taichi_bokeh.apps.photo.rendering import (
    check_rendering,
    render_layers,
    span_of,
    with_cells_counted,
    with_highlights,
    with_near_and_far,
)
from taichi_bokeh.apps.photo.scene import Result, check_before_work, require_room_for_alpha, write_result
from taichi_bokeh.apps.photo.unit import warn_of_unit
from taichi_bokeh.apps.progress import progress_bar
from taichi_bokeh.apps.sequence.series import is_series, render_series
from taichi_bokeh.io.exr import Frame
from taichi_bokeh.models import SubAperture
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens


class Rendered(NamedTuple):
    """An image, and what it was made of.

    Attributes:
        scene: the photograph in layers.
        lens: that it was rendered with.
        image: [1, 3 or 4, H, W], linear light.
    """

    scene: PhotoScene
    lens: ThinLens
    image: Tensor


def render_photo(request: RenderRequest) -> None:
    """Run the command; see ``taichi-bokeh render --help``.

    Raises:
        ValueError, OSError: what is wrong with an option or a file, in one line.
    """
    say = speaker(request.output.quiet)
    aperture = checked_aperture(request)
    check_cache(request.cache)
    if is_series(request):
        render_series(request, aperture, say)
    else:
        request.check_single()
        check_before_work(request.photo, request.output)
        check_focus_map(request.show_focus, request.output)
        _render_one(request, aperture, say)


def checked_aperture(request: RenderRequest) -> Aperture:
    """Check lens, look and model, and make the aperture.

    Raises:
        ValueError, OSError: what is wrong with an option, in one line.
    """
    request.lens.check()
    aperture = aperture_of(request.aperture)
    check_rendering(request.model, request.look, aperture)
    return aperture


def _render_one(request: RenderRequest, aperture: Aperture, say: Say) -> None:
    warn_of_unit(request.photo, request.lens, say)
    scene, lens, image = rendered(request, aperture, say)
    write_result(scene.layers, scene.coverage, Result(image, scene.frame), request.photo.photo, request.output, say)
    if request.show_focus is not None:
        disparity = scene.disparity if scene.frame is None else scene.frame.shown(scene.disparity, float(lens.focus))
        write_focus_map(request, request.show_focus, disparity, lens)
        say(f"written: {request.show_focus}")


def rendered(request: RenderRequest, aperture: Aperture, say: Say) -> Rendered:
    """Render one photograph of a request that has been checked; if it is to be explained, say by which algorithms.

    Raises:
        ValueError, OSError: what is wrong with a file, in one line.
    """

    def check(disparity: NDArray[np.float32], is_transparent: bool, frame: Frame | None) -> None:
        focus = focus_of(request.lens, disparity, frame)
        lens = thin_lens_of(request.lens, aperture, focus, disparity.shape[1], frame)
        request.model.build().require_renderable(lens.aperture)
        work = Work.of(request.model, aperture, disparity.shape[1], disparity.shape[0])
        check_blur(request.lens, work, float(lens.blur), span_of(disparity, focus, request.look))
        if is_transparent:
            require_room_for_alpha(request.photo.photo, request.output.output)

    scene = read_scene(request.photo, request.cache, say, check)
    layers, disparity, coverage, frame = scene
    focus = focus_of(request.lens, disparity, frame)
    say(f"disparity: {disparity.min():.4g} to {disparity.max():.4g}, in focus: {focus:.4g}")
    lens = thin_lens_of(request.lens, aperture, focus, disparity.shape[1], frame)
    seen = with_near_and_far(with_highlights(layers, request.model, request.look, frame), focus, request.look)
    model = with_cells_counted(request.model.build(), seen, lens)
    radius_px = largest_radius_px(seen, float(lens.blur), focus)
    with_cells = f" with {model.cells} cells" if isinstance(model, SubAperture) else ""
    say(f"layers: {layers.count}, largest blur radius: {radius_px:.1f} px, model: {model.name}{with_cells}")
    if request.explain:
        say(str(model.explain(seen, lens)))
    with progress_bar("rendering", request.output.quiet) as progress:
        image = render_layers(seen, lens, model, progress, coverage)
    return Rendered(scene, lens, image)
