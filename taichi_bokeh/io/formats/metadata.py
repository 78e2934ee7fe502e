"""What a camera wrote beside the image: EXIF, carried from a photograph to the image made of it."""

import io
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ExifTags, UnidentifiedImageError
from PIL import Image as PillowImage

from taichi_bokeh.io.arrays import read_bytes
from taichi_bokeh.io.exr.frame import Frame
from taichi_bokeh.io.formats import heif
from taichi_bokeh.io.formats.quiet import quiet
from taichi_bokeh.io.formats.tiff import is_tiff
from taichi_bokeh.io.limits import check_size

METADATA_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".avif", *heif.SUFFIXES)

_PREFIX = b"Exif\0\0"
_EXIF, _GPS, _INTEROPERABILITY = (int(tag) for tag in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo, ExifTags.IFD.Interop))
# Of the image as a whole. Orientation, thumbnail and what says how pixels lie in the file are not carried.
_KEPT = {
    ExifTags.Base[name].value
    for name in (
        *("ImageDescription", "Make", "Model", "XResolution", "YResolution", "ResolutionUnit", "Software", "DateTime"),
        *("Artist", "HostComputer", "Copyright", "Rating", "XPTitle", "XPComment", "XPAuthor", "XPKeywords", "XPSubject"),
    )
}
_SIZES = (ExifTags.Base.ExifImageWidth.value, ExifTags.Base.ExifImageHeight.value)
_LARGEST_IN_JPEG = 65533  # bytes that a segment holds
_ENTRY_BYTES = 12  # of one tag of a TIFF directory
_COLOUR_SPACE, _SRGB = ExifTags.Base.ColorSpace.value, 1


@dataclass(frozen=True)
class Metadata:
    """What can be carried from one image to another.

    Attributes:
        exif: an EXIF block, from "Exif" on, without orientation, thumbnail and the size of the image; its colour space is
            sRGB. Empty where there is nothing to carry.
        frame: for an OpenEXR file, where the pixels lie, and the primaries of the colours.
    """

    exif: bytes = b""
    frame: Frame | None = None


def read_metadata(path: str | os.PathLike[str]) -> Metadata:
    """Read the EXIF of a JPEG, HEIC, PNG, TIFF or WebP file, fit for an image made of it: upright, in sRGB.

    Empty for a file that has none, and for other formats.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the system refuses to read it.
        ValueError: its EXIF is damaged.
    """
    content = read_bytes(Path(path))
    try:
        with quiet():
            tags = _kept(_stored(content))
            return Metadata(_written(tags).tobytes() if tags else b"")
    except MemoryError:
        raise
    except Exception as error:  # whatever the parser meets: SyntaxError, struct.error, KeyError …
        raise ValueError(f"{path} has EXIF that cannot be read ({error or type(error).__name__})") from None


def read_orientation(path: str | os.PathLike[str]) -> int:
    """Read how EXIF turns a JPEG, HEIC, PNG, TIFF or WebP file, from 1 (not at all) to 8; 1 for others and where it is damaged.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the system refuses to read it.
    """
    try:
        with quiet():
            orientation = _stored(read_bytes(Path(path))).get(ExifTags.Base.Orientation, 1)
    except (OSError, MemoryError):
        raise
    except Exception:  # whatever the parser meets: the picture itself is read elsewhere
        return 1
    return orientation if orientation in range(1, 9) else 1


def _stored(content: bytes) -> PillowImage.Exif:
    exif = PillowImage.Exif()
    if is_tiff(content):
        exif.load(_PREFIX + content)  # EXIF is laid out as a TIFF file, and this is one
        return exif
    if heif.is_heif(content):
        file = heif.open_heif(content)
        exif.load(file[file.primary_index].info["exif"] or b"")
        return exif
    try:
        with PillowImage.open(io.BytesIO(content)) as file:
            check_size(file.width, file.height)  # that of a PNG is looked for behind its pixels, which are unpacked
            if "exif" not in file.info:
                return file.getexif()  # a PNG may keep it in a text
            exif.load(file.info["exif"])
            return exif
    except UnidentifiedImageError:
        return exif


