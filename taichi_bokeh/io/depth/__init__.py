"""What the numbers of a disparity or depth map mean."""

from taichi_bokeh.io.depth.calibration import StereoRig, read_calibration
from taichi_bokeh.io.depth.code import MapCode, as_disparity

__all__ = ["MapCode", "StereoRig", "as_disparity", "read_calibration"]
