"""Layers and a lens in, the picture that the lens would have seen out."""

import reprlib
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from taichi_bokeh import _runtime, ops, reference
from taichi_bokeh._checks import require_integer, require_number
from taichi_bokeh._subaperture import DEFAULT_CELLS, MOST_CELLS, cells_for, subaperture
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens

Model = Literal["scatter", "scatter-official", "subaperture"]
Profile = Literal["disc", "soft"]
Algorithm = Literal["auto", "exact", "fast", "reference"]
ProgressCallback = Callable[[int, int], None]


def render(
    layers: Layers,
    lens: ThinLens,
    *,
    model: Model = "scatter",
    profile: Profile | None = None,
    algorithm: Algorithm = "auto",
    max_radius: float | None = None,
    cells: int | Literal["auto"] | None = None,
    progress: ProgressCallback | None = None,
) -> Tensor:
    """Render the lens blur of `layers` seen through `lens`, differentiable in rgb, alpha, disparity, blur and focus.

    Args:
        layers: B scenes of L layers; float32 or float64, on the CPU or on CUDA.
        lens: blur and focus in the disparity's units.
        model: "scatter", the occlusion-aware scatter model (docs/mathematics.md); "subaperture", which composites the layers
            through each cell of the aperture, by far the most accurate, for every aperture; or "scatter-official", the variant
            that Dr.Bokeh's released code computes, for comparison with published numbers.
        profile: edge of the blur discs of model "scatter": "disc" (default), the exact disc; "soft", the paper's logistic.
        algorithm: "reference", slow readable torch, or a way to the same result: "exact", every tap of the blur disc one by
            one; "fast", integral images (model "subaperture"); "auto" takes what costs less.
        max_radius: only sources nearer than this, in px, contribute to a scatter model (the released code's window is
            2·max_radius + 1); by default as far as the scene's largest blur reaches.
        cells: into how many cells model "subaperture" divides the aperture: more are more accurate and slower. "auto" goes by
            the radii and the number of layers; 16 by default.
        progress: called with (done, total) while the forward pass runs; not under torch.compile.

    Returns:
        The picture [B, 3, H, W], linear light, with the dtype and on the device of the layers.

    Raises:
        TypeError, ValueError: an argument is not what it must be; the message names it.
        RuntimeError: the device cannot be served, or forward-mode differentiation or double backward is asked for.
    """
    _validate(layers, lens, model, algorithm)
    if model == "subaperture":
        _validate_cells(profile, max_radius, cells)
        chosen = ""
    else:
        chosen = _validate_scatter(lens, model, profile, algorithm, max_radius, cells)
    blur, focus = lens.per_picture(layers)
    refuse_forward_mode(layers.rgb, layers.alpha, layers.disparity, blur, focus)
    token = None if progress is None else _runtime.progress.set(progress)
    try:
        if model == "subaperture":
            return _subaperture(layers, blur, focus, lens.aperture, DEFAULT_CELLS if cells is None else cells, algorithm)
        if algorithm == "reference":
            return reference.render(layers.rgb, layers.alpha, layers.disparity, blur, focus, chosen, max_radius)
        return _scatter(layers, blur, focus, chosen, max_radius, algorithm)
    finally:
        if token is not None:
            _runtime.progress.reset(token)


def _validate(layers: Layers, lens: ThinLens, model: str, algorithm: str) -> None:
    if not isinstance(layers, Layers):
        raise TypeError(f"layers is of type {type(layers).__name__}; expected Layers")
    if not isinstance(lens, ThinLens):
        raise TypeError(f"lens is of type {type(lens).__name__}; expected a ThinLens")
    for name, value, allowed in (("model", model, Model), ("algorithm", algorithm, Algorithm)):
        if value not in get_args(allowed):
            raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, get_args(allowed)))}")


def _validate_cells(profile: str | None, max_radius: float | None, cells: int | str | None) -> None:
    for name, value in (("profile", profile), ("max_radius", max_radius)):
        if value is not None:
            raise ValueError(f"{name} is {value!r}, but is of the scatter models; model 'subaperture' has none")
    if cells is None or cells == "auto":
        return
    if isinstance(cells, str):
        raise ValueError(f"cells is {cells!r}; expected a number or 'auto'")
    require_integer("cells", cells, at_least=1)
    if cells > MOST_CELLS:
        raise ValueError(f"cells is {cells}; expected at most {MOST_CELLS}")


