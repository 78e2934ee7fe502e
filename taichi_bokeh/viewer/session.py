"""The preview without its window: actions in, frames out, and the work in between in pieces that stop when asked.

Everything runs on the caller's thread, as Taichi has one runtime and one lock: `advance` does the next piece of work, a draft
first, then better and better images. While it works it calls `watch` before every launch of a kernel, a few hundredths of a
second apart. A window takes its input there and shows the last frame; when an action makes the image under way worthless, the
work ends at that point, and the next `advance` is a draft of the new state.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from taichi_bokeh import _runtime
from taichi_bokeh._render import render
from taichi_bokeh._trace import trace, trace_progressively
from taichi_bokeh.layers import Layers
from taichi_bokeh.models import Scatter
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.viewer.draft import DraftSize, fitted
from taichi_bokeh.viewer.frames import Box, Bytes, Composer, Layout, Notes, Rendered, shows_lens
from taichi_bokeh.viewer.keys import KEYS
from taichi_bokeh.viewer.look import Look
from taichi_bokeh.viewer.scene import Scene, Size
from taichi_bokeh.viewer.source import model_options
from taichi_bokeh.viewer.state import Change, History, State, apply

Watch = Callable[[], None]

TRUTH_RAYS = 1024
_FRAME_S = 1 / 20  # with a draft; what the window adds keeps it under 1/15
DRAFT = Scatter(algorithm="fast", occlusion=False)
_DRAFT_RAYS = 32  # at a draft's size a blur disc has hardly more pixels
_TRUTH_PIECE = 1 << 21  # rays of all pixels together in a piece of work
_HALF_FROM_PX = 1 << 17  # an image of more pixels is rendered at half its size first


class _StoppedError(Exception):
    """An action has made the image under way worthless."""


class Session:
    """A scene with its controls.

    Args:
        scene: what is looked at.
        size: (width, height) of the frames in px.
        state: at first; default: the scene's.
        margin_px: columns at the left of the frame that are left to a panel.
        scale: of the text; 2 where pixels are half as large.
        budget_s: what a frame with a draft may take.
    """

    def __init__(
        self,
        scene: Scene,
        size: Size,
        *,
        state: State | None = None,
        margin_px: int = 0,
        scale: float = 1.0,
        budget_s: float = _FRAME_S,
    ) -> None:
        self.scene = scene
        self.controls = scene.controls(state)
        self.history = History(scene.initial_state() if state is None else state)
        self.scale, self.margin_px = scale, margin_px
        self.message = ""
        self.latency_s: float | None = None
        self._size = size
        self._draft = DraftSize(budget_s)
        self._kind: Any = None
        self.rendered: Rendered | None = None  # the last image of the lens
        self._rendered_key: Any = None
        self._work: Iterator[Rendered] | None = None
        self._finished = False
        self._asked_s: float | None = None
        self._frame: Bytes | None = None
        self._composer = Composer()
        self._look = Look(scene)

    # ---- what is asked for

    @property
    def state(self) -> State:
        """All controls as they are."""
        return self.history.state

    @property
    def lens(self) -> ThinLens:
        """The lens of the whole image.

        Raises:
            ValueError: the camera cannot focus there.
        """
        return self.state.lens(self.scene.camera, self.scene.size[0])

    @property
    def box(self) -> Box:
        """Left, top, width and height of the image in the frame, in px."""
        return self._layout.box(self.scene.size, self.state.status)

    @property
    def _layout(self) -> Layout:
        return Layout(self._size, self.margin_px, self.scale)

    @property
    def shown_size(self) -> Size:
        """(width, height) at which the image is rendered for the frame: as it is shown, but no larger than it is."""
        return fitted(self.scene.size, max(self.box[2:]))

    def change(self, change: Change) -> None:
        """Change one control.

        Raises:
            TypeError, ValueError: as of `apply`, or the lens cannot be so.
        """
        changed = apply(self.state, change, self.controls)
        changed.lens(self.scene.camera, self.scene.size[0])
        self.history.change(changed, change.name)
        self._touched()

    def point(self, x: float, y: float) -> None:
        """A click, or a drag, at a point of the image, in parts of its width and height from the top left corner.

        It moves the wipe in that view, and the focus in every other.

        Raises:
            ValueError: the point is outside the image, or nothing can be in focus there.
        """
        if self.state.view == "wipe":
            self.change(Change("set", "wipe", x))
            return
        focus, control = self.scene.disparity_at(x, y), self.controls["focus"]
        if not control.low <= focus <= control.high:
            raise ValueError(f"disparity there is {focus:g}; expected {control.low:g} to {control.high:g}, where it can focus")
        self.change(Change("set", "focus", focus))

    def key(self, key: str) -> None:
        """A key of `KEYS`.

        Raises:
            ValueError: no key of this name does anything here.
        """
        if key not in KEYS:
            raise ValueError(f"key is {key!r}; expected one of {', '.join(KEYS)}")
        action = KEYS[key]
        if isinstance(action, str):
            getattr(self, action)()
            return
        if action.name == "strength":
            action = action._replace(name="blur" if self.scene.camera is None else "f_number")
        self.change(action)
        if action.kind == "step" and not self.controls[action.name].choices:
            return  # held down, it is one step of undo
        self.release()

    def release(self) -> None:
        """The button or slider is let go: what follows is another step of undo."""
        self.history.release()

    def undo(self) -> None:
        """Go a step back."""
        self.history.undo()
        self._touched()

    def redo(self) -> None:
        """Take the undo back."""
        self.history.redo()
        self._touched()

    def reset(self) -> None:
        """All controls as at first."""
        self.history.reset()
        self._touched()

    def resize(self, size: Size) -> None:
        """Frames of another (width, height).

        Raises:
            ValueError: a side is less than 1.
        """
        if min(size) < 1:
            raise ValueError(f"size is {size[0]}×{size[1]}; expected at least 1×1")
        self._size = size
        self.scene.forget_sizes()
        self._touched()

    def say(self, message: str) -> None:
        """Show a message instead of the second line of the status, until the next action; empty: none."""
        self.message = message
        self._frame = None

    def _touched(self) -> None:
        self.message = ""
        self._frame = None
        if self._asked_s is None:
            self._asked_s = time.perf_counter()

    # ---- work

    def _key(self) -> Any:
        """What the rendered image depends on."""
        return self.state.tuned, self.state.view == "truth", self.shown_size

    @property
    def is_stale(self) -> bool:
        """Whether the image that is shown is not of the state."""
        return self._renders and self._rendered_key != self._key()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing left to be made better."""
        return not self.is_stale and (self._finished or not self._renders)

    @property
    def label(self) -> str:
        """What is shown."""
        return self.rendered.label if self._renders and self.rendered is not None else ""

    @property
    def rays(self) -> int:
        """How many rays a pixel of what is shown are in; 0 where it is not traced."""
        return self.rendered.rays if self._renders and self.rendered is not None else 0

    @property
    def _renders(self) -> bool:
        """Whether the view shows an image of the lens."""
        return shows_lens(self.state.view)

    def advance(self, watch: Watch | None = None) -> bool:
        """Do the next piece of work: a draft where the image is stale, else a better image.

        Args:
            watch: called before every launch of a kernel of a better image; it may act on the session.

        Returns:
            Whether there is another image to be shown.
        """
        if self.is_idle:
            return False
        if self.is_stale:
            self._make_draft()
            return True
        if self._work is None:
            self._work = self._improvements()
        with _watched(self, watch):
            try:
                better = next(self._work, None)
            except _StoppedError:
                self._work = None
                return False
        if better is None:
            self._work, self._finished = None, True
        else:
            self.rendered = better
        self._frame = None
        return True

    def finish(self) -> None:
        """Work until nothing is left."""
        while not self.is_idle:
            self.advance()

    @torch.no_grad()
    def _make_draft(self) -> None:
        start = time.perf_counter()
        state, largest = self.state, self.shown_size
        size = self._draft.within(largest)
        is_disc = state.aperture.is_disc
        if (is_disc, size) != self._kind:
            self._kind = is_disc, size
            self._draft.of_another_kind()
        layers, lens = self._look.draft(largest, size, float(self.lens.focus), state), self._lens_at(size)
        if is_disc:
            image = DRAFT.render(layers, lens)[0]
        else:  # whose tables take a second to make, for every position of a slider
            rays = round(_DRAFT_RAYS * (1 + 3 * state.cat_eye))  # some have to pass in the corners, too
            image = trace(layers, lens, rays=rays)[0]
        seconds = time.perf_counter() - start
        self.rendered = Rendered(image, f"draft {_px(size)}", seconds)
        self._rendered_key, self._work, self._finished = self._key(), None, False
        self._frame = None
        self.frame()
        self._draft.took(time.perf_counter() - start, seconds, largest)

    def _improvements(self) -> Iterator[Rendered]:
        size = self.shown_size
        if self.state.view == "truth":
            yield from self._traced(size)
            return
        if size[0] * size[1] > _HALF_FROM_PX:
            half = fitted(size, max(size) // 2)
            yield self._full(half, f"half size {_px(half)}")
        yield self._full(size, f"full {_px(size)}")

    @torch.no_grad()
    def _full(self, size: Size, label: str) -> Rendered:
        start = time.perf_counter()
        image = render(self._layers_at(size), self._lens_at(size), **model_options(self.state))[0]
        return Rendered(image, label, time.perf_counter() - start)

    def _traced(self, size: Size) -> Iterator[Rendered]:
        start = time.perf_counter()
        batch = max(1, min(16, _TRUTH_PIECE // (size[0] * size[1])))
        layers, lens = self._layers_at(size), self._lens_at(size)
        for traced in trace_progressively(layers, lens, rays=TRUTH_RAYS, batch=batch):
            label = f"ray traced, {traced.done} of {traced.rays} rays, {_px(size)}"
            yield Rendered(traced.image[0], label, time.perf_counter() - start, traced.done)

    def _layers_at(self, size: Size) -> Layers:
        """In a size of the frame, made of the frame's own, which is made of the whole once."""
        return self._look.exact(self.shown_size, size, float(self.lens.focus), self.state)

    def _lens_at(self, size: Size) -> ThinLens:
        lens = self.lens
        return ThinLens(float(lens.blur) * size[0] / self.scene.size[0], lens.focus, lens.aperture)

    # ---- frames

    def frame(self) -> Bytes:
        """The frame [H, W, 3], sRGB: image, status, help. The same array until something changes; not to be written to."""
        if self._frame is None:
            scene = self.scene.scaled(self.shown_size)
            notes = Notes(self.message, self.latency_s)
            self._frame = self._composer.frame(scene, self.state, self.lens, self._layout, self.box, self.rendered, notes)
        return self._frame

    def shown(self) -> None:
        """The frame is on the screen: what was asked for last has taken until now."""
        if self._asked_s is not None:
            self.latency_s = time.perf_counter() - self._asked_s
            self._asked_s = None


@contextmanager
def _watched(session: Session, watch: Watch | None) -> Iterator[None]:
    """Let `watch` look in before every launch, and end the work when the image has become stale by it."""
    if watch is None:
        yield
        return

    def look_in() -> None:
        paused = _runtime.before_launch.set(None)  # what the watch launches is not watched
        try:
            watch()
        finally:
            _runtime.before_launch.reset(paused)
        if session.is_stale or not session._renders:
            raise _StoppedError

    token = _runtime.before_launch.set(look_in)
    try:
        yield
    finally:
        _runtime.before_launch.reset(token)


def _px(size: Size) -> str:
    return f"{size[0]} x {size[1]} px"  # Pillow's font has no sign of multiplication
