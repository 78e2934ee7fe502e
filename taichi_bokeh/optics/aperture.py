"""The shape of the aperture, which is the shape of every out-of-focus highlight."""

import reprlib
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Aperture:
    """The opening of the lens, within the unit disc (x right, y down). This release renders the disc, the default.

    Attributes:
        blades: number of straight blades, at least 3; 0 is a disc.
        rotation: angle of the first blade, in degrees, clockwise as seen in the picture.
        roundness: how far the blades bulge, from 0 (a polygon) to 1 (a disc).
        squeeze: height over width, as an anamorphic lens stretches its highlights; 1 is round.
        cat_eye: how much the rim of the lens cuts from the opening in the corners of the picture, from 0 to 1.
        ring: how much brighter the rim of a highlight is than its centre, as spherical aberration makes it; 0 is even.
        image: a picture of the opening, used instead of the fields above.

    Raises:
        ValueError: a field differs from its default.
    """

    blades: int = 0
    rotation: float = 0.0
    roundness: float = 1.0
    squeeze: float = 1.0
    cat_eye: float = 0.0
    ring: float = 0.0
    image: object = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not _is_default(value, field.default):
                raise ValueError(
                    f"{field.name} is {reprlib.repr(value)}; only the disc ({field.name}={field.default!r}, "
                    "the default) works in this release"
                )


def _is_default(value: object, default: object) -> bool:
    if value is default:
        return True
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and value == default
