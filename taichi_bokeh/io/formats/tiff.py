"""TIFF: integers and floats, grey, colour, palette or inks, through imageio."""

import io
from typing import Any

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.extras import import_package
from taichi_bokeh.io.formats.contents import ANYTHING, Contents, DamagedFileError, Wanted, unpremultiplied, upright
from taichi_bokeh.io.formats.quiet import quiet
from taichi_bokeh.io.limits import check_size

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _INKS, _YCBCR = 0, 1, 2, 3, 5, 6  # the tag PhotometricInterpretation
_JPEG = 7  # the tag Compression
_ASSOCIATED_ALPHA = 1  # the tag ExtraSamples
_ORIENTATION, _ICC_PROFILE = 274, 34675


def is_tiff(content: bytes) -> bool:
    """Tell whether the bytes begin as a TIFF file does."""
    return content[:4] in _SIGNATURES


def decode(content: bytes, wanted: Wanted = ANYTHING) -> Contents:
    """Read the one image of a TIFF file, or the page that is wanted; smaller copies of it and masks are left out.

    Raises:
        ValueError: the file is damaged, too large, of several pages of which none is named, or its colours are not supported.
    """
    tifffile = import_package("tifffile")
    try:
        # imageio's own reading of tags refuses files with an unknown unit of resolution.
        with quiet(), tifffile.TiffFile(io.BytesIO(content)) as file:
            pages = [page for page in _directories(file) if not (page.is_reduced or page.is_mask)]
            page = _page(pages, wanted.number)
            _check_page(page)
            values = iio.imread(content, plugin="tifffile", index=..., page=page.index)  # type: ignore[arg-type]
            return _contents(values, page)._replace(frames=len(pages))
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # whatever its parser meets: IndexError, struct.error, zlib.error …
        raise DamagedFileError(f"damaged TIFF ({error or type(error).__name__})") from None


def _directories(file: Any) -> list[Any]:
    """List all pages; each directory names the next, which in a damaged file may be one of those before."""
    found: dict[int, Any] = {}
    for page in file.pages:
        if page.offset in found:
            raise DamagedFileError("its pages follow one another in a ring")
        found[page.offset] = page
    return list(found.values())


def encode(values: NDArray[np.float32]) -> bytes:
    """Make the TIFF file of [H, W], or of colours [H, W, 3] or, with straight alpha, [H, W, 4].

    Raises:
        ValueError: tifffile is not installed.
    """
    import_package("tifffile")
    tags: dict[str, Any] = {"photometric": "minisblack" if values.ndim == 2 else "rgb", "metadata": None, "software": False}
    if values.shape[2:] == (4,):
        tags["extrasamples"] = ["unassalpha"]
    return iio.imwrite("<bytes>", values, plugin="tifffile", extension=".tif", **tags)


def _page(pages: list[Any], index: int | None) -> Any:
    if len(pages) != 1 and (index is None or not pages):
        raise ValueError(f"it has {len(pages)} pages, and must have one, or a frame be named (--depth-frame)")
    if not 0 <= (index or 0) < len(pages):
        raise ValueError(f"it has no frame {index}: its pages are 0 to {len(pages) - 1}")
    return pages[index or 0]


def _check_page(page: Any) -> None:
    check_size(page.imagewidth, page.imagelength)
    if page.bitspersample not in (1, 8, 16, 32, 64):
        raise ValueError(f"it has {page.bitspersample} bits a channel; expected 8, 16 or 32")
    if page.axes not in ("YX", "YXS", "SYX"):
        raise ValueError(f"its axes are {page.axes}; expected rows, columns and channels")


def _contents(values: NDArray[Any], page: Any) -> Contents:
    values = _positive(np.moveaxis(values, 0, -1) if page.axes == "SYX" else values, page)
    if _ASSOCIATED_ALPHA in page.extrasamples and values.ndim == 3 and values.shape[2] in (2, 4):
        values = unpremultiplied(values)
    tags = {code: page.tags[code].value for code in (_ORIENTATION, _ICC_PROFILE) if code in page.tags}
    profile = tags.get(_ICC_PROFILE)
    return Contents(
        upright(values, int(tags.get(_ORIENTATION, 1))),
        "TIFF",
        profile=None if profile is None else bytes(profile),
        is_cmyk=page.photometric == _INKS,
    )


def _positive(values: NDArray[Any], page: Any) -> NDArray[Any]:
    """Make grey with 0 for black, RGB, or inks; ValueError for other colours."""
    kind = page.photometric
    if kind in (_GREY, _RGB) or (kind == _YCBCR and page.compression == _JPEG):  # the latter is RGB once it is unpacked
        return values
    if kind == _WHITE_IS_ZERO and values.dtype == np.bool_:
        return ~values
    if kind == _WHITE_IS_ZERO and np.issubdtype(values.dtype, np.unsignedinteger) and values.ndim == 2:
        return np.iinfo(values.dtype).max - values
    if kind == _PALETTE and page.colormap is not None and values.ndim == 2:
        colours: NDArray[Any] = np.moveaxis(page.colormap[:, values], 0, -1)
        return colours
    if kind == _INKS and values.dtype == np.uint8 and values.shape[2:] == (4,):
        return values
    name = getattr(kind, "name", str(kind))
    raise ValueError(f"its colours are {name} with {values.dtype} values; expected RGB, grey, a palette or 8-bit CMYK")
