"""torch custom operators over the kernels: checks, fakes and autograd. Importing this package registers all of them."""

from taichi_bokeh.ops.scatter.operator import scatter, scatter_sums
from taichi_bokeh.ops.scatter.pointwise import circle_of_confusion, composite, resolve, resolve_official, sources
from taichi_bokeh.ops.scatter.pyramid import expand, reduce
from taichi_bokeh.ops.scatter.square_mean import square_mean
from taichi_bokeh.ops.scatter.visibility import seen_tiles
from taichi_bokeh.ops.subaperture.operator import subaperture
from taichi_bokeh.ops.trace.operator import trace

__all__ = [
    "circle_of_confusion",
    "composite",
    "expand",
    "reduce",
    "resolve",
    "resolve_official",
    "scatter",
    "scatter_sums",
    "seen_tiles",
    "sources",
    "square_mean",
    "subaperture",
    "trace",
]
