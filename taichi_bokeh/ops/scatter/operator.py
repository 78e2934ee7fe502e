"""The operator of the scatter sums: pads, culls, launches kernels/scatter/gather.py, and adds gradients up again."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.scatter.culling import TILE, culling
from taichi_bokeh.kernels.scatter.gather import CHANNELS, LANES
from taichi_bokeh.kernels.scatter.gather import scatter as scatter_kernels
from taichi_bokeh.kernels.scatter.occlusion import OcclusionStep
from taichi_bokeh.kernels.subaperture.cells import PIXELS
from taichi_bokeh.ops._common import GradientOnly, dtype_name, pad_planes, pad_planes_adjoint, plain, refuse_double_backward
from taichi_bokeh.ops._registration import operator
from taichi_bokeh.ops.scatter import any_aperture as _any_aperture
from taichi_bokeh.ops.scatter import bands as _bands
from taichi_bokeh.ops.scatter import rows as _rows
from taichi_bokeh.ops.scatter.aperture_lists import shape_table
from taichi_bokeh.ops.scatter.plan import ScatterPlan, ScatterSources, refuse_too_large
from taichi_bokeh.ops.scatter.strategy import FACTS, Facts, Strategy, facts_of, read_facts, strategy_of
from taichi_bokeh.ops.scatter.visibility import leave_out, pixels_seen, without_hidden_focus, without_hidden_sources
from taichi_bokeh.ops.subaperture.taps import Target, correlate, make_taps
from taichi_bokeh.optics.aperture import Aperture
from taichi_bokeh.optics.psf import divide

_PIXELS_AT_ONCE = 1 << 20  # layers are taken together up to this many pixels, else one by one: bounds the memory


class _Prepared(NamedTuple):
    """A slice of layers, ready for the kernels."""

    source: Tensor  # [n, 7, Hp, Wp]: five channels, radius in px, disparity; padded
    focus: Tensor  # [n, 2, H, W + LANES]: in-focus weight, disparity
    table: Tensor  # [rows, columns, nodes, 2]
    reach: Tensor  # [n, H tiles, W tiles, bands, 2]
    spans: Tensor  # [n, H, 2], columns between which a row is in focus
    pad: int
    limit: float
    occlusion: OcclusionStep


def _table(name: str, farthest: float, like: Tensor) -> Tensor:
    if name != "disc":
        return like.new_zeros(1, 1, 1, 2)
    size = 8 * math.ceil((farthest + 2) / 8)  # few sizes, so that the cache hits
    with torch.inference_mode(False):
        return _bands.disc_table_of(size, like.dtype, like.device)


def _prepare(sources: ScatterSources, plan: ScatterPlan, largest_px: float) -> _Prepared:
    channels, radius_px, disparity, in_focus = sources
    name, dtype, limit = plan.profile, plan.dtype, plan.limit_px
    farthest = plan.reach_px(largest_px)
    pad = TILE * math.ceil((farthest + LANES) / TILE)
    refuse_too_large(sources, largest_px, pad)
    source = pad_planes(torch.cat([channels, radius_px[:, None], disparity[:, None]], 1), pad, plan.border)
    focus = channels.new_zeros(channels.shape[0], 2, channels.shape[2], channels.shape[3] + LANES)
    focus[:, 0, :, :-LANES], focus[:, 1, :, :-LANES] = in_focus, disparity
    spans = torch.empty(*focus.shape[0:3:2], 2, dtype=torch.int32, device=focus.device)
    _runtime.launch(scatter_kernels(name, dtype).focus_rows, focus, spans)
    table, reach = _table(name, farthest, channels), _reach(source, pad, limit, name)
    if plan.seen is not None:
        reach[..., 0].masked_fill_(plan.seen[..., None] == 0, -1)
    return _Prepared(source, focus, table, reach, spans, pad, limit, plan.occlusion)


def _reach(source: Tensor, pad: int, limit: float, name: str) -> Tensor:
    count, _, padded_height, padded_width = source.shape
    kernels = culling(name, dtype_name(source))
    extent = source.new_empty(count, -(-padded_height // TILE), -(-padded_width // TILE), 2)
    _runtime.launch(kernels.extent, source, extent)
    tiles = [-(-(size - 2 * pad) // TILE) for size in (padded_height, padded_width)]
    reach = source.new_empty(count, *tiles, 2 * pad // TILE + 1, 2)
    _runtime.launch(kernels.reach, extent, reach, pad, limit)
    return reach


def scatter(sources: ScatterSources, plan: ScatterPlan) -> Tensor:
    """Sum the light of sources: [N, 5, H, W]; what the gradient needs is saved where one is asked for."""
    saves = torch.is_grad_enabled() and (sources.disparity.requires_grad or sources.in_focus.requires_grad)
    return scatter_sums(*sources, *plan.arguments, saves)[0]


@operator
def scatter_sums(
    channels: Tensor,
    radius_px: Tensor,
    disparity: Tensor,
    in_focus: Tensor,
    blur: Tensor,
    focus: Tensor,
    profile: str,
    max_radius: float,
    border: str,
    algorithm: str,
    occlusion: list[float],
    image: Tensor | None,
    shape: list[float],
    seen: Tensor | None,
    saves: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Scatter sums [N, 5, H, W]; and for the gradient [N, SAVED, H, W] or, unless `saves`, [0, …], and facts [N, FACTS].

    The arguments are those of ScatterSources and of ScatterPlan (plan.py). `saved` is valid only at pixels in focus whose sums
    are taken by rows; the facts (strategy.py) are on the CPU, so that the adjoint reads nothing from the device.
    """
    sources = ScatterSources(channels, radius_px, disparity, in_focus).plain()
    plan = ScatterPlan.of(blur, focus, profile, max_radius, border, algorithm, occlusion, image, shape, seen)
    table, sources = read_facts(sources, plan), without_hidden_focus(sources, seen)
    result, saved, _ = _outputs(sources.channels, saves)
    facts = facts_of(table)
    strategies = [strategy_of(one, sources.pixels, plan) for one in facts]
    parts = list(_parts(strategies, sources.pixels))
    for k, part in enumerate(parts):
        with _runtime.nested_progress(k, len(parts)):
            first, strategy, some = part.start, strategies[part.start], sources.of(part)
            if strategy.name == "correlation":
                result[part] = _flat_sums(some, facts[first], plan.of_part(part))
                _runtime.report(1, 1)
            elif strategy.name == "gather":
                result[part] = _sums(_prepare(some, plan.of_part(part), _largest(facts[part])), profile)
            elif strategy.name == "rows":
                own = saved[first] if saves else None
                _rows.sums(some.of(0), _row_plan(some.of(0), strategy, facts, first, plan), result[first], own)
            else:
                rows = _row_plan(some.of(0), strategy, facts, first, plan)
                _any_aperture.sums(some.of(0), rows, plan.aperture.cat_eye, result[first])
    if seen is not None:
        leave_out(result, seen)
    return result, saved, table


