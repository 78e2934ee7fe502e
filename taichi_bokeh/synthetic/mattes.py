"""Procedural mattes: the outlines that lens blur is hardest to get right at, drawn from a random generator.

Each matte is float32 [H, W] in [0, 1] and covers about 10–45 % of the frame; it may run off the frame anywhere. Edges are
antialiased: shapes are drawn at four times the size and averaged over pixels, or taken from a distance with a ramp of one
pixel. Lengths that are given in pixels hold for a short side of 384 and grow with it.
"""

from collections.abc import Callable
from math import ceil, cos, pi, sin

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from taichi_bokeh._checks import require_choice

Array = NDArray[np.float32]
Points = NDArray[np.float64]  # [N, 2]: column, row; px of the frame
Size = tuple[int, int]  # height, width

REFERENCE_PX = 384  # the short side for which lengths in pixels are given
_OVERSAMPLING = 4
_COVERAGE = (0.10, 0.45)
_ATTEMPTS = 8


def draw_matte(kind: str, size: Size, rng: Generator) -> Array:
    """Draw a matte of one of `KINDS`, drawn again while it covers too little or too much of the frame.

    Args:
        kind: its name.
        size: height and width, px.
        rng: what it is drawn from.

    Raises:
        ValueError: there is no such kind.
    """
    require_choice("kind", kind, KINDS)
    low, high = _COVERAGE
    drawn = []
    for _ in range(_ATTEMPTS):
        matte = KINDS[kind](size, rng)
        cover = float(matte.mean())
        if low <= cover <= high:
            return matte
        drawn.append((max(low - cover, cover - high), matte))
    return min(drawn, key=lambda pair: pair[0])[1]


def hair(size: Size, rng: Generator) -> Array:
    """Draw a head on shoulders, with hundreds of curved hairs of 0.5–1.5 px in locks, and single ones that fly off."""
    unit = _unit(size)
    canvas = Canvas(size)
    height, width = size
    radius = rng.uniform(50, 70) * unit
    centre = np.array([rng.uniform(0.3, 0.7) * width, rng.uniform(0.42, 0.58) * height])
    canvas.polygon(centre + _blob(rng, radius, roughness=0.03) * [0.85, 1.1])
    canvas.polygon(centre + radius * np.array([[-0.38, 0.5], [0.38, 0.5], [0.5, 2], [-0.5, 2]]))
    canvas.polygon(centre + radius * _shoulders() * [rng.uniform(0.8, 1.1), 1])
    wind = rng.normal(0, 0.5)
    for _ in range(rng.integers(45, 65)):
        _lock(canvas, rng, centre, radius, int(rng.integers(8, 16)), wind)
    for _ in range(rng.integers(60, 120)):
        _lock(canvas, rng, centre, radius, 1, wind + rng.normal(0, 0.5))
    return canvas.matte()


def _shoulders() -> Points:
    """Draw the outline of shoulders and chest under a head of radius 1 round the origin, down to well below any frame."""
    angle = np.linspace(-pi, 0, 60)
    wide, high = np.cos(angle), np.sin(angle)
    round_part = np.stack([1.9 * np.sign(wide) * np.abs(wide) ** 0.8, 3 - 1.6 * np.abs(high) ** 0.8], 1)
    return np.vstack([round_part, [[1.9, 30], [-1.9, 30]]])


def _lock(canvas: "Canvas", rng: Generator, centre: Points, radius: float, count: int, wind: float) -> None:
    """Draw hairs that grow from one place of the head's upper part and bend alike."""
    where = rng.uniform(-0.8 * pi, 0.8 * pi)  # from the top of the head, clockwise
    length = radius * rng.uniform(0.5, 1.5) * (1.2 if count == 1 else 1)
    bend = wind + rng.normal(0, 0.6) + 1.2 * sin(where)  # hair hangs down on either side
    curl, phase, waves = rng.uniform(0.05, 0.5), rng.uniform(0, 2 * pi), rng.uniform(0.5, 2.5)
    along = np.linspace(0, 1, 22)
    for _ in range(count):
        angle = where + rng.normal(0, 0.07)
        root = centre + 0.9 * radius * np.array([0.85 * sin(angle), -1.1 * cos(angle)])
        turn = bend * along**1.5 + rng.normal(0, 0.15) * along + curl * np.sin(phase + 2 * pi * waves * along)
        heading = angle + rng.normal(0, 0.12) + turn
        step = length * rng.uniform(0.7, 1.1) / len(along)
        points = root + step * np.cumsum(np.stack([np.sin(heading), -np.cos(heading)], 1), axis=0)
        thick = rng.uniform(0.8, 1.5) * canvas.unit
        canvas.tapered(points, thick, 0.5 * canvas.unit, pieces=4)


