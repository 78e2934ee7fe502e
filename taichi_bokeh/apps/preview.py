"""``taichi-bokeh preview``: a photograph in a window where its blur is tuned, or a script of actions without a window."""

import argparse
import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from taichi_bokeh.apps.blur_limit import Work, check_blur
from taichi_bokeh.apps.common import Say, speaker
from taichi_bokeh.apps.options.lens import LensRequest
from taichi_bokeh.apps.options.model import device_of
from taichi_bokeh.apps.options.preview import PreviewRequest, scene_words
from taichi_bokeh.apps.options.render import add_render
from taichi_bokeh.apps.photo.demo_photo import demo_photo
from taichi_bokeh.apps.photo.scene import Photo, read_photo, split_photo
from taichi_bokeh.apps.progress import progress_bar
from taichi_bokeh.apps.render import render_photo
from taichi_bokeh.io import read_disparity, read_image, write_atomically, write_image
from taichi_bokeh.io.images import check_format
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.photo import fill_holes, to_layers
from taichi_bokeh.viewer.overlay import bar_height_px
from taichi_bokeh.viewer.scene import Scene
from taichi_bokeh.viewer.script import Step, check_frames, read_script, run_script
from taichi_bokeh.viewer.session import DRAFT, Session
from taichi_bokeh.viewer.source import Done, Job, Source, command_line, command_words
from taichi_bokeh.viewer.state import Camera, State
from taichi_bokeh.viewer.window import require_window, run_window

Array = NDArray[np.float32]
Run = Callable[[list[str]], Job]

_DEMO = "motorcycle"
_DEMO_LAYERS = 3


def preview(request: PreviewRequest) -> None:
    """Run the command; see ``taichi-bokeh preview --help``.

    Raises:
        ValueError, OSError, ModuleNotFoundError: what is wrong, in one line.
    """
    request.check()
    if request.save_as is not None:
        check_format(request.save_as)
    device = device_of(request.device)
    steps: list[Step] = []
    if request.script is not None and request.output is not None:
        steps = read_script(request.script)
        check_frames(request.output, steps, request.overwrite)
    else:
        require_window()
    say = speaker(request.quiet)
    photo, layers, source = _read(request, say)
    sharp = torch.from_numpy(np.ascontiguousarray(photo.rgb.transpose(2, 0, 1)))
    scene = Scene(layers.to(device), sharp.to(device), photo.disparity, _camera(request))
    state = _state(scene, request)
    if request.output is None:
        last = run_window(scene, source, state=state, size=request.size, save_to=_save_to(request), say=say)
        say(source.text(last, last.lens(scene.camera, scene.size[0]), Path("out.png")))
        return
    scale = request.scale or 1.0
    session = Session(scene, request.size or _frame_size(scene, scale), state=state, scale=scale)
    with progress_bar("preview", request.quiet) as progress:
        run_script(session, source, steps, request.output, overwrite=request.overwrite, progress=progress)
    say(source.text(session.state, session.lens, Path("out.png")))
    say(f"written to {request.output.absolute()}: {len(steps) + 1} frames, state.json")


def _camera(request: PreviewRequest) -> Camera | None:
    if request.focal_length is None or request.sensor_width is None:
        return None
    return Camera(request.focal_length, request.sensor_width)


def _state(scene: Scene, request: PreviewRequest) -> State:
    """What the controls are at first.

    Raises:
        ValueError: a value is not one that its control can have.
    """
    given: dict[str, Any] = {"blur": request.blur, "f_number": request.f_number, "focus": request.focus}
    state = replace(scene.initial_state(), **{name: value for name, value in given.items() if value is not None})
    for name, control in scene.controls(state).items():
        control.checked(getattr(state, name))
    lens = state.lens(scene.camera, scene.size[0])
    span = float((scene.layers.disparity - float(lens.focus)).abs().max())
    draft = Work(DRAFT, *scene.size, lens.aperture)
    check_blur(LensRequest(blur=request.blur, f_number=request.f_number), draft, float(lens.blur), span)
    return state


def _save_to(request: PreviewRequest) -> Path:
    if request.save_as is not None:
        return request.save_as.absolute()
    return Path(f"{_DEMO if request.scene is None else request.scene.photo.stem}-bokeh.png").absolute()


def _frame_size(scene: Scene, scale: float) -> tuple[int, int]:
    """As a window's, less its panel, in HiDPI pixels."""
    width, height = scene.size
    longest = min(max(width, height), 1000 * scale)
    factor = longest / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor)) + bar_height_px(scale)


