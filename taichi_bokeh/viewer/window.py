"""The preview in a window of Taichi's own kind, GGUI, which draws by Vulkan whatever computes: events in, frames out.

GGUI counts from the bottom left corner, stretches what it is given over the window, and has sliders, buttons and lines of text
for a panel. Everything else is drawn into the frame by the session. A window is one a process.
"""

import contextlib
import ctypes
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh import _runtime
from taichi_bokeh.viewer.draft import fitted
from taichi_bokeh.viewer.keys import KEYS
from taichi_bokeh.viewer.overlay import bar_height_px
from taichi_bokeh.viewer.scene import Scene, Size
from taichi_bokeh.viewer.session import Session
from taichi_bokeh.viewer.source import Job, Source, free_name
from taichi_bokeh.viewer.state import Change, State

PANEL_PX = 280  # the font of the panel has one size
_LARGEST_IMAGE_PX = 1000
_LEAST_HEIGHT_PX = 600  # the panel's
_FRAMES_A_SECOND = 30
_STILL_S = 0.15  # a window whose size has not changed for so long has been resized
_ONLY_IN = {"wipe": "wipe", "layer": "layers"}  # views that a control is of
_SHUT = ("q", "Escape")
_OFFSCREEN = "or work without a window: --offscreen --script actions.json -o frames"

_opened = False


class NoWindowError(OSError):
    """There can be no window here; the message says what is missing."""


def require_window() -> None:
    """NoWindowError unless a window can be opened in this process."""
    if _opened:
        raise NoWindowError("there has been a window in this process already: Taichi has one a process; start another process")
    if sys.platform.startswith("linux"):
        try:
            x11 = ctypes.CDLL("libX11.so.6")
        except OSError:
            raise NoWindowError(
                f"no X11 library for a window: install libx11-6, libxrandr2, libxinerama1, libxcursor1 and libxi6, {_OFFSCREEN}"
            ) from None
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XCloseDisplay.argtypes = [ctypes.c_void_p]
        display = x11.XOpenDisplay(None)
        if not display:
            name = os.environ.get("DISPLAY")
            found = f"DISPLAY is {name!r}, which does not answer" if name else "DISPLAY is not set"
            raise NoWindowError(f"no display for a window ({found}): use a desktop, ssh -X or xvfb-run, {_OFFSCREEN}")
        x11.XCloseDisplay(display)
    if not _runtime.has_vulkan():
        raise NoWindowError(
            "no Vulkan driver for a window: install your GPU's, or one in software (on Debian mesa-vulkan-drivers and "
            f"libvulkan1; on macOS MoltenVK), {_OFFSCREEN}"
        )


def run_window(
    scene: Scene,
    source: Source,
    *,
    state: State | None = None,
    size: Size | None = None,
    save_to: Path,
    say: Callable[[str], None] | None = None,
    title: str = "taichi-bokeh",
) -> State:
    """Open a window and stay until it is closed.

    Args:
        scene: what is looked at.
        source: saves.
        state: at first; default: the scene's.
        size: (width, height) of the window; default: it follows the image.
        save_to: the file of the first image that is saved; further ones have numbers.
        say: called with a line when something has been saved, or a command line is asked for.
        title: of the window.

    Returns:
        The state in the end.

    Raises:
        NoWindowError: there is no display, no Vulkan driver, or there has been a window.
    """
    global _opened
    require_window()
    asked = usual_size(scene.size) if size is None else size
    shell: _Shell | None = None
    with tempfile.TemporaryDirectory(prefix="taichi-bokeh-") as elsewhere:
        with _working_in(elsewhere):
            window = _runtime.open_window(title, asked, scene.layers.device)
        _opened = True
        try:
            shell = _Shell(window, elsewhere, scene, source, (state, asked, save_to, say or (lambda line: None)))
            shell.run()
        finally:
            with _working_in(elsewhere):
                window.destroy()
    shell.finish_saving()
    return shell.session.state


def usual_size(image: Size) -> Size:
    """(width, height) of the window for an image of this size: as large, up to a limit, with room for panel and status."""
    width, height = fitted(image, _LARGEST_IMAGE_PX)
    return width + PANEL_PX, max(_LEAST_HEIGHT_PX, height + bar_height_px(1.0))


