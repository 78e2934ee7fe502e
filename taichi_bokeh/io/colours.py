"""What numbers of a file mean as light: a curve, and the primaries that red, green and blue are."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.srgb import srgb_decode

Chromaticities = tuple[float, float, float, float, float, float, float, float]

REC709: Chromaticities = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)  # x, y of red, green, blue, white
_SAME = 2e-3  # how far rounded chromaticities may lie from those that they mean
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


class Coding(NamedTuple):
    """How light was coded.

    Attributes:
        name: for people.
        exponent: light is the number to this power; None: by the curve of sRGB.
        primaries: in which red, green and blue are.
        is_limited: black is 16/255 and white 235/255, as in video.
    """

    name: str
    exponent: float | None = None
    primaries: Chromaticities = REC709
    is_limited: bool = False


def decode_light(values: NDArray[Any], coding: Coding | None) -> NDArray[np.float32]:
    """Decode colours [..., 3] to linear light of Rec. 709; what lies outside its gamut is clipped to 0.

    Args:
        values: in [0, 1].
        coding: None: sRGB.
    """
    if coding is None:
        return srgb_decode(values)
    if coding.is_limited:
        values = np.clip((values * np.float32(255) - 16) / 219, 0, 1)
    light = srgb_decode(values) if coding.exponent is None else np.power(values, np.float32(coding.exponent))
    return np.maximum(to_rec709(light, coding.primaries), 0).astype(np.float32)


def to_rec709(light: NDArray[Any], primaries: Chromaticities) -> NDArray[np.float32]:
    """Convert linear light [..., 3] to the primaries of Rec. 709 and sRGB, white to white (Bradford); negative where outside.

    Raises:
        ValueError: the primaries span no colours.
    """
    if are_rec709(primaries):
        return light.astype(np.float32, copy=False)
    matrix = np.linalg.inv(_to_xyz(REC709)) @ _adapted(primaries) @ _to_xyz(primaries)
    return (light @ matrix.T.astype(np.float32)).astype(np.float32)


def are_rec709(primaries: Chromaticities) -> bool:
    """Tell whether primaries are those of Rec. 709, rounded or not."""
    return bool(np.allclose(primaries, REC709, atol=_SAME))


def _adapted(primaries: Chromaticities) -> NDArray[np.float64]:
    """Compute the matrix of XYZ that makes their white that of Rec. 709."""
    there, here = (_BRADFORD @ _white(one) for one in (primaries, REC709))
    return np.linalg.inv(_BRADFORD) @ np.diag(here / there) @ _BRADFORD


def _white(primaries: Chromaticities) -> NDArray[np.float64]:
    x, y = primaries[6:]
    return np.array([x / y, 1, (1 - x - y) / y])


def _to_xyz(primaries: Chromaticities) -> NDArray[np.float64]:
    """Compute the matrix from RGB to XYZ."""
    pairs = np.array(primaries, np.float64).reshape(4, 2)
    if not np.isfinite(pairs).all() or pairs[3, 1] <= 0:
        raise ValueError(f"its primaries are {primaries}, which are no colours")
    columns = np.stack([[x, y, 1 - x - y] for x, y in pairs[:3]], axis=1)
    try:
        return columns * np.linalg.solve(columns, _white(primaries))
    except np.linalg.LinAlgError:
        raise ValueError(f"its primaries are {primaries}, which span no colours") from None
