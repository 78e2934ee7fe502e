"""From a photograph with disparity to layers: hole filling, matting, inpainting."""

from taichi_bokeh.photo.clean import clean_disparity, sharpen_edges
from taichi_bokeh.photo.holes import fill_holes
from taichi_bokeh.photo.matte import outline_matte, separate_colours
from taichi_bokeh.photo.picture import to_layers
from taichi_bokeh.photo.push_pull import push_pull
from taichi_bokeh.photo.split import choose_cuts
from taichi_bokeh.photo.stages import Stages

__all__ = [
    "Stages",
    "choose_cuts",
    "clean_disparity",
    "fill_holes",
    "outline_matte",
    "push_pull",
    "separate_colours",
    "sharpen_edges",
    "to_layers",
]