def _outputs(channels: Tensor, saves: bool) -> tuple[Tensor, Tensor, Tensor]:
    count, _, height, width = channels.shape
    sums = torch.empty_like(channels, memory_format=torch.contiguous_format)
    saved = channels.new_empty(count if saves else 0, _rows.SAVED, height, width)
    return sums, saved, torch.empty(count, FACTS, dtype=torch.float64, device="cpu")


def _parts(strategies: list[Strategy], pixels: int) -> Iterator[slice]:
    """Divide layers of so many pixels into what is evaluated together: neighbours that are gathered, and each of the others."""
    first, at_once = 0, max(1, _PIXELS_AT_ONCE // pixels)
    while first < len(strategies):
        last = first + 1
        if strategies[first].name == "gather":
            while last < min(len(strategies), first + at_once) and strategies[last].name == "gather":
                last += 1
        yield slice(first, last)
        first = last


def _largest(facts: list[Facts]) -> float:
    return max(one.largest_px for one in facts)


def _row_plan(sources: ScatterSources, strategy: Strategy, facts: list[Facts], which: int, plan: ScatterPlan) -> _bands.RowPlan:
    """Plan one layer; the tables of an aperture are those of all layers."""
    own = facts[which]
    refuse_too_large(sources, own.largest_px, math.ceil(own.largest_px))
    nodes = tuple(own.focus + node for node in strategy.nodes) or None
    seen = None if plan.seen is None else plan.seen[which]
    if plan.profile == "shape":
        table = shape_table(plan.aperture, _largest(facts), sources.radius_px, weights_only=strategy.name == "direct")
    else:
        table = _bands.row_lists(plan.profile, own.largest_px, sources.radius_px)
    rows = _bands.plan_rows(table, sources, own.largest_px, nodes, plan.occlusion, own.opaque)
    return without_hidden_sources(rows, seen)


def _sums(p: _Prepared, profile: str) -> Tensor:
    count, _, height, width = p.focus.shape
    sums = p.source.new_empty(count, CHANNELS, height, width)
    scatter_kernels(profile, dtype_name(sums)).sums(*_arguments(p, sums))
    return sums[..., :-LANES]


def _flat_sums(sources: ScatterSources, facts: Facts, plan: ScatterPlan) -> Tensor:
    """Sums of one flat layer: round every pixel the weights are the same, those with which a point of light is seen."""
    channels, *others = sources
    reach = math.ceil(plan.reach_px(facts.largest_px))
    if plan.profile == "shape":
        weights = _shape_weights(plan.aperture, facts.radius_px[0], facts.in_focus[0], plan.occlusion)
    else:
        size = 2 * reach + 1
        point = channels.new_zeros(1, CHANNELS, size, size)
        point[..., reach, reach] = 1
        alike = ScatterSources(point, *(value[:, :1, :1].expand(-1, size, size) for value in others))
        weights = _sums(_prepare(alike, plan._replace(seen=None), facts.largest_px), plan.profile)[:, 0].double().cpu()
    taps = make_taps(weights, "auto", 1.0 if channels.dtype == torch.float64 else 0.5)
    height, width = channels.shape[-2:]
    blocks, pad = -(-width // PIXELS), reach + 1
    source = pad_planes(channels[0, :4], pad, plan.border)
    source = torch.nn.functional.pad(source, (0, blocks * PIXELS - width + PIXELS - 1)).permute(1, 2, 0)
    result = channels.new_empty(1, height, blocks, 4 * PIXELS)
    correlate(taps, source, None, Target(result, _blocks_seen(plan, height, blocks, channels.device)), pad)
    density = channels[:, 4:] * weights.sum()
    return torch.cat([result.view(1, height, -1, 4)[:, :, :width].permute(0, 3, 1, 2), density.to(channels)], 1)


def _blocks_seen(plan: ScatterPlan, height: int, blocks: int, device: torch.device) -> Tensor:
    """Mark with 1 the blocks of PIXELS in the rows of a layer of which anything is seen, [H, blocks] int32."""
    if plan.seen is None:
        return torch.ones(height, blocks, dtype=torch.int32, device=device)
    return pixels_seen(plan.seen[0], height, blocks * PIXELS)[:, ::PIXELS].to(torch.int32).contiguous()


def _shape_weights(aperture: Aperture, radius_px: float, in_focus: float, occlusion: OcclusionStep) -> Tensor:
    """E·O round a pixel of a flat layer, [1, D, D]; O is the same at all pixels but the pixel itself."""
    weights = math.pi * radius_px**2 * divide(aperture, 1).kernels(radius_px)
    middle = weights.shape[-1] // 2
    own = weights[:, middle, middle].clone()
    weights *= 1 - in_focus * float(occlusion.weight(0.0))  # all have the disparity of the pixel
    weights[:, middle, middle] = own
    return weights


def _arguments(p: _Prepared, sums: Tensor | GradientOnly) -> tuple[Any, ...]:
    return p.source, p.focus, p.spans, p.table, p.reach, sums, p.pad, p.limit, p.occlusion


@operator
def _scatter_sums_backward(
    grad: Tensor,
    saved: Tensor,
    facts: Tensor,
    channels: Tensor,
    radius_px: Tensor,
    disparity: Tensor,
    in_focus: Tensor,
    blur: Tensor,
    focus: Tensor,
    profile: str,
    max_radius: float,
    border: str,
    algorithm: str,
    occlusion: list[float],
    image: Tensor | None,
    shape: list[float],
    seen: Tensor | None,
    channels_only: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of ScatterSources; `channels_only`: those of disparity and in_focus may be left unfinished."""
    sources = without_hidden_focus(ScatterSources(channels, radius_px, disparity, in_focus).plain(), seen)
    gradients = sources.zeros()
    plan = ScatterPlan.of(blur, focus, profile, max_radius, border, algorithm, occlusion, image, shape, seen)
    if seen is not None:
        grad = grad * pixels_seen(seen, *grad.shape[-2:])[:, None]
    known = facts_of(facts)
    strategies = [strategy_of(one, sources.pixels, plan, adjoint=True) for one in known]
    for part in _parts(strategies, sources.pixels):
        first, strategy, some = part.start, strategies[part.start], sources.of(part)
        d_sums, own = plain(grad[part]), gradients.of(part)
        if strategy.name == "gather":
            for total, value in zip(own, _gather_adjoint(d_sums, some, plan.of_part(part), _largest(known[part])), strict=True):
                total[:] = value
            continue
        rows = _row_plan(some.of(0), strategy, known, first, plan)
        if strategy.name == "rows":
            by_rows = len(saved) > 0 and strategy_of(known[first], sources.pixels, plan).name == "rows"
            of_layer = saved[first] if by_rows else None
            _rows.sums_adjoint(d_sums[0], some.of(0), rows, of_layer, own.of(0), channels_only)
        else:
            _any_aperture.sums_adjoint(d_sums[0], some.of(0), rows, plan.aperture.cat_eye, own.of(0))
    return tuple(gradients)  # type: ignore[return-value]


def _gather_adjoint(d_sums: Tensor, sources: ScatterSources, plan: ScatterPlan, largest_px: float) -> ScatterSources:
    """Gradients of layers whose sums are gathered."""
    p = _prepare(sources, plan, largest_px)
    sums = GradientOnly(torch.nn.functional.pad(d_sums, (0, LANES)))
    p.source.grad, p.focus.grad = torch.zeros_like(p.source), torch.zeros_like(p.focus)
    scatter_kernels(plan.profile, plan.dtype).sums.grad(*_arguments(p, sums))
    folded = pad_planes_adjoint(p.source.grad, p.pad, plan.border)
    in_focus, disparity = p.focus.grad[..., :-LANES].unbind(1)
    return ScatterSources(folded[:, :5], folded[:, 5], folded[:, 6] + disparity, in_focus)


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*output[1:], *inputs[:6], inputs[11], inputs[13])
    ctx.settings = (*inputs[6:11], inputs[12])
    ctx.mark_non_differentiable(*output[1:])


def _differentiate(ctx: Any, grad: Tensor, *_: Tensor | None) -> Any:
    *tensors, image, seen = ctx.saved_tensors
    *settings, shape = ctx.settings
    channels_only = not (ctx.needs_input_grad[2] or ctx.needs_input_grad[3])
    return *_scatter_sums_backward(grad, *tensors, *settings, image, shape, seen, channels_only), *[None] * 11


def _fake_backward(grad: Tensor, saved: Tensor, facts: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(value, memory_format=torch.contiguous_format) for value in inputs[:4])


torch.library.register_fake(scatter_sums, lambda channels, *rest: _outputs(channels, rest[-1]))
torch.library.register_fake(_scatter_sums_backward, _fake_backward)
torch.library.register_autograd(scatter_sums, _differentiate, setup_context=_save)
refuse_double_backward(_scatter_sums_backward, "scatter")
