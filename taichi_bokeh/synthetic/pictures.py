"""The images that scenes are made of: natural backgrounds, and foregrounds with a colour and a matte.

Without folders of the user's own, both come from photographs that scikit-image brings along (nothing is downloaded):
backgrounds as they are, foregrounds as texture under a procedural matte. Everything is in linear light.
"""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from taichi_bokeh._extras import how_to_install
from taichi_bokeh.io import read_image
from taichi_bokeh.synthetic.cutouts import find_cutouts, fit_to_frame, images_below, read_cutout, resize
from taichi_bokeh.synthetic.mattes import REFERENCE_PX, Size, draw_matte

Array = NDArray[np.float32]

_BACKGROUNDS = (
    *("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg"),
    *("motorcycle_left.png", "rocket.jpg"),
)
_Tint = tuple[float, float, float] | None  # linear light; None: the image has colours of its own
_BROWN, _RUST, _SAND = (0.42, 0.25, 0.13), (0.6, 0.2, 0.09), (0.75, 0.6, 0.4)
_GREEN, _STEEL = (0.3, 0.42, 0.14), (0.5, 0.55, 0.62)
#: Per kind of matte the textures that suit it; grey ones are given a colour.
_TEXTURES: dict[str, tuple[tuple[str, _Tint], ...]] = {
    "hair": (("grass.png", _BROWN), ("chelsea.png", None), ("coffee.png", None), ("grass.png", _SAND)),
    "holes": (("ihc.png", None), ("coffee.png", None), ("motorcycle_left.png", None), ("brick.png", _RUST)),
    "lattice": (("gravel.png", _STEEL), ("brick.png", _BROWN), ("astronaut.png", None), ("rocket.jpg", None)),
    "twigs": (("gravel.png", _BROWN), ("grass.png", _BROWN), ("brick.png", _SAND), ("chelsea.png", None)),
    "soft": (("chelsea.png", None), ("retina.jpg", None), ("astronaut.png", None), ("ihc.png", None)),
    "solid": (("grass.png", _GREEN), ("gravel.png", _GREEN), ("brick.png", _RUST), ("coffee.png", None)),
}


class Background(NamedTuple):
    """An image that fills the frame.

    Attributes:
        rgb: float32 [H, W, 3], linear light, ≥ 0.
        source: the name of the image that it comes from.
    """

    rgb: Array
    source: str


class Foreground(NamedTuple):
    """An image of the frame's size that covers part of it.

    Attributes:
        rgb: float32 [H, W, 3], linear light, straight; the object's colours, also outside its matte.
        alpha: float32 [H, W] in [0, 1].
        source: the name of the image that its colours come from.
        kind: the kind of its procedural matte, or "picture".
    """

    rgb: Array
    alpha: Array
    source: str
    kind: str


