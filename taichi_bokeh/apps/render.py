"""``taichi-bokeh render``: one photograph with its disparity, refocused."""

from argparse import Namespace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh._explain import explain
from taichi_bokeh.apps.blur_limit import Work, check_blur
from taichi_bokeh.apps.common import Say, largest_radius_px, speaker
from taichi_bokeh.apps.options.camera import aperture_of, check_camera, focus_of, thin_lens_of
from taichi_bokeh.apps.photo.focus_map import check_focus_map, write_focus_map
from taichi_bokeh.apps.photo.layer_cache import Scene, check_cache, read_scene
from taichi_bokeh.apps.photo.rendering import (
    cells_of,
    check_rendering,
    model_options,
    render_layers,
    span_of,
    with_highlights,
    with_near_and_far,
)
from taichi_bokeh.apps.photo.scene import check_before_work, write_result
from taichi_bokeh.apps.progress import progress_bar
from taichi_bokeh.apps.sequence.focus_pull import is_series, refuse_options_of_a_series, render_series
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens


class Rendered(NamedTuple):
    """A picture, and what it was made of.

    Attributes:
        scene: the photograph in layers.
        lens: that it was rendered with.
        image: [1, 3 or 4, H, W], linear light.
    """

    scene: Scene
    lens: ThinLens
    image: Tensor


def render_photo(arguments: Namespace) -> None:
    """Run the command; see ``taichi-bokeh render --help``.

    Raises:
        ValueError, OSError: what is wrong with an argument or a file, in one line.
    """
    say = speaker(arguments.quiet)
    check_camera(arguments)
    aperture = aperture_of(arguments)
    check_rendering(arguments, aperture)
    check_cache(arguments)
    if is_series(arguments):
        render_series(arguments, aperture, say)
    else:
        refuse_options_of_a_series(arguments)
        check_before_work(arguments)
        check_focus_map(arguments)
        render_one(arguments, aperture, say)


def render_one(arguments: Namespace, aperture: Aperture, say: Say) -> None:
    """Render one photograph whose arguments have been checked, and write what was asked for.

    Raises:
        ValueError, OSError: what is wrong with a file, in one line.
    """
    scene, lens, image = rendered(arguments, aperture, say, explains=arguments.explain)
    write_result(scene.layers, scene.coverage, image, arguments, say)
    if arguments.show_focus is not None:
        write_focus_map(arguments, scene.disparity, lens)
        say(f"written: {arguments.show_focus}")


def rendered(arguments: Namespace, aperture: Aperture, say: Say, *, explains: bool = False) -> Rendered:
    """The picture of one photograph whose arguments have been checked; if it is to be explained, say by which algorithms.

    Raises:
        ValueError, OSError: what is wrong with a file, in one line.
    """

    def check(disparity: NDArray[np.float32]) -> None:
        focus = focus_of(arguments, disparity)
        lens = thin_lens_of(arguments, aperture, focus, disparity.shape[1])
        work = Work.of(arguments, aperture, disparity.shape[1], disparity.shape[0])
        check_blur(arguments, work, float(lens.blur), span_of(disparity, focus, arguments))

    scene = read_scene(arguments, say, check)
    layers, disparity, coverage = scene
    focus = focus_of(arguments, disparity)
    say(f"disparity: {disparity.min():.4g} to {disparity.max():.4g}, in focus: {focus:.4g}")
    lens = thin_lens_of(arguments, aperture, focus, disparity.shape[1])
    seen = with_near_and_far(with_highlights(layers, arguments), focus, arguments)
    cells = cells_of(seen, lens, arguments)
    radius_px = largest_radius_px(seen, float(lens.blur), focus)
    with_cells = "" if cells is None else f" with {cells} cells"
    say(f"layers: {layers.count}, largest blur radius: {radius_px:.1f} px, model: {arguments.model}{with_cells}")
    if explains:
        say(str(explain(seen, lens, **model_options(arguments, cells))))
    with progress_bar("rendering", arguments.quiet) as progress:
        image = render_layers(seen, lens, arguments, cells, progress, coverage)
    return Rendered(scene, lens, image)
