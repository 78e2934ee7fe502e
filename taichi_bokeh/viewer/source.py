"""Where a scene comes from: how its image is saved in full size, and what to type to make it again."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from taichi_bokeh._render import render
from taichi_bokeh.io import check_output, write_image
from taichi_bokeh.layers import Layers
from taichi_bokeh.models import FIELDS
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.viewer.look import with_look
from taichi_bokeh.viewer.state import State


class Job(Protocol):
    """An image that is being saved."""

    def poll(self) -> str | None:
        """What became of it, in one line; None while it is under way."""

    def wait(self) -> str:
        """The same, once it is done."""


class Source(Protocol):
    """What a session saves by."""

    def text(self, state: State, lens: ThinLens, path: Path) -> str:
        """What makes this image again, in one line: a command, or Python."""

    def save(self, state: State, lens: ThinLens, path: Path) -> Job:
        """Begin to write the image in full size.

        Raises:
            ValueError, OSError: it cannot be; what exists is kept.
        """


@dataclass(frozen=True)
class Done:
    """An image that was saved at once."""

    message: str

    def poll(self) -> str:
        """What became of it."""
        return self.message

    wait = poll


class LayersSource:
    """Layers in memory: saving renders and writes them here; the text is Python that takes them as `layers`."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers

    def text(self, state: State, lens: ThinLens, path: Path) -> str:
        """A call of `tb.render`, with `boost_highlights` and `scale_near_and_far` of `taichi_bokeh.photo` where they are on."""
        given = ", ".join(f"{name}={value!r}" for name, value in shape_options(state).items())
        aperture = f", aperture=tb.Aperture({given})" if given else ""
        options = ", ".join(f"{name}={value!r}" for name, value in model_options(state).items())
        shown_lens = f"tb.ThinLens(blur={float(lens.blur)!r}, focus={float(lens.focus)!r}{aperture})"
        return f"tb.render({_layers_text(state, lens)}, {shown_lens}, {options})"

    def save(self, state: State, lens: ThinLens, path: Path) -> Job:
        """Render and write it."""
        check_output(path)
        with torch.no_grad():
            layers = with_look(self._layers, float(lens.focus), state)
            image = render(layers, lens, **model_options(state))
        write_image(path, image[0].permute(1, 2, 0).cpu().numpy())
        return Done(f"saved: {path}")


def model_options(state: State) -> dict[str, Any]:
    """What `render` is told of the model."""
    return {"model": state.model} | {name: getattr(state, name) for name in FIELDS[state.model] if hasattr(state, name)}


def shape_options(state: State) -> dict[str, float]:
    """The fields of the aperture that are not those of the disc."""
    given: dict[str, float] = {"blades": state.blades, "roundness": state.roundness} if state.blades else {}
    if state.rotation and state.blades:
        given["rotation"] = state.rotation
    for name, usual in (("squeeze", 1.0), ("cat_eye", 0.0), ("ring", 0.0)):
        if getattr(state, name) != usual:
            given[name] = getattr(state, name)
    return given


def look_options(state: State) -> dict[str, float]:
    """What is not off of the look; the threshold only where highlights are raised."""
    given = {"highlights": state.highlights, "highlight_threshold": state.highlight_threshold} if state.highlights > 1 else {}
    for name in ("near_blur", "far_blur"):
        if getattr(state, name) != 1:
            given[name] = getattr(state, name)
    return given


def _layers_text(state: State, lens: ThinLens) -> str:
    """The layers in Python, with their look."""
    raised, deepened = state.highlights > 1, not state.near_blur == state.far_blur == 1
    if not (raised or deepened):
        return "layers"
    rgb, disparity = "layers.rgb", "layers.disparity"
    if raised:
        rgb = f"boost_highlights({rgb}, {state.highlights!r}, {state.highlight_threshold!r})"
    if deepened:
        disparity = f"scale_near_and_far({disparity}, {float(lens.focus)!r}, {state.near_blur!r}, {state.far_blur!r})"
    return f"tb.Layers({rgb}, layers.alpha, {disparity})"


def command_words(state: State, lens: ThinLens, scene: list[str], path: Path) -> list[str]:
    """The words after ``taichi-bokeh`` that render this image; `scene` are those that say what of.

    Numbers are written so that they are read again to the last bit, and after an equals sign, as they may be negative.
    """
    options = {"blur": float(lens.blur), "focus": float(lens.focus), **model_options(state)}
    options |= shape_options(state) | look_options(state)
    words = ["render", *scene, *(f"--{name.replace('_', '-')}={value}" for name, value in options.items())]
    return [*words, "-o", str(path)]


def command_line(words: list[str]) -> str:
    """The line to type in a shell."""
    return shlex.join(["taichi-bokeh", *words])


def free_name(path: Path) -> Path:
    """The path, or with the first number behind its stem at which there is no file yet."""
    number = 2
    free = path
    while free.exists():
        free = path.with_stem(f"{path.stem}-{number}")
        number += 1
    return free
