"""Draw docs/figures/ray-tracing.svg: `python docs/figures/ray_tracing.py [output]`, with matplotlib installed.

Every ray is traced, the biconvex lens's by taichi_bokeh.reference. Lengths in mm.
"""

import sys
from math import asin
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from taichi_bokeh.optics.biconvex_lens import BiconvexLens
from taichi_bokeh.optics.biconvex_ray import Rays, meet_sphere, on_plane, principal_plane, sensor_rays, through_lens

MM = 1000
LAYER = 105.0  # depth of the layer in front of the plane in focus
END = 172.0
PIXEL, WIDTH = 24.0, 97  # the pixel drawn, of a row of so many
OPENING = np.linspace(-1, 1, 7)
GLASS, RIM, PLANE, SENSOR, FOCUS, NEAR, INK = "#cfe3f1", "#1f5f8b", "#6a7a86", "#333333", "#2e7d4f", "#b5482f", "#222222"
LENS = BiconvexLens.from_focal_length(0.05, 1.6, 1.5, 0.15, 0.036, WIDTH)


def sensor_point_mm() -> float:
    """The height of the pixel on the sensor: on the other side of the axis than in the picture."""
    return -(PIXEL - (WIDTH - 1) / 2) * LENS.pixel_pitch * MM


def label(axes: Axes, x: float, y: float, text: str, colour: str = INK, **settings: object) -> None:
    """Write into the figure."""
    axes.text(x, y, text, color=colour, **{"ha": "center", "va": "center", "fontsize": 8.5} | settings)


