"""The user's own foregrounds: images with mattes, found in a folder and fitted to a frame."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image as PillowImage

from taichi_bokeh.io import read_alpha, read_image
from taichi_bokeh.io.arrays import IMAGE_SUFFIXES
from taichi_bokeh.photo.fill.push_pull import push_pull

Array = NDArray[np.float32]
Size = tuple[int, int]  # height, width

_IMAGE_FOLDERS = ("original", "fg", "image", "images")
_MATTE_FOLDERS = ("mask", "alpha", "matte")
_SOLID = 0.95  # a pixel so much covered shows the foreground's own colour
_VISIBLE = 0.02  # one less covered is outside the object: its colour is noise


class CutoutFiles(NamedTuple):
    """The files of one foreground; no matte: the image's own alpha."""

    image: Path
    matte: Path | None


class Cutout(NamedTuple):
    """A foreground as it was read.

    Attributes:
        rgb: [H, W, 3], linear light.
        alpha: [H, W] in [0, 1].
        is_mixed: the colours of soft pixels still hold the background that the image was taken before.
    """

    rgb: Array
    alpha: Array
    is_mixed: bool


def find_cutouts(folder: Path) -> dict[str, CutoutFiles]:
    """Find the foregrounds in a folder, by their names, sorted; for the layouts see `Pictures`.

    Raises:
        ValueError: there is no such folder, it holds no image, or an image has no matte or a matte no image.
    """
    if not folder.is_dir():
        raise ValueError(f"foregrounds is {folder}; expected a folder of images, and there is no such folder")
    images, mattes = (
        next((folder / name for name in names if (folder / name).is_dir()), None) for names in (_IMAGE_FOLDERS, _MATTE_FOLDERS)
    )
    if images is None and mattes is None:
        return {name: CutoutFiles(path, None) for name, path in images_below("foregrounds", folder).items()}
    if images is None or mattes is None:
        found, missing = (images, _MATTE_FOLDERS) if images is not None else (mattes, _IMAGE_FOLDERS)
        raise ValueError(f"foregrounds is {folder}, which has {found} but no folder {' or '.join(missing)} beside it")
    by_stem = _by_stem(images), _by_stem(mattes)
    for here, there, folder_there in ((*by_stem, mattes), (*by_stem[::-1], images)):
        for stem, path in here.items():
            if stem not in there:
                raise ValueError(f"foregrounds holds {path}, but no image named {stem} in {folder_there}")
    return {stem: CutoutFiles(path, by_stem[1][stem]) for stem, path in by_stem[0].items()}


def images_below(argument: str, folder: Path) -> dict[str, Path]:
    """Find the images in a folder and its subfolders, by their path in it, sorted.

    Raises:
        ValueError: there is no such folder, or it holds no image; the message names the argument.
    """
    if not folder.is_dir():
        raise ValueError(f"{argument} is {folder}; expected a folder of images, and there is no such folder")
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if _is_image(path)}
    if not found:
        raise ValueError(f"{argument}: {folder} holds no image; expected {', '.join(IMAGE_SUFFIXES)} files")
    return dict(sorted(found.items()))


def read_cutout(files: CutoutFiles) -> Cutout:
    """Read one foreground.

    Raises:
        ValueError: a file cannot be read, there is no alpha, the sizes differ, or nothing is covered.
    """
    image = read_image(files.image)
    alpha = image.alpha if files.matte is None else read_alpha(files.matte)
    if alpha is None:
        raise ValueError(
            f"{files.image} has no alpha; expected an image with alpha, or a folder of mattes beside that of the images"
        )
    if alpha.shape != image.rgb.shape[:2]:
        sizes = [f"{shape[1]}×{shape[0]}" for shape in (alpha.shape, image.rgb.shape)]
        raise ValueError(f"{files.matte} is {sizes[0]} pixels; expected {sizes[1]} as {files.image}")
    if not (alpha > _VISIBLE).any():
        raise ValueError(f"the matte {files.matte or files.image} is empty; expected it to cover something")
    return Cutout(image.rgb, alpha, is_mixed=files.matte is not None)


