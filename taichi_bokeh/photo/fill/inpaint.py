"""Ways to invent what a layer hides, by name."""

from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh._extras import how_to_install
from taichi_bokeh.io import srgb_decode, srgb_encode
from taichi_bokeh.io.require import require_light, require_mask
from taichi_bokeh.photo.fill.push_pull import push_pull
from taichi_bokeh.photo.stages import Inpaint

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

_PATCH_RADIUS_PX = 3
_SEED = 0


def patch_match(rgb: Array, known: Mask) -> Array:
    """Fill unknown pixels with patches of the known ones, by PatchMatch (Barnes et al. 2009; package PyPatchMatch).

    It works on 8-bit sRGB: what is invented has its steps, and is nowhere brighter than white. About 20 s for a
    megapixel that is half unknown.

    Args:
        rgb: [H, W, 3], linear light; unknown pixels may hold anything finite.
        known: [H, W].

    Returns:
        float32 [H, W, 3]; the known pixels as they were. Equal arguments give equal results.

    Raises:
        ValueError: no pixel is known, or PyPatchMatch is missing or cannot be loaded.
    """
    rgb = require_light("rgb", rgb)
    known = require_mask("known", known, rgb)
    if not known.any():
        raise ValueError("known is false everywhere; expected at least one known pixel to fill from")
    patchmatch = _patchmatch()
    patchmatch.set_verbose(False)
    patchmatch.set_random_seed(_SEED)
    shown = np.where(known[..., None], srgb_encode(np.clip(rgb, 0, 1)), 0)
    filled = patchmatch.inpaint(np.rint(shown * 255).astype(np.uint8), ~known, patch_size=_PATCH_RADIUS_PX)
    return np.where(known[..., None], rgb, srgb_decode(filled / np.float32(255))).astype(np.float32)


def inpainter(name: str) -> Inpaint:
    """An inpainter by its name, "push-pull" or "patchmatch", as `Stages.inpaint` takes it.

    Raises:
        ValueError: there is none of that name, or its package is missing.
    """
    if name == "push-pull":
        return push_pull
    if name == "patchmatch":
        _patchmatch()
        return patch_match
    raise ValueError(f"inpainter is {name!r}; expected 'push-pull' or 'patchmatch'")


def _patchmatch() -> ModuleType:
    try:
        import patchmatch
    except ModuleNotFoundError:
        raise ValueError(f"inpainting by patchmatch needs PyPatchMatch ({how_to_install('patchmatch')})") from None
    if not patchmatch.patchmatch_available:
        raise ValueError("inpainting by patchmatch: PyPatchMatch is installed, but its library cannot be loaded here")
    module: ModuleType = patchmatch
    return module
