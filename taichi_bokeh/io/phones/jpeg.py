"""What lies beside the picture in a JPEG file: in its XMP, behind it, or as one of several pictures."""

import base64
import binascii
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags
from PIL import Image as PillowImage

from taichi_bokeh.io.arrays import to_unit
from taichi_bokeh.io.formats import raster
from taichi_bokeh.io.formats.colour_profile import to_srgb
from taichi_bokeh.io.formats.contents import is_upright_already, upright
from taichi_bokeh.io.formats.quiet import quiet
from taichi_bokeh.io.limits import check_size
from taichi_bokeh.io.phones import depth_codes, samsung, xmp
from taichi_bokeh.io.phones.depth_codes import DepthCode
from taichi_bokeh.io.phones.heic import MATTE
from taichi_bokeh.io.phones.parts import Part, Parts
from taichi_bokeh.io.phones.segments import STEREO, Picture, jpeg_end, pictures, xmp_packets
from taichi_bokeh.io.srgb import srgb_decode

_MOST_ITEMS = 64
_RAY = "OpticRay"


@dataclass(frozen=True)
class _Main:
    """The picture: its size as it is stored [rows, columns], and how EXIF says to turn it."""

    stored: tuple[int, int]
    orientation: int

    def upright(self, values: NDArray[Any]) -> NDArray[Any]:
        """Turn what belongs to it as it is turned itself, unless its shape says that it is upright already."""
        after, picture = upright(values, self.orientation), self.stored
        if self.orientation >= 5:
            picture = (picture[1], picture[0])
        return values if is_upright_already(values.shape, after.shape, picture) else after


def find(content: bytes) -> Parts:
    """Look into a JPEG file.

    Raises:
        ValueError: it is damaged.
    """
    main, problems = _main(content), list[str]()
    facts = _all_facts(content, problems)
    sources: list[Callable[[], Iterator[Part]]] = [
        partial(_of_gdepth, facts, main),
        partial(_of_container, content, facts, main),
        partial(_of_index, content, main),
        partial(_of_samsung, content, main),
    ]
    found: list[Part] = []
    for source in sources:
        try:
            for part in source():
                taken = [one.name for one in found]
                if part.kind == "gain map" and part.name in taken:
                    continue  # some files list it twice
                found.append(part if part.name not in taken else _renamed(part, taken))
        except ValueError as error:
            problems.append(str(error))
    return Parts(tuple(found), tuple(problems))


def _renamed(part: Part, taken: list[str]) -> Part:
    number = next(n for n in range(2, len(taken) + 3) if f"{part.name}_{n}" not in taken)
    return Part(part.kind, f"{part.name}_{number}", part.text, part.values, part.is_per_metre, part.is_right)


def _main(content: bytes) -> _Main:
    width, height, orientation = _size(content)
    return _Main((height, width), orientation)


def _size(content: bytes) -> tuple[int, int, int]:
    """Width, height and EXIF orientation of a picture, without unpacking it."""
    try:
        with quiet(), PillowImage.open(io.BytesIO(content)) as file:
            check_size(file.width, file.height)  # the EXIF of a PNG is looked for behind its pixels, which are unpacked
            return file.width, file.height, int(file.getexif().get(ExifTags.Base.Orientation, 1))
    except MemoryError:
        raise
    except Exception as error:  # whatever its parsers meet
        raise ValueError(f"a picture in it is damaged ({error or type(error).__name__})") from None


def _all_facts(content: bytes, problems: list[str]) -> list[xmp.Facts]:
    found = []
    for packet in xmp_packets(content):
        try:
            found += xmp.parse(packet)
        except ValueError as error:
            problems.append(str(error))
    return found


def _of_gdepth(facts: list[xmp.Facts], main: _Main) -> Iterator[Part]:
    """Google's GDepth: a picture in base64 within the XMP; the sharp original, too."""
    depth, image = xmp.merged(facts, "depth"), xmp.merged(facts, "image")
    if "Data" in depth:
        yield _google_depth(_unpacked(depth["Data"]), depth, main, "GDepth in the XMP")
    if "Data" in image:
        yield _view(_unpacked(image["Data"]), main, "original", "sharp original in the XMP")


def _of_container(content: bytes, facts: list[xmp.Facts], main: _Main) -> Iterator[Part]:
    """Dynamic Depth and its kin: files that a directory in the XMP lists, in order, behind the picture."""
    items = [xmp.merged([one], "item") for one in facts if "item:Mime" in one][:_MOST_ITEMS]
    if len(items) < 2:
        return
    depth, position = xmp.merged(facts, "depth"), jpeg_end(content) + _length(items[0], "Padding")
    for item in items[1:]:
        end = position + _length(item, "Length")
        data, what = content[position:end], _meaning(item)
        if what in ("depth", "original", "gainmap") and not position < end <= len(content):
            raise ValueError(f"its directory lists a {what} of {end - position} bytes that is not there")
        if what == "depth":
            yield _google_depth(data, depth, main, "Dynamic Depth")
        elif what == "original":
            yield _view(data, main, "original", "sharp original behind the picture")
        elif what == "gainmap":
            yield _gain_map(data, main)
        position = end + _length(item, "Padding")


