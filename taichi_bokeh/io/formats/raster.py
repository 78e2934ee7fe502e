"""PNG, JPEG and what else Pillow opens, through imageio."""

import io
from typing import Any

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageFile, UnidentifiedImageError

from taichi_bokeh.io.formats import avif, png
from taichi_bokeh.io.formats.contents import Contents, DamagedFileError, upright
from taichi_bokeh.io.formats.quiet import quiet
from taichi_bokeh.io.limits import check_size

_OPTIONS = {".png": {}, ".avif": {"quality": 90, "subsampling": "4:4:4"}}  # else those of JPEG
_PLAIN_MODES = ("1", "L", "LA", "RGB", "RGBA", "F", "CMYK")
_WITH_ALPHA = {"1": "LA", "L": "LA", "RGB": "RGBA", "P": "RGBA", "PA": "RGBA"}


def is_raster(head: bytes) -> bool:
    """Tell whether the bytes begin as a file of a format that Pillow reads."""
    try:
        with quiet(), PillowImage.open(io.BytesIO(head)) as file:
            return not isinstance(file, ImageFile.StubImageFile)  # known by name only, as HDF5 is
    except Exception:  # whatever its parsers meet in a file that is none
        return False


def decode(content: bytes) -> Contents:
    """Read the one image of the file, with a palette's colours in place of their numbers.

    Raises:
        ValueError: the file is damaged, too large, of several images, or in colours that are not supported.
    """
    try:
        with quiet():
            with PillowImage.open(io.BytesIO(content)) as file:  # imageio does not tell the name of the format
                name = "JPEG" if file.format == "MPO" else str(file.format)
            with iio.imopen(content, "r", plugin="pillow") as file:
                return _decode(content, file, name)
    except UnidentifiedImageError:
        raise DamagedFileError("not an image, or of an unknown format") from None
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # whatever its parsers meet: OSError, SyntaxError, struct.error, IndexError …
        raise DamagedFileError(str(error) or type(error).__name__) from None


def encode(suffix: str, samples: NDArray[np.uint8], exif: bytes = b"") -> bytes:
    """Make the PNG, JPEG or AVIF file, by its suffix, of sRGB samples [H, W] or [H, W, C]; `exif` is a block of EXIF."""
    options: dict[str, Any] = _OPTIONS.get(suffix, {"quality": 95, "subsampling": 0})
    return iio.imwrite("<bytes>", samples, extension=suffix, plugin="pillow", is_batch=False, exif=exif, **options)


def _decode(content: bytes, file: Any, name: str) -> Contents:
    facts = file.properties(index=...)
    frames, height, width = facts.shape[:3]
    check_size(width, height)
    if frames > 1 and name != "JPEG":  # which may hold more images behind its own, such as a gain map
        raise ValueError(f"it is an animation of {frames} frames, and must be one image")
    coding = png.coding(content)
    deep = _deep(content, name)
    tags = file.metadata(index=0, exclude_applied=False)  # may unpack the pixels
    values = _values(file, tags) if deep is None else deep
    # imageio could turn it, but not one with a palette.
    upright_values = upright(values, tags.get("Orientation", 1))
    profile = None if coding is not None else tags.get("icc_profile") or None
    if profile is None and name == "AVIF":
        profile = avif.profile(content)
    return Contents(upright_values, name, profile, is_cmyk=tags["mode"] == "CMYK", coding=coding)


def _deep(content: bytes, name: str) -> NDArray[np.uint16] | None:
    """The samples of what Pillow would read with 8 bits only."""
    if png.is_deep_colour(content):
        return png.decode(content)
    return avif.decode_deep(content) if name == "AVIF" and avif.bits(content) > 8 else None


def _values(file: Any, tags: dict[str, Any]) -> NDArray[Any]:
    mode = tags["mode"]
    if mode in _WITH_ALPHA and ("transparency" in tags or mode == "PA"):
        mode = _WITH_ALPHA[mode]
    elif mode == "P":
        mode = "RGB"
    if mode not in _PLAIN_MODES and not mode.startswith("I"):
        raise ValueError(f"its colours are {mode}; expected RGB, grey, a palette or CMYK")
    array: NDArray[Any] = file.read(index=0, mode=None if mode == tags["mode"] != "I" else mode, writeable_output=False)
    # Some versions of Pillow give 16-bit grey as 32-bit integers.
    return array.astype(np.uint16) if mode == "I" and array.min() >= 0 and array.max() < 65536 else array
