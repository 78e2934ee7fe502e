"""Plots of the reports: one dot a method, such as accuracy against time, as SVG in the page itself."""

import io
import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from markupsafe import Markup

_SIZE_IN = (8.6, 4.4)
_GREY, _ACCENT = "#83878b", "#2f86cf"  # which can be seen on light and on dark pages
_SHIFTS = (0, -12, 12, -24, 24, -36, 36)  # of a label, up and down, in points


class Dot(NamedTuple):
    """A method in a plot, at finite numbers."""

    title: str
    x: float
    y: float


class Axis(NamedTuple):
    """What an axis shows. On a logarithmic one all numbers are above 0."""

    label: str
    logarithmic: bool = False


def accuracy_against_time(dots: Sequence[Dot]) -> "Markup":
    """Plot mean PSNR in dB, upwards, against median seconds an image."""
    axes = Axis("median seconds an image", logarithmic=True), Axis("mean PSNR, dB")
    return plot(dots, *axes, "Mean PSNR against median seconds")


def plot(dots: Sequence[Dot], across: Axis, up: Axis, description: str) -> "Markup":
    """Plot a dot with a label for each method, as an SVG element.

    Args:
        dots: at least one.
        across: of x, which runs to the right.
        up: of y, which runs upwards.
        description: for those who cannot see it.

    Raises:
        ModuleNotFoundError: matplotlib is missing.
    """
    from markupsafe import Markup
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    parts = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color")
    colours: dict[Any, str] = dict.fromkeys(parts, _GREY)
    with rc_context({"svg.hashsalt": description, "svg.fonttype": "none", "font.size": 9, **colours}):
        figure = Figure(figsize=_SIZE_IN, layout="constrained")
        axes = figure.add_subplot(xlabel=across.label, ylabel=up.label)
        axes.set(xscale="log" if across.logarithmic else "linear", yscale="log" if up.logarithmic else "linear")
        axes.margins(0.12)
        axes.grid(color=_GREY, alpha=0.3)
        for dot in dots:
            axes.plot(dot.x, dot.y, "o", color=_ACCENT, gid="dot")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # labels are placed by where the dots are now
        _label(axes, dots)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = buffer.getvalue().partition("<svg ")[2]
    svg = re.sub(r'\s?xmlns(:\w+)?="[^"]*"', "", svg)
    return Markup('<div class="plot"><svg role="img" aria-label="{}" ').format(description) + Markup(svg + "</div>")


def _label(axes: Any, dots: Sequence[Dot]) -> None:
    """Write a label beside each dot, where it covers no other label or dot, as far as there is such a place."""
    taken = [line.get_window_extent() for line in axes.lines]
    for dot in sorted(dots, key=lambda dot: (dot.x, dot.y, dot.title)):
        text = axes.annotate(dot.title, (dot.x, dot.y), (0, 0), textcoords="offset points", va="center", gid="label")
        for shift, side in itertools.product(_SHIFTS, ("left", "right")):
            text.set(ha=side, position=(7 if side == "left" else -7, shift))
            box = text.get_window_extent()
            if axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and not box.count_overlaps(taken):
                break
        taken.append(box)
