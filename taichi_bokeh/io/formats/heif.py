"""HEIC and HEIF, the photographs of phones, by pillow-heif."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.extras import import_package
from taichi_bokeh.io.formats.contents import Contents, DamagedFileError, unpremultiplied
from taichi_bokeh.io.formats.quiet import quiet
from taichi_bokeh.io.limits import check_size

SUFFIXES = (".heic", ".heif", ".hif")

_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}  # which Pillow reads
_MODES = {"L": 0, "LA": 1, "RGB": 0, "RGBA": 1}  # → alpha channels
_QUALITY = 95

_D65 = (0.3127, 0.3290)
_LEVELS = np.linspace(0, 1, 4096)
_SRGB_CURVE = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
_HDR = {16: "PQ", 18: "HLG"}  # of the numbers of ITU-T H.273
_WIDE: dict[int, dict[str, Any]] = {
    number: {"whitepoint": _D65, "primaries": primaries, "transferfunction": _SRGB_CURVE}
    for number, primaries in ((9, (0.708, 0.292, 0.170, 0.797, 0.131, 0.046)), (12, (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)))
}


def is_heif(content: bytes) -> bool:
    """Tell whether the bytes begin as a HEIC or HEIF file does."""
    if content[4:8] != b"ftyp":
        return False
    head = content[8 : max(12, min(int.from_bytes(content[:4], "big"), 256))]
    brands = {head[at : at + 4] for at in range(0, len(head), 4) if at != 4}  # the second is a version
    return bool(brands & _BRANDS) and not brands & _AVIF


def open_heif(content: bytes) -> Any:
    """Open the file with pillow-heif, in its own number of bits; nothing is decoded yet.

    Raises:
        ValueError: it is damaged, or pillow-heif is not installed.
    """
    pillow_heif = import_package("pillow_heif")
    try:
        with quiet():
            file = pillow_heif.open_heif(io.BytesIO(content), convert_hdr_to_8bit=False, hdr_to_16bit=False)
            check_size(*file.size)
            return file
    except (MemoryError, DamagedFileError):
        raise
    except Exception as error:  # whatever its parser meets: ValueError, EOFError, SyntaxError, RuntimeError …
        raise damaged(error) from None


def decode(content: bytes) -> Contents:
    """Read the primary image, turned as the file says (irot, imir); its EXIF orientation repeats that and is left alone.

    Raises:
        ValueError: the file is damaged, encrypted, too large, or in colours that are not supported.
    """
    file = open_heif(content)
    return decode_image(file[file.primary_index])


def decode_image(image: Any) -> Contents:
    """Decode one image of an open file.

    Raises:
        ValueError: as `decode`.
    """
    check_size(*image.size)
    values = decoded(image)
    mode = str(image.mode).partition(";")[0]
    if mode == "RGBa":
        values, mode = unpremultiplied(values), "RGBA"
    if mode not in _MODES:
        raise ValueError(f"its colours are {image.mode}; expected grey or RGB")
    profile, nclx = image.info.get("icc_profile") or None, image.info.get("nclx_profile")
    if profile is None and nclx is not None:
        profile = profile_of_numbers(int(nclx["color_primaries"]), int(nclx["transfer_characteristics"]))
    return Contents(values, "HEIF", profile=profile)


def decoded(image: Any) -> NDArray[Any]:
    """Decode the samples [H, W] or [H, W, C]: uint8, or uint16 whose largest number is 65535.

    Raises:
        ValueError: they are damaged.
    """
    try:
        with quiet():
            samples = np.array(image)  # a copy: older versions free what they decoded together with the image
    except MemoryError:
        raise
    except Exception as error:  # whatever its decoder meets
        raise damaged(error) from None
    _, _, bits = str(image.mode).partition(";")
    if samples.dtype == np.uint16 and bits not in ("", "16"):
        return np.rint(samples * (65535 / (2 ** int(bits) - 1))).astype(np.uint16)
    return samples


def encode(samples: NDArray[np.uint8], exif: bytes = b"") -> bytes:
    """Make the HEIC file of sRGB samples [H, W, C], C = 3 or 4; `exif` is a block of EXIF."""
    pillow_heif = import_package("pillow_heif")
    height, width, channels = samples.shape
    file = pillow_heif.from_bytes("RGBA" if channels == 4 else "RGB", (width, height), samples.tobytes())
    content = io.BytesIO()
    file.save(content, quality=_QUALITY, chroma=444, exif=exif or None)
    return content.getvalue()


def damaged(error: Exception) -> DamagedFileError:
    """Make the error of a file that the package could not read."""
    return DamagedFileError(" ".join(str(error).split()) or type(error).__name__)


def profile_of_numbers(primaries: int, curve: int) -> bytes | None:
    """Make the ICC profile of what a file without one says of its colours by numbers of ITU-T H.273; None for sRGB.

    Raises:
        ValueError: the curve is one of HDR.
    """
    if curve in _HDR:
        raise ValueError(f"its colours have the HDR curve {_HDR[curve]}; expected that of sRGB: convert it first")
    return import_package("imagecodecs").cms_profile("rgb", **_WIDE[primaries]) if primaries in _WIDE else None
