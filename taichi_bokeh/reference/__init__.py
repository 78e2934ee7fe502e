"""Every equation in slow, readable torch: the oracle that the kernels are tested against. Any device, differentiable."""

from taichi_bokeh.reference.scatter.layers import composite, render
from taichi_bokeh.reference.scatter.profiles import disc_profile, logistic_profile
from taichi_bokeh.reference.subaperture.cells import subaperture
from taichi_bokeh.reference.trace.rays_through_layers import trace

__all__ = ["composite", "disc_profile", "logistic_profile", "render", "subaperture", "trace"]
