"""Images, disparities and mattes in and out of files."""

from taichi_bokeh.io.depth import MapCode, StereoRig, read_calibration
from taichi_bokeh.io.describe import DepthDescription, describe_depth
from taichi_bokeh.io.disparity import read_alpha, read_disparity
from taichi_bokeh.io.formats.metadata import Metadata, check_metadata, read_metadata
from taichi_bokeh.io.images import Image, read_image, write_image
from taichi_bokeh.io.maps import check_map_format, write_map
from taichi_bokeh.io.srgb import srgb_decode, srgb_encode, to_srgb8
from taichi_bokeh.storage.atomic_files import check_output, write_atomically

__all__ = [
    "DepthDescription",
    "Image",
    "MapCode",
    "Metadata",
    "StereoRig",
    "check_map_format",
    "check_metadata",
    "check_output",
    "describe_depth",
    "read_alpha",
    "read_calibration",
    "read_disparity",
    "read_image",
    "read_metadata",
    "srgb_decode",
    "srgb_encode",
    "to_srgb8",
    "write_atomically",
    "write_image",
    "write_map",
]
