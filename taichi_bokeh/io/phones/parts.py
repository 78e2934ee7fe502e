"""A list of what a photograph's file holds beside the picture."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io.arrays import read_bytes, refusal
from taichi_bokeh.io.formats.heif import is_heif
from taichi_bokeh.io.phones.segments import is_jpeg

Array = NDArray[np.float32]
Kind = Literal["depth", "matte", "view", "original", "gain map"]


@dataclass(frozen=True, eq=False)
class Part:
    """Something beside the picture.

    Attributes:
        kind: a "view" is another picture of the scene, the "original" one without the blur that the phone has made.
        name: for the stem of a file.
        text: what is known of it, in words.
        values: reads it, upright as the picture is. Depth: disparity, larger is nearer, NaN at holes, [h, w]. A matte: [h, w]
            in [0, 1]. Views: linear light [h, w, 3]. A gain map: integers as they are, [h, w] or [h, w, 3].
            Raises ValueError in words that follow "FILE cannot be read:".
        is_per_metre: the disparity is in 1/m.
        is_right: a view from the right of a pair, whose left one is the picture; None where it is not known.
    """

    kind: Kind
    name: str
    text: str
    values: Callable[[], NDArray[Any]]
    is_per_metre: bool = False
    is_right: bool | None = None


class Parts(NamedTuple):
    """What was found.

    Attributes:
        found: in the order of the file.
        problems: what could not be made out, in words.
    """

    found: tuple[Part, ...]
    problems: tuple[str, ...]

    def first(self, kind: Kind) -> Part | None:
        """The first of a kind, if any."""
        return next((part for part in self.found if part.kind == kind), None)


def find_parts(path: str | os.PathLike[str]) -> Parts:
    """Look for depth, mattes, views and gain maps in a HEIC or JPEG file; others have none.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the system refuses to read it.
        ValueError: the file itself is damaged.
    """
    from taichi_bokeh.io.phones import heic, jpeg  # which make parts

    content = read_bytes(Path(path))
    find = heic.find if is_heif(content) else jpeg.find if is_jpeg(content) else None
    if find is None:
        return Parts((), ())
    try:
        return find(content)
    except ValueError as error:
        raise refusal(path, error) from None


def read_part(part: Part, path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read a part of a file.

    Raises:
        ValueError: it is damaged; the message names the file.
    """
    try:
        return part.values()
    except ValueError as error:
        raise ValueError(f"{path} holds a {part.kind} that cannot be read: {error}") from None
