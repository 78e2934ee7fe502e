"""The lens and its focus, which may move from one value to another. Imports nothing that is slow."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from taichi_bokeh.apps.options.arguments import BLUR_HELP, box, finite, not_negative, pixel, positive
from taichi_bokeh.apps.options.requests import Ramp, opt, option

Pixel = tuple[int, int]
Box = tuple[int, int, int, int]
GLASS = ("lens", "refractive_index", "abbe")  # what commands that know the thin lens only do not have


@dataclass(frozen=True)
class LensRequest:
    """A lens without a camera (blur) or of one, and its focus."""

    GROUP = "lens"
    ABOUT = "Either --blur, or --f-number, --focal-length and --sensor-width; and one focus."

    blur: float | Ramp[float] | None = opt(BLUR_HELP, "K", not_negative, ramp=True)
    f_number: float | Ramp[float] | None = opt("focal length over width of the aperture", "N", positive, ramp=True)
    focal_length: float | None = opt("in millimetres", "MM", positive)
    sensor_width: float | None = opt("in millimetres; the image is as wide", "MM", positive)
    focus: float | Ramp[float] | None = opt("the disparity in focus, with --blur", "F", finite, one_of="focus", ramp=True)
    focus_distance: float | Ramp[float] | None = opt(
        "the distance in focus in metres, with a camera", "M", positive, one_of="focus", ramp=True
    )
    focus_at: Pixel | Ramp[Pixel] | None = opt(
        "the pixel in focus: column, row, from 0 at top left", "X,Y", pixel, one_of="focus", ramp=True
    )
    focus_box: Box | Ramp[Box] | None = opt(
        "the box whose median disparity is in focus", "X,Y,W,H", box, one_of="focus", ramp=True
    )
    lens: str = opt("ideal, or of real glass (%(default)s)", choices=("thin", "biconvex"), default="thin")
    refractive_index: float | None = opt("of the glass of a biconvex lens (1.5)", "N", positive)
    abbe: float | None = opt("its Abbe number, to focus colours apart (they are not)", "V", positive)

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