def _validate_scatter(
    lens: ThinLens, model: str, profile: str | None, algorithm: str, max_radius: float | None, cells: int | str | None
) -> str:
    """The kernels' name of the model and profile, or an error that names the culprit."""
    require_disc(lens.aperture)
    if cells is not None:
        raise ValueError(f"cells is {cells!r}, but model {model!r} has none; they are those of model 'subaperture'")
    if max_radius is not None:
        require_number("max_radius", max_radius)
        if not 0 < max_radius < 1 << 15:
            raise ValueError(f"max_radius is {max_radius}; expected px between 0 and 32768")
    if model == "scatter-official":
        if algorithm == "fast":
            raise ValueError("algorithm is 'fast', but model 'scatter-official' has none; expected 'auto', 'exact' or 'reference'")
        if profile is not None:
            raise ValueError(f"profile is {profile!r}, but model 'scatter-official' has one profile of its own")
        return "official"
    if profile is not None and profile not in get_args(Profile):
        raise ValueError(f"profile is {profile!r}; expected one of {', '.join(map(repr, get_args(Profile)))}")
    return profile or "disc"


def require_disc(aperture: Aperture) -> None:
    """ValueError that names what makes `aperture` another shape than the disc."""
    field = aperture.not_a_disc
    if field is not None:
        raise ValueError(
            "aperture: scatter models render the disc only; use model 'subaperture' or trace for other shapes "
            f"({field} is {reprlib.repr(getattr(aperture, field))})"
        )


def refuse_forward_mode(*tensors: Tensor) -> None:
    """torch.func.jvp would silently give zeros: custom operators have no forward-mode rule."""
    if torch.compiler.is_compiling():
        return
    if any(torch._C._functorch.is_gradtrackingtensor(t) for t in tensors):  # not part of torch's public interface
        raise RuntimeError("taichi_bokeh: torch.func transforms (grad, jvp) are not supported; use torch.autograd.grad")
    if any(torch.autograd.forward_ad.unpack_dual(t).tangent is not None for t in tensors):
        raise RuntimeError("taichi_bokeh: forward-mode differentiation is not supported; use torch.autograd.grad")


def _radius(layers: Layers, blur: Tensor, focus: Tensor) -> Tensor:
    """Signed radius of the circle of confusion in px, [B·L, H, W]."""
    batch, count, height, width = layers.shape
    return ops.circle_of_confusion(layers.disparity.reshape(-1, height, width), *(per_layer(v, count) for v in (blur, focus)))


def per_layer(value: Tensor, count: int) -> Tensor:
    """[B] -> [B·count], one for each layer."""
    return value[:, None].expand(-1, count).reshape(-1)


def _subaperture(layers: Layers, blur: Tensor, focus: Tensor, aperture: Aperture, cells: int | str, algorithm: str) -> Tensor:
    radius = _radius(layers, blur, focus).reshape(layers.disparity.shape)[:, :, 0]
    number = cells_for(layers, radius) if isinstance(cells, str) else cells
    if algorithm == "reference":
        return reference.subaperture(layers.rgb, layers.alpha, radius, aperture, number)
    return subaperture(layers, radius, aperture, number, algorithm)


def _scatter(
    layers: Layers, blur: Tensor, focus: Tensor, profile: str, max_radius: float | None, algorithm: str
) -> Tensor:
    batch, count, height, width = layers.shape
    rgb = layers.rgb.reshape(-1, 3, height, width)
    alpha, disparity = (value.reshape(-1, height, width) for value in (layers.alpha, layers.disparity))
    radius = _radius(layers, blur, focus)
    planes, spread, in_focus = ops.sources(rgb, alpha, radius, profile)
    border = "reflect" if profile == "official" else "replicate"
    plan = (per_layer(blur, count).detach(), per_layer(focus, count).detach())
    sums = ops.scatter(planes, spread, disparity, in_focus, *plan, profile, float(max_radius or 0.0), border, algorithm)
    if profile == "official":
        coverage = ops.square_mean(alpha, radius, int(max_radius or 1 << 20))
        colour = ops.resolve_official(sums, coverage)
    else:
        colour, coverage = ops.resolve(sums, rgb, alpha, radius, profile)
    return _composite(colour.reshape(batch, count, 3, height, width), coverage.reshape(batch, count, height, width))


def _composite(colour: Tensor, coverage: Tensor) -> Tensor:
    """Front to back; in halves where the layers are more than a kernel should be unrolled for."""
    count = coverage.shape[1]
    if count <= 16:
        return ops.composite(colour, coverage)
    half = count // 2
    through = (1 - coverage[:, :half]).prod(1, keepdim=True)
    return _composite(colour[:, :half], coverage[:, :half]) + through * _composite(colour[:, half:], coverage[:, half:])
