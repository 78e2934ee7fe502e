"""The lens and its focus, which may move from one value to another. Imports nothing that is slow."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Generic, TypeVar

from taichi_bokeh.apps.options.arguments import BLUR_HELP, box, finite, not_negative, pixel, positive
from taichi_bokeh.apps.options.requests import option

T = TypeVar("T")
Pixel = tuple[int, int]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Ramp(Generic[T]):
    """A value in the first image of a series, and in the last.

    Attributes:
        start, end: these.
    """

    start: T
    end: T

    def at(self: "Ramp[float]", t: float) -> float:
        """The number in between, evenly with t from 0 to 1."""
        return self.end if t == 1 else self.start + t * (self.end - self.start)


@dataclass(frozen=True)
class LensRequest:
    """A lens without a camera (blur) or of one, and its focus. Fields are the options of the same names."""

    blur: float | Ramp[float] | None = None
    f_number: float | Ramp[float] | None = None
    focal_length: float | None = None
    sensor_width: float | None = None
    focus: float | Ramp[float] | None = None
    focus_distance: float | Ramp[float] | None = None
    focus_at: Pixel | Ramp[Pixel] | None = None
    focus_box: Box | Ramp[Box] | None = None
    lens: str = "thin"
    refractive_index: float | None = None
    abbe: float | None = None

    def check(self) -> None:
        """Refuse a lens described in part, or in two ways.

        Raises:
            ValueError: which option is one too many or one too few, in one line.
        """
        camera = self._given("f_number", "focal_length", "sensor_width", "focus_distance")
        if self.blur is None and not camera:
            raise ValueError(
                "the lens is not described: give --blur with --focus, --focus-at or --focus-box, "
                "or --f-number, --focal-length and --sensor-width with --focus-distance, --focus-at or --focus-box"
            )
        if self.blur is None:
            self._check_camera()
        elif camera:
            raise ValueError(f"{camera[0]} describes a camera, --blur a lens without one: give one or the other")
        elif self.lens == "biconvex":
            raise ValueError("--lens biconvex needs a camera (--f-number, --focal-length, --sensor-width) instead of --blur")
        elif not self._given("focus", "focus_at", "focus_box"):
            raise ValueError("--blur needs the disparity in focus as well: --focus, --focus-at or --focus-box")
        for glass in self._given("refractive_index", "abbe") if self.lens == "thin" else ():
            raise ValueError(f"{glass} is of the glass of --lens biconvex: a thin lens has none")

    def _check_camera(self) -> None:
        for name in ("f_number", "focal_length", "sensor_width"):
            if getattr(self, name) is None:
                raise ValueError(f"a camera needs {option(name)} as well")
        if self.focus is not None:
            raise ValueError("--focus goes with --blur: a camera needs --focus-distance, --focus-at or --focus-box")
        if not self._given("focus_distance", "focus_at", "focus_box"):
            raise ValueError("a camera needs --focus-distance, --focus-at or --focus-box as well")

    def _given(self, *names: str) -> list[str]:
        return [option(name) for name in names if getattr(self, name) is not None]

    @property
    def ramps(self) -> list[str]:
        """The options that are given as A:B."""
        return [option(field.name) for field in fields(self) if isinstance(getattr(self, field.name), Ramp)]

    @property
    def moves_focus(self) -> bool:
        """Whether the focus is given as A:B."""
        return any(name.startswith("--focus") for name in self.ramps)

    def at_start(self) -> "LensRequest":
        """The lens of the first image."""
        return self._without_ramps(lambda ramp: ramp.start)

    def at_end(self) -> "LensRequest":
        """The lens of the last image."""
        return self._without_ramps(lambda ramp: ramp.end)

    def at(self, t: float) -> "LensRequest":
        """The lens in between, t from 0 to 1; its focus is still that of the first image.

        The blur and, of a camera, the width of the aperture change evenly with `t`.
        """
        values: dict[str, Any] = {}
        if isinstance(self.blur, Ramp):
            values["blur"] = self.blur.at(t)
        if isinstance(self.f_number, Ramp):
            values["f_number"] = 1 / Ramp(1 / self.f_number.start, 1 / self.f_number.end).at(t)
        return replace(self.at_start(), **values)

    def _without_ramps(self, chosen: Callable[[Ramp[Any]], Any]) -> "LensRequest":
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: chosen(value) for name, value in values.items() if isinstance(value, Ramp)})


def or_ramp(of: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let a text be one value, or two as in A:B, which make a `Ramp`."""

    def convert(text: str) -> Any:
        start, colon, end = text.partition(":")
        return Ramp(of(start), of(end)) if colon else of(text)

    return convert


def add_lens(command: argparse.ArgumentParser, *, ramps: bool = False, glass: bool = False) -> None:
    """Add the group that describes the lens and its focus.

    Args:
        command: gets the group.
        ramps: whether values may be A:B.
        glass: whether the lens may be one of real glass.
    """
    convert = or_ramp if ramps else (lambda of: of)
    ends = ", or A:B" if ramps else ""
    lens = command.add_argument_group("lens", "Either --blur, or --f-number, --focal-length and --sensor-width; and one focus.")
    lens.add_argument("--blur", metavar="K", type=convert(not_negative), help=BLUR_HELP + ends)
    lens.add_argument("--f-number", metavar="N", type=convert(positive), help="focal length over width of the aperture" + ends)
    lens.add_argument("--focal-length", metavar="MM", type=positive, help="in millimetres")
    lens.add_argument("--sensor-width", metavar="MM", type=positive, help="in millimetres; the image is as wide")
    focus = lens.add_mutually_exclusive_group()
    focus.add_argument("--focus", metavar="F", type=convert(finite), help="the disparity in focus, with --blur" + ends)
    focus.add_argument(
        "--focus-distance", metavar="M", type=convert(positive), help="the distance in focus in metres, with a camera" + ends
    )
    focus.add_argument(
        "--focus-at", metavar="X,Y", type=convert(pixel), help="the pixel in focus: column, row, from 0 at top left" + ends
    )
    focus.add_argument(
        "--focus-box", metavar="X,Y,W,H", type=convert(box), help="the box whose median disparity is in focus" + ends
    )
    if glass:
        lens.add_argument("--lens", choices=("thin", "biconvex"), default="thin", help="ideal, or of real glass (%(default)s)")
        lens.add_argument("--refractive-index", metavar="N", type=positive, help="of the glass of a biconvex lens (1.5)")
        lens.add_argument("--abbe", metavar="V", type=positive, help="its Abbe number, to focus colours apart (they are not)")
