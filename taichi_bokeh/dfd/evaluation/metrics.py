"""How far an estimated disparity is from the true one, in pixels of the circle of confusion, and how well it explains pictures.

    e(x) = blur·|d̂(x) − d(x)|

A unit of disparity means nothing without a lens; a pixel of the circle of confusion is what the blurred picture shows of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from taichi_bokeh._checks import Bounded, require_float_tensor, require_shape, require_values
from taichi_bokeh._trace import trace
from taichi_bokeh.benchmark.metrics import measure
from taichi_bokeh.dfd.data.scenes import weak_texture
from taichi_bokeh.layers import Layers
from taichi_bokeh.optics.thin_lens import ThinLens, value_of

JUMP_PX = 1.0  #: a larger step of the circle of confusion between neighbours is an edge of depth
EDGE_PX = 4  #: width of the edge band, on either side of such a step
BORDER_PX = 10  #: width of the picture's border
DEEPEST = 1000.0  #: where the farthest depth is as many times the nearest one, or beyond infinity, depth has no relative error
SIGNED_PX = 0.5  #: up to this radius a circle of confusion has no sign to speak of
RETRACE_SEED = 1  # not the default seed, with which the truth may have been traced: the two must not share their noise


@dataclass(frozen=True)
class DepthMetrics:
    """The errors of one disparity map. Shares are in [0, 1]; what has no pixel, or no meaning, is None.

    Attributes:
        rmse_px: root of the mean of e².
        mae_px: mean of e.
        within_1_px: share of e ≤ 1.
        within_half_px: share of e ≤ ½.
        abs_rel: mean of |ẑ − z|/z with the depth z = 1/d, where ẑ is taken to be no farther than the farthest z; None unless
            all true disparities are positive, and within a factor of `DEEPEST`.
        disparity_rel: sum of |d̂ − d| over the sum of |d|, which has a meaning where depth has none; None where all d are 0.
        delta_1: share of max(d̂/d, d/d̂) < 1.25, which no d̂ ≤ 0 fulfils; None where abs_rel is.
        edge_mae_px: mean of e in the edge band.
        off_edge_mae_px: mean of e outside of it.
        border_mae_px: mean of e in the picture's border.
        textured_within_1_px: share of e ≤ 1 among the textured pixels that lie in neither.
        textured_share: share of those pixels in the picture.
        sign_accuracy: share of those put on the right side of the plane in focus among the pixels of a true radius above ½ px,
            which are visibly blurred.
    """

    rmse_px: float
    mae_px: float
    within_1_px: float
    within_half_px: float
    abs_rel: float | None
    disparity_rel: float | None
    delta_1: float | None
    edge_mae_px: float | None
    off_edge_mae_px: float | None
    border_mae_px: float
    textured_within_1_px: float | None
    textured_share: float
    sign_accuracy: float | None

    def as_dict(self) -> dict[str, float | None]:
        """Name to value, in the order above."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Regions:
    """Where in a picture depth is hard to find and where it is not, each bool [H, W].

    Attributes:
        edge: within `EDGE_PX` of an edge of depth.
        border: within `BORDER_PX` of the picture's border.
        textured: the all-in-focus picture has no weak texture there (`scenes.weak_texture`), and it is neither of these.
    """

    edge: Tensor
    border: Tensor
    textured: Tensor


@dataclass(frozen=True)
class PictureScores:
    """How close a picture is to another, both in linear light and clipped to [0, 1].

    Attributes:
        psnr: dB, at most 200.
        ssim: structural similarity as of `benchmark.metrics.measure`.
        edge_psnr: dB among the pixels of the band that was given; None without one.
    """

    psnr: float
    ssim: float
    edge_psnr: float | None


@dataclass(frozen=True)
class MeanStd:
    """One metric over the scenes that have it.

    Attributes:
        mean: over the scenes.
        deviation: the standard deviation of a scene (n − 1), 0 of a single one.
        count: how many have it.
    """

    mean: float
    deviation: float
    count: int


