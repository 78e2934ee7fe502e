"""The images of a run: as the run keeps them, and as the report shows them.

Of each unit two 8-bit files are kept: the image, and its error in linear light, which 8 bits of the image would no
longer show where the method is good; the error file's values are square roots, so that errors from 1.5e-5 up are there.
"""

import base64
import math
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from taichi_bokeh.io import write_atomically, write_image

Array = NDArray[np.float32]
Bytes = NDArray[np.uint8]

FOLDER = "pictures"
SHOWN_PX = 384  # images that are larger are shown smaller
WINDOW_PX = 48  # side of the zooms
THUMBNAIL_PX = 64
#: Colours of the error map; between two of them it is linear in sRGB. The first and the last one stand for the range's ends.
HEAT = ((4, 4, 10), (45, 18, 100), (120, 30, 120), (200, 55, 85), (245, 135, 45), (255, 215, 110), (255, 255, 245))
HEAT_RANGE = (1e-3, 1.0)  # |error| in linear light: 60 dB to 0 dB


def picture_path(folder: Path, method: str, scene: str) -> Path:
    """Name the file of a method's image at true blur."""
    return folder / FOLDER / method / f"{scene}.png"


def error_path(folder: Path, method: str, scene: str) -> Path:
    """Name the file of its error."""
    return folder / FOLDER / method / f"{scene}.error.png"


def save_picture(folder: Path, method: str, scene: str, image: Tensor, truth: Tensor) -> None:
    """Keep an image and its error, both [3, H, W], linear light."""
    path = picture_path(folder, method, scene)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, image.permute(1, 2, 0).numpy(), overwrite=True)
    error = (image - truth).abs().amax(0).clamp(max=1).sqrt().numpy()
    write_atomically(error_path(folder, method, scene), png_bytes((error * 255 + 0.5).astype(np.uint8)), overwrite=True)


def load_picture(path: Path) -> Bytes:
    """Read [H, W, 3], sRGB.

    Raises:
        OSError: it is not there, or is no image.
    """
    return iio.imread(path, plugin="pillow", mode="RGB")


def load_error(path: Path) -> Array:
    """Read the largest |error| of the three channels, linear light, up to 1, [H, W].

    Raises:
        OSError: it is not there, or is no image.
    """
    return np.square(iio.imread(path, plugin="pillow", mode="L") / np.float32(255))


def heat_map(error: Array) -> Bytes:
    """Map errors [H, W] → colours [H, W, 3], evenly spaced over the logarithms of `HEAT_RANGE`."""
    low, high = (math.log10(end) for end in HEAT_RANGE)
    logarithm = np.log10(np.maximum(error, HEAT_RANGE[0]))
    return heat((logarithm - low) / (high - low))


def heat(values: NDArray[np.floating[Any]]) -> Bytes:
    """Map values [H, W] from 0 to 1, beyond which they are clipped, as colours [H, W, 3]."""
    node = np.clip(values, 0, 1) * (len(HEAT) - 1)
    channels = [np.interp(node, np.arange(len(HEAT)), [colour[c] for colour in HEAT]) for c in range(3)]
    return (np.stack(channels, -1) + 0.5).astype(np.uint8)


def worst_window(error: Array, size: int = WINDOW_PX) -> tuple[slice, slice]:
    """Find rows and columns of the square in which the mean squared error is largest; the first one, if there are several."""
    height, width = error.shape
    rows, columns = min(size, height), min(size, width)
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = np.square(error, dtype=np.float64).cumsum(0).cumsum(1)
    inside = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return slice(int(top), int(top) + rows), slice(int(left), int(left) + columns)


def png_bytes(image: Bytes) -> bytes:
    """Make a PNG file of [H, W] or [H, W, 3]."""
    return iio.imwrite("<bytes>", image, extension=".png")


def jpeg_url(image: Bytes, largest_px: int = SHOWN_PX) -> str:
    """Make a data URL of the image, made smaller where its longer side is more than `largest_px`."""
    factor = largest_px / max(image.shape[:2])
    if factor < 1:
        height, width = (max(1, round(factor * side)) for side in image.shape[:2])
        image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))
    return _url(image, "jpeg", quality=80, subsampling=2)


def png_url(image: Bytes) -> str:
    """Make a data URL that keeps every pixel."""
    return _url(image, "png")


def _url(image: Bytes, kind: str, **options: Any) -> str:
    content = iio.imwrite("<bytes>", image, extension=f".{kind}", optimize=True, **options)
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
