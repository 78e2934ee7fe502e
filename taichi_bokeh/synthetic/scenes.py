"""Random scenes: four foregrounds before a photograph, each at its own depth, and a lens focused on one of the five.

A scene follows from (seed, index) and the images alone. Over a set the focal plane goes round near, middle and far, the
kinds of matte take turns in different company, and the largest blur radius sweeps its whole range evenly.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from taichi_bokeh._checks import require_integer, require_type
from taichi_bokeh.layers import Layers
from taichi_bokeh.synthetic.mattes import KINDS, REFERENCE_PX, Size
from taichi_bokeh.synthetic.pictures import Pictures
from taichi_bokeh.synthetic.scene import Scene

Array = NDArray[np.float32]

FOCAL_PLANES = ("near", "middle", "far")
RADII_PX = (5.0, 40.0)  # of the largest circle of confusion in a scene, at a short side of REFERENCE_PX
_NEAREST_M, _FARTHEST_M = (0.8, 1.4), (8.0, 20.0)  # ranges of the depth of the first and the last layer
_JITTER = 0.25  # of the layers between, in the distance of two in disparity
_GOLDEN = 0.6180339887498949  # its multiples, modulo 1, fill any stretch of a sweep evenly


@dataclass(frozen=True)
class SceneSettings:
    """What all scenes of a set have in common.

    Attributes:
        size: px; one number for a square, or (height, width). Blur and outlines grow with the short side.
        layers: how many; the last is the background.
        seed: of all random choices.
        hdr: put point lights of 5 to 200 times white on the background; all else stays as it was.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: a size is below 16, there are fewer than 3 layers, or the seed is negative.
    """

    size: int | tuple[int, int] = REFERENCE_PX
    layers: int = 5
    seed: int = 0
    hdr: bool = False

    def __post_init__(self) -> None:
        sides = self.size if isinstance(self.size, tuple) else (self.size,)
        if isinstance(self.size, tuple) and len(sides) != 2:
            raise ValueError(f"size is {self.size}; expected one number, or (height, width)")
        for side in sides:
            require_integer("size", side, at_least=16)
        require_integer("layers", self.layers, at_least=3)
        require_integer("seed", self.seed, at_least=0)
        require_type("hdr", self.hdr, bool, "a bool")

    @property
    def shape(self) -> Size:
        """Height and width, px."""
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)


@dataclass(frozen=True)
class LayerContent:
    """What a layer was made of: the kind of its matte ("picture": its own; "background": none), and its image's name."""

    kind: str
    source: str


@dataclass(frozen=True, eq=False)
class MadeScene(Scene):
    """A scene that remembers what it was made of, nearest layer first."""

    contents: tuple[LayerContent, ...] = ()


def make_scene(index: int, settings: SceneSettings, pictures: Pictures) -> MadeScene:
    """Make one scene of a set; which others are made, and in which order, has no influence on it.

    Args:
        index: its number in the set, from 0.
        settings: of the set.
        pictures: what its layers are made of.

    Raises:
        TypeError, ValueError: the index is no integer or negative, or an image cannot be read.
    """
    require_integer("index", index, at_least=0)
    # One stream for each concern, so that an option of one leaves the others as they are.
    geometry, content, lights = np.random.default_rng([settings.seed, index]).spawn(3)
    disparities = _disparities(settings.layers, geometry)
    focal_plane = FOCAL_PLANES[index % len(FOCAL_PLANES)]
    focus = float(disparities[_focused_layer(focal_plane, settings.layers, geometry)])
    farthest_off = float(np.abs(disparities.astype(np.float64) - focus).max())
    layers, contents = _fill_layers(index, settings, pictures, disparities, (content, lights))
    return MadeScene(
        name=f"{index:03d}",
        layers=layers,
        blur=_largest_radius_px(index, settings) / farthest_off,
        focus=focus,
        focal_plane=focal_plane,
        contents=contents,
    )


def describe(scene: Scene) -> dict[str, Any]:
    """Describe a scene to a reader, as JSON can hold it; layers nearest first, depths in m, disparities in 1/m."""
    description: dict[str, Any] = {
        "name": scene.name,
        "size": [scene.layers.height, scene.layers.width],
        "focal_plane": scene.focal_plane,
        "blur": scene.blur,
        "focus": scene.focus,
        "focus_depth_m": _depth_m(scene.focus),
        "disparities": scene.disparities,
        "depths_m": [_depth_m(disparity) for disparity in scene.disparities],
        "radii_px": scene.radii_px,
        "largest_radius_px": scene.largest_radius_px,
        "coverage": [float(alpha.mean()) for alpha in scene.layers.alpha[0]],
    }
    if isinstance(scene, MadeScene):
        description["mattes"] = [content.kind for content in scene.contents]
        description["pictures"] = [content.source for content in scene.contents]
    return description


