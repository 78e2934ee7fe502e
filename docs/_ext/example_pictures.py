"""The gallery's pictures: an example is run as `python EXAMPLE FOLDER`, and its page shows what it writes there."""

import shutil
from os import getpid
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from sphinx_gallery.scrapers import figure_rst

_FOLDER = Path(gettempdir()) / f"taichi-bokeh-gallery-{getpid()}"


# Objects and not functions, as Sphinx keeps the settings that hold them.


class FolderArgument:
    """Gives an example its arguments: a new, empty folder to write to."""

    def __repr__(self) -> str:
        return type(self).__name__

    def __call__(self, settings: dict[str, Any], variables: dict[str, Any]) -> list[str]:
        """The arguments of the example that runs next."""
        shutil.rmtree(_FOLDER, ignore_errors=True)
        _FOLDER.mkdir()
        return [str(_FOLDER)]


class WrittenPictures:
    """Moves the pictures that an example has written into its page."""

    def __repr__(self) -> str:
        return type(self).__name__

    def __call__(self, block: Any, variables: dict[str, Any], settings: dict[str, Any]) -> str:
        """The pictures of one block, as reStructuredText."""
        moved = []
        for picture in sorted(_FOLDER.glob("*.png")):
            moved.append(variables["image_path_iterator"].next())
            shutil.move(picture, moved[-1])
        return figure_rst(moved, settings["src_dir"])
