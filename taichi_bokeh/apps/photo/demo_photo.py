"""The photograph of the demo: "Motorcycle" of the Middlebury stereo set 2014, as it comes with scikit-image."""

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.io import srgb_decode

Array = NDArray[np.float32]


def demo_photo() -> tuple[Array, Array]:
    """The left image, and its measured disparity, divided by its maximum so that the nearest point has disparity 1.

    Returns:
        Linear light [H, W, 3], and [H, W], NaN where nothing was measured.

    Raises:
        ModuleNotFoundError: there is no scikit-image.
    """
    from skimage.data import stereo_motorcycle

    left, _, measured = stereo_motorcycle()
    disparity = np.where(np.isfinite(measured), measured, np.nan).astype(np.float32)
    return srgb_decode(left / np.float32(255)), disparity / np.nanmax(disparity)
