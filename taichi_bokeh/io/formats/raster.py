"""PNG, JPEG and what else Pillow opens."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from taichi_bokeh.io.formats import png16
from taichi_bokeh.io.formats.contents import Contents, DamagedFileError, upright
from taichi_bokeh.io.formats.quiet import quiet_pillow
from taichi_bokeh.io.limits import check_size

_ORIENTATION = 0x0112
_SRGB_CODING = bytes((1, 13, 0, 1))
_PLAIN_MODES = ("1", "L", "LA", "RGB", "RGBA", "F", "CMYK")
_WITH_ALPHA = {"1": "LA", "L": "LA", "RGB": "RGBA", "P": "RGBA", "PA": "RGBA"}


def decode(content: bytes) -> Contents:
    """The one picture of the file, with a palette's colours in place of their numbers.

    Raises:
        ValueError: the file is damaged, too large, of several pictures, or in colours that are not supported.
    """
    try:
        with quiet_pillow(), PillowImage.open(io.BytesIO(content)) as file:
            check_size(*file.size)
            _check_frames(file)
            _check_coding(png16.coding(content))
            values = png16.decode(content) if png16.is_deep_colour(content) else _values(file)
            profile = file.info.get("icc_profile")
            orientation = file.getexif().get(_ORIENTATION, 1)
            name = "JPEG" if file.format == "MPO" else str(file.format)
            return Contents(upright(values, orientation), name, profile or None, file.mode == "CMYK")
    except UnidentifiedImageError:
        raise DamagedFileError("not a picture, or of an unknown format") from None
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # whatever its parsers meet: OSError, SyntaxError, struct.error, IndexError …
        raise DamagedFileError(str(error) or type(error).__name__) from None


def _check_frames(file: PillowImage.Image) -> None:
    """A JPEG may hold more pictures behind its own, such as a gain map; another file of several is an animation."""
    frames = int(getattr(file, "n_frames", 1))
    if frames > 1 and file.format != "MPO":
        raise ValueError(f"it is an animation of {frames} frames, and must be one picture")


def _check_coding(coding: bytes | None) -> None:
    """A PNG may say by numbers that its colours are wide or its curve is one for HDR."""
    if coding is not None and coding != _SRGB_CODING:
        numbers = ", ".join(map(str, coding))
        raise ValueError(f"its colours are coded as {numbers} (ITU-T H.273), and must be sRGB (1, 13, 0, 1)")


def _values(file: PillowImage.Image) -> NDArray[Any]:
    picture: PillowImage.Image = file
    picture.load()
    if picture.mode in _WITH_ALPHA and ("transparency" in picture.info or picture.mode == "PA"):
        picture = picture.convert(_WITH_ALPHA[picture.mode])
    elif picture.mode == "P":
        picture = picture.convert("RGB")
    if picture.mode not in _PLAIN_MODES and not picture.mode.startswith("I"):
        raise ValueError(f"its colours are {picture.mode}; expected RGB, grey, a palette or CMYK")
    array = np.asarray(picture)
    # Some versions of Pillow give 16-bit grey as 32-bit integers.
    return array.astype(np.uint16) if picture.mode == "I" and array.min() >= 0 and array.max() < 65536 else array
