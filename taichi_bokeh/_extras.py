"""Which extra of the package brings a module that only some features need."""

#: The extra by the module's name.
EXTRAS = {
    "OpenEXR": "photo",
    "av": "photo",
    "dask": "dask",
    "distributed": "dask",
    "imagecodecs": "photo",
    "jinja2": "report",
    "matplotlib": "report",
    "patchmatch": "patchmatch",
    "pillow_heif": "photo",
    "pymatting": "photo",
    "skimage": "photo",
    "tensorboard": "train",
    "tifffile": "photo",
    "transformers": "models",
}


def how_to_install(module: str) -> str:
    """Name the command that brings a module of an extra, or one that it has parts of."""
    return f"pip install 'taichi-bokeh[{EXTRAS[_package(module)]}]'"


def missing(module: str) -> str:
    """Say how to get a missing module; no command where no extra brings it, as a package may have another name."""
    package = _package(module)
    return f"this needs the package {package}" + (
        f" ({how_to_install(package)})" if package in EXTRAS else ", which is not there"
    )


def _package(module: str) -> str:
    return module.partition(".")[0]
