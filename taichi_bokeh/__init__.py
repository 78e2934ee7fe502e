"""Lens blur from layered pictures, rendered and differentiated. See README.md; conventions in docs/conventions.md."""

from taichi_bokeh._version import __version__
from taichi_bokeh.explain import Explanation, LayerPlan, explain
from taichi_bokeh.layers import Layers
from taichi_bokeh.nn import BokehRenderer
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.biconvex_lens import BiconvexLens
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.preview import preview
from taichi_bokeh.render import render
from taichi_bokeh.trace import TraceState, trace, trace_progressively

__all__ = [
    "Aperture",
    "BiconvexLens",
    "BokehRenderer",
    "Explanation",
    "LayerPlan",
    "Layers",
    "ThinLens",
    "TraceState",
    "__version__",
    "explain",
    "preview",
    "render",
    "trace",
    "trace_progressively",
]
