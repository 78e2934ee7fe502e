"""The aperture's shape. Imports nothing that is slow."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from taichi_bokeh.apps.options.arguments import finite, positive, whole_from_0


@dataclass(frozen=True)
class ApertureRequest:
    """The shape of an aperture; None is as the library has it. Fields are the options of the same names."""

    blades: int | None = None
    rotation: float | None = None
    roundness: float | None = None
    squeeze: float | None = None
    cat_eye: float | None = None
    ring: float | None = None
    aperture_image: Path | None = None


def add_aperture(command: argparse.ArgumentParser) -> None:
    """Add the group that describes the aperture."""
    aperture = command.add_argument_group("aperture")
    aperture.add_argument("--blades", metavar="N", type=whole_from_0, help="straight blades, at least 3 (0: a disc)")
    aperture.add_argument(
        "--rotation", metavar="DEGREES", type=finite, help="angle of a corner, or of the image, clockwise from the right (0)"
    )
    aperture.add_argument("--roundness", metavar="R", type=finite, help="bulge of the blades: 0 a polygon (default), 1 a disc")
    aperture.add_argument("--squeeze", metavar="S", type=positive, help="height over width (1)")
    aperture.add_argument("--cat-eye", metavar="C", type=finite, help="how much of it is cut off in the corners, 0 to 1 (0)")
    aperture.add_argument("--ring", metavar="R", type=finite, help="how much brighter its rim is than its mean, -1 to 1 (0)")
    aperture.add_argument(
        "--aperture-image", metavar="FILE", type=Path, help="an image of the aperture instead: grey, or alpha channel"
    )
