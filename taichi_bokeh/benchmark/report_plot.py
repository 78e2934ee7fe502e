"""The report's plot: accuracy against time, one dot a method, as SVG in the page itself."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT = 860, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 24, 20, 52  # margins, px
_LINE = 15  # height of a label, px
_CHARACTER = 6.4  # its mean width, px


class Dot(NamedTuple):
    """A method in the plot: its median seconds a picture, above 0, and its mean PSNR in dB."""

    title: str
    seconds: float
    psnr: float


def accuracy_against_time(dots: Sequence[Dot]) -> str:
    """The plot as an SVG element; its colours are the page's.

    Args:
        dots: at least one, with finite numbers; seconds run to the right, on a logarithmic axis, and PSNR upwards.
    """
    x_range = _padded([math.log10(dot.seconds) for dot in dots], 0.25)
    y_range = _padded([dot.psnr for dot in dots], 2.0)
    x_ticks = [(_x(math.log10(value), x_range), f"{value:g}") for value in _seconds(*x_range)]
    y_ticks = [(_y(value, y_range), f"{value:g}") for value in _decibels(*y_range)]
    places = [(_x(math.log10(dot.seconds), x_range), _y(dot.psnr, y_range)) for dot in dots]
    parts = [
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Mean PSNR against median seconds">',
        *_axes(x_ticks, y_ticks),
        *(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>' for x, y in places),
        *_labels(dots, places),
        "</svg>",
    ]
    return "\n".join(parts)


def _axes(x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]]) -> list[str]:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for x, text in x_ticks:
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{text}</text>')
    for y, text in y_ticks:
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{bottom - _TOP}"/>')
    parts.append(f'<text x="{(_LEFT + right) / 2:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">median seconds a picture</text>')
    parts.append(f'<text transform="translate(16 {middle:.1f}) rotate(-90)" text-anchor="middle">mean PSNR, dB</text>')
    return parts


def _labels(dots: Sequence[Dot], places: Sequence[tuple[float, float]]) -> list[str]:
    """A label beside each dot, where it covers no other label or dot, as far as there is such a place."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in places]
    parts = []
    for dot, (x, y) in sorted(zip(dots, places, strict=True), key=lambda pair: (pair[1], pair[0].title)):
        width = len(dot.title) * _CHARACTER
        boxes = [
            (left, y + shift - _LINE / 2, left + width, y + shift + _LINE / 2)
            for shift in (0, -12, 12, -24, 24, -36, 36)
            for left in (x + 9, x - 9 - width)
        ]
        inside = [box for box in boxes if box[0] >= _LEFT and box[2] <= _WIDTH - _RIGHT] or boxes
        free = next((box for box in inside if not any(_overlap(box, other) for other in taken)), inside[0])
        taken.append(free)
        parts.append(f'<text class="label" x="{free[0]:.1f}" y="{(free[1] + free[3]) / 2 + 4:.1f}">{escape(dot.title)}</text>')
    return parts


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _padded(values: Sequence[float], margin: float) -> tuple[float, float]:
    room = max(margin, 0.06 * (max(values) - min(values)))
    return min(values) - room, max(values) + room


def _x(value: float, span: tuple[float, float]) -> float:
    return _LEFT + (value - span[0]) / (span[1] - span[0]) * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, span: tuple[float, float]) -> float:
    return _HEIGHT - _BOTTOM - (value - span[0]) / (span[1] - span[0]) * (_HEIGHT - _TOP - _BOTTOM)


def _seconds(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten in the range of logarithms; of a long range the powers alone."""
    factors = (1, 2, 5) if high - low < 3 else (1,)
    values = [factor * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for factor in factors]
    return [value for value in values if low <= math.log10(value) <= high]


def _decibels(low: float, high: float) -> list[float]:
    step = next((step for step in (1, 2, 5, 10) if (high - low) / step <= 9), 20)
    return [float(step * i) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