def holes(size: Size, rng: Generator) -> Array:
    """Draw a sheet with an uneven outline, perforated by round holes of 3–20 px."""
    unit = _unit(size)
    canvas = Canvas(size)
    height, width = size
    radius = rng.uniform(130, 160) * unit
    centre = np.array([rng.uniform(0.25, 0.75) * width, rng.uniform(0.25, 0.75) * height])
    canvas.polygon(centre + _blob(rng, radius, roughness=0.25) * _aspect(rng, 0.25))
    punched = np.empty((0, 3))
    wanted = rng.uniform(0.2, 0.35) * pi * radius**2
    for _ in range(900):
        x, y = centre + rng.uniform(-1.3, 1.3, 2) * radius
        hole = unit * np.exp(rng.uniform(np.log(1.5), np.log(10)))
        rib = 1.5 * unit
        if (np.hypot(punched[:, 0] - x, punched[:, 1] - y) < punched[:, 2] + hole + rib).any():
            continue
        punched = np.vstack([punched, [x, y, hole]])
        canvas.disc(x, y, hole, cover=0)
        if pi * (punched[:, 2] ** 2).sum() > wanted * 1.6:  # some fall beside the sheet
            break
    return canvas.matte()


def lattice(size: Size, rng: Generator) -> Array:
    """Draw a fence: two families of crossed bars, turned and slightly warped, each of its own width; it may end in a rail."""
    height, width = size
    unit = _unit(size)
    turn = rng.uniform(0, pi)
    crossing = turn + rng.choice([pi / 2, rng.uniform(0.3, 0.5) * pi])
    rows, columns = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
    outside = np.full(size, np.inf)  # signed distance to the nearest bar, px
    for angle in (turn, crossing):
        spacing = rng.uniform(22, 52) * unit
        thick = np.clip(spacing * rng.uniform(0.07, 0.2), 1.5 * unit, 9 * unit)
        across = columns * cos(angle) + rows * sin(angle)
        along = rows * cos(angle) - columns * sin(angle)
        wave = rng.uniform(60, 160) * unit
        bent = (
            across + rng.uniform(0, 0.06) * wave * np.sin(along / wave * 2 + rng.uniform(0, 2 * pi)) + rng.uniform(0, spacing)
        )
        bar = np.floor(bent / spacing).astype(int)
        bar -= bar.min()
        thicknesses = thick * rng.uniform(0.7, 1.3, bar.max() + 1)
        outside = np.minimum(outside, np.abs(bent - (np.floor(bent / spacing) + 0.5) * spacing) - thicknesses[bar] / 2)
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * pi)
        reach = rng.uniform(0.1, 0.35) * min(size)
        beyond = (columns - width / 2) * cos(angle) + (rows - height / 2) * sin(angle) - reach
        rail = rng.uniform(5, 14) * unit
        outside = np.minimum(np.maximum(outside, beyond), np.abs(beyond) - rail / 2)
    return np.clip(0.5 - outside, 0, 1).astype(np.float32)


def twigs(size: Size, rng: Generator) -> Array:
    """Draw bare branches that come in from the border and fork again and again, from about 8 px down to less than one."""
    canvas = Canvas(size)
    height, width = size
    wanted = rng.uniform(0.12, 0.22)
    for _ in range(24):
        side = rng.uniform(0, 2 * pi)
        way_out = min(width / 2 / max(abs(cos(side)), 1e-9), height / 2 / max(abs(sin(side)), 1e-9))
        start = np.array([width / 2 + 1.03 * way_out * cos(side), height / 2 + 1.03 * way_out * sin(side)])
        heading = side + pi + rng.normal(0, 0.45)
        _branch(canvas, rng, start, heading, rng.uniform(6, 9) * canvas.unit)
        if canvas.coverage() > wanted:
            break
    return canvas.matte()


