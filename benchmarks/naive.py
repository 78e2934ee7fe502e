"""The scatter model as its equation reads: for every pixel every source of the full window, in Taichi and in torch.

With the signed disparity d, K = blur, r = K·|d| + 1, ρ = |y − x| < R, and borders repeated outwards (profile "soft"):

    k(y, x) = S/r_y²,   S = 1/(1 + 10·exp(3(ρ − r_y)))            O(x, x) = 1
    O(y, x) = 1 + e(x)·(½·tanh(10(d_y − d_x − 0.1)) − ½),         e(x) = exp(−3(K·d_x)²)
    s(x)    = Σ_y a·k·O·(I, 1)                                    picture = s_rgb/s_a for a = 1

Gradient, with g = ∂loss/∂s and q(y, x) = ⟨g(x), (I, 1)(y)⟩:

    ∂/∂I(y) = Σ_x g_rgb·a·k·O                                     ∂k/∂r   = k·(3(1 − S) − 2/r)
    ∂/∂a(y) = Σ_x q·k·O                                           ∂O/∂d_y = 5·e(x)·(1 − tanh²)
    ∂/∂d_y  = Σ_x q·a·(∂k/∂r·K·sign(d_y)·O + k·∂O/∂d_y)           ∂e/∂d_x = −6K²·d_x·e
    ∂/∂d_x  = Σ_y q·a·k·(∂e/∂d_x·(½·tanh − ½) − ∂O/∂d_y)
"""

import math
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

import taichi_bokeh as tb
from taichi_bokeh._runtime import launch, ti

_REAL = {torch.float32: ti.f32, torch.float64: ti.f64}


class _Terms(NamedTuple):
    read: Any  # (source, y, x) -> vec5, borders repeated
    disc: Any  # (squared distance, r) -> (k, S)
    occlusion: Any  # (squared distance, d_y, d_x, e(x)) -> (O, ∂O/∂d_y, ∂O/∂e)


@cache
def _terms(dtype: torch.dtype) -> _Terms:
    real = _REAL[dtype]
    vec2, vec3, vec5 = (ti.types.vector(size, real) for size in (2, 3, 5))

    @ti.func
    def read(source: ti.template(), y, x):
        row, column = ti.math.clamp(y, 0, source.shape[1] - 1), ti.math.clamp(x, 0, source.shape[2] - 1)
        return vec5([source[c, row, column] for c in ti.static(range(5))])

    @ti.func
    def disc(squared, r):
        s = 1.0 / (1.0 + 10.0 * ti.exp(3.0 * (ti.sqrt(ti.cast(squared, real)) - r)))
        return vec2(s / (r * r), s)

    @ti.func
    def occlusion(squared, d_y, d_x, in_focus):
        value = vec3(1.0, 0.0, 0.0)
        if squared > 0:
            tanh = ti.tanh(10.0 * (d_y - d_x - real(0.1)))
            share = 0.5 * tanh - 0.5
            value = vec3(1.0 + in_focus * share, 5.0 * in_focus * (1.0 - tanh * tanh), share)
        return value

    return _Terms(read, disc, occlusion)


@cache
def gather_kernel(dtype: torch.dtype, block_dim: int) -> Any:
    """Kernel (source, sums, blur, radius, every); source [5, H, W] = rgb, alpha, signed disparity."""
    real = _REAL[dtype]
    planes = ti.types.ndarray(dtype=real, ndim=3)
    vec4 = ti.types.vector(4, real)
    read, disc, occlusion = _terms(dtype)

    @ti.kernel
    def gather(source: planes, sums: planes, blur: real, radius: ti.i32, every: ti.i32):
        """Sums [4, rows, W] of every `every`-th row."""
        ti.loop_config(block_dim=block_dim)
        for j, x in ti.ndrange(sums.shape[1], source.shape[2]):
            y = j * every
            total = vec4(0.0)
            d_x = source[4, y, x]
            in_focus = ti.exp(-3.0 * (blur * d_x) ** 2)
            for dy, dx in ti.ndrange((-radius, radius + 1), (-radius, radius + 1)):
                squared = dy * dy + dx * dx
                if squared < radius * radius:
                    at = read(source, y + dy, x + dx)
                    weight = at[3] * disc(squared, blur * ti.abs(at[4]) + 1.0)[0]
                    weight *= occlusion(squared, at[4], d_x, in_focus)[0]
                    for c in ti.static(range(3)):
                        total[c] += weight * at[c]
                    total[3] += weight
            for c in ti.static(range(4)):
                sums[c, j, x] = total[c]

    return gather


