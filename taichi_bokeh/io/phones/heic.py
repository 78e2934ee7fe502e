"""What lies beside the picture in a HEIC file."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.arrays import to_unit
from taichi_bokeh.io.formats import heif
from taichi_bokeh.io.formats.colour_profile import to_srgb
from taichi_bokeh.io.formats.contents import is_upright_already
from taichi_bokeh.io.limits import check_size
from taichi_bokeh.io.phones import depth_codes, xmp
from taichi_bokeh.io.phones.boxes import Items, read_items, turned
from taichi_bokeh.io.phones.parts import Part, Parts
from taichi_bokeh.io.srgb import srgb_decode

#: In the type of an auxiliary image, what a matte is of.
MATTE = re.compile(r"(portrait|skin|hair|teeth|glasses|sky)\w*matte", re.IGNORECASE)


def find(content: bytes) -> Parts:
    """Look into a HEIC file.

    Raises:
        ValueError: it is damaged.
    """
    file = heif.open_heif(content)
    items = read_items(content)
    picture = file[file.primary_index]
    depths = [_depth(image, number, picture, items) for number, image in enumerate(picture.info.get("depth_images", ()))]
    problems: list[str] = []
    auxiliary = [
        part
        for kind, numbers in picture.info.get("aux", {}).items()
        for number in numbers
        if (part := _auxiliary(picture, str(kind), int(number), items, problems)) is not None
    ]
    views = [_view(image, number, items) for number, image in enumerate(file) if image is not picture]
    return Parts((*depths, *auxiliary, *views), tuple(problems))


def _depth(image: Any, number: int, picture: Any, items: Items) -> Part:
    ids = [item for item, kind in sorted(items.auxiliary.items()) if is_depth(kind)]
    item = ids[number] if number < len(ids) else 0
    facts = xmp.merged([fact for packet in items.xmp.get(item, ()) for fact in _parsed(packet)], "apple")
    code = depth_codes.apple(facts) if "FloatMaxValue" in facts else depth_codes.hevc(image.info.get("metadata") or {})
    text = f"{code}, {_size(image)} pixels (HEIC auxiliary image)"

    def values() -> NDArray[np.float32]:
        return code.disparity(_upright(_one_plane(image), item, picture, items))

    return Part("depth", "depth" if number == 0 else f"depth_{number + 1}", text, values, code.is_per_metre)


def is_depth(kind: str) -> bool:
    """Tell whether the type of an auxiliary image is that of depth."""
    return kind.endswith("auxid:2") or "depth" in kind.lower() or "disparity" in kind.lower()


def _parsed(packet: bytes) -> list[xmp.Facts]:
    """What a packet says; nothing where it is damaged, as the picture's own range then counts."""
    try:
        return xmp.parse(packet)
    except ValueError:
        return []


def _auxiliary(picture: Any, kind: str, item: int, items: Items, problems: list[str]) -> Part | None:
    if is_depth(kind):
        return None
    try:
        image = picture.get_aux_image(item)
        check_size(*image.size)
    except MemoryError:
        raise
    except Exception as error:  # of kinds of samples that pillow-heif does not decode
        problems.append(f"an auxiliary image of the type {kind} is left out ({heif.damaged(error)})")
        return None
    matte = MATTE.search(kind)
    text = f"{_size(image)} pixels ({kind})"
    if matte is None and "gainmap" not in kind.lower():
        problems.append(f"an auxiliary image of the type {kind} is left out, which is not known")
        return None

    def values() -> NDArray[Any]:
        samples = _upright(heif.decoded(image), item, picture, items)
        return samples if matte is None else to_unit(samples if samples.ndim == 2 else samples[..., 0])

    return Part("gain map", "gain_map", text, values) if matte is None else Part("matte", f"matte_{matte[1]}", text, values)


def _view(image: Any, number: int, items: Items) -> Part:
    is_right = items.stereo is not None and items.stereo[0] == items.primary
    side = "" if items.stereo is None else f", the {'right' if is_right else 'left'} one of a stereo pair"
    read: Callable[[], NDArray[Any]] = partial(_picture, image)
    return Part("view", f"view_{number + 1}", f"{_size(image)} pixels{side}", read, is_right=is_right if items.stereo else None)


def _picture(image: Any) -> NDArray[np.float32]:
    samples = to_srgb(heif.decode_image(image))
    planes = samples[..., None] if samples.ndim == 2 else samples
    rgb = planes[..., :3] if planes.shape[2] >= 3 else np.repeat(planes[..., :1], 3, axis=2)
    return srgb_decode(to_unit(rgb))


def _one_plane(image: Any) -> NDArray[Any]:
    check_size(*image.size)
    samples = heif.decoded(image)
    return samples if samples.ndim == 2 else samples[..., 0]


def _upright(samples: NDArray[Any], item: int, picture: Any, items: Items) -> NDArray[Any]:
    """Turn what has no turn of its own as the picture is, unless its shape says that it is upright already."""
    turns = items.turns.get(items.primary, [])
    if not turns or items.turns.get(item):
        return samples
    width, height = picture.size
    after = turned(samples, turns)
    return samples if is_upright_already(samples.shape, after.shape, (height, width)) else after


def _size(image: Any) -> str:
    return f"{image.size[0]}×{image.size[1]}"