class _Shell:
    """The window's events as actions of a session."""

    def __init__(
        self,
        window: Any,
        elsewhere: str,
        scene: Scene,
        source: Source,
        options: tuple[State | None, Size, Path, Callable[[str], None]],
    ) -> None:
        state, asked, self._save_to, self._say = options
        self._window, self._elsewhere, self._source = window, elsewhere, source
        size = self._shape() or asked
        self._scale = max(1, round(size[0] / asked[0]))  # a HiDPI window has more pixels than were asked for
        self.session = Session(scene, size, state=state, margin_px=PANEL_PX * self._scale, scale=self._scale)
        self._canvas, self._gui = window.get_canvas(), window.get_gui()
        self._size = self._new_size = size
        self._new_size_s = 0.0
        self._dragging_at: tuple[float, float] | None = None
        self._image: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None
        self._jobs: list[Job] = []
        self._closing = False
        self._drawn_s = 0.0

    def run(self) -> None:
        """Stay until the window is closed."""
        while self._window.running and not self._closing:
            self._turn()
            if self.session.is_idle:
                time.sleep(max(0.0, self._drawn_s + 1 / _FRAMES_A_SECOND - time.perf_counter()))
            else:
                self.session.advance(self._look_in)

    def finish_saving(self) -> None:
        """Wait for what is still being saved."""
        for job in self._jobs:
            self._say(job.wait())

    def _look_in(self) -> None:
        """Between two kernels of an image: input and screen, as often as a screen can show it."""
        if time.perf_counter() - self._drawn_s >= 1 / _FRAMES_A_SECOND:
            self._turn()

    def _turn(self) -> None:
        self._take_events()
        self._take_size()
        self._take_jobs()
        self._draw()

    # ---- in

    def _take_events(self) -> None:
        for event in self._window.get_events(_runtime.ti.ui.PRESS):
            if event.key == _runtime.ti.ui.LMB:
                self._press()
            elif event.key in _SHUT:
                self._closing = True
            elif event.key == "s":
                self._save()
            elif event.key == "c":
                self._tell_command()
            elif event.key in KEYS:
                self._try(self.session.key, event.key)
        if self._dragging_at is None:
            return
        cursor = self._window.get_cursor_pos()
        if cursor != self._dragging_at:  # also where it was let go since the last look: a drag ends where the button does
            self._dragging_at = cursor
            self._point(cursor, clipped=True)
        if not self._window.is_pressed(_runtime.ti.ui.LMB):
            self._dragging_at = None
            self.session.release()

    def _press(self) -> None:
        cursor = self._window.get_cursor_pos()
        self.session.release()
        if self._point(cursor, clipped=False):
            self._dragging_at = cursor

    def _point(self, cursor: tuple[float, float], clipped: bool) -> bool:
        """The cursor, in parts of the window from its bottom left corner, points at the image; whether it does."""
        left, top, width, height = self.session.box
        x = (cursor[0] * self._size[0] - left) / width
        y = ((1 - cursor[1]) * self._size[1] - top) / height
        if clipped:
            x, y = min(1.0, max(0.0, x)), min(1.0, max(0.0, y))
        if not (0 <= x <= 1 and 0 <= y <= 1):
            return False
        self._try(self.session.point, x, y)
        return True

    def _take_size(self) -> None:
        """Follow the window's size once it is still; until then the window stretches the last frame."""
        shape = self._shape()
        if shape is None or shape == self._size:
            return
        if shape != self._new_size:
            self._new_size, self._new_size_s = shape, time.perf_counter()
        elif time.perf_counter() - self._new_size_s >= _STILL_S:
            self._size = shape
            self.session.resize(shape)

    def _shape(self) -> Size | None:
        """(width, height) in px; None while the window is minimised."""
        width, height = self._window.get_window_shape()
        return (int(width), int(height)) if min(width, height) > 0 else None

    def _take_jobs(self) -> None:
        for job in list(self._jobs):
            message = job.poll()
            if message is not None:
                self._jobs.remove(job)
                self.session.say(message)
                self._say(message)

    def _save(self) -> None:
        path = free_name(self._save_to)
        state, lens = self.session.state, self.session.lens
        try:
            job = self._source.save(state, lens, path)
        except (ValueError, OSError) as error:
            self.session.say(str(error))
            return
        self._say(self._source.text(state, lens, path))
        self._jobs.append(job)
        self.session.say(f"saving {path} in full size …")

    def _tell_command(self) -> None:
        text = self._source.text(self.session.state, self.session.lens, free_name(self._save_to))
        self._say(text)
        self.session.say(text)

    def _try(self, action: Callable[..., None], *arguments: Any) -> None:
        try:
            action(*arguments)
        except ValueError as error:
            self.session.say(str(error))

    # ---- out

    def _draw(self) -> None:
        frame = self.session.frame()
        if self._image is None or self._image[0] is not frame:
            self._image = frame, np.ascontiguousarray(frame[::-1].transpose(1, 0, 2))
        self._canvas.set_image(self._image[1])
        self._panel()
        with _working_in(self._elsewhere):
            self._window.show()
        self.session.shown()
        self._drawn_s = time.perf_counter()

    def _panel(self) -> None:
        session, gui = self.session, self._gui
        with gui.sub_window("controls", 0, 0, session.margin_px / self._size[0], 1):
            for control in session.controls.values():
                if _ONLY_IN.get(control.name, session.state.view) != session.state.view:
                    continue
                value = getattr(session.state, control.name)
                if control.choices:
                    if gui.button(f"{control.label}: {value}"):
                        self._step(control.name)
                elif control.step == 0:
                    if gui.checkbox(control.label, value) != value:
                        self._step(control.name)
                elif control.low < control.high:
                    self._slider(control.name)
            for label, action in (("undo", session.undo), ("redo", session.redo), ("reset", session.reset)):
                if gui.button(label):
                    action()
            if gui.button("save"):
                self._save()
            if gui.button("command line"):
                self._tell_command()

    def _step(self, name: str) -> None:
        self._try(self.session.change, Change("step", name, 1))
        self.session.release()

    def _slider(self, name: str) -> None:
        control, value = self.session.controls[name], getattr(self.session.state, name)
        ends = (control.low, control.high)
        if control.is_whole:
            moved: float = self._gui.slider_int(control.label, value, *(int(end) for end in ends))
            if moved in control.skip:
                moved = value
        else:
            moved = self._gui.slider_float(control.label, value, *ends)
            if np.float32(moved) == np.float32(value):  # the slider knows single precision
                moved = value
            moved = min(control.high, max(control.low, moved))
        if moved != value:
            self._try(self.session.change, Change("set", name, moved))


@contextlib.contextmanager
def _working_in(folder: str) -> Iterator[None]:
    """ImGui keeps a file of where its panels are in the working directory; nobody asked for it."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