def _meaning(item: Mapping[str, str]) -> str:
    said = item.get("Semantic") or item.get("DataURI") or item.get("URI") or ""
    name = said.lower().rpartition("/")[2]
    return {"depthmap": "depth", "originalimage": "original"}.get(name, name)


def _length(item: Mapping[str, str], name: str) -> int:
    text = item.get(name, "0")
    return int(text) if text.isdecimal() and len(text) < 12 else 0


def _of_index(content: bytes, main: _Main) -> Iterator[Part]:
    """Several pictures in a file (MPF): views, and Apple's auxiliary images, whose XMP says what they are."""
    others = [one for one in pictures(content) if one.start > 0]
    is_pair = sum(one.kind == STEREO for one in others) == 1
    for number, picture in enumerate(others):
        data = content[picture.start : picture.end]
        facts = _all_facts(data, [])
        said = xmp.merged(facts, "apple")
        kind, matte = said.get("AuxiliaryImageType", ""), MATTE.search(said.get("AuxiliaryImageType", ""))
        if kind.lower() in ("disparity", "depth"):
            yield _depth(data, depth_codes.apple(said), main, "Apple's auxiliary image")
        elif matte:
            yield Part("matte", f"matte_{matte[1].lower()}", f"{_shown(data)} ({kind})", partial(_matte, data, main))
        elif "gainmap" in kind.lower() or xmp.merged(facts, "gain"):
            yield _gain_map(data, main)
        elif not kind and _is_view(data, picture, main):
            is_right = True if picture.kind == STEREO and is_pair else None
            yield _view(
                data,
                main,
                "view",
                "another view" if is_right is None else "the right one of a stereo pair",
                number + 2,
                is_right,
            )


def _is_view(data: bytes, picture: Picture, main: _Main) -> bool:
    """A picture as large as the first is a view; smaller ones are previews."""
    width, height, _ = _size(data)
    return picture.kind == STEREO or (height, width) == main.stored


def _of_samsung(content: bytes, main: _Main) -> Iterator[Part]:
    found = samsung.depth_of(samsung.blocks(content))
    if found is not None:
        data, width, height = found
        samples = np.frombuffer(data, np.uint8).reshape(height, width)
        text = f"disparity of its own unit, {width}×{height} pixels (Samsung's trailer; larger is taken to be nearer)"
        yield Part("depth", "depth", text, lambda: depth_codes.UNKNOWN.disparity(main.upright(samples)))


def _google_depth(data: bytes, facts: Mapping[str, str], main: _Main, where: str) -> Part:
    ray = ", measured along rays" if facts.get("MeasureType") == _RAY else ""
    return _depth(data, depth_codes.google(facts), main, f"{where}, {facts.get('Format', 'RangeInverse')}{ray}")


def _depth(data: bytes, code: DepthCode, main: _Main, where: str) -> Part:
    text = f"{code}, {_shown(data)} ({where})"
    return Part("depth", "depth", text, lambda: code.disparity(_plane(data, main)), code.is_per_metre)


def _matte(data: bytes, main: _Main) -> NDArray[np.float32]:
    return to_unit(_plane(data, main))


def _gain_map(data: bytes, main: _Main) -> Part:
    return Part("gain map", "gain_map", _shown(data), lambda: main.upright(_samples(data)))


def _view(data: bytes, main: _Main, kind: Any, where: str, number: int = 0, is_right: bool | None = None) -> Part:
    def values() -> NDArray[np.float32]:
        contents = raster.decode(data)  # turned by its own EXIF, where it has any
        samples = to_srgb(contents)
        planes = samples[..., None] if samples.ndim == 2 else samples
        rgb = planes[..., :3] if planes.shape[2] >= 3 else np.repeat(planes[..., :1], 3, axis=2)
        return srgb_decode(to_unit(rgb if _size(data)[2] != 1 else main.upright(rgb)))

    return Part(kind, f"{kind}_{number}" if number else kind, f"{_shown(data)} ({where})", values, is_right=is_right)


def _plane(data: bytes, main: _Main) -> NDArray[Any]:
    samples = _samples(data)
    return main.upright(samples if samples.ndim == 2 else samples[..., 0])


def _samples(data: bytes) -> NDArray[Any]:
    """The numbers of a picture as they are stored: the turn is that of the photograph."""
    _, _, orientation = _size(data)
    values = raster.decode(data).values
    return values if orientation == 1 else upright(values, {6: 8, 8: 6}.get(orientation, orientation))


def _shown(data: bytes) -> str:
    width, height, _ = _size(data)
    return f"{width}×{height} pixels"


def _unpacked(text: str) -> bytes:
    """The bytes of a text in base64."""
    try:
        return base64.b64decode("".join(text.split()))
    except (binascii.Error, ValueError):
        raise ValueError("the picture within its XMP is damaged") from None