def fit_to_frame(cutout: Cutout, size: Size, rng: Generator) -> tuple[Array, Array]:
    """Place a foreground in a frame: random size and place, flipped or not.

    Where it is cut off by its own image's border it is put against the frame's (a portrait stands on the lower edge), or
    made large enough to reach from edge to edge.

    Returns:
        Colour [H, W, 3], defined everywhere, and matte [H, W]; float32.
    """
    rgb, alpha = (cutout.rgb[:, ::-1], cutout.alpha[:, ::-1]) if rng.random() < 0.5 else (cutout.rgb, cutout.alpha)
    spans = [_span(alpha, axis) for axis in (1, 0)]  # rows, columns
    cut_off = [(first == 0, last == length) for (first, last), length in zip(spans, alpha.shape, strict=True)]
    lengths = [last - first for first, last in spans]
    across = [frame / length for frame, length in zip(size, lengths, strict=True)]
    scale = max([min(across) * rng.uniform(0.65, 0.97), *(a for a, ends in zip(across, cut_off, strict=True) if all(ends))])
    fitted = max(1, round(scale * lengths[0])), max(1, round(scale * lengths[1]))
    box = (spans[1][0], spans[0][0], spans[1][1], spans[0][1])
    colour, matte = _straight_colour(cutout._replace(rgb=rgb, alpha=alpha), fitted, box)
    starts = [_start(*ends, length, frame, rng) for ends, length, frame in zip(cut_off, fitted, size, strict=True)]
    return _paste(colour, matte, starts, size)


def resize(image: Array, size: Size, box: tuple[float, float, float, float] | None = None) -> Array:
    """Resample an image [H, W] or [H, W, C], or its part (left, top, right, bottom), bicubically and without aliasing.

    The result keeps within 0 and the largest value of the image.
    """
    planes = image if image.ndim == 3 else image[..., None]
    sampled = [
        np.asarray(PillowImage.fromarray(plane).resize(size[::-1], PillowImage.Resampling.BICUBIC, box=box))
        for plane in np.ascontiguousarray(np.moveaxis(planes, 2, 0), np.float32)
    ]
    result = np.clip(np.stack(sampled, axis=2), 0, planes.max()).astype(np.float32)
    return result if image.ndim == 3 else result[..., 0]


def _straight_colour(cutout: Cutout, size: Size, box: tuple[float, float, float, float]) -> tuple[Array, Array]:
    """Resample the part of a cutout in `box`: its own colours, free of any background and defined everywhere; matte."""
    matte = resize(cutout.alpha, size, box)
    if cutout.is_mixed:
        seen = resize(cutout.rgb, size, box)
        solid = matte > _SOLID
        weight = solid if solid.any() else (matte / matte.max()) ** 4  # smoke and glass have no solid part
        return push_pull(seen, weight.astype(np.float32)), matte
    premultiplied = resize(cutout.rgb * cutout.alpha[..., None], size, box)
    visible = matte > min(_VISIBLE, 0.5 * float(matte.max()))
    straight = (premultiplied / np.maximum(matte, 1e-6)[..., None]).astype(np.float32)
    return push_pull(straight, visible.astype(np.float32)), matte


def _paste(colour: Array, matte: Array, starts: list[int], size: Size) -> tuple[Array, Array]:
    """Lay an image into the frame; around it its colours go on."""
    to, of = [], []
    for start, length, frame in zip(starts, matte.shape, size, strict=True):
        to.append(slice(max(0, start), min(frame, start + length)))
        of.append(slice(max(0, -start), min(length, frame - start)))
    rgb, alpha, known = np.zeros((*size, 3), np.float32), np.zeros(size, np.float32), np.zeros(size, np.float32)
    inside, part = tuple(to), tuple(of)
    rgb[inside], alpha[inside], known[inside] = colour[part], matte[part], 1
    return push_pull(rgb, known), alpha


def _start(low_cut: bool, high_cut: bool, length: int, frame: int, rng: Generator) -> int:
    """Find where in the frame a length begins that is cut off at its low end, its high end, both or neither."""
    overhang = 0.1 * length
    if low_cut and high_cut:
        return round(rng.uniform(frame - length, 0))
    if low_cut:
        return round(-rng.uniform(0, overhang))
    if high_cut:
        return frame - length + round(rng.uniform(0, overhang))
    low, high = sorted((-overhang, frame - length + overhang))
    return round(rng.uniform(low, high))


def _span(alpha: Array, axis: int) -> tuple[int, int]:
    """Find first and one past the last row (axis 1) or column (axis 0) in which something is covered."""
    covered = np.flatnonzero((alpha > _VISIBLE).any(axis=axis))
    return int(covered[0]), int(covered[-1]) + 1


def _by_stem(folder: Path) -> dict[str, Path]:
    """Find the images in one folder by their names without suffix, sorted."""
    result: dict[str, Path] = {}
    for path in sorted(path for path in folder.iterdir() if _is_image(path)):
        if path.stem in result:
            raise ValueError(f"foregrounds holds both {result[path.stem]} and {path.name}; expected one image of a name")
        result[path.stem] = path
    if not result:
        raise ValueError(f"foregrounds: {folder} holds no image; expected {', '.join(IMAGE_SUFFIXES)} files")
    return result


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
