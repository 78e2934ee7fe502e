"""``taichi-bokeh render``: one photograph with its disparity, refocused."""

from argparse import Namespace

from taichi_bokeh.apps.common import largest_radius_px, progress_bar, speaker
from taichi_bokeh.apps.scene import check_before_work, disparity_at, read_photo, split, write_result
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.render import render


def render_photo(arguments: Namespace) -> None:
    """Run the command; see ``taichi-bokeh render --help``.

    Raises:
        ValueError, OSError: what is wrong with an argument or a file, in one line.
    """
    say = speaker(arguments.quiet)
    if arguments.model == "scatter-official" and arguments.profile is not None:
        raise ValueError("--profile is for --model scatter: scatter-official has a profile of its own")
    check_before_work(arguments)
    photo = read_photo(arguments, say)
    disparity = photo.disparity
    focus = arguments.focus if arguments.focus_at is None else disparity_at(disparity, *arguments.focus_at)
    say(f"disparity: {disparity.min():.4g} to {disparity.max():.4g}, in focus: {focus:.4g}")
    layers = split(photo, arguments)
    say(f"layers: {layers.count}, largest blur radius: {largest_radius_px(layers, arguments.blur, focus):.1f} px")
    lens = ThinLens(blur=arguments.blur, focus=focus)
    options = {} if arguments.profile is None else {"profile": arguments.profile}
    with progress_bar("rendering", arguments.quiet) as progress:
        image = render(layers, lens, model=arguments.model, max_radius=arguments.max_radius, progress=progress, **options)
    write_result(layers, image, arguments, say)
