"""OpenEXR: linear light and maps in half or float, by named channels.

Colours in the file are premultiplied by alpha ("associated"), as the format asks; in memory they are straight.
"""

import io
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.extras import import_package
from taichi_bokeh.io.formats.contents import Contents, DamagedFileError
from taichi_bokeh.io.formats.quiet import silent
from taichi_bokeh.io.limits import check_size

Use = Literal["image", "disparity", "depth"]

_SIGNATURE = b"\x76\x2f\x31\x01"
_REC709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)  # x, y of red, green, blue, white: what the format assumes
_LARGEST_HALF = float(np.finfo(np.float16).max)


def is_exr(content: bytes) -> bool:
    """Tell whether the bytes begin as an EXR file does."""
    return content[:4] == _SIGNATURE


def decode(content: bytes, use: Use = "image") -> Contents:
    """Read what the channels of an EXR file hold for this use.

    An image is R, G, B or Y, with A where there is one, straight: where alpha is 0 the colours are as in the file. Disparity
    is Y, depth is Z or else Y; either may be the only channel, of any name, or grey colours. Other channels are left out.

    Raises:
        ValueError: the file is damaged, of several parts, deep, too large, in colours other than Rec. 709's, or has no such
            channels.
    """
    channels = decode_channels(content)
    values = _image(channels) if use == "image" else _map(channels, use)
    return Contents(values, "OpenEXR", channels=tuple(channels))


def encode(channels: Mapping[str, NDArray[Any]]) -> bytes:
    """Make the EXR file of channels [H, W], each float16 or float32; compressed without loss."""
    openexr = import_package("OpenEXR")
    header = {"compression": openexr.ZIP_COMPRESSION, "type": openexr.scanlineimage}
    buffer = io.BytesIO()
    planes = {name: np.ascontiguousarray(plane) for name, plane in channels.items()}
    openexr.File(header, planes, num_threads=0).write(buffer)
    return buffer.getvalue()


def encode_image(rgb: NDArray[np.float32], alpha: NDArray[np.float32] | None, bits: int) -> bytes:
    """Make the EXR file of straight colours [H, W, 3] and alpha [H, W]; 16 bits are half, 32 float.

    Raises:
        ValueError: a colour is too large for half.
    """
    planes = rgb if alpha is None else np.dstack([rgb * alpha[..., None], alpha]).astype(np.float32)
    if bits == 16:
        largest = float(np.abs(planes).max())
        if largest > _LARGEST_HALF:
            raise ValueError(
                f"rgb has values up to {largest:g}; expected at most {_LARGEST_HALF:g}, the largest half (bits=16)"
            )
        planes = planes.astype(np.float16)
    return encode(dict(zip("RGBA", np.moveaxis(planes, -1, 0), strict=False)))


def decode_channels(content: bytes) -> dict[str, NDArray[Any]]:
    """Read the channels [H, W] of an EXR file by their names, as they are stored: float16, float32 or uint32.

    Raises:
        ValueError: as `decode`, but for its last reason.
    """
    openexr = import_package("OpenEXR")
    try:
        with silent():
            parts = openexr.File(io.BytesIO(content), header_only=True, num_threads=0).parts
            if len(parts) != 1:
                raise ValueError(f"it has {len(parts)} parts, and must have one")
            _check_header(parts[0].header)
            file = openexr.File(io.BytesIO(content), separate_channels=True, num_threads=0)
            if len(file.parts) != 1:  # the package leaves out what it cannot read
                raise DamagedFileError("damaged or truncated EXR data")
            found = dict(file.channels())
    except (RuntimeError, UnicodeDecodeError):
        raise DamagedFileError("damaged or truncated EXR file") from None
    if any(channel.xSampling != 1 or channel.ySampling != 1 for channel in found.values()):
        raise ValueError("some of its channels have fewer pixels than others, which is not supported")
    return {name: channel.pixels for name, channel in found.items()}


def _check_header(header: Mapping[str, Any]) -> None:
    """Raise ValueError unless the image is flat, of a fit size, whole, and in the colours that the format assumes."""
    if str(header.get("type")).endswith(("deepscanline", "deeptile")):
        raise ValueError("it is a deep image, with many samples a pixel, and must be flat")
    (left, top), (right, bottom) = (corner.tolist() for corner in header["dataWindow"])
    check_size(right - left + 1, bottom - top + 1)
    if any((data != shown).any() for data, shown in zip(header["dataWindow"], header["displayWindow"], strict=True)):
        raise ValueError(
            "it holds more or less than the image that it shows (data and display windows differ); expected the same"
        )
    primaries = header.get("chromaticities")
    if primaries is not None and not np.allclose(np.ravel(primaries), _REC709, atol=2e-3):
        raise ValueError("its colours are not in the primaries of Rec. 709 and sRGB; expected these: convert it first")


def _image(channels: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    if "RY" in channels or "BY" in channels:
        raise ValueError("its colours are luminance and chroma, and must be R, G, B or Y")
    names = next((names for names in ("RGB", "Y") if all(name in channels for name in names)), None)
    if names is None:
        if len(channels) == 1 and "Z" not in channels:
            return next(iter(channels.values()))
        raise ValueError(f"its channels are {', '.join(sorted(channels))}; an image has R, G, B or Y, and perhaps A")
    colours = np.dstack([channels[name] for name in names])
    if "A" not in channels:
        return colours
    alpha = np.clip(channels["A"].astype(np.float32), 0, 1)[..., None]
    with np.errstate(over="ignore", invalid="ignore"):
        straight = np.divide(colours, alpha, where=alpha > 0, out=colours.astype(np.float32))
    return np.concatenate([straight, alpha], axis=-1)


def _map(channels: Mapping[str, NDArray[Any]], use: Use) -> NDArray[Any]:
    if use == "depth" and "Z" in channels:
        return channels["Z"]
    if "Y" in channels:
        return channels["Y"]
    if "Z" in channels:
        raise ValueError("its channel Z is depth, and must be read as depth (depth=True)")
    if len(channels) == 1:
        return next(iter(channels.values()))
    if all(name in channels for name in "RGB"):
        return np.dstack([channels[name] for name in "RGB"])
    raise ValueError(f"its channels are {', '.join(sorted(channels))}; {use} is in {'Z or ' if use == 'depth' else ''}Y")
