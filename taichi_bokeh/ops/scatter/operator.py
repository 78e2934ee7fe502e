"""The operator of the scatter sums: pads, culls, launches kernels/scatter/gather.py, and folds gradients back."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.scatter.culling import TILE, culling
from taichi_bokeh.kernels.scatter.gather import LANES, PLANES
from taichi_bokeh.kernels.scatter.gather import scatter as scatter_kernels
from taichi_bokeh.kernels.scatter.occlusion import OcclusionStep
from taichi_bokeh.kernels.subaperture.cells import PIXELS
from taichi_bokeh.ops._common import GradientOnly, dtype_name, pad_planes, pad_planes_adjoint, plain, refuse_double_backward
from taichi_bokeh.ops._registration import operator
from taichi_bokeh.ops.scatter import any_aperture as _direct
from taichi_bokeh.ops.scatter import rows as _rows
from taichi_bokeh.ops.scatter.aperture_lists import shape_table
from taichi_bokeh.ops.scatter.strategy import Facts, Plan, Way, facts_of, way_of
from taichi_bokeh.ops.subaperture.taps import correlate, make_taps
from taichi_bokeh.optics.aperture import Aperture, aperture_of
from taichi_bokeh.optics.psf import divide

_PIXELS_AT_ONCE = 1 << 20  # layers are taken together up to this many pixels, else one by one: bounds the memory


class _Prepared(NamedTuple):
    """A slice of layers, ready for the kernels."""

    source: Tensor  # [n, 7, Hp, Wp]: five planes, spread radius, disparity, padded
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
        return _rows.disc_table_of(size, like.dtype, like.device)


def _prepare(inputs: tuple[Tensor, ...], plan: Plan, largest_px: float, border: str) -> _Prepared:
    planes, spread, disparity, in_focus = inputs
    name, dtype, limit = plan.profile, plan.dtype, plan.limit_px
    farthest = plan.reach_px(largest_px)
    pad = TILE * math.ceil((farthest + LANES) / TILE)
    _refuse_too_large(planes, largest_px, pad)
    source = pad_planes(torch.cat([planes, spread[:, None], disparity[:, None]], 1), pad, border)
    focus = planes.new_zeros(planes.shape[0], 2, planes.shape[2], planes.shape[3] + LANES)
    focus[:, 0, :, :-LANES], focus[:, 1, :, :-LANES] = in_focus, disparity
    spans = torch.empty(*focus.shape[0:3:2], 2, dtype=torch.int32, device=focus.device)
    _runtime.launch(scatter_kernels(name, dtype).focus_rows, focus, spans)
    table, reach = _table(name, farthest, planes), _reach(source, pad, limit, name)
    return _Prepared(source, focus, table, reach, spans, pad, limit, plan.occlusion)


def _refuse_too_large(planes: Tensor, radius_px: float, pad: int) -> None:
    width, height = planes.shape[-1], planes.shape[-2]
    if width + height + 4 * pad > 1 << 15:
        raise ValueError(
            f"the largest blur radius is {radius_px:.0f} px, too much for pictures of {width}x{height} px: lower blur, or set "
            "max_radius"
        )


def _reach(source: Tensor, pad: int, limit: float, name: str) -> Tensor:
    count, _, padded_height, padded_width = source.shape
    kernels = culling(name, dtype_name(source))
    extent = source.new_empty(count, -(-padded_height // TILE), -(-padded_width // TILE), 2)
    _runtime.launch(kernels.extent, source, extent)
    tiles = [-(-(size - 2 * pad) // TILE) for size in (padded_height, padded_width)]
    reach = source.new_empty(count, *tiles, 2 * pad // TILE + 1, 2)
    _runtime.launch(kernels.reach, extent, reach, pad, limit)
    return reach


def _at_once(planes: Tensor) -> int:
    """How many pictures."""
    return max(1, _PIXELS_AT_ONCE // (planes.shape[2] * planes.shape[3]))


def scatter(planes: Tensor, spread: Tensor, disparity: Tensor, in_focus: Tensor, *plan: Any) -> Tensor:
    """The sums of `scatter_sums`, which keeps what it has to."""
    keep = torch.is_grad_enabled() and (disparity.requires_grad or in_focus.requires_grad)
    return scatter_sums(planes, spread, disparity, in_focus, *plan, keep)[0]


@operator
def scatter_sums(
    planes: Tensor,
    spread: Tensor,
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
    keep: bool,
) -> tuple[Tensor, Tensor]:
    """Scatter sums [N, 5, H, W], and what is kept of them for their gradient, [N, KEPT, H, W] or, without `keep`, [0, …].

    What is kept is defined where it is of use: at pixels in focus whose sums are taken by rows.

    planes [N, 5, H, W]: weighted sources; spread, disparity, in_focus [N, H, W]; blur, focus [N], by which the evaluation is
    planned, not differentiated; profile "disc", "soft", "official", or, with signed spread, "shape" for the aperture of an
    image and a shape (`shape_of`); max_radius in px: only sources nearer than this contribute, 0 for no limit; border
    "replicate" or "reflect"; algorithm "auto", "exact", "fast", or "rows": "auto" for small radii too;
    occlusion: gap and steepness of τ (kernels/scatter/occlusion.py), in the units of `disparity`, as blur and focus are.
    """
    inputs = tuple(map(plain, (planes, spread, disparity, in_focus)))
    result, kept = _outputs(inputs[0], keep)
    plan = Plan(profile, max_radius, algorithm, dtype_name(planes), OcclusionStep(*occlusion), aperture_of(shape, image))
    facts = facts_of(inputs, blur, focus)
    ways = [way_of(one, planes.shape[2] * planes.shape[3], plan) for one in facts]
    parts = list(_parts(ways, _at_once(planes)))
    for k, part in enumerate(parts):
        with _runtime.nested_progress(k, len(parts)):
            chosen = tuple(value[part] for value in inputs)
            first = part.start
            way = ways[first]
            if way.name == "correlation":
                result[part] = _flat_sums(chosen, facts[first], plan, border)
                _runtime.report(1, 1)
            elif way.name == "gather":
                result[part] = _sums(_prepare(chosen, plan, _largest(facts[part]), border), profile)
            else:
                picture, lists = _with_lists(chosen, way, facts, first, plan)
                if way.name == "rows":
                    _rows.sums(picture, lists, result[first], kept[first] if keep else None)
                else:
                    _direct.sums(picture, lists, plan.aperture.cat_eye, result[first])
    return result, kept


def _outputs(planes: Tensor, keep: bool) -> tuple[Tensor, Tensor]:
    count, _, height, width = planes.shape
    sums = torch.empty_like(planes, memory_format=torch.contiguous_format)
    return sums, planes.new_empty(count if keep else 0, _rows.KEPT, height, width)


def _parts(ways: list[Way], at_once: int) -> Iterator[slice]:
    """Which pictures are evaluated together: neighbours that are gathered, and each of the others by itself."""
    first = 0
    while first < len(ways):
        last = first + 1
        while ways[first].name == "gather" and last < min(len(ways), first + at_once) and ways[last].name == "gather":
            last += 1
        yield slice(first, last)
        first = last


def _largest(facts: list[Facts]) -> float:
    return max(one.largest_px for one in facts)


def _with_lists(
    inputs: tuple[Tensor, ...], way: Way, facts: list[Facts], which: int, plan: Plan
) -> tuple[_rows.Picture, _rows.Lists]:
    """One picture [1, …] and its tables, which are those of all pictures."""
    planes, spread, disparity, in_focus = (value[0] for value in inputs)
    own = facts[which]
    picture = _rows.Picture(planes, spread, in_focus, disparity)
    _refuse_too_large(planes, own.largest_px, math.ceil(own.largest_px))
    nodes = tuple(own.focus + node for node in way.nodes) or None
    if plan.profile == "shape":
        table = shape_table(plan.aperture, _largest(facts), spread, weights_only=way.name == "direct")
    else:
        table = _rows.row_lists(plan.profile, own.largest_px, spread)
    return picture, _rows.lists_of(table, picture, own.largest_px, nodes, plan.occlusion, own.opaque)


def _sums(p: _Prepared, profile: str) -> Tensor:
    count, _, height, width = p.focus.shape
    sums = p.source.new_empty(count, PLANES, height, width)
    scatter_kernels(profile, dtype_name(sums)).sums(*_arguments(p, sums))
    return sums[..., :-LANES]


def _flat_sums(inputs: tuple[Tensor, ...], facts: Facts, plan: Plan, border: str) -> Tensor:
    """Sums of one flat picture: round every pixel the weights are the same, those with which a point of light is seen."""
    planes, *others = inputs
    reach = math.ceil(plan.reach_px(facts.largest_px))
    if plan.profile == "shape":
        weights = _shape_weights(plan.aperture, facts.spread_px[0], facts.in_focus[0], plan.occlusion)
    else:
        size = 2 * reach + 1
        point = planes.new_zeros(1, PLANES, size, size)
        point[..., reach, reach] = 1
        alike = (point, *(value[:, :1, :1].expand(-1, size, size) for value in others))
        weights = _sums(_prepare(alike, plan, facts.largest_px, border), plan.profile)[:, 0].double().cpu()
    taps = make_taps(weights, "auto", 1.0 if planes.dtype == torch.float64 else 0.5)
    height, width = planes.shape[-2:]
    blocks, pad = -(-width // PIXELS), reach + 1
    source = pad_planes(planes[0, :4], pad, border)
    source = torch.nn.functional.pad(source, (0, blocks * PIXELS - width + PIXELS - 1)).permute(1, 2, 0)
    result = planes.new_empty(1, height, blocks, 4 * PIXELS)
    correlate(taps, source, None, result, pad)
    density = planes[:, 4:] * weights.sum()
    return torch.cat([result.view(1, height, -1, 4)[:, :, :width].permute(0, 3, 1, 2), density.to(planes)], 1)


def _shape_weights(aperture: Aperture, spread_px: float, in_focus: float, occlusion: OcclusionStep) -> Tensor:
    """E·O round a pixel of a flat layer, [1, D, D]; O is the same at all pixels but the pixel itself."""
    weights = math.pi * spread_px**2 * divide(aperture, 1).kernels(spread_px)
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
    kept: Tensor,
    planes: Tensor,
    spread: Tensor,
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
    planes_only: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of planes, spread, disparity and in_focus; `planes_only`: those of the last two may be left unfinished."""
    inputs = tuple(map(plain, (planes, spread, disparity, in_focus)))
    grads = tuple(torch.zeros_like(value) for value in inputs)
    plan = Plan(profile, max_radius, algorithm, dtype_name(planes), OcclusionStep(*occlusion), aperture_of(shape, image))
    facts = facts_of(inputs, blur, focus)
    pixels = planes.shape[2] * planes.shape[3]
    ways = [way_of(one, pixels, plan, adjoint=True) for one in facts]
    has_kept = [len(kept) > 0 and way_of(one, pixels, plan).name == "rows" for one in facts]
    for part in _parts(ways, _at_once(planes)):
        chosen = tuple(value[part] for value in inputs)
        first = part.start
        way = ways[first]
        if way.name == "gather":
            pulled = _gather_pull(plain(grad[part]), chosen, plan, _largest(facts[part]), border)
            for total, value in zip(grads, pulled, strict=True):
                total[part] = value
        else:
            picture, lists = _with_lists(chosen, way, facts, first, plan)
            d_planes, d_spread, d_disparity, d_in_focus = (total[first] for total in grads)
            gradients = _rows.Picture(d_planes, d_spread, d_in_focus, d_disparity)
            if way.name == "rows":
                own = kept[first] if has_kept[first] else None
                _rows.pull(plain(grad[first]), picture, lists, own, gradients, planes_only)
            else:
                _direct.pull(plain(grad[first]), picture, lists, plan.aperture.cat_eye, gradients)
    return grads  # type: ignore[return-value]