def _kept(stored: PillowImage.Exif) -> dict[int, Any]:
    """Choose what is carried, by tags; directories within as dictionaries."""
    tags: dict[int, Any] = {tag: value for tag, value in stored.items() if tag in _KEPT}
    camera, position = dict(stored.get_ifd(_EXIF)), dict(stored.get_ifd(_GPS))
    if camera:
        camera = {tag: value for tag, value in camera.items() if tag not in _SIZES} | {_COLOUR_SPACE: _SRGB}
        if _INTEROPERABILITY in camera:
            camera[_INTEROPERABILITY] = dict(stored.get_ifd(_INTEROPERABILITY))
        tags[_EXIF] = camera
    if position:
        tags[_GPS] = position
    return tags


def _written(tags: Mapping[int, Any]) -> PillowImage.Exif:
    """Make EXIF of these tags, little-endian."""
    exif = PillowImage.Exif()
    exif.endian = "<"
    for tag, value in tags.items():
        # Pillow would write "?" for what is not ASCII, but takes bytes as they are.
        exif[tag] = value.encode("latin-1") if isinstance(value, str) and not value.isascii() else value
    return exif


def check_metadata(metadata: Metadata | None, suffix: str) -> None:
    """Raise TypeError unless it is metadata or None; ValueError unless a file with such a suffix can hold it."""
    if metadata is None:
        return
    if not isinstance(metadata, Metadata):
        raise TypeError(f"metadata is of type {type(metadata).__name__}; expected Metadata or None")
    if metadata.exif and suffix not in METADATA_SUFFIXES:
        raise ValueError(
            f"metadata cannot be carried to {suffix} files; expected one of {', '.join(METADATA_SUFFIXES)}, or None"
        )
    if metadata.frame is not None and suffix != ".exr":
        raise ValueError(f"metadata has a frame, which {suffix} files cannot hold; expected None but for .exr")
    if suffix in (".jpg", ".jpeg") and len(metadata.exif) > _LARGEST_IN_JPEG:
        raise ValueError(f"metadata has {len(metadata.exif)} bytes; expected at most {_LARGEST_IN_JPEG} for a JPEG")


def add_to_tiff(content: bytes, metadata: Metadata) -> bytes:
    """Extend a little-endian TIFF file with the metadata: a new directory at its end, of the old one's tags and the EXIF's.

    Raises:
        ValueError: the file is too large for the tags of classic TIFF.
    """
    if not metadata.exif:
        return content
    if content[:4] != b"II*\0":
        raise ValueError("metadata cannot be carried to a TIFF file of 4 GB or more; expected None")
    exif = PillowImage.Exif()
    exif.load(metadata.exif)
    content += bytes(len(content) % 2)
    block = _written(_kept(exif)).tobytes(offset=len(content))[len(_PREFIX) + 8 :]
    block += bytes(len(block) % 2)
    (start,) = struct.unpack_from("<I", content, 4)
    tags = _directory(content, start) | _directory(block, 0)
    directory = struct.pack("<H", len(tags)) + b"".join(tags[code] for code in sorted(tags)) + bytes(4)
    return content[:4] + struct.pack("<I", len(content) + len(block)) + content[8:] + block + directory


def _directory(content: bytes, start: int) -> dict[int, bytes]:
    """Read the entries of a TIFF directory by their tags; where values do not fit into an entry, it says where they are."""
    (count,) = struct.unpack_from("<H", content, start)
    entries = [content[at : at + _ENTRY_BYTES] for at in range(start + 2, start + 2 + _ENTRY_BYTES * count, _ENTRY_BYTES)]
    return {struct.unpack_from("<H", entry)[0]: entry for entry in entries}
