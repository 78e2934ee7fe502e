"""From a photograph with disparity to layers: hole filling, matting, inpainting."""

from taichi_bokeh.photo.holes import fill_holes
from taichi_bokeh.photo.picture import to_layers
from taichi_bokeh.photo.push_pull import push_pull

__all__ = ["fill_holes", "push_pull", "to_layers"]
