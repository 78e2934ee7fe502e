"""Ray tracing of layers through an ideal or a real lens: the truth that other models are measured by."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor

from taichi_bokeh import _runtime, ops
from taichi_bokeh._autocast import in_full_precision
from taichi_bokeh._checks import refuse_forward_mode, require_number, require_type, spoilt
from taichi_bokeh._renamed import Renamed
from taichi_bokeh._render import ProgressCallback
from taichi_bokeh.layers import Layers
from taichi_bokeh.ops.trace.operator import accumulator, prepare
from taichi_bokeh.optics.biconvex_lens import BiconvexLens
from taichi_bokeh.optics.thin_lens import ThinLens

Lens = ThinLens | BiconvexLens


@dataclass(frozen=True)
class TraceState(Renamed):
    """An image under way: what has been added up so far. Save it, and give it back to `trace_progressively` to go on.

    Attributes:
        sums: [B, H, W, 4], weighted radiance and coverage of the rays so far.
        passed: [B, H, W, 3], the weight of those that passed the lens.
        done: how many of the rays are in.
        rays: how many there will be.
        seed: that of the lens samples.
    """

    _new_names = MappingProxyType({"picture": "image"})

    sums: Tensor
    passed: Tensor
    done: int
    rays: int
    seed: int

    @property
    def image(self) -> Tensor:
        """The running mean [B, 3, H, W], linear light; black where no ray passed the lens."""
        return _mean(self.sums[..., :3], self.passed).permute(0, 3, 1, 2)


@in_full_precision
def trace(layers: Layers, lens: Lens, *, rays: int = 1024, seed: int = 0, progress: ProgressCallback | None = None) -> Tensor:
    """Trace `rays` rays a pixel through `lens`, differentiable in rgb, alpha and disparity, and a thin lens's blur and focus.

    A layer whose disparity varies is a height field, continuous between pixels; edges are replicated. A visible edge inside
    such a layer has no gradient.

    Args:
        layers: B scenes of L layers; float32 or float64, on the CPU or on CUDA. For a BiconvexLens disparity is in 1/m.
        lens: an ideal lens, or a real one.
        rays: lens samples a pixel, the same for all pixels.
        seed: turns the sampling pattern; the image is a function of the arguments alone.
        progress: called with (done, total) rays while the forward pass runs; not under torch.compile.

    Returns:
        The image [B, 3, H, W], linear light, with the dtype and on the device of the layers.

    Raises:
        TypeError, ValueError: an argument is not what it must be; the message names it.
        RuntimeError: the device cannot be served, or forward-mode differentiation or double backward is asked for.
    """
    _validate(layers, lens, rays, seed)
    kind, parameters, channels = _kernel_lens(layers, lens)
    refuse_forward_mode(layers.rgb, layers.alpha, layers.disparity, parameters)
    disparity = layers.disparity[:, :, 0]
    if torch.compiler.is_compiling():  # where nothing has been refused: no ray would come to the end of an infinite height
        disparity = torch.where(disparity.isfinite(), disparity, 0)
    token = _runtime.progress.set(progress) if progress is not None else None
    try:
        sums, passed = ops.trace(
            layers.premultiplied(), disparity, parameters, _points(layers, lens, rays, seed), kind, channels
        )
    finally:
        if token is not None:
            _runtime.progress.reset(token)
    return spoilt(_mean(sums, passed), layers.disparity)


@torch.no_grad()
def trace_progressively(
    layers: Layers, lens: Lens, *, rays: int = 1024, seed: int = 0, batch: int = 64, resume: TraceState | None = None
) -> Iterator[TraceState]:
    """Trace as `trace` does, and yield the state after every `batch` rays; the last one is `trace`'s image, bit for bit.

    The rays are visited in an order in which every beginning covers the lens evenly. No gradients.

    Args:
        layers: as of `trace`.
        lens: as of `trace`.
        rays: as of `trace`.
        seed: as of `trace`.
        batch: rays between two states; has no influence on the last.
        resume: a state of the same scene, rays and seed to go on from; it is not changed.

    Raises:
        TypeError, ValueError: an argument is not what it must be, or `resume` belongs to other arguments.
    """
    _validate(layers, lens, rays, seed)
    require_number("batch", batch, at_least=1)
    kind, parameters, channels = _kernel_lens(layers, lens)
    shape = (layers.batch, layers.height, layers.width)
    if resume is None:
        resume = TraceState(layers.rgb.new_zeros(*shape, 4), layers.rgb.new_zeros(*shape, 3), done=0, rays=rays, seed=seed)
    _validate_resume(resume, shape, layers, rays, seed)
    scene = prepare(layers.premultiplied(), layers.disparity[:, :, 0], parameters)
    accumulate = accumulator(scene, _points(layers, lens, rays, seed), kind, channels)
    state = resume
    while state.done < rays:
        last = min(rays, state.done + int(batch))
        sums, passed = state.sums.clone(), state.passed.clone()
        accumulate(sums, passed, range(state.done, last))
        state = replace(state, sums=sums, passed=passed, done=last)
        yield state


def _mean(sums: Tensor, passed: Tensor) -> Tensor:
    return sums / passed.clamp(min=torch.finfo(passed.dtype).tiny)


def _points(layers: Layers, lens: Lens, rays: int, seed: int) -> Tensor:
    points, weights = lens.aperture.samples(rays, seed)
    return torch.cat([points, weights[:, None]], 1).to(layers.disparity)


def _kernel_lens(layers: Layers, lens: Lens) -> tuple[str, Tensor, int]:
    """Give the name of the lens's kernel, its parameters a scene, and how many channels it refracts apart."""
    if isinstance(lens, ThinLens):
        blur, focus = lens.per_image(layers)
        return "thin", torch.stack([blur, focus, torch.full_like(blur, lens.aperture.cat_eye)], 1), 1
    if not torch.compiler.is_compiling() and not bool((layers.disparity > 0).all()):
        raise ValueError("disparity has values of 0 or below; expected positive ones, in 1/m, for a BiconvexLens")
    parameters = torch.tensor(lens.kernel_parameters(), dtype=layers.dtype, device=layers.device)
    return "biconvex", parameters.expand(layers.batch, -1), 3 if lens.is_dispersive else 1


def _validate(layers: Layers, lens: Lens, rays: int, seed: int) -> None:
    require_type("layers", layers, Layers, "Layers")
    require_type("lens", lens, ThinLens | BiconvexLens, "a ThinLens or a BiconvexLens")
    for name, value, least in (("rays", rays, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{name} is of type {type(value).__name__}; expected an int")
        if value < least:
            raise ValueError(f"{name} is {value}; expected at least {least}")


def _validate_resume(resume: TraceState, shape: tuple[int, ...], layers: Layers, rays: int, seed: int) -> None:
    for name, found, expected in (
        ("rays", resume.rays, rays),
        ("seed", resume.seed, seed),
        ("sums of shape", tuple(resume.sums.shape), (*shape, 4)),
        ("passed of shape", tuple(resume.passed.shape), (*shape, 3)),
        ("dtype", resume.sums.dtype, layers.dtype),
        ("device", resume.sums.device, layers.device),
    ):
        if found != expected:
            raise ValueError(f"resume is a state with {name} {found}; expected {expected}")
