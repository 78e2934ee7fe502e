"""One choice of cuts between layers for all images of a sequence, so that no surface changes its layer on the way."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.apps.options.photo import PhotoRequest
from taichi_bokeh.apps.photo.scene import Photo, stages_of
from taichi_bokeh.photo import push_pull

Array = NDArray[np.float32]

_FRONT = 0.1  # coverage from which on a pixel is not that of what lies behind a matte


def choose_for_all(photos: Sequence[Photo], request: PhotoRequest) -> tuple[float, ...]:
    """Disparities of the cuts between layers, largest first, as they serve these images of a sequence together.

    The images' disparities are looked at as one map, one below the other; every second one is turned upside down, so that
    where two meet there are hardly any edges but those of the scene.

    Args:
        photos: some images of the sequence, in order, of one size.
        request: the number of layers.
    """
    stages = stages_of(request)
    parts: list[Array] = []
    for index, photo in enumerate(photos):
        disparity = np.asarray(stages.clean(photo.disparity, photo.rgb), np.float32)
        if photo.alpha is not None:
            behind = photo.alpha < _FRONT
            disparity = push_pull(disparity, behind.astype(np.float32)) if behind.any() else disparity
        parts.append(disparity[::-1] if index % 2 else disparity)
    if len({part.shape[1] for part in parts}) != 1:
        raise ValueError(f"{request.photo}: all images of a sequence must be of one size")
    matte = any(photo.alpha is not None for photo in photos)
    cuts = None if request.layers is None else request.layers - (2 if matte else 1)
    if cuts == 0:
        return ()
    return tuple(sorted(stages.split(np.concatenate(parts), cuts), reverse=True))
