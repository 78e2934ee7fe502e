"""Closed-form matting of a layer's outline, for hair and fur, and the colours of both sides of a matte; by pymatting.

Levin, Lischinski, Weiss, "A Closed-Form Solution to Natural Image Matting", 2008; Germer et al., "Fast Multi-Level
Foreground Estimation", 2020. Pymatting is imported at the first call, and numba then compiles it: some seconds, once
for each process.
"""

import math
from contextlib import redirect_stdout
from functools import cache, partial
from importlib import import_module
from io import StringIO
from itertools import pairwise
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from taichi_bokeh._extras import how_to_install
from taichi_bokeh.io.require import require_coverage, require_light, require_mask, require_plane

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

_BAND = 1 / 60  # half the unknown band's width, of the image's short side
_LEAST_BAND_PX = 3.0
_ISLAND = 4.0  # islands and holes smaller than so many squares of half the band are no object's outline
_TILE_PX = 1000  # at most, the side of what is solved at once
_SHIFTS = (1e-3, 1e-2, 0.1, 1.0, 10.0)  # of the diagonal, tried in turn until the preconditioner is positive definite
_COARSE = 1e-5  # relative residual at which the solver stops; pymatting's own is 1e-7


def refine_matte(rgb: Array, near: Mask, edge_px: Array, band_px: float | None = None) -> Array:
    """Coverage of a layer, found anew in a band round its outline by closed-form matting.

    Specks of the outline (islands and holes smaller than the band) make no band of their own. Large images are solved in
    tiles that overlap; where a tile shows one side of the band only, the outline stays as it was.

    Args:
        rgb: [H, W, 3], linear light.
        near: [H, W], the pixels of the layer.
        edge_px: [H, W], distance of each pixel to the outline, px; inf where there is none.
        band_px: half the width of the band, px. Default: 1/60 of the image's short side, at least 3.

    Returns:
        float32 [H, W] in [0, 1]; outside the band, 1 where near and 0 elsewhere.

    Raises:
        ValueError: pymatting is missing.
    """
    rgb = require_light("rgb", rgb)
    near, edge_px = require_mask("near", near, rgb), require_plane("edge_px", edge_px, rgb)
    if band_px is None:
        band_px = max(_LEAST_BAND_PX, _BAND * min(near.shape))
    large, specks = _without_specks(near, _ISLAND * band_px**2)
    beside_speck = ndimage.binary_dilation(specks, iterations=2)
    outline = (edge_px <= 1) & ~beside_speck
    if not outline.any():
        return near.astype(np.float32)
    unknown = ndimage.distance_transform_edt(~outline) < band_px
    alpha = np.where(unknown, large, near).astype(np.float32)
    trimap = np.where(unknown, 0.5, near)
    image = np.clip(rgb, 0, 1).astype(np.float64)
    overlap = math.ceil(4 * band_px)
    for core, around, inner in _tiles(near.shape, overlap):
        if unknown[core].any() and (trimap[around] == 0).any() and (trimap[around] == 1).any():
            solved = _closed_form(image[around], trimap[around])[inner]
            alpha[core] = np.where(unknown[core], solved, alpha[core])
    return alpha


def colours_ml(rgb: Array, alpha: Array) -> tuple[Array, Array]:
    """The colours of both sides of a matte, by multi-level foreground estimation.

    Args:
        rgb: [H, W, 3], linear light.
        alpha: [H, W] in [0, 1], coverage of the front.

    Returns:
        Front and back, float32 [H, W, 3] each, defined everywhere; not negative, and no brighter than the image.

    Raises:
        ValueError: pymatting is missing.
    """
    rgb = require_light("rgb", rgb)
    alpha = require_coverage("alpha", alpha, rgb)
    scale = max(1.0, float(rgb.max()))  # it clips to [0, 1]
    front, back = _pymatting().estimate_foreground_ml(rgb / scale, alpha, return_background=True)
    front, back = front * np.float32(scale), back * np.float32(scale)
    front[alpha >= 1], back[alpha <= 0] = rgb[alpha >= 1], rgb[alpha <= 0]
    return front, back


def _pymatting() -> ModuleType:
    try:
        try:
            import pymatting
        except RuntimeError:  # of numba
            _let_numba_compile()
            import pymatting
    except ModuleNotFoundError:
        raise ValueError(f"refining a matte needs pymatting ({how_to_install('pymatting')})") from None
    module: ModuleType = pymatting
    return module


def _let_numba_compile() -> None:
    """Numba refuses to compile pymatting's functions where it cannot keep the result: without a home, for one."""
    numba = import_module("numba")
    numba.config.CACHE_DIR = _until_the_end().name


@cache
def _until_the_end() -> TemporaryDirectory[str]:
    """A folder that goes with the process."""
    return TemporaryDirectory(prefix="taichi-bokeh-")


def _closed_form(image: NDArray[np.float64], trimap: NDArray[np.float64]) -> Array:
    pymatting = _pymatting()
    preconditioner = partial(pymatting.ichol, shifts=_SHIFTS)
    with redirect_stdout(StringIO()):  # it prints when one shift does not do
        solved = pymatting.estimate_alpha_cf(image, trimap, preconditioner, cg_kwargs={"rtol": _COARSE})
    return np.clip(solved, 0, 1).astype(np.float32)


def _without_specks(near: Mask, least_area: float) -> tuple[Mask, Mask]:
    """The mask with islands and holes under that area, px, turned to what surrounds them; and the pixels turned."""
    result = near.copy()
    for side in (True, False):
        labels, count = ndimage.label(result == side)
        area = np.bincount(labels.ravel(), minlength=count + 1)
        small = area < least_area
        small[0] = False
        result[small[labels]] = not side
    return result, result != near


def _tiles(shape: tuple[int, int], overlap: int) -> list[tuple[tuple[slice, slice], tuple[slice, slice], tuple[slice, slice]]]:
    """For each tile: its own pixels, those with the overlap around, and its own among those."""
    rows, columns = [_stretches(length, overlap) for length in shape]
    return [tuple(zip(row, column, strict=True)) for row in rows for column in columns]  # type: ignore[misc]


def _stretches(length: int, overlap: int) -> list[tuple[slice, slice, slice]]:
    count = math.ceil(length / _TILE_PX)
    ends = [round(i * length / count) for i in range(count + 1)]
    result = []
    for start, stop in pairwise(ends):
        first, last = max(0, start - overlap), min(length, stop + overlap)
        result.append((slice(start, stop), slice(first, last), slice(start - first, stop - first)))
    return result