def _depth_m(disparity: float) -> float | None:
    return 1 / disparity if disparity > 0 else None


def _disparities(count: int, rng: Generator) -> Array:
    """Choose falling disparities, 1/m: ends drawn from their ranges of depth, the others spread between them with jitter."""
    first, last = 1 / rng.uniform(*_NEAREST_M), 1 / rng.uniform(*_FARTHEST_M)
    place = np.arange(count, dtype=np.float64)
    place[1:-1] += rng.uniform(-_JITTER, _JITTER, count - 2)
    return (first + (last - first) * place / (count - 1)).astype(np.float32)


def _focused_layer(focal_plane: str, count: int, rng: Generator) -> int:
    """Choose the layer in focus: one of the two nearest, the middle one, or one of the two farthest, as far as these differ."""
    middle = count // 2
    choices = {"near": range(min(2, middle)), "middle": [middle], "far": range(max(count - 2, middle + 1), count)}[focal_plane]
    return choices[int(rng.integers(len(choices)))]


def _largest_radius_px(index: int, settings: SceneSettings) -> float:
    offset = np.random.default_rng(settings.seed).random()
    low, high = RADII_PX
    return float(low + (high - low) * ((offset + index * _GOLDEN) % 1)) * min(settings.shape) / REFERENCE_PX


def _kinds(index: int, count: int, rng: Generator) -> list[str]:
    """Choose the kinds of a scene's foregrounds: each scene takes the next ones in turn, and shuffles them."""
    kinds = list(KINDS)
    # One extra step every round of focal planes, so that no kind meets always the same plane.
    start = count * index + index // len(FOCAL_PLANES)
    taken = [kinds[(start + place) % len(kinds)] for place in range(count)]
    return [taken[place] for place in rng.permutation(count)]


def _fill_layers(
    index: int, settings: SceneSettings, pictures: Pictures, disparities: Array, streams: tuple[Generator, Generator]
) -> tuple[Layers, tuple[LayerContent, ...]]:
    """Make colour, coverage and disparity of every layer, and what they were made of."""
    rng, lights = streams
    size = settings.shape
    background = pictures.background(size, rng)
    used = [background.source]
    colours, mattes, contents = [], [], []
    for kind in _kinds(index, settings.layers - 1, rng):
        foreground = pictures.foreground(kind, size, rng, avoid=used)
        used.append(foreground.source)
        colours.append(foreground.rgb)
        mattes.append(foreground.alpha)
        contents.append(LayerContent(foreground.kind, foreground.source))
    colours.append(_with_lights(background.rgb, lights) if settings.hdr else background.rgb)
    mattes.append(np.ones(size, np.float32))
    contents.append(LayerContent("background", background.source))
    rgb = torch.from_numpy(np.stack(colours)).permute(0, 3, 1, 2).contiguous()
    alpha = torch.from_numpy(np.stack(mattes))[:, None]
    disparity = torch.from_numpy(disparities)[:, None, None, None].expand_as(alpha).contiguous()
    return Layers(rgb[None], alpha[None], disparity[None]), tuple(contents)


def _with_lights(rgb: Array, rng: Generator) -> Array:
    """Add small round lamps of 5 to 200 times white, some white, most of them warm or coloured."""
    height, width = rgb.shape[:2]
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width)[None] + 0.5
    rgb = rgb.copy()
    for _ in range(rng.integers(20, 45)):
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        radius = rng.uniform(0.6, 1.8) * max(1.0, min(height, width) / REFERENCE_PX)
        inside = np.clip(radius + 0.5 - np.hypot(rows - y, columns - x), 0, 1)[..., None]
        tone = np.array([1, rng.uniform(0.5, 1), rng.uniform(0.15, 1)])
        tone = tone if rng.random() < 0.75 else rng.permutation(tone)
        intensity = np.exp(rng.uniform(np.log(5), np.log(200)))
        rgb = (rgb * (1 - inside) + intensity * tone * inside).astype(np.float32)
    return rgb
