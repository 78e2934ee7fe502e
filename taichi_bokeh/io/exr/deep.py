"""Deep OpenEXR: pixels of any number of samples, each with a depth, colours and a coverage of its own."""

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.exr.file import check_headers
from taichi_bokeh.io.exr.frame import Frame
from taichi_bokeh.io.exr.layers import in_short
from taichi_bokeh.io.extras import import_package
from taichi_bokeh.io.formats.contents import DamagedFileError
from taichi_bokeh.io.formats.quiet import silent

_MOST_SAMPLES = 400_000_000
_DEEP = ("deepscanline", "deeptile")


class Deep(NamedTuple):
    """The samples of a deep image, in order of their pixels, and in each pixel the nearest first.

    Attributes:
        shape: (H, W).
        pixels: [N], the number of the pixel that a sample is of, row by row.
        depth: [N], above 0; of a sample with a thickness its middle.
        rgba: [N, 4], premultiplied linear light and coverage.
        frame: where the pixels lie.
    """

    shape: tuple[int, int]
    pixels: NDArray[np.int64]
    depth: NDArray[np.float32]
    rgba: NDArray[np.float32]
    frame: Frame

    def composite(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Composite all samples: premultiplied [H, W, 4], and the mean depth of what is seen [H, W], NaN where nothing is."""
        seen = self.seen()
        with np.errstate(
            invalid="ignore", divide="ignore", over="ignore"
        ):  # infinite colours are refused, as depth they are holes
            rgba = self.summed(seen * (self.rgba / np.maximum(self.rgba[:, 3:], 1e-12)))
            disparity = self.summed(seen / self.depth[:, None])[..., 0] / rgba[..., 3]
            return rgba, (1 / disparity).astype(np.float32)

    def seen(self) -> NDArray[np.float64]:
        """Compute how much of a pixel shows each sample, [N, 1]: its coverage times what the nearer ones let through."""
        alpha = np.minimum(self.rgba[:, 3].astype(np.float64), 1)
        through = np.log(np.maximum(1 - alpha, 1e-30))
        before = np.cumsum(through) - through
        first = np.r_[True, self.pixels[1:] != self.pixels[:-1]]
        starts = np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))
        return (alpha * np.exp(before - before[starts]))[:, None]

    def summed(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Add up values [N, C] of the samples of each pixel: [H, W, C]."""
        count = self.shape[0] * self.shape[1]
        planes = [np.bincount(self.pixels, column, count) for column in values.T]
        with np.errstate(over="ignore"):
            return np.stack(planes, -1).reshape(*self.shape, -1).astype(np.float32)

    def some(self, chosen: NDArray[np.bool_]) -> "Deep":
        """Take some of the samples."""
        return self._replace(pixels=self.pixels[chosen], depth=self.depth[chosen], rgba=self.rgba[chosen])


def is_deep(content: bytes) -> bool:
    """Tell whether the first part of an EXR file is deep; of a damaged file that it is not."""
    openexr = import_package("OpenEXR")
    try:
        with silent():
            parts = openexr.File(io.BytesIO(content), header_only=True, num_threads=0).parts
            return bool(parts) and str(parts[0].header.get("type")).endswith(_DEEP)
    except (RuntimeError, UnicodeDecodeError):
        return False


def read_deep(content: bytes) -> Deep:
    """Read the first part of a deep EXR file.

    Raises:
        ValueError: it is damaged or too large, or has no colours and depth.
    """
    openexr = import_package("OpenEXR")
    try:
        with silent():
            headers = [part.header for part in openexr.File(io.BytesIO(content), header_only=True, num_threads=0).parts]
            check_headers(headers)
            parts = openexr.File(io.BytesIO(content), separate_channels=True, num_threads=0).parts
            if len(parts) != len(headers):
                raise DamagedFileError("damaged or truncated EXR data")
            channels = {name: channel.pixels for name, channel in parts[0].channels.items()}
            frame = Frame.of(parts[0].header)
    except (RuntimeError, UnicodeDecodeError):
        raise DamagedFileError("damaged or truncated EXR file") from None
    short = {in_short(name.rpartition(".")[2]): pixels for name, pixels in channels.items()}
    missing = [name for name in "RGBZ" if name not in short]
    if missing:
        raise ValueError(f"its deep channels are {', '.join(sorted(channels))}; expected R, G, B, A and Z")
    return _sorted(short, frame)


def _sorted(channels: Mapping[str, NDArray[Any]], frame: Frame) -> Deep:
    """Make one list of all samples; those without a depth, a coverage or a finite number are left out."""
    counts = np.array([0 if one is None else len(one) for one in channels["Z"].ravel()])
    if counts.sum() > _MOST_SAMPLES:
        raise ValueError(f"it has {counts.sum()} samples, more than {_MOST_SAMPLES}")

    def flat(name: str) -> NDArray[np.float32]:
        values = [one for one in channels[name].ravel() if one is not None]
        found = np.concatenate(values).astype(np.float32) if values else np.zeros(0, np.float32)
        if len(found) != counts.sum():
            raise DamagedFileError("its channels have different numbers of samples")
        return found

    depth = flat("Z")
    if "ZBack" in channels:
        depth = (depth + np.maximum(flat("ZBack"), depth)) / np.float32(2)
    alpha = flat("A") if "A" in channels else np.ones_like(depth)
    rgba = np.stack([*(flat(name) for name in "RGB"), alpha], -1)
    pixels = np.repeat(np.arange(counts.size), counts)
    fit = np.isfinite(rgba).all(-1) & (depth > 0) & (alpha > 0)
    order = np.lexsort((depth[fit], pixels[fit]))
    if not len(order):
        raise ValueError("it has no sample with a depth above 0 and a coverage: it is empty")
    height, width = channels["Z"].shape
    return Deep((height, width), pixels[fit][order], depth[fit][order], rgba[fit][order], frame)