class Pictures:
    """Where scenes take their images from. What is drawn depends on the folders' content and the generator alone.

    Args:
        foregrounds: a folder of images with alpha; or one that holds a folder of images (``original``, ``fg``, ``image``
            or ``images``) and one of mattes (``mask``, ``alpha`` or ``matte``), paired by their names, as AIM-500 and the
            Adobe matting set do. None: textures under procedural mattes.
        backgrounds: a folder of images, searched with all its subfolders. None: photographs that scikit-image brings.

    Raises:
        ValueError: a folder does not exist or holds no image, an image has no matte or a matte no image, or
            scikit-image is not installed and needed.
    """

    def __init__(self, foregrounds: Path | None = None, backgrounds: Path | None = None) -> None:
        self._cutouts = None if foregrounds is None else find_cutouts(Path(foregrounds))
        self._backgrounds = None if backgrounds is None else images_below("backgrounds", Path(backgrounds))
        self._bundled = _bundled_folder() if foregrounds is None or backgrounds is None else None
        self._read: dict[str, Array] = {}

    @property
    def has_cutouts(self) -> bool:
        """Whether foregrounds are the user's own, with their own mattes."""
        return self._cutouts is not None

    def background(self, size: Size, rng: Generator, avoid: Collection[str] = ()) -> Background:
        """Take a random crop of a background, flipped or not, resampled to `size` (height, width).

        Args:
            size: height and width, px.
            rng: what the choice is drawn from.
            avoid: sources not to take, unless there are no others.

        Raises:
            ValueError: the image cannot be read.
        """
        if self._backgrounds is None:
            source = _choose(_BACKGROUNDS, avoid, rng)
            return Background(_crop(self._bundled_image(source), size, rng), source)
        source = _choose(list(self._backgrounds), avoid, rng)
        return Background(_crop(read_image(self._backgrounds[source]).rgb, size, rng), source)

    def foreground(self, kind: str, size: Size, rng: Generator, avoid: Collection[str] = ()) -> Foreground:
        """Make a foreground; its matte is of the given kind unless the user's own foregrounds are in use.

        Args:
            kind: of `mattes.KINDS`.
            size: height and width, px.
            rng: what all choices are drawn from.
            avoid: sources not to take, unless there are no others.

        Raises:
            ValueError: the kind is unknown, or the image or its matte cannot be read or have different sizes.
        """
        if self._cutouts is not None:
            source = _choose(list(self._cutouts), avoid, rng)
            return Foreground(*fit_to_frame(read_cutout(self._cutouts[source]), size, rng), source, "picture")
        alpha = draw_matte(kind, size, rng)
        textures = _TEXTURES[kind]
        source = _choose([name for name, _ in textures], avoid, rng)
        tints = [tint for name, tint in textures if name == source]
        tint = tints[int(rng.integers(len(tints)))]
        rgb = _crop(self._bundled_image(source), size, rng)
        if tint is not None:
            grey = rgb.mean(axis=2, keepdims=True)
            rgb = grey / max(float(grey.max()), 1e-6) * np.array(tint, np.float32) / max(tint)
        rgb = rgb * _relief(alpha, rng)[..., None]
        return Foreground(np.ascontiguousarray(rgb, np.float32), alpha, source, kind)

    def _bundled_image(self, name: str) -> Array:
        if name not in self._read:
            assert self._bundled is not None
            self._read[name] = read_image(self._bundled / name).rgb
        return self._read[name]


def digest_of_folder(folder: Path | None) -> str:
    """Digest the names and sizes of the images; "default" for those that scikit-image brings."""
    if folder is None:
        return "default"
    digest = hashlib.sha256()
    for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\n".encode())
    return digest.hexdigest()


def _choose(names: Sequence[str], avoid: Collection[str], rng: Generator) -> str:
    left = [name for name in names if name not in avoid] or names
    return left[int(rng.integers(len(left)))]


def _crop(image: Array, size: Size, rng: Generator) -> Array:
    """Cut out a random part of an image with the frame's shape, at the frame's size; enlarged only as far as it must be."""
    height, width = image.shape[:2]
    widest = min(height / size[0], width / size[1])  # px of the image in one of the frame, where all is used
    scale = rng.uniform(min(widest, max(1.0, 0.6 * widest)), widest)
    top = rng.uniform(0, height - scale * size[0])
    left = rng.uniform(0, width - scale * size[1])
    part = resize(image, size, (left, top, left + scale * size[1], top + scale * size[0]))
    return np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part)


def _relief(alpha: Array, rng: Generator) -> Array:
    """Cast light from one side on a shape that swells where it is covered: factors between 0.25 and 1, defined everywhere."""
    width_px = 10 * min(alpha.shape) / REFERENCE_PX
    height = width_px * ndimage.gaussian_filter(alpha, width_px)
    down, right = np.gradient(height)
    angle = rng.uniform(0, 2 * np.pi)
    facing = 0.65 - 0.9 * (np.cos(angle) * right + np.sin(angle) * down)
    return np.clip(facing * rng.uniform(0.8, 1.25), 0.25, 1).astype(np.float32)


def _bundled_folder() -> Path:
    """Find the folder of scikit-image's own images. They are read as files, as its loaders may turn to the network."""
    try:
        import skimage
    except ModuleNotFoundError:
        raise ValueError(f"the default images need scikit-image ({how_to_install('skimage')})") from None
    return Path(skimage.__file__).parent / "data"
