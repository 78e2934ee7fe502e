"""One choice of cuts between layers for all pictures of a sequence, so that no surface changes its layer on the way."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh.apps.photo.scene import Photo, split, stages_of
from taichi_bokeh.layers import Layers
from taichi_bokeh.photo import push_pull

Array = NDArray[np.float32]

_FRONT = 0.1  # coverage from which on a pixel is not that of what lies behind a matte


def choose_for_all(photos: Sequence[Photo], arguments: Namespace) -> tuple[float, ...]:
    """Disparities of the cuts between layers, largest first, as they serve these pictures of a sequence together.

    The pictures' disparities are looked at as one map, one below the other; every second one is turned upside down, so that
    where two meet there are hardly any edges but those of the scene.

    Args:
        photos: some pictures of the sequence, in order, of one size.
        arguments: the number of layers.
    """
    stages = stages_of(arguments)
    parts: list[Array] = []
    for index, photo in enumerate(photos):
        disparity = np.asarray(stages.clean(photo.disparity, photo.rgb), np.float32)
        if photo.alpha is not None:
            behind = photo.alpha < _FRONT
            disparity = push_pull(disparity, behind.astype(np.float32)) if behind.any() else disparity
        parts.append(disparity[::-1] if index % 2 else disparity)
    if len({part.shape[1] for part in parts}) != 1:
        raise ValueError(f"{arguments.photo}: all pictures of a sequence must be of one size")
    matte = any(photo.alpha is not None for photo in photos)
    cuts = None if arguments.layers is None else arguments.layers - (2 if matte else 1)
    if cuts == 0:
        return ()
    return tuple(sorted(stages.split(np.concatenate(parts), cuts), reverse=True))


def split_at(photo: Photo, arguments: Namespace, cuts: Sequence[float]) -> tuple[Layers, Tensor | None]:
    """As `split`, parted at these disparities, so far as there is something on either side of them."""

    def given(disparity: Array, _: int | None) -> list[float]:
        return [cut for cut in cuts if disparity.min() < cut < disparity.max()]

    return split(photo, "auto", replace(stages_of(arguments), split=given))
