"""Lens blur from layered pictures, rendered and differentiated. See README.md; conventions in docs/conventions.md."""

from taichi_bokeh._version import __version__
from taichi_bokeh.layers import Layers
from taichi_bokeh.nn import BokehRenderer
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.render import render

__all__ = ["Aperture", "BokehRenderer", "Layers", "ThinLens", "__version__", "render"]
