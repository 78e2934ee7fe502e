"""Packages that only some formats need, imported when such a file is met."""

from importlib import import_module
from types import ModuleType

from taichi_bokeh._extras import how_to_install


def import_tifffile() -> ModuleType:
    """Tifffile.

    Raises:
        ValueError: it is not installed; the one line says how to get it.
    """
    return _import("tifffile", "TIFF files")


def import_imagecodecs() -> ModuleType:
    """Imagecodecs.

    Raises:
        ValueError: it is not installed; the one line says how to get it.
    """
    return _import("imagecodecs", "PNG files of 16 bits")


def import_openexr() -> ModuleType:
    """OpenEXR, of a version that reads and writes in memory.

    Raises:
        ValueError: it is not installed or too old; the one line says how to get it.
    """
    module = _import("OpenEXR", "EXR files")
    version = str(getattr(module, "__version__", "0.0"))
    if tuple(int(part) for part in version.split(".")[:2]) < (3, 5):
        raise ValueError(f"EXR files need OpenEXR 3.5 or newer, and {version} is installed (pip install 'OpenEXR>=3.5')")
    return module


def _import(name: str, kind: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        raise ValueError(f"{kind} need {name} ({how_to_install(name)})") from None