@cache
def _pair_gradients(dtype: torch.dtype) -> tuple[Any, Any]:
    """What one pair gives back: (to the source: ∂/∂(rgb, alpha, d_y); to the pixel: ∂/∂d_x)."""
    real = _REAL[dtype]
    vec5 = ti.types.vector(5, real)
    _, disc, occlusion = _terms(dtype)

    @ti.func
    def to_source(g, squared, own, d_x, blur):
        r = blur * ti.abs(own[4]) + 1.0
        weight = disc(squared, r)
        seen = occlusion(squared, own[4], d_x, ti.exp(-3.0 * (blur * d_x) ** 2))
        q = g[0] * own[0] + g[1] * own[1] + g[2] * own[2] + g[3]
        sign = ti.select(own[4] > 0, real(1.0), ti.select(own[4] < 0, real(-1.0), real(0.0)))
        slope = weight[0] * ((3.0 * (1.0 - weight[1]) - 2.0 / r) * blur * sign * seen[0] + seen[1])
        visible = weight[0] * seen[0]
        colour = own[3] * visible
        return vec5(g[0] * colour, g[1] * colour, g[2] * colour, q * visible, q * own[3] * slope)

    @ti.func
    def to_pixel(g, squared, at, d_x, in_focus, blur):
        weight = at[3] * disc(squared, blur * ti.abs(at[4]) + 1.0)[0]
        seen = occlusion(squared, at[4], d_x, in_focus)
        q = g[0] * at[0] + g[1] * at[1] + g[2] * at[2] + g[3]
        return q * weight * (-6.0 * blur * blur * d_x * in_focus * seen[2] - seen[1])

    return to_source, to_pixel


@cache
def pull_kernel(dtype: torch.dtype, block_dim: int) -> Any:
    """Kernel (source, d_sums, d_padded, blur, radius, every, first): the gradient, gathered by source and by pixel."""
    real = _REAL[dtype]
    planes = ti.types.ndarray(dtype=real, ndim=3)
    vec4, vec5 = ti.types.vector(4, real), ti.types.vector(5, real)
    read = _terms(dtype).read
    to_source, to_pixel = _pair_gradients(dtype)

    @ti.kernel
    def pull(source: planes, d_sums: planes, d_padded: planes, blur: real, radius: ti.i32, every: ti.i32, first: ti.i32):
        """Gradients [5, rows, W + 2R] of the rows `first`, `first` + `every`, … of the source padded by R px."""
        ti.loop_config(block_dim=block_dim)
        height, width = source.shape[1], source.shape[2]
        for j, i in ti.ndrange(d_padded.shape[1], width + 2 * radius):
            y, x = j * every + first - radius, i - radius
            own = read(source, y, x)
            in_focus = ti.exp(-3.0 * (blur * own[4]) ** 2)
            inside = 0 <= y < height and 0 <= x < width
            g = vec4(0.0)
            if inside:
                for c in ti.static(range(4)):
                    g[c] = d_sums[c, y, x]
            total = vec5(0.0)
            for dy, dx in ti.ndrange((-radius, radius + 1), (-radius, radius + 1)):
                squared = dy * dy + dx * dx
                row, column = y + dy, x + dx
                if squared < radius * radius:
                    at = read(source, row, column)
                    if 0 <= row < height and 0 <= column < width:
                        theirs = vec4([d_sums[c, row, column] for c in ti.static(range(4))])
                        total += to_source(theirs, squared, own, at[4], blur)
                    if inside:
                        total[4] += to_pixel(g, squared, at, own[4], in_focus, blur)
            for c in ti.static(range(5)):
                d_padded[c, j, i] = total[c]

    return pull


