"""Layers to an image: look, model, device."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh._render import ProgressCallback, render
from taichi_bokeh.apps.options.look import LookRequest
from taichi_bokeh.apps.options.model import ModelRequest, device_of
from taichi_bokeh.io.exr import Frame
from taichi_bokeh.layers import Layers
from taichi_bokeh.models import Model, SubAperture
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.photo.cut_out import CutOut, render_cut_out
from taichi_bokeh.photo.highlights import boost_highlights
from taichi_bokeh.photo.near_far import scale_near_and_far

_HIGHLIGHT_THRESHOLD = 0.7  # 8-bit white less a sixth


def check_rendering(model: ModelRequest, look: LookRequest, aperture: Aperture) -> None:
    """Refuse what the model, the look or the machine does not have.

    Raises:
        ValueError: which option, in one line.
    """
    model.build().require_renderable(aperture)
    look.check()
    device_of(model.device)


def with_highlights(layers: Layers, model: ModelRequest, look: LookRequest, frame: Frame | None = None) -> Layers:
    """The layers on the device to render on, their highlights raised."""
    threshold = _HIGHLIGHT_THRESHOLD if look.highlight_threshold is None else look.highlight_threshold
    layers = layers.to(device_of(model.device))
    lift = 0.0 if frame is None else frame.lift
    if lift == 0:
        return replace(layers, rgb=boost_highlights(layers.rgb, look.highlights, threshold))
    below = (layers.rgb - lift).clamp(max=0)
    return replace(layers, rgb=boost_highlights((layers.rgb - lift).clamp(min=0), look.highlights, threshold) + below + lift)


def with_near_and_far(layers: Layers, focus: float, look: LookRequest) -> Layers:
    """The layers as deep on either side of the focus as they are to be blurred."""
    return replace(layers, disparity=nearer_and_farther(layers.disparity, focus, look))


def nearer_and_farther(disparity: Tensor, focus: float, look: LookRequest) -> Tensor:
    """Disparities as far from the focus as they are to be blurred."""
    return scale_near_and_far(disparity, focus, look.near_blur, look.far_blur)


def span_of(disparity: NDArray[np.float32], focus: float, look: LookRequest) -> float:
    """How far at most the disparities of a photograph lie from the focus, as they are to be blurred."""
    scaled = nearer_and_farther(torch.from_numpy(disparity), focus, look)
    return max(abs(float(end) - focus) for end in scaled.aminmax())


def with_cells_counted(model: Model, layers: Layers, lens: ThinLens) -> Model:
    """The model with a number of cells, where they are to be found by the layers as they are to be rendered."""
    return replace(model, cells=model.cells_of(layers, lens)) if isinstance(model, SubAperture) else model


def render_layers(
    layers: Layers,
    lens: ThinLens,
    model: Model,
    progress: ProgressCallback | None = None,
    coverage: Tensor | None = None,
) -> Tensor:
    """Render layers that have their look already: [1, 3, H, W] on the CPU; with coverage as `render_cut_out`.

    Args:
        layers: on the device to render on.
        lens: the lens.
        model: what renders.
        progress: called with (done, total).
        coverage: of the layers of a photograph that is partly transparent.
    """
    if coverage is None:
        return render(layers, lens, model, progress=progress).cpu()
    return render_cut_out(CutOut(layers, coverage.to(layers.rgb.device)), lens, model, progress=progress).cpu()
