"""The parts of an OpenEXR file and their channels, checked before they are unpacked."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from taichi_bokeh.io.extras import import_package
from taichi_bokeh.io.formats.contents import DamagedFileError
from taichi_bokeh.io.formats.quiet import silent
from taichi_bokeh.io.limits import check_size

_SIGNATURE = b"\x76\x2f\x31\x01"
_MOST_VALUES = 1_000_000_000  # of all channels of all parts, which are unpacked together


class Part(NamedTuple):
    """One image of a file.

    Attributes:
        name: "" where it has none, as the only part need not have.
        header: its attributes.
        channels: by their whole names, each [H, W] as it is stored: float16, float32 or uint32.
    """

    name: str
    header: Mapping[str, Any]
    channels: Mapping[str, NDArray[Any]]


def is_exr(content: bytes) -> bool:
    """Tell whether the bytes begin as an EXR file does."""
    return content[:4] == _SIGNATURE


def read_parts(content: bytes) -> list[Part]:
    """Read all parts of an EXR file.

    Raises:
        ValueError: the file is damaged, deep, or too large.
    """
    openexr = import_package("OpenEXR")
    try:
        with silent():
            headers = [part.header for part in openexr.File(io.BytesIO(content), header_only=True, num_threads=0).parts]
            check_headers(headers)
            if any(str(header.get("type")).endswith(("deepscanline", "deeptile")) for header in headers):
                raise ValueError("some of its parts are deep, with many samples a pixel, and others are flat")
            file = openexr.File(io.BytesIO(content), separate_channels=True, num_threads=0)
            if len(file.parts) != len(headers):  # the package leaves out what it cannot read
                raise DamagedFileError("damaged or truncated EXR data")
            parts = [(str(part.header.get("name", "")), part.header, part.channels) for part in file.parts]
    except (RuntimeError, UnicodeDecodeError):
        raise DamagedFileError("damaged or truncated EXR file") from None
    return [Part(name, header, _planes(channels)) for name, header, channels in parts]


def _planes(channels: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    if any(channel.xSampling != 1 or channel.ySampling != 1 for channel in channels.values()):
        raise ValueError("some of its channels have fewer pixels than others, which is not supported")
    return {name: channel.pixels for name, channel in channels.items()}


def check_headers(headers: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError unless all parts together are of a fit size, and each is."""
    values = 0
    for header in headers:
        width, height = _check_header(header)
        values += width * height * len(header["channels"])
    if values > _MOST_VALUES:
        raise ValueError(f"its channels have {values} values together, more than {_MOST_VALUES}; save fewer layers")


def _check_header(header: Mapping[str, Any]) -> tuple[int, int]:
    """Check that an image is of a fit size; give width and height."""
    (left, top), (right, bottom) = (corner.tolist() for corner in header["dataWindow"])
    check_size(right - left + 1, bottom - top + 1)
    return right - left + 1, bottom - top + 1