def _branch(canvas: "Canvas", rng: Generator, start: Points, heading: float, thick: float) -> None:
    """Draw one branch and all that grow from it."""
    growing = [(start, heading, thick)]
    while growing:
        start, heading, thick = growing.pop()
        steps = 18 if thick > 2 * canvas.unit else 12
        length = canvas.unit * rng.uniform(0.8, 1.2) * 72 * (thick / canvas.unit) ** 0.5
        turns = heading + np.cumsum(rng.normal(0, 0.09, steps))
        moves = length / steps * np.stack([np.cos(turns), np.sin(turns)], 1)
        points = np.vstack([start, start + np.cumsum(moves, axis=0)])
        thin = 0.55 * thick
        canvas.tapered(points, thick, thin, pieces=6 if thick > 3 * canvas.unit else 2)
        if thick < 0.9 * canvas.unit:
            continue
        growing.append((points[-1], turns[-1] + rng.normal(0, 0.2), thin))
        side = rng.choice([-1, 1])
        for place in np.sort(rng.choice(np.arange(4, steps), rng.integers(2, 4), replace=False)):
            here = thick + (thin - thick) * place / steps
            growing.append((points[place], turns[place] + side * rng.uniform(0.45, 1.0), here * rng.uniform(0.4, 0.7)))
            side = -side


def soft(size: Size, rng: Generator) -> Array:
    """Draw a blob whose edge fades over 5–30 px, over more in some places than in others."""
    height, width = size
    unit = _unit(size)
    canvas = Canvas(size)
    radius = rng.uniform(85, 135) * unit
    centre = np.array([rng.uniform(0.15, 0.85) * width, rng.uniform(0.15, 0.85) * height])
    canvas.polygon(centre + _blob(rng, radius, roughness=0.3) * _aspect(rng, 0.35))
    inside = canvas.matte() >= 0.5
    # Pixel centres beside the outline lie half a pixel from it.
    depth = np.where(inside, ndimage.distance_transform_edt(inside) - 0.5, 0.5 - ndimage.distance_transform_edt(~inside))
    noise = ndimage.gaussian_filter(rng.standard_normal(size), 45 * unit)
    feather = unit * (5 + 25 * _smooth_step(0.5 + noise / (4 * noise.std())))
    return _smooth_step(0.5 + ndimage.gaussian_filter(depth, 1.0) / feather).astype(np.float32)


def solid(size: Size, rng: Generator) -> Array:
    """Draw leaves on their stems, or a few boulders: hard outlines with points, notches and gaps."""
    canvas = Canvas(size)
    height, width = size
    wanted = rng.uniform(0.18, 0.36)
    if rng.random() < 0.3:
        for _ in range(12):
            middle = np.array([rng.uniform(0, width), rng.uniform(0.3, 1.05) * height])
            radius = rng.uniform(30, 95) * canvas.unit
            canvas.polygon(middle + _blob(rng, radius, roughness=0.3) * _aspect(rng, 0.3))
            if canvas.coverage() > wanted:
                break
        return canvas.matte()
    for _ in range(12):
        start = np.array([rng.uniform(0, width), rng.choice([-0.03, 1.03]) * height])
        heading = np.arctan2(height / 2 - start[1], width / 2 - start[0]) + rng.normal(0, 0.4)
        turns = heading + np.cumsum(rng.normal(0, 0.07, 30))
        points = start + np.cumsum(0.03 * min(size) * np.stack([np.cos(turns), np.sin(turns)], 1), axis=0)
        canvas.tapered(points, 4 * canvas.unit, 1.2 * canvas.unit, pieces=6)
        leaf = rng.uniform(35, 70) * canvas.unit
        for place in range(2, 30, 2):
            for side in (-1, 1):
                _leaf(canvas, rng, points[place], turns[place] + side * rng.uniform(0.5, 1.1), leaf * rng.uniform(0.6, 1.2))
        if canvas.coverage() > wanted:
            break
    return canvas.matte()


