"""Plots of the reports: one dot a method, such as accuracy against time, as SVG in the page itself."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT = 860, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 24, 20, 52  # margins, px
_LINE = 15  # height of a label, px
_CHARACTER = 6.4  # its mean width, px


class Dot(NamedTuple):
    """A method in a plot, at finite numbers."""

    title: str
    x: float
    y: float


class Axis(NamedTuple):
    """What an axis shows. On a logarithmic one all numbers are above 0."""

    label: str
    logarithmic: bool = False


def accuracy_against_time(dots: Sequence[Dot]) -> str:
    """Mean PSNR in dB, upwards, against median seconds a picture."""
    axes = Axis("median seconds a picture", logarithmic=True), Axis("mean PSNR, dB")
    return plot(dots, *axes, "Mean PSNR against median seconds")


def plot(dots: Sequence[Dot], across: Axis, up: Axis, description: str) -> str:
    """A dot with a label for each method, as an SVG element; its colours are the page's.

    Args:
        dots: at least one.
        across: of x, which runs to the right.
        up: of y, which runs upwards.
        description: for those who cannot see it.
    """
    xs, ys = _measured(across, [dot.x for dot in dots]), _measured(up, [dot.y for dot in dots])
    x_range, y_range = _padded(xs, 0.25 if across.logarithmic else 0.2), _padded(ys, 0.25 if up.logarithmic else 2.0)
    x_ticks = [(_x(place, x_range), f"{value:g}") for place, value in _ticks(across, *x_range)]
    y_ticks = [(_y(place, y_range), f"{value:g}") for place, value in _ticks(up, *y_range)]
    places = [(_x(x, x_range), _y(y, y_range)) for x, y in zip(xs, ys, strict=True)]
    parts = [
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(description)}">',
        *_axes(x_ticks, y_ticks, across, up),
        *(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>' for x, y in places),
        *_labels(dots, places),
        "</svg>",
    ]
    return "\n".join(parts)


def _measured(axis: Axis, values: Sequence[float]) -> list[float]:
    """The values in the axis's own measure."""
    return [math.log10(value) if axis.logarithmic else value for value in values]


def _axes(x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]], across: Axis, up: Axis) -> list[str]:
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
    label_x = (_LEFT + right) / 2
    parts.append(f'<text x="{label_x:.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(across.label)}</text>')
    parts.append(f'<text transform="translate(16 {middle:.1f}) rotate(-90)" text-anchor="middle">{escape(up.label)}</text>')
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


def _ticks(axis: Axis, low: float, high: float) -> list[tuple[float, float]]:
    """Places on the axis, in its own measure, with the values there."""
    values = _powers(low, high) if axis.logarithmic else _even(low, high)
    return list(zip(_measured(axis, values), values, strict=True))


def _powers(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten in the range of logarithms; of a long range the powers alone."""
    factors = (1, 2, 5) if high - low < 3 else (1,)
    values = [factor * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for factor in factors]
    return [value for value in values if low <= math.log10(value) <= high]


def _even(low: float, high: float) -> list[float]:
    """At most ten or so multiples of a round step."""
    step = next((step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10) if (high - low) / step <= 9), 20)
    return [round(step * i, 9) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