class Naive(NamedTuple):
    """Kernels: gather (source, sums, blur, radius, every); pull (source, d_sums, d_padded, blur, radius, every, first)."""

    gather: Any
    pull: Any


def kernels_for(like: Tensor) -> Naive:
    """Of the dtype of `like`, in blocks that suit its device."""
    block_dim = 128 if like.is_cuda else 16
    return Naive(gather_kernel(like.dtype, block_dim), pull_kernel(like.dtype, block_dim))


def padded(source: Tensor, radius: int) -> Tensor:
    """Source [5, H, W] with its border repeated `radius` px outwards."""
    return torch.nn.functional.pad(source[None], (radius,) * 4, mode="replicate")[0]


def torch_gather(source: Tensor, blur: float, radius: int, checkpointed: bool = False) -> Tensor:
    """The same sums [4, H, W] in torch, an offset at a time; source [5, H + 2R, W + 2R] is padded.

    `checkpointed` keeps nothing of a row of offsets for the backward pass, and does it again there.
    """
    height = source.shape[1] - 2 * radius
    d_x = source[4:, radius:-radius, radius:-radius]
    in_focus = torch.exp(-3 * (blur * d_x) ** 2)
    total = torch.zeros_like(source[:4, radius:-radius, radius:-radius])
    for dy in range(1 - radius, radius):
        arguments = (source[:, radius + dy : radius + dy + height], d_x, in_focus, blur, radius, dy)
        row = checkpoint(_torch_row, *arguments, use_reentrant=False) if checkpointed else _torch_row(*arguments)
        total = total + row
    return total


def _torch_row(band: Tensor, d_x: Tensor, in_focus: Tensor, blur: float, radius: int, dy: int) -> Tensor:
    width = band.shape[2] - 2 * radius
    total = torch.zeros_like(band[:4, :, radius:-radius])
    for dx in range(1 - radius, radius):
        distance = math.hypot(dx, dy)
        if distance >= radius:
            continue
        rgb, alpha, d_y = band[:, :, radius + dx : radius + dx + width].split((3, 1, 1))
        r = blur * d_y.abs() + 1
        growth = torch.exp((3 * (distance - r)).clamp(max=60))  # else float32 overflows, and its gradient is NaN
        weight = alpha / ((1 + 10 * growth) * r**2)
        if distance > 0:
            weight = weight * (1 + in_focus * (0.5 * torch.tanh(10 * (d_y - d_x - 0.1)) - 0.5))
        total = total + torch.cat([weight * rgb, weight])
    return total