def _leaf(canvas: "Canvas", rng: Generator, root: Points, heading: float, length: float) -> None:
    along = np.linspace(0, 1, 24)
    half = length * rng.uniform(0.14, 0.26) * np.sin(pi * along**0.8) * (1 + 0.05 * np.sin(2 * pi * 9 * along))
    spine = length * along
    bow = length * rng.normal(0, 0.12) * along**2
    outline = np.vstack([np.stack([spine, bow + half], 1), np.stack([spine, bow - half], 1)[::-1]])
    turn = np.array([[cos(heading), sin(heading)], [-sin(heading), cos(heading)]])
    canvas.polygon(root + outline @ turn)


#: Every kind of matte, by its name.
KINDS: dict[str, Callable[[Size, Generator], Array]] = {
    "hair": hair,
    "holes": holes,
    "lattice": lattice,
    "twigs": twigs,
    "soft": soft,
    "solid": solid,
}


class Canvas:
    """A black frame, oversampled, to draw white shapes on; coordinates are pixels of the frame."""

    def __init__(self, size: Size) -> None:
        self.unit = _unit(size)
        height, width = size
        self._image = Image.new("L", (width * _OVERSAMPLING, height * _OVERSAMPLING), 0)
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: Points) -> None:
        """Fill a polygon of corners [N, 2]."""
        self._draw.polygon([tuple(p) for p in points * _OVERSAMPLING], fill=255)

    def disc(self, x: float, y: float, radius: float, cover: int = 255) -> None:
        """Fill a disc; 0 erases it."""
        x, y, radius = x * _OVERSAMPLING, y * _OVERSAMPLING, radius * _OVERSAMPLING
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=cover)

    def tapered(self, points: Points, thick: float, thin: float, pieces: int) -> None:
        """Draw a line along `points` whose width goes from `thick` to `thin` in so many steps."""
        per_piece = ceil((len(points) - 1) / pieces)
        for piece in range(pieces):
            part = points[piece * per_piece : (piece + 1) * per_piece + 1]
            if len(part) < 2:
                break
            width = max(1, round(_OVERSAMPLING * (thick + (thin - thick) * piece / max(1, pieces - 1))))
            self._draw.line(
                [tuple(p) for p in part * _OVERSAMPLING], fill=255, width=width, joint="curve" if width > 6 else None
            )

    def coverage(self) -> float:
        """Give the part of the frame that is drawn on."""
        return 1 - self._image.histogram()[0] / (self._image.width * self._image.height)

    def matte(self) -> Array:
        """Give what is drawn, float32 [H, W] in [0, 1]."""
        drawn = np.asarray(self._image, np.float32) / 255
        height, width = (length // _OVERSAMPLING for length in drawn.shape)
        cells = drawn.reshape(height, _OVERSAMPLING, width, _OVERSAMPLING)
        return cells.mean(axis=(1, 3), dtype=np.float32)


def _unit(size: Size) -> float:
    """Count the pixels of this frame in one pixel of the reference frame."""
    return min(size) / REFERENCE_PX


def _blob(rng: Generator, radius: float, roughness: float) -> Points:
    """Draw a closed outline round the origin, at `radius` on the average, [N, 2]."""
    angle = np.linspace(0, 2 * pi, 240, endpoint=False)
    distance = np.ones_like(angle)
    for wave in range(2, 10):
        distance += roughness * rng.normal(0, 1) / wave**1.1 * np.cos(wave * angle + rng.uniform(0, 2 * pi))
    distance = radius * np.maximum(distance, 0.3)
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], 1)


def _aspect(rng: Generator, spread: float) -> Points:
    """Choose two factors that make a shape wider or taller and keep its area."""
    stretch = np.exp(rng.uniform(-spread, spread))
    return np.array([stretch, 1 / stretch])


def _smooth_step(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute 0 up to 0, 1 from 1, and a smooth ramp between."""
    clipped = np.clip(value, 0, 1)
    return clipped * clipped * (3 - 2 * clipped)
