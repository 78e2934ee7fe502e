"""Colour images: read to linear light, written from it."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io import exr
from taichi_bokeh.io.arrays import IMAGE_SUFFIXES, read_contents, refusal, to_unit
from taichi_bokeh.io.colours import decode_light
from taichi_bokeh.io.extras import check_package
from taichi_bokeh.io.formats import heif, numpy_files, pfm, png, raster, tiff
from taichi_bokeh.io.formats.colour_profile import to_srgb
from taichi_bokeh.io.formats.metadata import Metadata, add_to_tiff, check_metadata
from taichi_bokeh.io.require import require_coverage, require_light
from taichi_bokeh.io.srgb import srgb_encode
from taichi_bokeh.storage.atomic_files import check_output, write_atomically

Array = NDArray[np.float32]


_ROUNDING = 1e-3  # how far out of [0, 1] an alpha may lie

# Those of others: 32, or 8 for the default.
_BITS = {".png": (8, 16), ".exr": (8, 16, 32), **dict.fromkeys((".jpg", ".jpeg", ".avif", *heif.SUFFIXES), (8,))}

#: Of files that `write_image` can write an alpha channel to.
ALPHA_SUFFIXES = (".png", ".tif", ".tiff", ".exr", ".npy", ".avif", *heif.SUFFIXES)


class Image(NamedTuple):
    """An image.

    Attributes:
        rgb: float32 [H, W, 3], linear light, ≥ 0, straight (not premultiplied).
        alpha: float32 [H, W] in [0, 1], or None where the file has none.
    """

    rgb: Array
    alpha: Array | None


def read_image(path: str | os.PathLike[str], *, layer: str | None = None) -> Image:
    """Read an image, turned upright, from PNG, JPEG, HEIC, TIFF, OpenEXR, PFM, npy, or what else Pillow knows (AVIF, WebP …).

    Integers are taken as sRGB and decoded. Where an embedded colour profile says otherwise, images of 8 and 16 bits, CMYK ones
    of 8 too, are converted to sRGB (relative colorimetric); what a PNG says of its curve and its primaries is obeyed. Floats
    are taken as linear light, and their negative values (colours outside the gamut) become 0. Grey images get three equal
    channels.

    Args:
        path: the file.
        layer: of an OpenEXR file: the name of a layer, as ``ViewLayer.Combined`` or a part of it that is its alone; None: the
            only image, or that which is called as renderers call the whole image. What is shown of it is given.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the system refuses to read it.
        ValueError: it cannot be read, is not one image of 1 to 4 channels and at most 200 megapixels, holds NaN or infinite
            values, or its colours are unknown.
    """
    plate = read_plate(path, layer=layer)
    rgb, alpha = plate.shown()
    return Image(np.ascontiguousarray(np.maximum(rgb, 0)), alpha)


class Plate(NamedTuple):
    """An image as it is to be worked on.

    Attributes:
        rgb: [H, W, 3], linear light, straight; of an OpenEXR file in its own primaries, and perhaps negative.
        alpha: as of `Image`.
        frame: of an OpenEXR file, where the pixels lie, of which some may lie beyond what is shown; else None.
    """

    rgb: Array
    alpha: Array | None
    frame: exr.Frame | None = None

    def shown(self) -> Image:
        """Give what is shown, in the primaries of sRGB; negative where colours lie outside the gamut."""
        if self.frame is None:
            return Image(self.rgb, self.alpha)
        alpha = None if self.alpha is None else np.ascontiguousarray(self.frame.shown(self.alpha))
        return Image(self.frame.shown_light(self.rgb), alpha)


def read_plate(path: str | os.PathLike[str], *, layer: str | None = None) -> Plate:
    """Read an image as `read_image`, but of an OpenEXR file all pixels, in its primaries, its negative values kept.

    Raises:
        FileNotFoundError, OSError, ValueError: as `read_image`.
    """
    contents = read_contents(path, layer=layer)
    try:
        array = to_srgb(contents)
    except ValueError as error:
        raise refusal(path, error) from None
    planes = array[..., None] if array.ndim == 2 else array
    channels = planes.shape[2]
    if channels > 4:
        raise ValueError(f"{path} has {channels} channels, and must have 1 to 4: grey or RGB, with or without alpha")
    is_linear = np.issubdtype(array.dtype, np.floating)
    if not is_linear and array.dtype not in (np.bool_, np.uint8, np.uint16):
        raise ValueError(f"{path} holds {array.dtype} values, and must hold 8- or 16-bit integers or floats")
    values = to_unit(planes)
    if not np.isfinite(values).all():
        raise ValueError(f"{path} holds NaN or infinite colours, and must be finite")
    alpha = np.clip(values[..., -1], 0, 1) if channels in (2, 4) else None
    colour = values[..., :3] if channels >= 3 else np.repeat(values[..., :1], 3, axis=2)
    rgb = colour if is_linear else decode_light(colour, contents.coding)
    rgb = np.ascontiguousarray(rgb if contents.frame is not None else np.maximum(rgb, 0))
    return Plate(rgb, alpha, contents.frame)


def write_image(
    path: str | os.PathLike[str],
    rgb: Array,
    alpha: Array | None = None,
    *,
    overwrite: bool = False,
    bits: int | None = None,
    metadata: Metadata | None = None,
) -> None:
    """Write an image as PNG, JPEG, AVIF, HEIC (sRGB), OpenEXR, PFM, TIFF or npy (floats, linear light), by its suffix.

    The file appears whole or not at all. Only files in sRGB clip, to [0, 1].

    Args:
        path: the file to write.
        rgb: [H, W, 3], floats, linear light.
        alpha: [H, W] in [0, 1]; not for JPEG and PFM. EXR files hold colours multiplied by it, so none where it is 0.
        overwrite: replace a file of that name.
        bits: a channel: 8 or 16 for PNG, 8 for JPEG, AVIF and HEIC, 16 (half) or 32 for EXR, 32 for the others. By default 8
            for files in sRGB and 32 for the rest, which take 8 to mean this too.
        metadata: of the photograph that the image was made of, see `read_metadata`; for JPEG, AVIF, HEIC, PNG and TIFF; its
            frame for OpenEXR.

    Raises:
        FileExistsError: the file exists and ``overwrite`` is false.
        FileNotFoundError: its folder does not exist.
        TypeError: ``rgb`` is not of floats (8- and 16-bit sRGB is decoded by `srgb_decode`), ``alpha`` of integers other than
            0 and 1, or ``metadata`` is something else.
        ValueError: the shapes, the suffix, ``bits`` or ``metadata`` do not fit, or a value is not finite.
    """
    check_format(path, bits, has_alpha=alpha is not None)
    check_metadata(metadata, Path(path).suffix.lower())
    check_output(path, overwrite)
    write_atomically(path, encode_image(path, rgb, alpha, bits=bits, metadata=metadata), overwrite)


def encode_image(
    path: str | os.PathLike[str],
    rgb: Array,
    alpha: Array | None = None,
    *,
    bits: int | None = None,
    metadata: Metadata | None = None,
) -> bytes:
    """Make what `write_image` would write into a file of this name.

    Raises:
        TypeError, ValueError: as `write_image`.
    """
    check_format(path, bits, has_alpha=alpha is not None)
    suffix = Path(path).suffix.lower()
    check_metadata(metadata, suffix)
    rgb = np.ascontiguousarray(require_light("rgb", rgb))
    if alpha is not None:
        alpha = require_coverage("alpha", alpha, rgb, tolerance=_ROUNDING)
    if not np.isfinite(rgb).all():
        raise ValueError("rgb holds NaN or infinite values; expected finite ones")
    return _encode(suffix, rgb, alpha, bits, metadata or Metadata())


def check_format(path: str | os.PathLike[str], bits: int | None = None, *, has_alpha: bool = False) -> None:
    """Raise ValueError unless ``write_image`` can write a file of this name with so many bits."""
    suffix = Path(path).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise ValueError(f"{path} has the suffix {suffix!r}, and must have one of {', '.join(IMAGE_SUFFIXES)}")
    if bits is not None and bits not in _BITS.get(suffix, (8, 32)):
        raise ValueError(f"{path} cannot have {bits} bits: PNG has 8 or 16, EXR 16 or 32, JPEG, AVIF and HEIC 8, the others 32")
    if has_alpha and suffix not in ALPHA_SUFFIXES:
        raise ValueError(f"{path} is a {suffix[1:].upper()} file, which holds no alpha; use PNG, TIFF or EXR")
    check_package(suffix, bits)


def _encode(suffix: str, rgb: Array, alpha: Array | None, bits: int | None, metadata: Metadata) -> bytes:
    """Make the content of the file."""
    if suffix == ".exr":
        return exr.encode_image(rgb, alpha, bits or 32, metadata.frame)
    if suffix == ".pfm":
        return pfm.encode(rgb)
    if suffix in (".tif", ".tiff", ".npy"):
        planes = rgb if alpha is None else np.dstack([rgb, alpha.astype(np.float32)])
        return numpy_files.encode(planes) if suffix == ".npy" else add_to_tiff(tiff.encode(planes), metadata)
    encoded = srgb_encode(np.clip(rgb, 0, 1))
    planes = encoded if alpha is None else np.dstack([encoded, np.clip(alpha, 0, 1)])
    if bits == 16:
        return png.encode((planes * 65535 + 0.5).astype(np.uint16), metadata.exif.removeprefix(b"Exif\0\0"))
    samples = (planes * 255 + 0.5).astype(np.uint8)
    return heif.encode(samples, metadata.exif) if suffix in heif.SUFFIXES else raster.encode(suffix, samples, metadata.exif)
