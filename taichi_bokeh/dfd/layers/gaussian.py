"""Defocus as a Gaussian for every pixel, without occlusion: the layer of Gur and Wolf (2019), and one that is to scale."""

import torch
from torch import Tensor

from taichi_bokeh._autocast import in_full_precision
from taichi_bokeh._checks import refuse_forward_mode, require_type
from taichi_bokeh.dfd.layers.base import DefocusLayer, single_layer
from taichi_bokeh.models.base import blur_radius
from taichi_bokeh.ops.dfd.gaussian_psf import gaussian_psf
from taichi_bokeh.optics.thin_lens import ThinLens

PRINTED_WINDOW_PX = 3
PRINTED_DIAMETERS_PX = (1.0, 7.0)
CALIBRATED_DIAMETER = 1.1
CALIBRATED_LEAST_PX = 0.35


class GaussPSF(DefocusLayer):
    """Spreads every pixel by a Gaussian of the standard deviation c/2 (kernels/dfd/gaussian_psf.py gives the equation).

    As printed, c is the diameter of the circle of confusion, 2·|r|, cut off at 7 px, the window has 7×7 pixels, and a pixel of
    c ≤ 1 px neither spreads nor changes. Of a radius above 3.5 px this layer sees nothing more, nor has it a gradient; and a
    disc of the radius r has the standard deviation r/2 in each direction, half of this Gaussian's.

    Calibrated, c = √((1.1·r)² + 0.35²) px: about the Gaussian that is closest to the disc, in a window as large as needed. The
    0.35 px keep it smooth in focus, where a pixel of its neighbour gets 1e-7.

    Discs only. The sign of the radius makes no difference, so that there is no gradient at r = 0.

    Args:
        calibrated: whether the Gaussians are to scale, or as printed.
    """

    def __init__(self, calibrated: bool = False) -> None:
        super().__init__()
        require_type("calibrated", calibrated, bool, "a bool")
        self.calibrated = calibrated
        self.title = "Gaussian, calibrated" if calibrated else "GaussPSF as printed, 7×7"

    @in_full_precision
    def forward(self, all_in_focus: Tensor, disparity: Tensor, lens: ThinLens) -> Tensor:
        """See `DefocusLayer`; with another opening than the disc, ValueError."""
        require_type("lens", lens, ThinLens, "a ThinLens")
        field = lens.aperture.not_a_disc
        if field is not None:
            raise ValueError(f"aperture.{field} makes another opening than the disc; expected the disc, as a Gaussian is round")
        layers = single_layer(all_in_focus, disparity)
        blur, focus = lens.per_image(layers)
        refuse_forward_mode(all_in_focus, disparity, blur, focus)
        radius = blur_radius(layers, blur, focus).reshape(disparity.shape)[:, 0]
        if self.calibrated:
            diameter = torch.hypot(CALIBRATED_DIAMETER * radius, radius.new_tensor(CALIBRATED_LEAST_PX))
            return gaussian_psf(all_in_focus, diameter, 0.0, 0)[0]
        least, largest = PRINTED_DIAMETERS_PX
        return gaussian_psf(all_in_focus, (2 * radius.abs()).clamp(max=largest), least, PRINTED_WINDOW_PX)[0]
