"""The nodes by which rows and drafts separate the occlusion (kernels/scatter/rows/separable_occlusion.py), found in numpy."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.kernels.scatter.gather import NEGLIGIBLE_FOCUS
from taichi_bokeh.kernels.scatter.occlusion import OcclusionStep
from taichi_bokeh.kernels.scatter.rows.layout import GROUP

MOST_NODES = 15
_STEEPEST = 20.0  # of τ, for a px of the radius: far beyond what MOST_NODES can do
TOLERANCE = {"float32": 1.2e-3, "float64": 1e-7}  # largest error of e·τ that the nodes may leave


def _error(blur: float, nodes: NDArray[np.float64], farthest_px: float, occlusion: OcclusionStep) -> float:
    """Return the largest |e·(Σ_k u_k·τ_k − τ)| over d_x in reach and all d_y."""
    d_x = np.linspace(-farthest_px, farthest_px, 81) / blur
    half = 14 / occlusion.steepness  # τ is 0 or 1 to 1e-6 beyond
    d_y = occlusion.gap + np.linspace(-half, half, 141) + np.linspace(-1, 1, 141) * farthest_px / blur
    basis = [np.prod([(d_x - m) / (n - m) for m in nodes if m != n], axis=0) for n in nodes]
    approximate = sum(u[:, None] * occlusion.weight(d_y - n) for u, n in zip(basis, nodes, strict=True))
    error = np.exp(-3 * (blur * d_x) ** 2)[:, None] * (approximate - occlusion.weight(d_y - d_x[:, None]))
    return float(np.abs(error).max())


@lru_cache(maxsize=64)
def _relative_nodes(blur: float, occlusion: OcclusionStep, dtype: str) -> tuple[float, ...] | None:
    farthest_px = float(np.sqrt(-np.log(NEGLIGIBLE_FOCUS[dtype]) / 3))
    for count in range(GROUP, MOST_NODES + 1, GROUP):
        chebyshev = np.cos((2 * np.arange(count) + 1) * np.pi / (2 * count))
        spans = np.linspace(0.25, 1.0, 16) * farthest_px / blur
        errors = [_error(blur, chebyshev * span, farthest_px, occlusion) for span in spans]
        best = int(np.argmin(errors))
        if errors[best] <= TOLERANCE[dtype]:
            return tuple(chebyshev * spans[best])
    return None


def occlusion_nodes(blur: float, occlusion: OcclusionStep, dtype: str) -> tuple[float, ...] | None:
    """Return nodes n_k, relative to the focus, for a blur in px per unit of Δ; None where MOST_NODES are too few.

    They are the same for similar blurs, so that the image is smooth in the blur but for steps of the tolerance's size.
    """
    if blur * _STEEPEST < occlusion.steepness:
        return None
    return _relative_nodes(2.0 ** (np.floor(4 * np.log2(blur)) / 4), occlusion, dtype)
