"""What turns the text of options into values. Imports nothing that is slow."""

import argparse
import math
import re
from fractions import Fraction
from typing import Any, Literal

BLUR_HELP = "strength of the blur: the radius of the blur disc in pixels, per unit of disparity"
_LARGEST = 3.4e38  # of what float32 holds
_RATE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?(?:/[0-9]{1,9})?")  # as a Fraction 1e999999 takes minutes


def finite(text: str) -> float:
    """A number that float32 can hold."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    if abs(value) > _LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is too large: numbers go up to {_LARGEST:g}")
    return value


def not_negative(text: str) -> float:
    """A number from 0 up."""
    value = finite(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def positive(text: str) -> float:
    """A number above 0."""
    value = finite(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def hole(text: str) -> float | None:
    """A number that may stand for nothing, also an infinite one; None for the word none."""
    if text == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, nor 'none'") from None


class SpanAction(argparse.Action):
    """Two numbers, the second larger: MIN MAX or MIN:MAX."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None) -> None:
        """Keep both."""
        try:
            low, high = (finite(text) for word in values for text in word.split(":"))
        except (ValueError, argparse.ArgumentTypeError):
            given = " ".join(values)
            raise argparse.ArgumentError(self, f"{given!r} is not a range: give MIN MAX or MIN:MAX, as 0.15:3.2") from None
        if not low < high:
            raise argparse.ArgumentError(self, f"{low:g} to {high:g} is not a range: the second number must be larger")
        setattr(namespace, self.dest, (low, high))


def field_of_view(text: str) -> float:
    """An angle above 0 and below 180 degrees."""
    value = positive(text)
    if value >= 180:
        raise argparse.ArgumentTypeError(f"{text} is not below 180 degrees")
    return value


def whole(text: str) -> int:
    """A whole number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def whole_from_0(text: str) -> int:
    """A whole number from 0 up."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def whole_or_auto(text: str) -> int | Literal["auto"]:
    """A whole number from 1 up, or the word auto."""
    if text == "auto":
        return "auto"
    try:
        return whole(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, nor 'auto'") from None


def shard(text: str) -> tuple[int, int]:
    """Part I of N."""
    match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, as in 1/2")
    return int(match[1]), int(match[2])


def pixel(text: str) -> tuple[int, int]:
    """Column and row."""
    try:
        x, y = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a pixel: give column,row as in 640,360") from None
    return x, y


def box(text: str) -> tuple[int, int, int, int]:
    """Column and row of the top left pixel, width, height."""
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        width = height = x = y = 0
    if width < 1 or height < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a box: give column,row,width,height as in 600,320,80,60")
    return x, y, width, height


def highlight_gain(text: str) -> float:
    """A number from 1 up."""
    value = finite(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1, which leaves highlights as they are")
    return value


def below_white(text: str) -> float:
    """A luminance from 0 up to that of white, which is 1, but not 1 itself."""
    value = not_negative(text)
    if value >= 1:
        raise argparse.ArgumentTypeError(f"{text} is not below 1, the luminance of white")
    return value


def frame_rate(text: str) -> Fraction:
    """Frames a second: a number above 0, or a fraction."""
    try:
        value = Fraction(text).limit_denominator(1001000) if _RATE.fullmatch(text) else Fraction(0)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a frame rate: give 25 or 30000/1001, at most 1000")
    return value
