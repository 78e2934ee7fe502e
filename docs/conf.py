"""The site's settings: `sphinx-build -W docs docs/_build/html`, with `pip install -e ".[docs]"`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from example_pictures import FolderArgument, WrittenPictures

import taichi_bokeh

project = "taichi-bokeh"
author = "taichi-bokeh developers"
copyright = "taichi-bokeh developers, Apache License 2.0"
version = release = taichi_bokeh.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "command_pages",
    "docstrings",
]
exclude_patterns = ["_build", "_ext", "**/.ipynb_checkpoints"]
highlight_language = "none"  # an indented block is an equation, unless it says what it is
default_role = "py:obj"  # `Layers` in a docstring is a link where there is such a thing, and code anyway

myst_heading_anchors = 4

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "image_scrapers": (WrittenPictures(),),
    "reset_argv": FolderArgument(),
    "reset_modules": (),
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 1e9,  # how long an example took here says nothing
    "write_computation_times": False,
    "abort_on_example_error": True,
}

html_theme = "furo"
html_title = f"taichi-bokeh {release}"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
