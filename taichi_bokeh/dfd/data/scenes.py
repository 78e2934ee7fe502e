"""Random scenes for depth from defocus: textured layers of known disparity, flat, slanted or curved, and a lens.

A background and one to three foregrounds with hard outlines; disparities go from 0, the farthest, to 1, the nearest. Layers
never cross: each has a band of disparity of its own. A scene follows from (seed, index) and the pictures alone. Over a set
the kinds of surface and, with "any", the focal planes take turns in every company.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from taichi_bokeh._checks import require_choice, require_float_tensor, require_integer, require_number, require_shape
from taichi_bokeh.dfd.data.outlines import draw_outline
from taichi_bokeh.layers import Layers
from taichi_bokeh.synthetic.mattes import Size
from taichi_bokeh.synthetic.pictures import Pictures
from taichi_bokeh.synthetic.scene import Scene

Array = NDArray[np.float32]
Number = TypeVar("Number", int, float)
SurfaceKind = Literal["billboards", "slanted", "curved"]
FocalPlane = Literal["far", "near", "middle", "any"]
Outlines = Literal["whole", "fine"]

FOCAL_PLANES = ("far", "near", "middle")
#: Kinds of matte, and how much larger than the frame each is drawn: its finest parts then are px wide, not fractions of one.
_MATTES = {"solid": 1, "holes": 2, "lattice": 2}
_SHARES = (0.7, 0.2, 0.1)
_COVER = (0.08, 0.6)  # of the frame by one foreground
_LEAST_GAP = 0.08  # in disparity, between two layers
_BACKGROUND_SHARE = 2.0  # of the disparities, for an uneven background, to one for a foreground or a gap
_MIDDLE = (0.35, 0.65)  # where the focus lies with the focal plane "middle"
_MOST_WEAK = 0.25  # a picture with a larger share of weak texture is drawn again
_ATTEMPTS = 6
_TEXTURE_WINDOW_PX = 7
_WEAK_TEXTURE = 0.02  # standard deviation of gamma values within the window


@dataclass(frozen=True)
class DefocusSceneSettings:
    """What all scenes of a set have in common.

    Attributes:
        size: px; one number for a square, or (height, width).
        seed: of all random choices.
        largest_radius_px: of the circles of confusion of what a pinhole camera sees; a number, or the ends of a range from
            which each scene's is drawn.
        kinds: of surfaces, in turn: "billboards" (all flat), "slanted" (planes, turned), "curved" (smooth, uneven). Of the
            last two at least the background is so; a third of the foregrounds are flat.
        focal_plane: the far end (no signed radius is below 0), the near end (none above 0), the "middle", or "any": the
            three in turn.
        foregrounds: how many; a number, or the ends of a range.
        outlines: of the foregrounds: "whole" objects larger than the blur, or "fine" ones, leaves and lattices with parts as
            narrow as the blur or narrower, for which a pair of pictures hardly tells the depth.

    Raises:
        TypeError: a value is of the wrong type.
        ValueError: a size is below 16, a radius is not positive, a range is empty, or a name is unknown.
    """

    size: int | tuple[int, int] = 128
    seed: int = 0
    largest_radius_px: float | tuple[float, float] = (6.0, 9.0)
    kinds: tuple[SurfaceKind, ...] = ("billboards", "slanted", "curved")
    focal_plane: FocalPlane = "far"
    foregrounds: int | tuple[int, int] = (1, 3)
    outlines: Outlines = "whole"

    def __post_init__(self) -> None:
        for side in _pair("size", self.size):
            require_integer("size", side, at_least=16)
        require_integer("seed", self.seed, at_least=0)
        for radius_px in _pair("largest_radius_px", self.largest_radius_px):
            require_number("largest_radius_px", radius_px, above=0.0)
        for count in _pair("foregrounds", self.foregrounds):
            require_integer("foregrounds", count, at_least=1)
        for name in ("largest_radius_px", "foregrounds"):
            low, high = _pair(name, getattr(self, name))
            if low > high:
                raise ValueError(f"{name} is {(low, high)}; expected (least, most)")
        if not self.kinds:
            raise ValueError("kinds is empty; expected at least one")
        for kind in self.kinds:
            require_choice("kinds", kind, SurfaceKind)
        require_choice("focal_plane", self.focal_plane, FocalPlane)
        require_choice("outlines", self.outlines, Outlines)

    @property
    def shape(self) -> Size:
        """Height and width, px."""
        return _pair("size", self.size)


@dataclass(frozen=True, eq=False)
class DefocusScene(Scene):
    """A scene whose layers need not be flat: its truth is `disparity_map`.

    Attributes:
        kind: "billboards", "slanted" or "curved".
        surfaces: "flat", "slanted" or "curved", of each layer, nearest first.
        sources: the name of each layer's picture.
    """

    kind: str
    surfaces: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def disparities(self) -> list[float]:
        """Mean disparity of each layer where it covers anything, nearest first."""
        layers = zip(self.layers.disparity[0, :, 0], self.layers.alpha[0, :, 0], strict=True)
        return [float(disparity[alpha > 0].mean()) for disparity, alpha in layers]

    @property
    def largest_radius_px(self) -> float:
        """The largest circle of confusion of what a pinhole camera sees, without its sign."""
        return self.blur * float((self.disparity_map - self.focus).abs().max())


def make_scene(index: int, settings: DefocusSceneSettings, pictures: Pictures) -> DefocusScene:
    """Make one scene of a set; which others are made, and in which order, has no influence on it.

    Args:
        index: its number in the set, from 0.
        settings: of the set.
        pictures: what its layers are made of.

    Returns:
        The scene, disparities in [0, 1], with blur and focus as the settings say.

    Raises:
        TypeError, ValueError: the index is no integer or negative, or a picture cannot be read.
    """
    require_integer("index", index, at_least=0)
    # One stream for each concern, so that an option of one leaves the others as they are.
    content, geometry, lens = np.random.default_rng([settings.seed, index]).spawn(3)
    kind = settings.kinds[(index + index // len(FOCAL_PLANES)) % len(settings.kinds)]
    low, high = _pair("foregrounds", settings.foregrounds)
    parts = _pictures(int(content.integers(low, high + 1)), settings, pictures, content)
    surfaces = _surfaces(kind, len(parts), geometry)
    layers = Layers(
        torch.from_numpy(np.stack([part.rgb for part in parts])).permute(0, 3, 1, 2).contiguous()[None],
        torch.from_numpy(np.stack([part.alpha for part in parts]))[None, :, None],
        torch.from_numpy(_disparities(surfaces, [part.alpha for part in parts], geometry))[None, :, None],
    )
    focal_plane = FOCAL_PLANES[index % len(FOCAL_PLANES)] if settings.focal_plane == "any" else settings.focal_plane
    focus = {"far": 0.0, "near": 1.0, "middle": float(lens.uniform(*_MIDDLE))}[focal_plane]
    radius_px = float(lens.uniform(*_pair("largest_radius_px", settings.largest_radius_px)))
    scene = DefocusScene(
        name=scene_name(index, settings),
        layers=layers,
        blur=1.0,
        focus=focus,
        focal_plane=focal_plane,
        kind=kind,
        surfaces=surfaces,
        sources=tuple(part.source for part in parts),
    )
    return replace(scene, blur=radius_px / scene.largest_radius_px)


def scene_name(index: int, settings: DefocusSceneSettings) -> str:
    """The name of a scene: that of its seed and its number."""
    return f"{settings.seed}-{index:06d}"


def weak_texture(picture: Tensor) -> Tensor:
    """Where a picture tells little of its blur: [H, W], bool.

    That is where the gamma values of a window of 7 × 7 px have a standard deviation of less than 0.02, in the mean of the
    channels.

    Args:
        picture: [3, H, W], linear light.

    Raises:
        TypeError, ValueError: it is no such tensor.
    """
    require_float_tensor("picture", picture)
    require_shape("picture", picture, 3, "H", "W")
    gamma = picture.clamp(min=0.0).pow(1 / 2.2).mean(0).double()[None]
    window = (_TEXTURE_WINDOW_PX, 1, _TEXTURE_WINDOW_PX // 2)
    mean, square = (avg_pool2d(power, *window, count_include_pad=False)[0] for power in (gamma, gamma * gamma))
    return (square - mean * mean) < _WEAK_TEXTURE**2


class _Part(NamedTuple):
    rgb: Array  # [H, W, 3]
    alpha: Array  # [H, W]
    source: str


def _pair(name: str, value: Number | tuple[Number, Number]) -> tuple[Number, Number]:
    """Both ends of a range, or twice the number."""
    if not isinstance(value, tuple):
        return value, value
    if len(value) != 2:
        raise ValueError(f"{name} is {value}; expected one number, or two")
    return value


def _pictures(foregrounds: int, settings: DefocusSceneSettings, pictures: Pictures, rng: Generator) -> list[_Part]:
    """Colours and mattes, nearest first; the last is the background."""
    size = settings.shape

    def draw_background() -> _Part:
        found = pictures.background(size, rng)
        return _Part(found.rgb, np.ones(size, np.float32), found.source)

    behind = _textured(draw_background, cover=(0.0, 1.0))
    parts: list[_Part] = []
    for _ in range(foregrounds):
        used = [behind.source, *(part.source for part in parts)]
        parts.append(_textured(partial(_foreground, size, pictures, rng, used, settings.outlines), _COVER))
    return [*parts, behind]


def _textured(draw: Callable[[], _Part], cover: tuple[float, float]) -> _Part:
    """What `draw` gives, again while it has too little texture or covers too little or much; the best if none will do."""
    least, most = cover
    drawn: list[tuple[float, _Part]] = []
    for _ in range(_ATTEMPTS):
        part = draw()
        covered = part.alpha >= 0.5
        share = float(covered.mean())
        misfit = max(0.0, least - share, share - most)
        weak = weak_texture(torch.from_numpy(part.rgb).permute(2, 0, 1)).numpy()[covered]
        excess = max(0.0, float(weak.mean()) - _MOST_WEAK) if weak.size else 1.0
        if misfit == excess == 0:
            return part
        drawn.append((misfit + excess, part))
    return min(drawn, key=lambda pair: pair[0])[1]


def _foreground(size: Size, pictures: Pictures, rng: Generator, avoid: list[str], outlines: Outlines) -> _Part:
    if outlines == "whole" and not pictures.has_cutouts:
        background = pictures.background(size, rng, avoid)
        return _Part(background.rgb, draw_outline(size, rng), background.source)
    kind = str(rng.choice(list(_MATTES), p=_SHARES))
    times = _MATTES[kind]
    drawn = pictures.foreground(kind, (size[0] * times, size[1] * times), rng, avoid)
    top, left = (int(rng.integers(0, side * (times - 1) + 1)) for side in size)
    window = (slice(top, top + size[0]), slice(left, left + size[1]))
    return _Part(np.ascontiguousarray(drawn.rgb[window]), np.ascontiguousarray(drawn.alpha[window]), drawn.source)


def _surfaces(kind: str, count: int, rng: Generator) -> tuple[str, ...]:
    """The surface of each layer, nearest first."""
    uneven = {"billboards": "flat"}.get(kind, kind)
    flat = rng.random(count - 1) < 1 / 3
    return (*("flat" if is_flat else uneven for is_flat in flat), uneven)


def _disparities(surfaces: tuple[str, ...], mattes: list[Array], rng: Generator) -> Array:
    """[L, H, W] within bands that do not overlap; where layers cover, they fill theirs, and all reach from 0 to 1."""
    count = len(surfaces)
    thickness = rng.uniform(0.5, 1.5, count) * [surface != "flat" for surface in surfaces]
    thickness[-1] *= _BACKGROUND_SHARE
    gaps = rng.uniform(0.5, 1.5, count - 1)
    scale = (1 - _LEAST_GAP * (count - 1)) / (thickness.sum() + gaps.sum())
    thickness, gaps = thickness * scale, gaps * scale + _LEAST_GAP
    layers = []
    top = 1.0
    for place, (surface, matte) in enumerate(zip(surfaces, mattes, strict=True)):
        height = _relief(surface, matte.shape, rng)
        seen = height[matte > 0] if matte.any() else height
        low, high = float(seen.min()), float(seen.max())
        height = np.clip((height - low) / (high - low), 0, 1) if high > low else np.ones_like(height)
        layers.append(top - thickness[place] * (1 - height))
        if place < count - 1:
            top -= thickness[place] + gaps[place]
    return np.clip(np.stack(layers), 0, 1).astype(np.float32)


def _relief(surface: str, size: tuple[int, ...], rng: Generator) -> NDArray[np.float64]:
    """How a surface rises over the frame, [H, W], in any scale."""
    height, width = size
    longer = max(size)
    y = (np.arange(height)[:, None] + 0.5 - height / 2) / longer
    x = (np.arange(width)[None] + 0.5 - width / 2) / longer
    if surface == "flat":
        return np.zeros(size)
    angle = rng.uniform(0, 2 * np.pi)
    rise = np.cos(angle) * x + np.sin(angle) * y
    if surface == "curved":
        rise = rise * rng.uniform(0, 1)
        for _ in range(3):
            angle, waves = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1.4)
            phase = 2 * np.pi * (waves * (np.cos(angle) * x + np.sin(angle) * y) + rng.random())
            rise = rise + rng.uniform(0.3, 0.7) / waves * np.cos(phase)
    return rise