def gathered(source: Tensor, blur: float, radius: int, every: int = 1) -> Tensor:
    """Sums [4, rows, W] of every `every`-th row, by the Taichi kernel."""
    sums = source.new_empty(4, -(-source.shape[1] // every), source.shape[2])
    launch(kernels_for(source).gather, source, sums, blur, radius, every)
    return sums


def pulled_rows(source: Tensor, d_sums: Tensor, blur: float, radius: int, every: int = 1) -> Tensor:
    """Gradients [5, rows, W + 2R] of the padded source's rows every // 2, every // 2 + every, …, by the Taichi kernel."""
    height, width = (size + 2 * radius for size in source.shape[1:])
    d_padded = source.new_empty(5, -(-(height - every // 2) // every), width)
    launch(kernels_for(source).pull, source, d_sums, d_padded, blur, radius, every, every // 2)
    return d_padded


def pulled(source: Tensor, d_sums: Tensor, blur: float, radius: int) -> Tensor:
    """Gradient [5, H, W] of the source; what padding copied outwards is added back."""
    leaf = source.detach().requires_grad_()
    d_padded = pulled_rows(source, d_sums.contiguous(), blur, radius)
    return torch.autograd.grad(padded(leaf, radius), leaf, d_padded)[0]


def _distance(ours: Tensor, theirs: Tensor) -> float:
    """Relative, L2."""
    return float((ours - theirs).double().norm() / theirs.double().norm())


def _small(dtype: torch.dtype) -> Tensor:
    """A random source [5, 19, 26], a third of it about in focus, with everything from near to far beside it."""
    generator = torch.Generator().manual_seed(1)
    source = torch.rand(5, 19, 26, generator=generator, dtype=torch.float64)
    source[:3] *= 3
    source[4] = 2 * source[4] - 1
    source[4, :, 8:17] *= 0.15
    return source.to(dtype)


def _against_torch(dtype: torch.dtype, blur: float, radius: int) -> dict[str, float]:
    """Relative errors of the kernels' sums and gradients to those of `torch_gather` and autograd."""
    source = _small(dtype)
    leaf = source.clone().requires_grad_()
    sums = torch_gather(padded(leaf, radius), blur, radius)
    cotangent = torch.randn(sums.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64).to(dtype)
    theirs = torch.autograd.grad(sums, leaf, cotangent)[0]
    ours = pulled(source, cotangent, blur, radius)
    errors = {"sums": _distance(gathered(source, blur, radius), sums.detach())}
    parts = (("rgb", slice(0, 3)), ("alpha", slice(3, 4)), ("disparity", slice(4, 5)))
    return errors | {f"∂/∂{name}": _distance(ours[part], theirs[part]) for name, part in parts}


def _against_reference(blur: float, radius: int) -> dict[str, float]:
    """The same to the package's readable torch reference, through the picture of an opaque layer, float64."""
    source = _small(torch.float64)
    source[3] = 1
    rgb, disparity = (source[part][None, None].clone().requires_grad_() for part in (slice(0, 3), slice(4, 5)))
    layers, lens = tb.Layers(rgb, torch.ones_like(disparity), disparity), tb.ThinLens(blur, 0.0)
    picture = tb.render(layers, lens, "scatter", profile="soft", max_radius=float(radius), algorithm="reference")
    cotangent = torch.rand(picture.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    theirs = torch.autograd.grad(picture, (rgb, disparity), cotangent)
    sums = gathered(source, blur, radius).requires_grad_()
    ours = sums[:3] / sums[3:]
    d_source = pulled(source, torch.autograd.grad(ours, sums, cotangent[0])[0], blur, radius)
    return {
        "picture": _distance(ours.detach(), picture.detach()[0]),
        "∂/∂rgb": _distance(d_source[:3], theirs[0][0, 0]),
        "∂/∂disparity": _distance(d_source[4:], theirs[1][0, 0]),
    }


def check() -> bool:
    """Print the naive kernels' relative L2 errors; whether they are all as small as the dtype lets them be."""
    good = True
    for blur, radius in ((6.0, 6), (12.0, 9)):
        cases = [
            ("float64, torch autograd", _against_torch(torch.float64, blur, radius), 1e-12),
            ("float32, torch autograd", _against_torch(torch.float32, blur, radius), 2e-5),
            ("float64, tb.render(algorithm='reference')", _against_reference(blur, radius), 1e-12),
        ]
        for name, errors, allowed in cases:
            passed = all(error <= allowed for error in errors.values())  # NaN fails
            good = good and passed
            values = ", ".join(f"{what} {error:.1e}" for what, error in errors.items())
            print(f"blur {blur:g}, R {radius}, to {name}: {values}; {'ok' if passed else 'WRONG'} (≤ {allowed:g})")
    return good
