"""Layers and a lens in, the picture that the lens would have seen out."""

import reprlib
from collections.abc import Callable, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from taichi_bokeh import _runtime, reference
from taichi_bokeh._autocast import in_full_precision
from taichi_bokeh._checks import require_integer, require_number
from taichi_bokeh.layers import Layers
from taichi_bokeh.models.scatter import Settings, blur_radius, scatter
from taichi_bokeh.models.subaperture import DEFAULT_CELLS, MOST_CELLS, cells_for, subaperture
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.thin_lens import ThinLens

Model = Literal["scatter", "scatter-official", "subaperture"]
Profile = Literal["disc", "soft"]
Algorithm = Literal["auto", "exact", "fast", "reference"]
Quality = Literal["full", "draft"]
ProgressCallback = Callable[[int, int], None]


@in_full_precision
def render(  # noqa: PLR0913 - all but two by name
    layers: Layers,
    lens: ThinLens,
    *,
    model: Model = "scatter",
    profile: Profile | None = None,
    algorithm: Algorithm = "auto",
    max_radius: float | None = None,
    cells: int | Literal["auto"] | None = None,
    quality: Quality = "full",
    occlusion: bool = True,
    progress: ProgressCallback | None = None,
) -> Tensor:
    """Render the lens blur of `layers` seen through `lens`, differentiable in rgb, alpha, disparity, blur and focus.

    Args:
        layers: B scenes of L layers; float32 or float64, on the CPU or on CUDA.
        lens: blur and focus in the disparity's units.
        model: "scatter", the occlusion-aware scatter model (docs/mathematics.md); "subaperture", which composites the layers
            through each cell of the aperture, by far the most accurate, for every aperture; or "scatter-official", the variant
            that Dr.Bokeh's released code computes, for comparison with published numbers.
        profile: edge of the blur discs of model "scatter": "disc" (default), the exact disc, or the aperture of the lens;
            "soft", the paper's logistic, for the disc only.
        algorithm: "reference", slow readable torch, or a way to the same result: "exact", every tap of the blur disc one by
            one; "fast", in time linear in the radius, within the bounds of docs/mathematics.md: steps of the discs along rows
            (model "scatter") or integral images (model "subaperture"); "auto" takes what costs less. `explain` says what.
        max_radius: only sources nearer than this, in px, contribute to a scatter model (the released code's window is
            2·max_radius + 1); by default as far as the scene's largest blur reaches.
        cells: into how many cells model "subaperture" divides the aperture: more are more accurate and slower. "auto" goes by
            the radii and the number of layers; 16 by default.
        quality: "draft" merges what is far out of focus (model "scatter"): its time hardly depends on the radius, the edges of
            large discs are a little soft; differentiable in rgb and alpha; not under torch.compile.
        occlusion: False leaves the occlusion within a layer out of the scatter models, O = 1, as ablations do; that between
            layers stays.
        progress: called with (done, total) while the forward pass runs; not under torch.compile.

    Returns:
        The picture [B, 3, H, W], linear light, with the dtype and on the device of the layers.

    Raises:
        TypeError, ValueError: an argument is not what it must be; the message names it.
        RuntimeError: the device cannot be served, or forward-mode differentiation or double backward is asked for.
    """
    validate(layers, lens, model, algorithm)
    validate_quality(quality, model, lens.aperture, algorithm, max_radius)
    validate_occlusion(occlusion, model)
    if model == "subaperture":
        validate_cells(profile, max_radius, cells)
    else:
        settings = scatter_settings(lens, model, profile, algorithm, max_radius, cells)
        settings = settings._replace(quality=quality, occlusion=occlusion)
    blur, focus = lens.per_picture(layers)
    if quality == "draft":
        refuse_gradients({"layers.disparity": layers.disparity, "lens.blur": blur, "lens.focus": focus})
    refuse_forward_mode(layers.rgb, layers.alpha, layers.disparity, blur, focus)
    token = None if progress is None else _runtime.progress.set(progress)
    try:
        if model == "subaperture":
            return _subaperture(layers, blur, focus, lens.aperture, DEFAULT_CELLS if cells is None else cells, algorithm)
        if algorithm == "reference":
            values = layers.rgb, layers.alpha, layers.disparity
            return reference.render(*values, blur, focus, settings.profile, max_radius, lens.aperture, occlusion)
        return scatter(layers, blur, focus, settings)
    finally:
        if token is not None:
            _runtime.progress.reset(token)


def validate(layers: Layers, lens: ThinLens, model: str, algorithm: str) -> None:
    """TypeError or ValueError unless these are what `render` takes."""
    if not isinstance(layers, Layers):
        raise TypeError(f"layers is of type {type(layers).__name__}; expected Layers")
    if not isinstance(lens, ThinLens):
        raise TypeError(f"lens is of type {type(lens).__name__}; expected a ThinLens")
    for name, value, allowed in (("model", model, Model), ("algorithm", algorithm, Algorithm)):
        if value not in get_args(allowed):
            raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, get_args(allowed)))}")


