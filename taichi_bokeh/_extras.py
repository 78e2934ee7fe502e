"""Which extra of the package brings a module that only some features need."""

#: The extra by the module's name.
EXTRAS = {
    "OpenEXR": "photo",
    "av": "photo",
    "dask": "dask",
    "distributed": "dask",
    "imagecodecs": "photo",
    "patchmatch": "patchmatch",
    "pymatting": "photo",
    "skimage": "photo",
    "tensorboard": "train",
    "tifffile": "photo",
    "transformers": "models",
}


def how_to_install(module: str) -> str:
    """The command that brings a module or the one that it is part of; what no extra brings is taken as its package's name."""
    name = module.partition(".")[0]
    return f"pip install 'taichi-bokeh[{EXTRAS[name]}]'" if name in EXTRAS else f"pip install {name}"
