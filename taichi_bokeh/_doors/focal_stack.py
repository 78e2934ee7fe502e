"""One scene rendered at several foci."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from taichi_bokeh._autocast import full_precision, in_full_precision
from taichi_bokeh._checks import Bounded, require_float_tensor, require_integer, require_number, require_type, require_values
from taichi_bokeh._render import render
from taichi_bokeh.layers import Layers
from taichi_bokeh.models import Model, SubAperture, model_of
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens

_FLOATS_A_PIXEL = 24  # of a layer of a slice, while it is rendered


@in_full_precision
def focal_stack(
    layers: Layers,
    lens: ThinLens,
    foci: Sequence[float] | Tensor,
    model: str | Model | None = None,
    *,
    memory_bytes: int = 1 << 30,
    **fields: Any,
) -> Tensor:
    """Render a scene focused at several disparities, differentiable in layers, blur and foci.

    The slices are rendered together, as the scenes of one batch: each is that of `render` to the bit, and checks, tables and
    launches of kernels are those of one call. The sums themselves depend on the radii, and so on the focus: `SubAperture` costs
    about as much as renders one by one, `Scatter` a little less (benchmarks/focal_stack.py).

        import torch
        import taichi_bokeh as tb

        disparity = torch.linspace(0, 1, 64).expand(1, 1, 1, 48, 64)
        layers = tb.Layers(torch.rand(1, 1, 3, 48, 64), torch.ones_like(disparity), disparity)
        stack = tb.focal_stack(layers, tb.ThinLens(8.0, 0.5), foci=[0.0, 0.5, 1.0])  # [1, 3, 3, 48, 64]

    Args:
        layers: B scenes, as of `render`.
        lens: blur and aperture; its focus is not used.
        foci: S disparities in focus: numbers, or a tensor [S], or [B, S] with others for each scene.
        model: as of `render`.
        memory_bytes: what the slices that are rendered at a time may take, some 100 bytes a pixel and layer in float32; one
            slice is rendered whatever it takes.
        **fields: as of `render`.

    Returns:
        [B, S, 3, H, W], linear light, with the dtype and on the device of the layers.

    Raises:
        TypeError, ValueError: an argument is not what it must be; the message names it.
        RuntimeError: as of `render`.
    """
    chosen = model_of(model, **fields)
    for name, value, kind in (("layers", layers, Layers), ("lens", lens, ThinLens)):
        require_type(name, value, kind, kind.__name__)
    require_integer("memory_bytes", memory_bytes, at_least=1)
    focus = _foci(foci, layers)
    blur, _ = lens.per_image(layers)
    each = layers.rgb.numel() // 3 * _FLOATS_A_PIXEL * layers.rgb.element_size()
    # What is done to one scene then depends on the largest radius of the whole batch.
    goes_by_all = lens.aperture.cat_eye != 0 or (isinstance(chosen, SubAperture) and chosen.cells == "auto")
    at_once = 1 if goes_by_all else max(1, memory_bytes // each)
    parts = [_slices(layers, blur, some, lens.aperture, chosen) for some in focus.split(at_once, dim=1)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def _slices(layers: Layers, blur: Tensor, focus: Tensor, aperture: Aperture, model: Model) -> Tensor:
    """Render [B, S, 3, H, W] of blur [B] and focus [B, S]."""
    batch, count = focus.shape
    lens = ThinLens(blur[:, None].expand(batch, count).flatten(), focus.flatten(), aperture)
    image = render(layers.repeated(count), lens, model)
    return image.unflatten(0, (batch, count))


def _foci(foci: Any, layers: Layers) -> Tensor:
    """Give [B, S], of the dtype and on the device of the layers."""
    if isinstance(foci, Tensor):
        foci = full_precision(foci)
        require_float_tensor("foci", foci)
        fits = foci.ndim == 1 or (foci.ndim == 2 and len(foci) == layers.batch)
        if not fits or 0 in foci.shape:
            raise ValueError(f"foci has shape {list(foci.shape)}; expected [S] or [{layers.batch}, S], S at least 1")
        if foci.device != layers.device:
            raise ValueError(f"foci is on device {foci.device}; expected that of the layers, {layers.device}")
        require_values({"foci": Bounded(foci)})
        return foci.to(layers.dtype).expand(layers.batch, -1)
    if not isinstance(foci, Sequence) or isinstance(foci, str):
        raise TypeError(f"foci is of type {type(foci).__name__}; expected a sequence of numbers, or a torch tensor")
    if len(foci) == 0:
        raise ValueError("foci is empty; expected at least one disparity")
    for k, number in enumerate(foci):
        require_number(f"foci[{k}]", number)
    return torch.tensor([float(f) for f in foci], dtype=layers.dtype, device=layers.device).expand(layers.batch, -1)
