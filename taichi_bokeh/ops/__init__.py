"""torch custom operators over the kernels: checks, fakes and autograd. Importing this package registers all of them."""

from taichi_bokeh.ops.merging import bring_back, merge
from taichi_bokeh.ops.pointwise import circle_of_confusion, composite, resolve, resolve_official, sources
from taichi_bokeh.ops.scatter import scatter, scatter_sums
from taichi_bokeh.ops.square_mean import square_mean
from taichi_bokeh.ops.subaperture import subaperture
from taichi_bokeh.ops.trace import trace

__all__ = [
    "bring_back",
    "circle_of_confusion",
    "composite",
    "merge",
    "resolve",
    "resolve_official",
    "scatter",
    "scatter_sums",
    "sources",
    "square_mean",
    "subaperture",
    "trace",
]
