"""OpenEXR: linear light and maps in half or float, by named channels.

Colours in the file are premultiplied by alpha ("associated"), as the format asks; in memory they are straight.
"""

from taichi_bokeh.io.exr.cryptomatte import decode_matte
from taichi_bokeh.io.exr.decode import decode, decode_channels
from taichi_bokeh.io.exr.deep import Deep, is_deep, read_deep
from taichi_bokeh.io.exr.encode import encode, encode_image
from taichi_bokeh.io.exr.file import is_exr
from taichi_bokeh.io.exr.frame import Frame, moved
from taichi_bokeh.io.exr.summary import summary

__all__ = [
    "Deep",
    "Frame",
    "decode",
    "decode_channels",
    "decode_matte",
    "encode",
    "encode_image",
    "is_deep",
    "is_exr",
    "moved",
    "read_deep",
    "summary",
]
