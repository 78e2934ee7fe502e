"""The formats of files: by what they are known, what reads them, and what is known of the units of a map in them."""

from collections.abc import Callable
from dataclasses import dataclass

from taichi_bokeh.io import exr
from taichi_bokeh.io.formats import heif, numpy_files, pfm, raster, tiff
from taichi_bokeh.io.formats.contents import Contents, Wanted


@dataclass(frozen=True)
class FileFormat:
    """A format.

    Attributes:
        name: of it.
        suffixes: of its files; a file is known by its content.
        begins: tells by the first bytes whether a file is one.
        decode: reads it.
        holds: what of it is a map, in words.
        package: what reads it.
        units: how the units of a map are known, in words.
        has_layers: one of several things in it can be chosen by its name.
        has_frames: one of a stack can be chosen by its number.
    """

    name: str
    suffixes: tuple[str, ...]
    begins: Callable[[bytes], bool]
    decode: Callable[[bytes, Wanted], Contents]
    holds: str
    package: str
    units: str
    has_layers: bool = False
    has_frames: bool = False


def _alone(decode: Callable[[bytes], Contents]) -> Callable[[bytes, Wanted], Contents]:
    """Of a format that holds one thing only."""
    return lambda content, _: decode(content)


_SCALED = "8 and 16 bits are scaled to [0, 1], unless an option says what they are"
_FLOATS = "floats as they are"

FORMATS = (
    FileFormat(
        "OpenEXR",
        (".exr",),
        exr.is_exr,
        lambda content, wanted: exr.decode(content, wanted.use, wanted.layer),
        "a channel Z (depth), Y or the only one, of the layer that `--depth-layer` names; deep images; half, float",
        "OpenEXR",
        "Z is depth in any unit (`--inverse-depth`: one over it); other channels as they are",
        has_layers=True,
    ),
    FileFormat(
        "PFM",
        (".pfm",),
        pfm.is_pfm,
        _alone(pfm.decode),
        "float32, one channel or three alike",
        "-",
        f"{_FLOATS}; Middlebury's are px, which `--calib calib.txt` brings to 1/m",
    ),
    FileFormat(
        "TIFF",
        (".tif", ".tiff"),
        tiff.is_tiff,
        tiff.decode,
        "integers and floats; of several pages that which `--depth-frame` names",
        "tifffile",
        f"{_SCALED}; {_FLOATS}",
        has_frames=True,
    ),
    FileFormat(
        "npy",
        (".npy",),
        numpy_files.is_npy,
        numpy_files.decode_npy,
        "[H, W], also with axes of 1; of a stack [N, H, W] what `--depth-frame` names; float16 to float64, integers",
        "NumPy",
        f"{_SCALED}; {_FLOATS}",
        has_frames=True,
    ),
    FileFormat(
        "npz",
        (".npz",),
        numpy_files.is_npz,
        numpy_files.decode_npz,
        "as npy: the only map in it, that which is called as networks call it, or that which `--depth-layer` names",
        "NumPy",
        f"{_SCALED}; {_FLOATS}",
        has_layers=True,
        has_frames=True,
    ),
    FileFormat(
        "HEIC",
        heif.SUFFIXES,
        heif.is_heif,
        _alone(heif.decode),
        "a grey picture; what a phone put beside the picture is read without `--disparity`",
        "pillow-heif",
        "of a phone's depth as the file says, else of its own; a grey picture is scaled to [0, 1]",
    ),
    FileFormat(
        "PNG",
        (".png",),
        lambda content: content[:8] == b"\x89PNG\r\n\x1a\n",
        _alone(raster.decode),
        "grey of 1, 8 or 16 bits, or three channels alike",
        "Pillow, imagecodecs",
        _SCALED,
    ),
    FileFormat(
        "JPEG",
        (".jpg", ".jpeg"),
        lambda content: content[:3] == b"\xff\xd8\xff",
        _alone(raster.decode),
        "grey of 8 bits; what a phone put beside the picture is read without `--disparity`",
        "Pillow",
        "as HEIC",
    ),
    FileFormat(
        "WebP, AVIF, GIF, BMP …",
        (".avif",),
        raster.is_raster,
        _alone(raster.decode),
        "grey of 8 bits",
        "Pillow",
        _SCALED,
    ),
)

_NAMES = {suffix: f"a whole {one.name.partition(',')[0]} file" for one in FORMATS for suffix in one.suffixes}
_EXPECTED = _NAMES | {".npy": "a whole .npy file", ".npz": "a whole .npz file", ".avif": "a whole AVIF file"}


def format_of(content: bytes) -> FileFormat:
    """Find the format of a file's content; the last one, of all that Pillow knows, where it is no other."""
    return next((one for one in FORMATS[:-1] if one.begins(content)), FORMATS[-1])


def expected_of(suffix: str) -> str:
    """Say what a file of a name with this suffix, in small letters, is expected to be."""
    return _EXPECTED.get(suffix, "PNG, JPEG, HEIC, TIFF, OpenEXR, PFM, npy or npz")


def table() -> str:
    """Write the table of formats, in Markdown."""
    rows = [("format", "files", "what is read as a map", "by", "units"), ("---",) * 5]
    for one in FORMATS:
        rows.append((one.name, ", ".join(f"`{suffix}`" for suffix in one.suffixes), one.holds, one.package, one.units))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"