def measure_depth(estimate: Tensor, truth: Tensor, lens: ThinLens, all_in_focus: Tensor) -> DepthMetrics:
    """Compare an estimated disparity with the true one.

    Args:
        estimate: [1, H, W], disparity.
        truth: [1, H, W], of the same units.
        lens: the one the estimate was made with; numbers, [] or [1]. Of several, take the one with the most blur.
        all_in_focus: [3, H, W], linear light; tells where there is texture.

    Raises:
        TypeError: a tensor is not float32 or float64.
        ValueError: shapes disagree, or a value is not finite.
    """
    require_float_tensor("truth", truth)
    require_shape("truth", truth, 1, "H", "W")
    require_float_tensor("estimate", estimate)
    require_shape("estimate", estimate, *truth.shape)
    require_float_tensor("all_in_focus", all_in_focus)
    require_shape("all_in_focus", all_in_focus, 3, *truth.shape[1:])
    found, true, picture = (tensor.detach().double().cpu() for tensor in (estimate, truth, all_in_focus))
    require_values({"estimate": Bounded(found), "truth": Bounded(true), "all_in_focus": Bounded(picture, at_least=0.0)})
    found, true = found[0], true[0]
    blur, focus = _number("blur", value_of(lens.blur)), _number("focus", value_of(lens.focus))
    error_px, radius_px = blur * (found - true).abs(), blur * (true - focus)
    where = regions(radius_px, picture)
    has_depth = float(true.min()) * DEEPEST > float(true.max()) > 0
    size = float(true.abs().sum())
    return DepthMetrics(
        rmse_px=float(error_px.square().mean().sqrt()),
        mae_px=float(error_px.mean()),
        within_1_px=_share(error_px <= 1),
        within_half_px=_share(error_px <= 0.5),
        abs_rel=float((true / found.clamp(min=true.min()) - 1).abs().mean()) if has_depth else None,
        disparity_rel=float((found - true).abs().sum()) / size if size > 0 else None,
        delta_1=_share((found < 1.25 * true) & (true < 1.25 * found)) if has_depth else None,
        edge_mae_px=_mean(error_px, where.edge),
        off_edge_mae_px=_mean(error_px, ~where.edge),
        border_mae_px=float(error_px[where.border].mean()),
        textured_within_1_px=_mean((error_px <= 1).double(), where.textured),
        textured_share=_share(where.textured),
        sign_accuracy=_mean((torch.sign(found - focus) == torch.sign(radius_px)).double(), radius_px.abs() > SIGNED_PX),
    )


def regions(radius_px: Tensor, all_in_focus: Tensor) -> Regions:
    """Divide a picture [3, H, W], linear light, by the true radii [H, W] of its circles of confusion."""
    edge = edge_band(radius_px)
    border = torch.ones_like(edge)
    border[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX] = False
    return Regions(edge, border, ~weak_texture(all_in_focus) & ~edge & ~border)


def edge_band(radius_px: Tensor) -> Tensor:
    """Bool [H, W]: the `EDGE_PX` pixels on either side of a step of the radii [H, W] above `JUMP_PX`, corners included."""
    beside = torch.zeros_like(radius_px)
    for axis in (0, 1):
        steps = (radius_px.diff(dim=axis).abs() > JUMP_PX).to(beside)
        length = steps.shape[axis]
        beside.narrow(axis, 0, length).add_(steps)
        beside.narrow(axis, 1, length).add_(steps)
    return max_pool2d(beside[None, None], 2 * EDGE_PX - 1, stride=1, padding=EDGE_PX - 1)[0, 0] > 0


@torch.no_grad()
def retrace_layers(layers: Layers, lens: ThinLens, rays: int = 1024, seed: int = RETRACE_SEED) -> Tensor:
    """Trace rays through an estimate: the blurred picture [B, 3, H, W] it stands for.

    The ray tracer makes a layer a height field, which is continuous: of a single one, a steep wall with the colours of the edge
    joins near and far, where a camera would see the hidden part of the background.

    Args:
        layers: the estimate; of one disparity map, a single opaque layer.
        lens: as of `taichi_bokeh.trace`.
        rays: a pixel.
        seed: of the lens samples; another than that of the truth.
    """
    return trace(layers, lens, rays=rays, seed=seed)


def score_picture(picture: Tensor, target: Tensor, edge: Tensor | None = None) -> PictureScores:
    """Compare a picture that was blurred again with the observed one.

    A layer's own score says how well it fits the picture, by whatever depth; that of `retrace_layers`, how the depth does.

    Args:
        picture: [3, H, W], linear light.
        target: [3, H, W], linear light.
        edge: bool [H, W], as `edge_band` finds it.

    Raises:
        ValueError: shapes disagree or are under 11×11 pixels, or a picture holds NaN or infinity.
    """
    band = torch.zeros(target.shape[1:], dtype=torch.bool, device=target.device) if edge is None else edge
    found = measure(picture, target, band)
    psnr, ssim = found["linear.frame.psnr"], found["linear.frame.ssim"]
    assert psnr is not None  # a frame is never empty
    assert ssim is not None
    return PictureScores(psnr, ssim, found["linear.band.psnr"])


def summarise(results: Sequence[Mapping[str, float | None]]) -> dict[str, MeanStd | None]:
    """Mean and deviation of every metric over the scenes that have it; None where none has.

    Args:
        results: a mapping of metrics for each scene, all with the same names.

    Raises:
        ValueError: there is none, or the names differ.
    """
    if not results:
        raise ValueError("results is empty; expected the metrics of at least one scene")
    names = tuple(results[0])
    for i, metrics in enumerate(results):
        if set(metrics) != set(names):
            raise ValueError(f"results[{i}] has the metrics {sorted(metrics)}; expected {sorted(names)} like the first")
    return {name: _spread([value for metrics in results if (value := metrics[name]) is not None]) for name in names}


def _spread(values: Sequence[float]) -> MeanStd | None:
    if not values:
        return None
    return MeanStd(fmean(values), stdev(values) if len(values) > 1 else 0.0, len(values))


def _number(name: str, value: float | Tensor) -> float:
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"lens.{name} has shape {list(value.shape)}; expected a number, [] or [1]")
    return float(value)


def _share(where: Tensor) -> float:
    return float(where.double().mean())


def _mean(values: Tensor, where: Tensor) -> float | None:
    return float(values[where].mean()) if bool(where.any()) else None
