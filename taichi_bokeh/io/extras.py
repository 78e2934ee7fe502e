"""Packages that only some formats need, imported when such a file is met."""

from importlib import import_module
from types import ModuleType
from typing import Literal

from PIL import features

from taichi_bokeh._extras import how_to_install

_FILES = {
    "OpenEXR": "EXR files",
    "imagecodecs": "PNG files of 16 bits, AVIF files of more than 8, and their colours",
    "pillow_heif": "HEIC files",
    "tifffile": "TIFF files",
}
_Package = Literal["OpenEXR", "imagecodecs", "pillow_heif", "tifffile"]
_OF_SUFFIX: dict[str, _Package] = {
    ".exr": "OpenEXR",
    ".tif": "tifffile",
    ".tiff": "tifffile",
    **dict.fromkeys((".heic", ".heif", ".hif"), "pillow_heif"),
}


def import_package(name: _Package) -> ModuleType:
    """Import a package of the extra ``photo``; OpenEXR of a version that reads and writes in memory.

    Raises:
        ValueError: it is not installed or too old; the one line says how to get it.
    """
    try:
        module = import_module(name)
    except ModuleNotFoundError:
        raise ValueError(f"{_FILES[name]} need {name} ({how_to_install(name)})") from None
    version = str(getattr(module, "__version__", "0.0"))
    if name == "OpenEXR" and tuple(int(part) for part in version.split(".")[:2]) < (3, 5):
        raise ValueError(f"EXR files need OpenEXR 3.5 or newer, and {version} is installed (pip install 'OpenEXR>=3.5')")
    return module


def check_package(suffix: str, bits: int | None = None) -> None:
    """Raise ValueError unless the package is there that a file of this suffix, and with so many bits, is written with."""
    if suffix in _OF_SUFFIX:
        import_package(_OF_SUFFIX[suffix])
    elif suffix == ".png" and bits == 16:
        import_package("imagecodecs")
    elif suffix == ".avif" and not features.check("avif"):
        raise ValueError("AVIF files need Pillow 11.3 or newer, built with libavif (pip install 'pillow>=11.3')")
