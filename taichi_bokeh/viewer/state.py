"""What the preview's controls are set to, and how actions change it: values in, values out."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from taichi_bokeh._checks import require_number
from taichi_bokeh.models import DEFAULT, Scatter
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens

VIEWS = ("result", "wipe", "disparity", "focus", "layers", "truth")
MODELS = (DEFAULT.name, Scatter.name)
_SHAPE = ("blades", "rotation", "roundness", "squeeze", "cat_eye", "ring")
_LOOK = ("highlights", "highlight_threshold", "near_blur", "far_blur")
#: What undo and reset go back over; the other fields say what is looked at, and how.
TUNED = ("focus", "blur", "f_number", "model", "cells", *_SHAPE, *_LOOK)
_M_PER_MM = 1e-3
_STEPS_BACK = 1000


@dataclass(frozen=True)
class Camera:
    """What an f-number means, for disparity in 1/m.

    Attributes:
        focal_length_mm: of the lens.
        sensor_width_mm: the image is as wide.
    """

    focal_length_mm: float
    sensor_width_mm: float

    def __post_init__(self) -> None:
        for name in ("focal_length_mm", "sensor_width_mm"):
            require_number(name, getattr(self, name), above=0.0)


@dataclass(frozen=True)
class State:
    """All controls.

    Attributes:
        focus: the disparity in focus.
        blur: in px of the whole image per unit of disparity; not read where an f-number says it.
        f_number: with a `Camera` only, else None.
        model, cells: as of `render`.
        blades, rotation, roundness, squeeze, cat_eye, ring: as of `Aperture`.
        highlights, highlight_threshold: gain and threshold as of `boost_highlights`; a gain of 1 is off.
        near_blur, far_blur: factors of the blur before and behind the focus; 1 is off.
        view: one of `VIEWS`.
        exposure: how much brighter the views are, in stops; no part of the image that is saved.
        wipe: where before ends and after begins, as part of the width.
        layer: the one that is seen in view "layers".
        help, status: whether the keys and the line of numbers are shown.
    """

    focus: float
    blur: float
    f_number: float | None = None
    model: str = DEFAULT.name
    cells: int = 16
    blades: int = 0
    rotation: float = 0.0
    roundness: float = 0.0
    squeeze: float = 1.0
    cat_eye: float = 0.0
    ring: float = 0.0
    highlights: float = 1.0
    highlight_threshold: float = 0.7
    near_blur: float = 1.0
    far_blur: float = 1.0
    view: str = "result"
    exposure: float = 0.0
    wipe: float = 0.5
    layer: int = 0
    help: bool = False
    status: bool = True

    @property
    def aperture(self) -> Aperture:
        """The aperture."""
        return Aperture(**{name: getattr(self, name) for name in _SHAPE})

    @property
    def tuned(self) -> tuple[Any, ...]:
        """What undo goes back over, in the order of `TUNED`."""
        return tuple(getattr(self, name) for name in TUNED)

    def with_tuned(self, values: tuple[Any, ...]) -> "State":
        """The same view of other settings."""
        return replace(self, **dict(zip(TUNED, values, strict=True)))

    def lens(self, camera: Camera | None, image_width: int) -> ThinLens:
        """The lens, in px of an image of this width, which is the whole one.

        Raises:
            ValueError: the camera cannot focus there.
        """
        if camera is None or self.f_number is None:
            return ThinLens(self.blur, self.focus, self.aperture)
        if self.focus <= 0:
            raise ValueError(f"focus is {self.focus:g}; expected more than 0, as a camera's distance is one over it")
        lengths_m = (camera.focal_length_mm * _M_PER_MM, camera.sensor_width_mm * _M_PER_MM)
        return ThinLens.from_camera(lengths_m[0], self.f_number, 1 / self.focus, lengths_m[1], image_width, self.aperture)


class Control(NamedTuple):
    """One control: a number from `low` to `high` that a key changes by `step`; one of `choices`; or, with neither, on or off.

    Numbers are whole where the step is an int. `skip` are whole numbers that a step leaps over (an aperture of two blades).
    """

    name: str
    label: str
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    choices: tuple[str, ...] = ()
    skip: tuple[int, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        return isinstance(self.step, int) and not self.choices

    def checked(self, value: Any) -> Any:
        """The value as the state keeps it.

        Raises:
            TypeError, ValueError: it is not one that the control can have; the message names it.
        """
        if self.choices:
            if value not in self.choices:
                raise ValueError(f"{self.name} is {value!r}; expected one of {', '.join(self.choices)}")
            return value
        if self.step == 0:
            if not isinstance(value, bool):
                raise TypeError(f"{self.name} is of type {type(value).__name__}; expected true or false")
            return value
        require_number(self.name, value, at_least=self.low, at_most=self.high)
        if not self.is_whole:
            return float(value)
        if value != int(value) or value in self.skip:
            kept_out = f" other than {', '.join(map(str, self.skip))}" if self.skip else ""
            raise ValueError(f"{self.name} is {value!r}; expected a whole number{kept_out}")
        return int(value)

    def stepped(self, value: Any, steps: int) -> Any:
        """The value some steps further, at most at its end; the choices go round."""
        if self.choices:
            return self.choices[(self.choices.index(value) + steps) % len(self.choices)]
        if self.step == 0:
            return not value if steps % 2 else value
        moved = min(self.high, max(self.low, value + steps * self.step))
        while self.is_whole and int(moved) in self.skip:
            moved += math.copysign(1, steps)
        return self.checked(moved)


def controls(focus: tuple[float, float], largest_blur: float, layers: int, camera: Camera | None = None) -> dict[str, Control]:
    """The controls by name, in the order in which a panel shows them.

    Args:
        focus: the least and the largest disparity.
        largest_blur: in px per unit of disparity.
        layers: how many there are to look at.
        camera: with one, the f-number stands in for the blur.
    """
    low, high = focus
    if camera is not None:  # it focuses beyond its focal length, and on no disparity of 0 or below
        high = min(high, 0.99 / (camera.focal_length_mm * _M_PER_MM))
        low = max(low, high * 1e-3)
    strength = Control("blur", "blur", 0.0, largest_blur, largest_blur / 50)
    listed = (
        Control("focus", "focus", low, high, (high - low) / 50),
        strength if camera is None else Control("f_number", "f-number", 0.7, 32.0, 0.1),
        Control("blades", "blades", 0, 12, 1, skip=(1, 2)),
        Control("rotation", "rotation", -180.0, 180.0, 5.0),
        Control("roundness", "roundness", 0.0, 1.0, 0.05),
        Control("squeeze", "squeeze", 0.4, 2.5, 0.05),
        Control("cat_eye", "cat-eye", 0.0, 1.0, 0.05),
        Control("ring", "ring", -1.0, 1.0, 0.1),
        Control("highlights", "highlights", 1.0, 20.0, 0.5),
        Control("highlight_threshold", "threshold", 0.0, 0.99, 0.01),
        Control("near_blur", "near blur", 0.0, 2.0, 0.1),
        Control("far_blur", "far blur", 0.0, 2.0, 0.1),
        Control("model", "model", choices=MODELS),
        Control("cells", "cells", 1, 64, 1),
        Control("exposure", "exposure", -4.0, 4.0, 0.25),
        Control("view", "view", choices=VIEWS),
        Control("wipe", "wipe", 0.0, 1.0, 0.02),
        Control("layer", "layer", 0, layers - 1, 1),
        Control("help", "help"),
        Control("status", "status"),
    )
    return {control.name: control for control in listed}


class Change(NamedTuple):
    """An action on one control: "set" it to a value, or "step" it by so many steps."""

    kind: Literal["set", "step"]
    name: str
    value: Any


def apply(state: State, change: Change, among: Mapping[str, Control]) -> State:
    """The state after a change.

    Raises:
        TypeError, ValueError: there is no such control, or it cannot have this value.
    """
    control = among.get(change.name)
    if control is None:
        raise ValueError(f"control is {change.name!r}; expected one of {', '.join(among)}")
    if change.kind == "set":
        value = control.checked(change.value)
    else:
        require_number(f"steps of {change.name}", change.value)
        value = control.stepped(getattr(state, change.name), int(change.value))
    return replace(state, **{change.name: value})


class History:
    """Undo and redo over `TUNED`; what one control does until it is released is one step.

    Args:
        initial: the state to which `reset` goes back.
    """

    def __init__(self, initial: State) -> None:
        self.state = initial
        self._initial = initial
        self._past: deque[tuple[Any, ...]] = deque(maxlen=_STEPS_BACK)
        self._future: deque[tuple[Any, ...]] = deque(maxlen=_STEPS_BACK)
        self._held: str | None = None

    def change(self, state: State, control: str) -> None:
        """Take the state to which `control` led."""
        if state.tuned != self.state.tuned:
            if control != self._held:
                self._past.append(self.state.tuned)
            self._future.clear()
            self._held = control
        self.state = state

    def release(self) -> None:
        """What follows is a step of its own."""
        self._held = None

    def undo(self) -> None:
        """Go a step back, if there is one."""
        self._move(self._past, self._future)

    def redo(self) -> None:
        """Take the last undo back, if there was one and nothing came since."""
        self._move(self._future, self._past)

    def reset(self) -> None:
        """All controls as they were at first: a step like another."""
        self.release()
        self.change(self.state.with_tuned(self._initial.tuned), "reset")
        self.release()

    def _move(self, source: deque[tuple[Any, ...]], target: deque[tuple[Any, ...]]) -> None:
        self.release()
        if source:
            target.append(self.state.tuned)
            self.state = self.state.with_tuned(source.pop())
