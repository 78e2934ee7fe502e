"""From a photograph with disparity to layers: hole filling, matting, inpainting."""

from taichi_bokeh.photo.clean import clean_disparity, sharpen_edges
from taichi_bokeh.photo.cut_out import CutOut, render_cut_out, split_cut_out
from taichi_bokeh.photo.fill.holes import fill_holes
from taichi_bokeh.photo.fill.inpaint import inpainter, patch_match
from taichi_bokeh.photo.fill.push_pull import push_pull
from taichi_bokeh.photo.layering import to_layers
from taichi_bokeh.photo.matte.outline import outline_matte, separate_colours
from taichi_bokeh.photo.matte.refine import colours_ml, refine_matte
from taichi_bokeh.photo.models import load_model
from taichi_bokeh.photo.resize import resize_disparity
from taichi_bokeh.photo.split import choose_cuts
from taichi_bokeh.photo.stages import Stages

__all__ = [
    "CutOut",
    "Stages",
    "choose_cuts",
    "clean_disparity",
    "colours_ml",
    "fill_holes",
    "inpainter",
    "load_model",
    "outline_matte",
    "patch_match",
    "push_pull",
    "refine_matte",
    "render_cut_out",
    "resize_disparity",
    "separate_colours",
    "sharpen_edges",
    "split_cut_out",
    "to_layers",
]
