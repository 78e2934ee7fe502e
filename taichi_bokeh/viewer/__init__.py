"""The preview: controls in, frames out, in a window or without one. Importing it imports nothing that is slow."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taichi_bokeh._checks import require_type
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.thin_lens import ThinLens

if TYPE_CHECKING:
    from taichi_bokeh.viewer.session import Session

__all__ = ["preview"]


def preview(
    layers: Layers,
    *,
    blur: float | None = None,
    focus: float | None = None,
    size: tuple[int, int] | None = None,
    save_as: str | Path = "bokeh.png",
) -> tuple[Layers, ThinLens, dict[str, Any]]:
    """Tune the lens blur of layers in a window, until it is closed: click to focus, h shows the keys.

    Where no window can be opened, a notebook shows the image of the lens at first instead. A process has one window in its
    life; in a notebook, later calls show such images.

    Args:
        layers: one scene (B = 1).
        blur: at first, in px per unit of disparity; default: a fiftieth of the width between nearest and farthest.
        focus: at first; default: the disparity in the middle of the image.
        size: (width, height) of the window in px; default: it follows the image.
        save_as: the file that "save" writes; an existing one is kept, and the new one numbered.

    Returns:
        Layers, lens and options for which ``tb.render(layers, lens, **options)`` is the image that was seen last. The layers
        have its look, which no lens makes: raised highlights, and near and far blur. Without one they are those given.

    Raises:
        TypeError, ValueError: an argument is not what it must be.
        OSError: no window can be opened, and this is no notebook.
    """
    from dataclasses import replace

    from taichi_bokeh.io.images import check_format
    from taichi_bokeh.viewer.look import with_look
    from taichi_bokeh.viewer.scene import Scene
    from taichi_bokeh.viewer.session import Session
    from taichi_bokeh.viewer.source import LayersSource, model_options
    from taichi_bokeh.viewer.window import NoWindowError, require_window, run_window, usual_size

    require_type("layers", layers, Layers, "Layers")
    check_format(save_as)
    scene = Scene.of_layers(layers)
    state = scene.initial_state()
    state = replace(state, blur=state.blur if blur is None else blur, focus=state.focus if focus is None else focus)
    lens = state.lens(None, layers.width)  # refuses a bad lens here
    try:
        require_window()
    except NoWindowError:
        if not _in_notebook():
            raise
        _show(Session(scene, size or usual_size(scene.size), state=state))
    else:
        source = LayersSource(scene.layers)
        state = run_window(scene, source, state=state, size=size, save_to=Path(save_as).absolute())
        lens = state.lens(None, layers.width)
    return with_look(layers, float(lens.focus), state), lens, model_options(state)


def _in_notebook() -> bool:
    """Whether IPython runs this, and can show images."""
    module = sys.modules.get("IPython")
    shell = None if module is None else module.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def _show(session: "Session") -> None:
    """The image in full quality, in the notebook."""
    from IPython.display import display
    from PIL import Image

    session.finish()
    display(Image.fromarray(session.frame()))
