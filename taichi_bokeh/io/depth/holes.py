"""Numbers that stand for nothing measured: as formats define them, and as they betray themselves.

What is found here is a guess, and told as one: a number is taken for a hole only where nothing else lies near it.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_APART = 4  # times: by so much the largest number of a type is above all others, if it is none of them
_NEAR_0 = 0.1  # of the median: a number below is near 0
_SCATTERED = 0.3  # of the borders that as many holes would have, strewn at random
_FEWEST = 256  # pixels, for what holes look like
_NO_MATCH = (-1, -16)  # in px and in sixteenths, as semi-global matching says it where disparity begins at 0
_NO_MATCH_UNSIGNED = {65520: 4, 65535: 16}  # -16 in 16 bits, and the largest: by how many times above all others
_LARGEST_16_BITS = 65535
_WHOLE_RANGE = 0.95  # of the largest integer: a map that was scaled to its type reaches at least this


class Hole(NamedTuple):
    """A number that seems to stand for nothing measured.

    Attributes:
        value: as it is in the file.
        share: of the pixels that have it.
        reason: why, in words.
    """

    value: float
    share: float
    reason: str


def holes_of(raw: NDArray[Any], is_depth: bool) -> list[Hole]:
    """Find the numbers of a map [H, W] that seem to stand for nothing measured, besides NaN and, of depth, 0 and less."""
    if raw.dtype == np.bool_ or raw.size < _FEWEST:
        return []
    finite = raw[np.isfinite(raw)] if np.issubdtype(raw.dtype, np.floating) else raw.ravel()
    if not finite.size or finite.min() == finite.max():
        return []
    found = _largest_of_type(finite) if is_depth else _no_match(finite) or _strewn_zeros(raw)
    return [] if found is None else [Hole(found[0], float((raw == found[0]).mean()), found[1])]


def _largest_of_type(numbers: NDArray[Any]) -> tuple[float, str] | None:
    """The largest integer of 16 bits or more, as sensors have it; a renderer's 65504 in half floats is far away."""
    top = numbers.max()
    if not np.issubdtype(numbers.dtype, np.integer) or top not in (_LARGEST_16_BITS, np.iinfo(numbers.dtype).max):
        return None
    if numbers.dtype.itemsize < 2 or numbers[numbers != top].max() > top / _APART:
        return None
    return float(top), "the largest number of its type, apart from all others"


def _no_match(numbers: NDArray[Any]) -> tuple[float, str] | None:
    """What matchers write where nothing matches."""
    lowest, highest = numbers.min(), numbers.max()
    if numbers.dtype == np.uint16 and int(highest) in _NO_MATCH_UNSIGNED:
        others = numbers[numbers != highest]
        if lowest < others.max() <= highest / _NO_MATCH_UNSIGNED[int(highest)]:
            return float(highest), "apart from all others, as matchers say no match (-16 or -1 in 16 bits)"
    elif lowest in _NO_MATCH and highest > 1 and numbers[numbers != lowest].min() >= 0:
        return float(lowest), "the only number below 0, as matchers say no match"
    return None


def _strewn_zeros(raw: NDArray[Any]) -> tuple[float, str] | None:
    """Zeros as where a laser measured some pixels only; integers over their whole range are a scaled map."""
    is_whole = np.issubdtype(raw.dtype, np.integer)
    if not is_strewn(raw) or (is_whole and raw.max() >= _WHOLE_RANGE * np.iinfo(raw.dtype).max):
        return None
    return 0.0, "strewn among numbers that are not near 0"


def is_strewn(raw: NDArray[Any]) -> bool:
    """Tell whether the zeros of a map [H, W] are strewn over it, and no other small numbers are in it."""
    zero = raw == 0
    share = float(zero.mean())
    others = raw[~zero & np.isfinite(raw)]
    if share == 0 or min(raw.shape) < 2 or not others.size or others.min() <= _NEAR_0 * np.median(others):
        return False
    borders = np.mean([(zero[1:] != zero[:-1]).mean(), (zero[:, 1:] != zero[:, :-1]).mean()])
    return bool(borders >= _SCATTERED * 2 * share * (1 - share))
