"""Layers to a picture as the arguments of ``taichi-bokeh render`` say: look, model, device."""

from argparse import Namespace
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taichi_bokeh._render import ProgressCallback, Quality, render, require_renderable
from taichi_bokeh.apps.options.device import device_of
from taichi_bokeh.layers import Layers
from taichi_bokeh.models.subaperture import DEFAULT_CELLS, MOST_CELLS, cells_for
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens
from taichi_bokeh.photo.cut_out import CutOut, render_cut_out
from taichi_bokeh.photo.highlights import boost_highlights
from taichi_bokeh.photo.near_far import scale_near_and_far

_HIGHLIGHT_THRESHOLD = 0.7  # 8-bit white less a sixth


def check_rendering(arguments: Namespace, aperture: Aperture) -> None:
    """Refuse what the model, the look or the machine has not.

    Raises:
        ValueError: which option, in one line.
    """
    _check_model(arguments)
    require_renderable(aperture, arguments.model, arguments.profile)
    if arguments.highlight_threshold is not None and arguments.highlights == 1:
        raise ValueError("--highlight-threshold needs --highlights, the gain: without one nothing is raised")
    device_of(arguments)


def with_highlights(layers: Layers, arguments: Namespace) -> Layers:
    """The layers on the device to render on, their highlights raised."""
    threshold = _HIGHLIGHT_THRESHOLD if arguments.highlight_threshold is None else arguments.highlight_threshold
    layers = layers.to(device_of(arguments))
    return replace(layers, rgb=boost_highlights(layers.rgb, arguments.highlights, threshold))


def with_near_and_far(layers: Layers, focus: float, arguments: Namespace) -> Layers:
    """The layers as deep on either side of the focus as they are to be blurred."""
    return replace(layers, disparity=nearer_and_farther(layers.disparity, focus, arguments))


def nearer_and_farther(disparity: Tensor, focus: float, arguments: Namespace) -> Tensor:
    """Disparities as far from the focus as they are to be blurred."""
    return scale_near_and_far(disparity, focus, arguments.near_blur, arguments.far_blur)


def span_of(disparity: NDArray[np.float32], focus: float, arguments: Namespace) -> float:
    """How far at most the disparities of a photograph lie from the focus, as they are to be blurred."""
    scaled = nearer_and_farther(torch.from_numpy(disparity), focus, arguments)
    return max(abs(float(end) - focus) for end in scaled.aminmax())


def cells_of(layers: Layers, lens: ThinLens, arguments: Namespace) -> int | None:
    """Into how many cells the aperture is divided; None for a model that does not. Of layers as they are to be rendered."""
    if arguments.model != "subaperture":
        return None
    if arguments.cells == "auto":
        blur, focus = (float(value) for value in (lens.blur, lens.focus))
        return cells_for(layers, blur * (layers.disparity[:, :, 0] - focus))
    return arguments.cells or DEFAULT_CELLS


def model_options(arguments: Namespace, cells: int | None) -> dict[str, Any]:
    """What `render` and `explain` take for this model."""
    given = {"algorithm": arguments.algorithm, "profile": arguments.profile, "max_radius": arguments.max_radius, "cells": cells}
    return {"model": arguments.model, **{name: value for name, value in given.items() if value is not None}}


def render_layers(
    layers: Layers,
    lens: ThinLens,
    arguments: Namespace,
    cells: int | None,
    progress: ProgressCallback | None = None,
    coverage: Tensor | None = None,
) -> Tensor:
    """The picture [1, 3, H, W] of layers that have their look already, on the CPU; with coverage as of `render_cut_out`.

    Args:
        layers: on the device to render on.
        lens: the lens.
        arguments: model, quality.
        cells: of the aperture, see `cells_of`.
        progress: called with (done, total).
        coverage: of the layers of a photograph that is partly transparent.
    """
    quality: Quality = "draft" if arguments.draft else "full"
    options = {"quality": quality, "progress": progress, **model_options(arguments, cells)}
    if coverage is None:
        return render(layers, lens, **options).cpu()
    return render_cut_out(CutOut(layers, coverage.to(layers.rgb.device)), lens, **options).cpu()


def _check_model(arguments: Namespace) -> None:
    model, cells = arguments.model, arguments.cells
    if arguments.draft and model != "scatter":
        raise ValueError(f"--draft is for --model scatter: {model} has none")
    if arguments.algorithm == "fast" and model == "scatter-official":
        raise ValueError("--algorithm fast is not for --model scatter-official: it has only exact")
    if arguments.profile is not None and model != "scatter":
        raise ValueError(f"--profile is for --model scatter: the blur discs of {model} have no other edge")
    if model == "subaperture":
        if arguments.max_radius is not None:
            raise ValueError("--max-radius is for the scatter models: give --model scatter or scatter-official with it")
        if isinstance(cells, int) and cells > MOST_CELLS:
            raise ValueError(f"--cells is {cells}, and must be at most {MOST_CELLS}")
    elif cells is not None:
        raise ValueError(f"--cells is for --model subaperture: {model} does not divide the aperture")
