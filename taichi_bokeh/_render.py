"""Layers and a lens in, the image that the lens would have seen out."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.layers import Layers
from taichi_bokeh.models import Explanation, Model, model_of
from taichi_bokeh.optics.thin_lens import ThinLens

ProgressCallback = Callable[[int, int], None]


def render(
    layers: Layers,
    lens: ThinLens,
    model: str | Model | None = None,
    *,
    progress: ProgressCallback | None = None,
    **fields: Any,
) -> Tensor:
    """Render the lens blur of `layers` seen through `lens`, differentiable in rgb, alpha, disparity, blur and focus.

    Args:
        layers: B scenes of L layers; float32 or float64, on the CPU or on CUDA.
        lens: blur and focus in the disparity's units.
        model: a `SubAperture`, by far the most accurate, for every aperture; a `Scatter`; or an `OfficialScatter`. Or the name
            of one, "subaperture", "scatter" or "scatter-official", with `fields`. Where none is named, the first of these that
            has all the fields: `SubAperture()` without any, a `Scatter` for `profile="soft"`.
        progress: called with (done, total) while the forward pass runs; not under torch.compile.
        **fields: those of the dataclass of that name, which says what they mean: `render(layers, lens, "subaperture",
            cells=64)` is `render(layers, lens, SubAperture(cells=64))`.

    Returns:
        The image [B, 3, H, W], linear light, with the dtype and on the device of the layers.

    Raises:
        TypeError, ValueError: an argument is not what it must be; the message names it.
        RuntimeError: the device cannot be served, or forward-mode differentiation or double backward is asked for.
    """
    chosen = model_of(model, **fields)
    if progress is None:
        return chosen.render(layers, lens)
    token = _runtime.progress.set(progress)
    try:
        return chosen.render(layers, lens)
    finally:
        _runtime.progress.reset(token)


def explain(
    layers: Layers,
    lens: ThinLens,
    model: str | Model | None = None,
    *,
    progress: ProgressCallback | None = None,
    **fields: Any,
) -> Explanation:
    """Say by which strategy `render` would evaluate each layer with the same arguments, and why; nothing is rendered.

    Args:
        layers: as of `render`.
        lens: as of `render`.
        model: as of `render`.
        progress: not called.
        **fields: as of `render`.

    Raises:
        TypeError, ValueError: as `render` does.
    """
    return model_of(model, **fields).explain(layers, lens)
