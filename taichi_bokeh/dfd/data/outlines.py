"""Outlines of whole objects: discs, boxes, stars and blobs, larger than the blur, so that each has an inside to be measured."""

from math import ceil, pi

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from taichi_bokeh.synthetic.mattes import Canvas, Size

Array = NDArray[np.float32]
Points = NDArray[np.float64]  # [N, 2]: column, row

_RADIUS = (0.17, 0.36)  # of the short side
_SHAPES = ("disc", "box", "star", "blob")


def draw_outline(size: Size, rng: Generator) -> Array:
    """Coverage [H, W] in [0, 1] of one object, turned at random, anywhere in the frame; its edges are antialiased.

    Args:
        size: height and width, px.
        rng: what it is drawn from.
    """
    height, width = size
    radius = rng.uniform(*_RADIUS) * min(size)
    centre = np.array([rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height])
    turn = rng.uniform(0, 2 * pi)
    points = _shape(str(rng.choice(_SHAPES)), rng) * radius @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    canvas = Canvas(size)
    canvas.polygon(points + centre)
    return canvas.matte()


def _shape(name: str, rng: Generator) -> Points:
    """Its rim round the origin, some 1 away from it, [N, 2]."""
    if name == "box":
        stretch = np.exp(rng.uniform(-0.5, 0.5))
        return np.array([[-stretch, -1 / stretch], [stretch, -1 / stretch], [stretch, 1 / stretch], [-stretch, 1 / stretch]])
    angle = np.linspace(0, 2 * pi, 240, endpoint=False)
    distance = np.ones_like(angle)
    if name == "star":
        arms = int(rng.integers(5, 8))
        distance = 1.2 - 0.6 * np.abs((angle * arms / pi + 1) % 2 - 1)
    elif name == "blob":
        for wave in range(2, ceil(rng.uniform(4, 7))):
            distance += 0.25 * rng.normal() / wave**0.7 * np.cos(wave * angle + rng.uniform(0, 2 * pi))
        distance = np.clip(distance, 0.4, 1.5)
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], 1)