def measure(axes: Axes, first: float, last: float, y: float, text: str) -> None:
    """A dimension line along the axis."""
    axes.annotate(
        "", (first, y), (last, y), arrowprops={"arrowstyle": "<->", "color": INK, "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
    )
    label(axes, (first + last) / 2, y, text, bbox={"fc": "white", "ec": "none", "pad": 1.5})


def scene(axes: Axes, title: str, front: float) -> None:
    """Sensor, axis, layer and plane in focus; `front` is the z from which depth is measured."""
    sensor = -front - LENS.sensor_distance * MM
    axes.axhline(0, color=PLANE, lw=0.6, dashes=(8, 3, 2, 3))
    axes.plot([sensor] * 2, [-19, 19], color=SENSOR, lw=3, solid_capstyle="butt")
    axes.plot([front + LAYER] * 2, [-19, 19], color=NEAR, lw=1.5)
    axes.plot([front + LENS.focus_distance * MM] * 2, [-22, 22], color=FOCUS, lw=1.2, ls="--")
    axes.plot(sensor, sensor_point_mm(), "o", color=SENSOR, ms=5)
    label(axes, sensor, 22.5, "sensor")
    label(axes, front + LAYER, 22.5, "layer at depth z", NEAR)
    label(axes, front + LENS.focus_distance * MM, 25, "plane in focus", FOCUS)
    label(axes, sensor - 2.5, sensor_point_mm(), "pixel x", ha="right")
    measure(axes, sensor, -front, -25, "$D_I$")
    measure(axes, front, front + LAYER, -22, "$z$")
    measure(axes, front, front + LENS.focus_distance * MM, -28, "$z_f$")
    axes.set(xlim=(sensor - 17, END + 4), ylim=(-31, 31), aspect="equal")
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.axis("off")


def draw_thin_lens(axes: Axes) -> None:
    """The ideal lens, in one plane."""
    sensor_z, focus_z = -LENS.sensor_distance * MM, LENS.focus_distance * MM
    rim = LENS.aperture_radius * MM
    at_focus = sensor_point_mm() * focus_z / sensor_z
    scene(axes, "Thin lens", 0.0)
    for u in OPENING:
        end = rim * u + (at_focus - rim * u) * END / focus_z
        axes.plot([sensor_z, 0, END], [sensor_point_mm(), rim * u, end], color=RIM, lw=0.7)
    axes.annotate(
        "", (0, rim + 1), (0, -rim - 1), arrowprops={"arrowstyle": "<->", "color": RIM, "lw": 2, "shrinkA": 0, "shrinkB": 0}
    )
    label(axes, 0, rim + 6.5, "$u = 1$, at $R_a$ from the axis", RIM)
    edges = [rim * u + (at_focus - rim * u) * LAYER / focus_z for u in (-1, 1)]
    axes.plot([LAYER] * 2, edges, color=NEAR, lw=5, alpha=0.45, solid_capstyle="butt")
    label(axes, LAYER + 2.5, max(edges) + 6, "$x + u\\,r$", NEAR, ha="left")


def draw_biconvex_lens(axes: Axes) -> None:
    """The same rays through glass."""
    radius, rim, front = LENS.curvature_radius * MM, LENS.aperture_radius * MM, principal_plane(LENS) * MM
    scene(axes, "Biconvex lens", front)
    angle = np.linspace(-1, 1, 60) * asin(rim / radius)
    bulge = radius * np.cos(angle) - np.sqrt(radius**2 - rim**2)
    outline = np.concatenate(
        [np.stack([-bulge, radius * np.sin(angle)], 1), np.stack([bulge, radius * np.sin(angle)], 1)[::-1]]
    )
    axes.add_patch(Polygon(outline, fc=GLASS, ec=RIM, lw=1.0))
    for z in (-front, front):
        axes.plot([z] * 2, [-21, rim + 2], color=PLANE, lw=0.7, ls=":")
    label(axes, 0, rim + 6.5, "principal planes", PLANE)
    label(axes, -4.5, -rim - 2, "rim", RIM, ha="right")

    pixel = torch.tensor([PIXEL, 0.0], dtype=torch.float64)
    u = torch.tensor([[value, 0.0] for value in OPENING], dtype=torch.float64)
    rays = sensor_rays(LENS, pixel, (WIDTH, 1), u)
    from_rim = (radius - LENS.thickness * MM / 2) / MM
    entry, _ = meet_sphere(rays, from_rim, LENS.curvature_radius, leaving=False)
    leaving = through_lens(LENS, rays, LENS.refractive_indices[1])
    ends, _ = on_plane(leaving, END / MM)
    for start, back, out, end in zip(rays.origin, entry, leaving.origin, ends, strict=True):
        axes.plot(
            MM * np.array([start[2], back[2], out[2], END / MM]),
            MM * np.array([start[0], back[0], out[0], end[0]]),
            color=RIM,
            lw=0.7,
        )
    spread = on_plane(leaving, (front + LAYER) / MM)[0][:, 0] * MM
    axes.plot([front + LAYER] * 2, [spread.min(), spread.max()], color=NEAR, lw=5, alpha=0.45, solid_capstyle="butt")


def draw_focus(axes: Axes, f_number: float) -> None:
    """Light from far away near the focus: heights are stretched."""
    lens = BiconvexLens.from_focal_length(0.05, f_number, 1.5, 2.0, 0.036, WIDTH)
    height = torch.linspace(-1, 1, 16, dtype=torch.float64) * lens.aperture_radius
    origin = torch.stack([height, 0 * height, torch.full_like(height, -0.1)], -1)
    direction = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand_as(origin)
    leaving = through_lens(lens, Rays(origin, direction, torch.ones(16, dtype=torch.bool)), 1.5)
    depth = np.linspace(38, 54, 2)
    for first, last in zip(*(on_plane(leaving, principal_plane(lens) + z / MM)[0][:, 0] * MM for z in depth), strict=True):
        axes.plot(depth, [first, last], color=RIM, lw=0.7)
    edge = leaving.origin[-1] - leaving.direction[-1] * leaving.origin[-1, 0] / leaving.direction[-1, 0]
    crossing = (edge[2].item() - principal_plane(lens)) * MM
    axes.axvline(50, color=FOCUS, lw=1.0, ls="--")
    axes.axhline(0, color=PLANE, lw=0.6, dashes=(8, 3, 2, 3))
    axes.plot(crossing, 0, "o", color=NEAR, ms=4)
    text = f"rim rays: {crossing - 50:.2f} mm".replace("-", "−")
    arrow = {"arrowstyle": "-", "color": NEAR, "lw": 0.8}
    axes.annotate(text, (crossing, 0), (crossing + 0.2, -1.7), color=NEAR, fontsize=8.5, ha="right", arrowprops=arrow)
    axes.set(xlim=(42, 52.5), ylim=(-2.2, 2.2))
    axes.set_title(f"Light from far away, f/{f_number:g}", loc="left", fontsize=10, color=INK)
    axes.set_xlabel("mm from the principal plane", fontsize=8.5)
    axes.set_ylabel("mm from the axis", fontsize=8.5)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def main(path: Path) -> None:
    """Draw the figure and write it."""
    matplotlib.rcParams.update({"svg.hashsalt": "ray-tracing", "font.family": "DejaVu Sans"})
    figure = Figure(figsize=(9, 7.9), layout="constrained")
    rows = figure.add_gridspec(3, 2, height_ratios=(1, 1, 0.85))
    draw_thin_lens(figure.add_subplot(rows[0, :]))
    draw_biconvex_lens(figure.add_subplot(rows[1, :]))
    draw_focus(figure.add_subplot(rows[2, 0]), 2.0)
    draw_focus(figure.add_subplot(rows[2, 1]), 8.0)
    if path.suffix == ".svg":
        figure.savefig(path, metadata={"Date": None})
    else:
        figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("ray-tracing.svg"))