# ---- where images come from and how they are saved


class PhotoSource:
    """A photograph in files: it is saved by the command line that is shown.

    Args:
        words: of the command line, that say what of.
        run: runs the words behind ``taichi-bokeh``.
    """

    def __init__(self, words: list[str], run: Run) -> None:
        self._words, self._run = words, run

    def text(self, state: State, lens: ThinLens, path: Path) -> str:
        """The command line."""
        return command_line(command_words(state, lens, self._words, path))

    def save(self, state: State, lens: ThinLens, path: Path) -> Job:
        """Run it."""
        return self._run([*command_words(state, lens, self._words, path), "--quiet"])


class DemoSource:
    """The demo's photograph: saving it writes its files as well, beside the image, so that the command line has them.

    Args:
        rgb, disparity: [H, W, 3], linear light, and [H, W], NaN at the holes.
        run: as of `PhotoSource`.
    """

    def __init__(self, rgb: Array, disparity: Array, run: Run) -> None:
        self._rgb, self._disparity, self._run = rgb, disparity, run

    def text(self, state: State, lens: ThinLens, path: Path) -> str:
        """The command line."""
        return self._photo(path).text(state, lens, path)

    def save(self, state: State, lens: ThinLens, path: Path) -> Job:
        """Write the files that are not there, and run it.

        Raises:
            FileExistsError: files of these names are not the demo's.
        """
        photo, disparity = self._files(path)
        if not photo.exists():
            write_image(photo, self._rgb)
        if not disparity.exists():
            buffer = io.BytesIO()
            np.save(buffer, self._disparity)
            write_atomically(disparity, buffer.getvalue())
        same = np.array_equal(read_image(photo).rgb, self._rgb)
        if not (same and np.array_equal(read_disparity(disparity), self._disparity, equal_nan=True)):
            raise FileExistsError(f"{photo} and {disparity.name} are not the demo's, and are kept: save to another folder")
        return self._photo(path).save(state, lens, path)

    def _photo(self, path: Path) -> PhotoSource:
        photo, disparity = self._files(path)
        return PhotoSource([str(photo), f"--disparity={disparity}", f"--layers={_DEMO_LAYERS}"], self._run)

    def _files(self, path: Path) -> tuple[Path, Path]:
        return path.parent / f"{_DEMO}.png", path.parent / f"{_DEMO}.npy"


def _read(request: PreviewRequest, say: Say) -> tuple[Photo, Layers, Source]:
    """The photograph, or the demo's."""
    run = _run_here if request.offscreen else _run_beside
    if request.scene is not None:
        photo = read_photo(request.scene, say).shown()
        words = scene_words(request.scene) + ([f"--device={request.device}"] if request.device != "cpu" else [])
        layers, _ = split_photo(photo._replace(coverage=None), request.scene)  # shown as if it were opaque
        return photo, layers, PhotoSource(words, run)
    rgb, measured = demo_photo()
    photo = Photo(rgb, fill_holes(measured, rgb), None)
    return photo, to_layers(rgb, photo.disparity, layers=_DEMO_LAYERS), DemoSource(rgb, measured, run)


def _run_here(words: list[str]) -> Job:
    """Run a command in this process.

    Raises:
        ValueError, OSError: what is wrong.
    """
    parser = argparse.ArgumentParser()
    add_render(parser.add_subparsers())
    arguments = parser.parse_args(words)
    render_photo(arguments.request(arguments))
    return Done(f"saved: {_output(words)}")


def _run_beside(words: list[str]) -> Job:
    """Begin a command in a process of its own, so that the window goes on."""
    return _Process(words)


class _Process:
    """A command under way."""

    def __init__(self, words: list[str]) -> None:
        self._output = _output(words)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "taichi_bokeh", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def poll(self) -> str | None:
        """What became of it; None while it is under way."""
        return None if self._process.poll() is None else self.wait()

    def wait(self) -> str:
        """The same, once it is done."""
        said = self._process.communicate()[1]
        return f"saved: {self._output}" if self._process.returncode == 0 else f"not saved: {_what_it_said(said)}"


def _output(words: list[str]) -> str:
    return words[words.index("-o") + 1]


def _what_it_said(stderr: str) -> str:
    return (stderr.strip().splitlines() or ["the command failed"])[-1].removeprefix("taichi-bokeh: error: ")
