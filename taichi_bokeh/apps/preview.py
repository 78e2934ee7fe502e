"""``taichi-bokeh preview``: a photograph in a window where its blur is tuned, or a script of actions without a window."""

import contextlib
import io
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from taichi_bokeh.apps.blur_limit import Work, check_blur
from taichi_bokeh.apps.common import Say, speaker
from taichi_bokeh.apps.options.preview_arguments import scene_words
from taichi_bokeh.apps.photo.demo_photo import demo_photo
from taichi_bokeh.apps.photo.scene import Photo, read_photo, split, stages_of
from taichi_bokeh.apps.progress import progress_bar
from taichi_bokeh.io import read_disparity, read_image, write_atomically, write_image
from taichi_bokeh.io.images import check_format
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.photo import fill_holes, to_layers
from taichi_bokeh.preview.overlay import bar_height_px
from taichi_bokeh.preview.scene import Scene
from taichi_bokeh.preview.script import check_frames, read_script, run_script
from taichi_bokeh.preview.session import Session
from taichi_bokeh.preview.source import Done, Job, Source, command_line, command_words
from taichi_bokeh.preview.state import Camera, State
from taichi_bokeh.preview.window import require_window, run_window

Array = NDArray[np.float32]
Run = Callable[[list[str]], Job]

_CAMERA = ("f_number", "focal_length", "sensor_width")
_DEMO = "motorcycle"
_DEMO_LAYERS = 3


def preview(arguments: Namespace) -> None:
    """Run the command; see ``taichi-bokeh preview --help``.

    Raises:
        ValueError, OSError, ModuleNotFoundError: what is wrong, in one line.
    """
    _check(arguments)
    steps = read_script(Path(arguments.script)) if arguments.offscreen else []
    if arguments.offscreen:
        check_frames(Path(arguments.output), steps, arguments.overwrite)
    else:
        require_window()
    say = speaker(arguments.quiet)
    run = _run_here if arguments.offscreen else _run_beside
    photo, layers, source = _read(arguments, run, say)
    sharp = torch.from_numpy(np.ascontiguousarray(photo.rgb.transpose(2, 0, 1)))
    device = torch.device(arguments.device)
    scene = Scene(layers.to(device), sharp.to(device), photo.disparity, _camera(arguments))
    state = _state(scene, arguments)
    if not arguments.offscreen:
        last = run_window(scene, source, state=state, size=arguments.size, save_to=_save_to(arguments), say=say)
        say(source.text(last, last.lens(scene.camera, scene.size[0]), Path("out.png")))
        return
    scale = arguments.scale or 1.0
    size = arguments.size or _frame_size(scene, scale)
    session = Session(scene, size, state=state, scale=scale)
    with progress_bar("preview", arguments.quiet) as progress:
        folder = Path(arguments.output)
        run_script(session, source, steps, folder, overwrite=arguments.overwrite, progress=progress)
    say(source.text(session.state, session.lens, Path("out.png")))
    say(f"written to {folder.absolute()}: {len(steps) + 1} frames, state.json")


def _check(arguments: Namespace) -> None:
    """Refuse what does not go together, before any work.

    Raises:
        ValueError: what, in one line.
    """
    words = scene_words(arguments)
    if arguments.photo is None and words:
        raise ValueError(f"{words[0].partition('=')[0]} belongs to a photograph: give PHOTO as well, or nothing for the demo's")
    for name, option in (("script", "--script"), ("output", "-o")):
        if arguments.offscreen and getattr(arguments, name) is None:
            raise ValueError(f"--offscreen needs {option} as well: --offscreen --script actions.json -o frames")
        if not arguments.offscreen and getattr(arguments, name) is not None:
            raise ValueError(f"{option} is for --offscreen: give that as well, or leave {option} out for a window")
    if arguments.scale is not None and not (arguments.offscreen and arguments.scale <= 8):
        raise ValueError(f"--scale is {arguments.scale:g}: it is for --offscreen, as a window finds its own, and at most 8")
    if arguments.save_as is not None:
        if arguments.offscreen:
            raise ValueError('--save-as is of the window: a script has the action {"save": "FILE"}')
        check_format(arguments.save_as)
    camera = [name for name in _CAMERA if getattr(arguments, name) is not None]
    if camera and len(camera) < len(_CAMERA):
        missing = next(name for name in _CAMERA if name not in camera)
        raise ValueError(f"a camera needs --{missing.replace('_', '-')} as well")
    if camera and arguments.blur is not None:
        raise ValueError("--blur describes a lens without a camera, --f-number one with: give one or the other")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch finds no GPU of this kind here")


def _camera(arguments: Namespace) -> Camera | None:
    return None if arguments.f_number is None else Camera(arguments.focal_length, arguments.sensor_width)


def _state(scene: Scene, arguments: Namespace) -> State:
    """What the controls are at first.

    Raises:
        ValueError: a value is not one that its control can have.
    """
    given = {name: getattr(arguments, name) for name in ("blur", "f_number", "focus")}
    state = replace(scene.initial_state(), **{name: value for name, value in given.items() if value is not None})
    for name, control in scene.controls(state).items():
        control.checked(getattr(state, name))
    lens = state.lens(scene.camera, scene.size[0])
    span = float((scene.layers.disparity - float(lens.focus)).abs().max())
    check_blur(arguments, Work("scatter", *scene.size, lens.aperture, algorithm="fast"), float(lens.blur), span)  # a draft's
    return state


def _save_to(arguments: Namespace) -> Path:
    if arguments.save_as is not None:
        return Path(arguments.save_as).absolute()
    return Path(f"{_DEMO if arguments.photo is None else Path(arguments.photo).stem}-bokeh.png").absolute()


def _frame_size(scene: Scene, scale: float) -> tuple[int, int]:
    """As a window's, less its panel, in HiDPI pixels."""
    width, height = scene.size
    longest = min(max(width, height), 1000 * scale)
    factor = longest / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor)) + bar_height_px(scale)


# ---- where pictures come from and how they are saved


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
    """The demo's photograph: saving it writes its files as well, beside the picture, so that the command line has them.

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


def _read(arguments: Namespace, run: Run, say: Say) -> tuple[Photo, Layers, Source]:
    """The photograph, or the demo's."""
    if arguments.photo is not None:
        photo = read_photo(arguments, say)
        words = scene_words(arguments) + ([f"--device={arguments.device}"] if arguments.device != "cpu" else [])
        layers, _ = split(photo, arguments.layers or "auto", stages_of(arguments))  # shown as if it were opaque
        return photo, layers, PhotoSource(words, run)
    rgb, measured = demo_photo()
    photo = Photo(rgb, fill_holes(measured, rgb), None)
    return photo, to_layers(rgb, photo.disparity, layers=_DEMO_LAYERS), DemoSource(rgb, measured, run)


def _run_here(words: list[str]) -> Job:
    """Run a command in this process.

    Raises:
        ValueError: what it says is wrong.
    """
    from taichi_bokeh.apps.cli import main  # which imports this command's arguments

    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = main(words)
    if code != 0:
        raise ValueError(_what_it_said(said.getvalue()))
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