def _gather_pull(
    d_sums: Tensor, inputs: tuple[Tensor, ...], plan: Plan, largest_px: float, border: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of pictures whose sums are gathered."""
    p = _prepare(inputs, plan, largest_px, border)
    sums = GradientOnly(torch.nn.functional.pad(d_sums, (0, LANES)))
    p.source.grad, p.focus.grad = torch.zeros_like(p.source), torch.zeros_like(p.focus)
    scatter_kernels(plan.profile, plan.dtype).sums.grad(*_arguments(p, sums))
    folded = pad_planes_adjoint(p.source.grad, p.pad, border)
    in_focus, disparity = p.focus.grad[..., :-LANES].unbind(1)
    return folded[:, :5], folded[:, 5], folded[:, 6] + disparity, in_focus


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(output[1], *inputs[:6], inputs[11])
    ctx.settings = (*inputs[6:11], inputs[12])
    ctx.mark_non_differentiable(output[1])


def _differentiate(ctx: Any, grad: Tensor, _: Tensor) -> Any:
    *tensors, image = ctx.saved_tensors
    *settings, shape = ctx.settings
    planes_only = not (ctx.needs_input_grad[2] or ctx.needs_input_grad[3])
    return *_scatter_sums_backward(grad, *tensors, *settings, image, shape, planes_only), *[None] * 10


torch.library.register_fake(scatter_sums, lambda planes, *rest: _outputs(planes, rest[-1]))
torch.library.register_fake(
    _scatter_sums_backward,
    lambda grad, kept, *inputs: tuple(torch.empty_like(t, memory_format=torch.contiguous_format) for t in inputs[:4]),
)
torch.library.register_autograd(scatter_sums, _differentiate, setup_context=_save)
refuse_double_backward(_scatter_sums_backward, "scatter")
