"""Actions from a file, frames into a folder: the preview where there is no window.

A script is a JSON list. Each entry is an object of one of these:

    {"click": [X, Y]}      at parts of the image's width and height from its top left corner
    {"drag": [X, Y]}       on from there, the button held
    {"release": true}      let go
    {"set": {"blur": 30}}  one or several controls, by their names
    {"key": "v"}           a key of the window; but for s, c and q, which have actions of their own
    {"resize": [W, H]}     the frame, in px
    {"wait": N}            until nothing more is to come; in view "truth", until N rays are in
    {"save": "out.png"}    the image in full size
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import imageio.v3 as iio

from taichi_bokeh._checks import require_integer, require_number
from taichi_bokeh.io import check_output, write_atomically
from taichi_bokeh.storage.resumable import check_folder
from taichi_bokeh.viewer.keys import KEYS
from taichi_bokeh.viewer.session import Session
from taichi_bokeh.viewer.source import Source
from taichi_bokeh.viewer.state import Change

_KINDS = ("click", "drag", "release", "set", "key", "resize", "wait", "save")
FINAL = "state.json"
_LARGEST_SIDE_PX = 16384


class Step(NamedTuple):
    """One entry."""

    kind: str
    value: Any


def read_script(path: Path) -> list[Step]:
    """The steps of a file, each checked as far as can be without the scene.

    Raises:
        OSError: it cannot be read.
        ValueError, TypeError: it is no script; the message names the file and the entry.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(entries, list):
        raise ValueError(f"{path} holds a {type(entries).__name__}; expected a list of actions")
    steps = []
    for number, entry in enumerate(entries):
        try:
            steps.append(_step(entry))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: action {number}: {error}") from None
    return steps


def _step(entry: Any) -> Step:
    if not isinstance(entry, dict) or len(entry) != 1 or next(iter(entry)) not in _KINDS:
        raise ValueError(f"{json.dumps(entry)[:80]} is no action; expected an object with one of {', '.join(_KINDS)}")
    kind, value = next(iter(entry.items()))
    if kind in ("click", "drag", "resize"):
        if not isinstance(value, list) or len(value) != 2:
            raise ValueError(f"{kind} is {value!r}; expected two numbers")
        for number in value:
            if kind == "resize":
                require_integer(kind, number, at_least=1)
                require_number(kind, number, at_most=_LARGEST_SIDE_PX)
            else:
                require_number(kind, number, at_least=0.0, at_most=1.0)
    elif kind == "set" and not (isinstance(value, dict) and value):
        raise ValueError(f"set is {value!r}; expected an object of controls and their values")
    elif kind == "key" and not (isinstance(value, str) and value in KEYS):
        raise ValueError(f"key is {value!r}; expected one of {', '.join(KEYS)}")
    elif kind == "wait":
        require_integer(kind, value, at_least=1)
    elif kind == "save" and not (isinstance(value, str) and value):
        raise ValueError(f"save is {value!r}; expected the name of a file")
    return Step(kind, value)


def frame_path(folder: Path, number: int) -> Path:
    """The file of a frame: 0 before all actions, then one after each."""
    return folder / f"{number:04d}.png"


def check_frames(folder: Path, steps: Sequence[Step], overwrite: bool) -> None:
    """Refuse a folder whose files would be replaced, or that cannot be one, and images that exist.

    Raises:
        OSError: which.
    """
    check_folder(folder)
    if folder.is_dir():
        for path in (folder / FINAL, *(frame_path(folder, number) for number in range(len(steps) + 1))):
            check_output(path, overwrite)
    for step in steps:
        if step.kind == "save":
            if Path(step.value).is_file():
                raise FileExistsError(f"{step.value} exists already, and is kept: the action save writes new files only")
            check_output(step.value)


def run_script(
    session: Session,
    source: Source,
    steps: Sequence[Step],
    folder: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Do the steps; write a frame before the first and after each, and the state that they lead to.

    ``state.json`` holds the state, what makes its image again, and of each frame what it shows and how long it took.

    Args:
        session: acted on.
        source: saves.
        steps: of `read_script`.
        folder: made if need be; see `check_frames`.
        overwrite: replace frames of an earlier run.
        progress: called with (done, total) steps.

    Raises:
        OSError: a file cannot be written.
        ValueError, TypeError: an action is not possible in this scene; the message names it. Frames up to it are there.
    """
    folder.mkdir(exist_ok=True)
    shown = []
    for number in range(len(steps) + 1):
        if number > 0:
            try:
                _do(session, source, steps[number - 1])
            except (ValueError, TypeError) as error:
                raise ValueError(f"action {number - 1} ({steps[number - 1].kind}): {error}") from None
        if session.is_stale:
            session.advance()
        session.frame()
        session.shown()
        path = frame_path(folder, number)
        write_atomically(path, iio.imwrite("<bytes>", session.frame(), extension=".png"), overwrite)
        shown.append({"frame": path.name, "shows": session.label or session.state.view, "latency_s": session.latency_s})
        if progress is not None:
            progress(number, len(steps))
    final = {
        "state": asdict(session.state),
        "command": source.text(session.state, session.lens, Path("out.png")),
        "frames": shown,
    }
    write_atomically(folder / FINAL, (json.dumps(final, indent=2) + "\n").encode(), overwrite)


def _do(session: Session, source: Source, step: Step) -> None:
    kind, value = step
    if kind == "click":
        session.release()
        session.point(*value)
    elif kind == "drag":
        session.point(*value)
    elif kind == "release":
        session.release()
    elif kind == "set":
        for name, number in value.items():
            session.change(Change("set", name, number))
    elif kind == "key":
        session.key(value)
    elif kind == "resize":
        session.resize((value[0], value[1]))
    elif kind == "wait":
        while not session.is_idle and session.rays < value:
            session.advance()
    else:
        session.say(source.save(session.state, session.lens, Path(value)).wait())