def validate_quality(quality: str, model: str, aperture: Aperture, algorithm: str, max_radius: float | None) -> None:
    """ValueError unless there is a draft of this where one is asked for."""
    if quality not in get_args(Quality):
        raise ValueError(f"quality is {quality!r}; expected one of {', '.join(map(repr, get_args(Quality)))}")
    if quality == "full":
        return
    wanted = {
        "model": (model, "'scatter'", model == "scatter"),
        "algorithm": (algorithm, "'auto' or 'fast'", algorithm in ("auto", "fast")),
        "max_radius": (max_radius, "None", max_radius is None),
        "aperture.cat_eye": (aperture.cat_eye, "0", aperture.cat_eye == 0),
    }
    for name, (value, expected, fits) in wanted.items():
        if not fits:
            raise ValueError(f"{name} is {value!r}; expected {expected} with quality 'draft'")


def validate_occlusion(occlusion: bool, model: str) -> None:
    """TypeError unless it is a bool, ValueError where the model cannot do without."""
    if not isinstance(occlusion, bool):
        raise TypeError(f"occlusion is of type {type(occlusion).__name__}; expected a bool")
    if not occlusion and model == "subaperture":
        raise ValueError("occlusion is False, but model 'subaperture' has no term of occlusion; expected a scatter model")


def refuse_gradients(tensors: Mapping[str, Tensor]) -> None:
    """ValueError if one is to be differentiated: what a draft leaves out is small beside a picture, not beside its slope."""
    for name, tensor in tensors.items():
        if torch.is_grad_enabled() and tensor.requires_grad:
            raise ValueError(f"{name} requires a gradient; expected one without, as quality 'draft' has none of use for it")


def validate_cells(profile: str | None, max_radius: float | None, cells: int | str | None) -> None:
    """The same for what the sub-aperture model takes beside."""
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


def scatter_settings(
    lens: ThinLens, model: str, profile: str | None, algorithm: str, max_radius: float | None, cells: int | str | None
) -> Settings:
    """What a scatter model is rendered with, or an error that names the culprit."""
    if cells is not None:
        raise ValueError(f"cells is {cells!r}, but model {model!r} has none; they are those of model 'subaperture'")
    if max_radius is not None:
        require_number("max_radius", max_radius)
        if not 0 < max_radius < 1 << 15:
            raise ValueError(f"max_radius is {max_radius}; expected px between 0 and 32768")
    if model == "scatter-official":
        if algorithm == "fast":
            raise ValueError(
                "algorithm is 'fast', but model 'scatter-official' has none; expected 'auto', 'exact' or 'reference'"
            )
        if profile is not None:
            raise ValueError(f"profile is {profile!r}, but model 'scatter-official' has one profile of its own")
    elif profile is not None and profile not in get_args(Profile):
        raise ValueError(f"profile is {profile!r}; expected one of {', '.join(map(repr, get_args(Profile)))}")
    require_renderable(lens.aperture, model, profile)
    name = "official" if model == "scatter-official" else profile or "disc"
    if not lens.aperture.is_disc:
        name = "shape"
        if max_radius is not None:
            raise ValueError(f"max_radius is {max_radius}, but cuts off discs only; leave it out with another aperture")
    return Settings(name, lens.aperture, float(max_radius or 0.0), algorithm)


def require_renderable(aperture: Aperture, model: str, profile: str | None) -> None:
    """ValueError that names what makes `aperture` another shape than the disc, where the model and profile know no other."""
    field = aperture.not_a_disc
    if field is None or model == "subaperture" or (model == "scatter" and profile in (None, "disc")):
        return
    which = f"model {model!r}" if model == "scatter-official" else f"profile {profile!r}"
    raise ValueError(
        f"aperture: {which} renders the disc only ({field} is {reprlib.repr(getattr(aperture, field))}); expected model "
        "'subaperture', or 'scatter' with profile 'disc', for other shapes"
    )


def refuse_forward_mode(*tensors: Tensor) -> None:
    """torch.func.jvp would silently give zeros: custom operators have no forward-mode rule."""
    if torch.compiler.is_compiling():
        return
    if any(torch._C._functorch.is_gradtrackingtensor(t) for t in tensors):  # not part of torch's public interface
        raise RuntimeError("taichi_bokeh: torch.func transforms (grad, jvp) are not supported; use torch.autograd.grad")
    if any(torch.autograd.forward_ad.unpack_dual(t).tangent is not None for t in tensors):
        raise RuntimeError("taichi_bokeh: forward-mode differentiation is not supported; use torch.autograd.grad")


def _subaperture(layers: Layers, blur: Tensor, focus: Tensor, aperture: Aperture, cells: int | str, algorithm: str) -> Tensor:
    radius = blur_radius(layers, blur, focus).reshape(layers.disparity.shape)[:, :, 0]
    number = cells_for(layers, radius) if isinstance(cells, str) else cells
    if algorithm == "reference":
        return reference.subaperture(layers.rgb, layers.alpha, radius, aperture, number)
    return subaperture(layers, radius, aperture, number, algorithm)
