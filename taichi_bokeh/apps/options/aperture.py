"""The aperture's shape. Imports nothing that is slow."""

from dataclasses import dataclass
from pathlib import Path

from taichi_bokeh.apps.options.arguments import finite, positive, whole_from_0
from taichi_bokeh.apps.options.requests import opt


@dataclass(frozen=True)
class ApertureRequest:
    """The shape of an aperture; None is as the library has it."""

    GROUP = "aperture"

    blades: int | None = opt("straight blades, at least 3 (0: a disc)", "N", whole_from_0)
    rotation: float | None = opt("angle of a corner, or of the image, clockwise from the right (0)", "DEGREES", finite)
    roundness: float | None = opt("bulge of the blades: 0 a polygon (default), 1 a disc", "R", finite)
    squeeze: float | None = opt("height over width (1)", "S", positive)
    cat_eye: float | None = opt("how much of it is cut off in the corners, 0 to 1 (0)", "C", finite)
    ring: float | None = opt("how much brighter its rim is than its mean, -1 to 1 (0)", "R", finite)
    aperture_image: Path | None = opt("an image of the aperture instead: grey, or alpha channel", "FILE", Path)
