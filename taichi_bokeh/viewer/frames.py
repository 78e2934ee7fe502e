"""What the screen shows: the image or another view in its place, and words round it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.viewer import overlay, views
from taichi_bokeh.viewer.keys import TABLE
from taichi_bokeh.viewer.scene import Scene, Size
from taichi_bokeh.viewer.state import State

Bytes = NDArray[np.uint8]
Box = tuple[int, int, int, int]

_BEYOND = (18, 18, 20)  # colour of the frame beside the image
_CHECK_PX = 8
_LINE_PX = 2


@dataclass(frozen=True, eq=False)
class Rendered:
    """An image of the state's lens.

    Attributes:
        image: [3, H, W], linear light.
        label: what it is, for the status.
        seconds: what it took.
        rays: a pixel, where it is traced.
    """

    image: Tensor
    label: str
    seconds: float
    rays: int = 0


class Layout(NamedTuple):
    """Where things are in a frame.

    Attributes:
        size: (width, height) of the frame in px.
        margin_px: columns at the left that are left to a panel.
        scale: of the text.
    """

    size: Size
    margin_px: int
    scale: float

    def box(self, image: Size, status: bool) -> Box:
        """Left, top, width and height of an image of this size: as large as fits beside the panel and above the status."""
        strip = overlay.bar_height_px(self.scale) if status else 0
        room = max(1, self.size[0] - self.margin_px), max(1, self.size[1] - strip)
        scale = min(have / side for have, side in zip(room, image, strict=True))
        width, height = (max(1, min(have, round(side * scale))) for have, side in zip(room, image, strict=True))
        return self.margin_px + (room[0] - width) // 2, (room[1] - height) // 2, width, height


class Notes(NamedTuple):
    """What the status says beside the state: a message in place of all that, and how long the last change took to be shown."""

    message: str
    latency_s: float | None


class Composer:
    """Makes frames; keeps what most of them have in common."""

    def __init__(self) -> None:
        self._sharp: tuple[object, Bytes] | None = None

    def frame(
        self, scene: Scene, state: State, lens: ThinLens, layout: Layout, box: Box, rendered: Rendered | None, notes: Notes
    ) -> Bytes:
        """[H, W, 3], sRGB.

        Args:
            scene: in the size in which it is shown, or smaller where that is larger than the image.
            state: the controls.
            lens: of the whole image.
            layout: of the frame.
            box: the image's, of `layout`, for the size of the whole image.
            rendered: what the lens sees, for the views that show it; None while there is nothing.
            notes: for the status.
        """
        frame = np.empty((layout.size[1], layout.size[0], 3), np.uint8)
        frame[:] = _BEYOND
        left, top, width, height = box
        view = self._view(scene, state, float(lens.blur), rendered, (width, height), layout.scale)
        frame[top : top + height, left : left + width] = view[: layout.size[1] - top, : layout.size[0] - left]
        beside = frame[:, layout.margin_px :]
        if state.status:
            overlay.draw_status(beside, _status(scene, state, lens, rendered, notes), notes.message, layout.scale)
        if state.help:
            strip = overlay.bar_height_px(layout.scale) if state.status else 0
            overlay.draw_table(beside[: max(0, layout.size[1] - strip)], "Keys", TABLE, layout.scale)
        return frame

    def _view(self, scene: Scene, state: State, blur: float, rendered: Rendered | None, size: Size, scale: float) -> Bytes:
        """In this size."""
        if state.view == "disparity":
            return _resized(views.disparity_view(scene), size)
        if state.view == "focus":
            return _resized(views.focus_view(scene, state, blur), size)
        if state.view == "layers":
            return _resized(views.layer_view(scene, state, max(4, round(_CHECK_PX * scale))), size)
        if rendered is None:
            return self._before(scene, state, size)
        after = _resized(views.screen(rendered.image, state.exposure), size)
        if state.view != "wipe":
            return after
        return views.wiped(self._before(scene, state, size), after, state.wipe, max(1, round(_LINE_PX * scale)))

    def _before(self, scene: Scene, state: State, size: Size) -> Bytes:
        """All in focus; kept, as a wipe shows it in every frame."""
        key = scene.size, size, state.exposure
        if self._sharp is None or self._sharp[0] != key:
            self._sharp = key, _resized(views.screen(scene.sharp, state.exposure), size)
        return self._sharp[1]


def shows_lens(view: str) -> bool:
    """Whether a view shows an image that is rendered."""
    return view in ("result", "wipe", "truth")


def _status(scene: Scene, state: State, lens: ThinLens, rendered: Rendered | None, notes: Notes) -> tuple[str, str]:
    strength = f"blur {state.blur:.4g} px" if state.f_number is None else f"f/{state.f_number:.3g}"
    model = f"{state.model}, {state.cells} cells" if state.model == "subaperture" else state.model
    exposure = f"  ·  exposure {state.exposure:+.2g}" if state.exposure else ""
    first = f"{state.view}  ·  focus {float(lens.focus):.4g}  ·  {strength}  ·  {model}{exposure}"
    parts = []
    if shows_lens(state.view) and rendered is not None:
        parts.append(f"{rendered.label} in {_seconds(rendered.seconds)}")
    elif state.view == "layers":
        parts.append(f"layer {state.layer + 1} of {scene.layers.count}, from the nearest")
    if notes.latency_s is not None:
        parts.append(f"shown after {_seconds(notes.latency_s)}")
    parts.append("h: keys")
    return first, "  ·  ".join(parts)


def _resized(image: Bytes, size: Size) -> Bytes:
    if image.shape[1::-1] == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def _seconds(value: float) -> str:
    return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.1f} s"
