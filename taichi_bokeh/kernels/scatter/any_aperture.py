"""The scatter sums for any aperture, weight by weight: exact occlusion, and the rim of the lens (cat-eye).

    s(x)    = Σ_y P(y)·w(y, x)·O(y, x),      w = E(x − y; r_y)·ρ(y, x),      O = 1 − e(x)·τ(d_y − d_x),  O(x, x) = 1

with E listed as weights (rows/row_lists.py, ops/scatter/aperture_lists.py), so that the sum costs the area of the blur, and
τ of occlusion.py. The rim leaves open what lies in the unit disc round −2·f as well, f the pixel's field times cat_eye: with
o = x − y, and v = −o/r + 2·f the point u = −o/r of the aperture seen from there, in px,

    ρ = Q(max(|r|, 2) − |v·r|),      Q(t) = ½ + t − ½·t·|t| between −1 and 1: the edge convolved with the pixel's tent

The 2 px keep what is nearly in focus whole. Adjoint, with g = ∂loss/∂s and q = ⟨P(y), g(x)⟩:

    ∂/∂P(y) = Σ_x g·w·O        ∂/∂r_y = Σ_x q·∂w/∂r·O        ∂/∂d_y = −Σ_x q·w·e·τ′
    ∂/∂e(x) = −Σ_y q·w·τ       ∂/∂d_x = Σ_y q·w·e·τ′

`gather` owns rows of the image and `sources_adjoint` rows of the sources, or on a GPU single pixels, so that nothing is
atomic.
"""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.gather import NEGLIGIBLE_FOCUS
from taichi_bokeh.kernels.scatter.occlusion import occlusion_weight
from taichi_bokeh.kernels.scatter.rows.layout import BLOCK_THREADS, CHANNELS, LANES, part_of_row
from taichi_bokeh.kernels.scatter.rows.list_heads import BEGIN, FIRST, LENGTH

WHOLE_PX = 2.0  # radius up to which the rim cuts nothing


class AnyAperture(NamedTuple):
    gather: Any  # kernel: sums of a band of rows
    focus_adjoint: Any  # kernel: gradients of e and d_x of a band of rows
    sources_adjoint: Any  # kernel: gradients of a band of sources


@cache
def any_aperture(cat_eye: bool, dtype: str, on_gpu: bool) -> AnyAperture:
    real = REAL[dtype]
    tau = occlusion_weight(dtype)
    negligible = NEGLIGIBLE_FOCUS[dtype]
    part, block_dim = part_of_row(on_gpu), BLOCK_THREADS if on_gpu else 1
    vec, vec2, vec4 = ti.types.vector(LANES, real), ti.types.vector(2, real), ti.types.vector(4, real)
    interleaved = ti.types.ndarray(dtype=vec, ndim=2)
    maps = ti.types.ndarray(dtype=real, ndim=2)
    numbers = ti.types.ndarray(dtype=real, ndim=1)
    planar = ti.types.ndarray(dtype=real, ndim=3)
    list_heads = ti.types.ndarray(dtype=ti.types.vector(4, ti.i32), ndim=3)
    polynomials = ti.types.ndarray(dtype=vec4, ndim=1)

    @ti.func
    def open_rim(dx, dy, radius, field):
        """(ρ, ∂ρ/∂r) for the offset o = (dx, dy), the signed radius, and 2·f."""
        sign = ti.select(radius < 0, real(-1.0), real(1.0))
        size = ti.abs(radius)
        v = vec2(size * field[0] - sign * dx, size * field[1] - sign * dy)
        distance = ti.sqrt(v.dot(v) + real(1e-12))
        t = ti.min(ti.max(ti.max(size, real(WHOLE_PX)) - distance, real(-1.0)), real(1.0))
        growth = ti.select(size > real(WHOLE_PX), real(1.0), real(0.0)) - v.dot(field) / distance
        return vec2(0.5 + t - 0.5 * t * ti.abs(t), (1 - ti.abs(t)) * growth * sign)

    @ti.func
    def weight(p, t, dx, dy, radius, samples_per_px, field):
        """(w, ∂w/∂r) of one entry."""
        value = ((p[3] * t + p[2]) * t + p[1]) * t + p[0]
        slope = samples_per_px * ((3 * p[3] * t + 2 * p[2]) * t + p[1])
        result = vec2(value, ti.select(radius < 0, -slope, slope))
        if ti.static(cat_eye):
            rim = open_rim(ti.cast(dx, real), ti.cast(dy, real), radius, field)
            result = vec2(value * rim[0], result[1] * rim[0] + value * rim[1])
        return result

    @ti.func
    def field_at(lens: ti.template(), y, x):
        """2·f of the pixel: lens holds the middle of the image in px, and 2·cat_eye over half its diagonal."""
        return vec2((x + real(0.5) - lens[0]) * lens[2], (y + real(0.5) - lens[1]) * lens[2])

    @ti.func
    def head_of(lists: ti.template(), dy, at):
        return lists[lists.shape[0] // 2 + ti.select(at < 0, dy, -dy), ti.cast(ti.abs(at), ti.i32), 0]

    @ti.func
    def entries_between(head, at, x, first, last):
        """The first and last + 1 of a list's entries that fall on the columns first … last − 1, from a source at column x."""
        low, high = first - x - head[FIRST], last - x - head[FIRST]
        if at >= 0:
            low, high = x - last + 1 - head[FIRST], x - first + 1 - head[FIRST]
        return ti.math.ivec2(ti.max(low, 0), ti.min(high, head[LENGTH]))

    @ti.func
    def row_of(
        sources: ti.template(),
        source_disparity: ti.template(),
        node_coordinate: ti.template(),
        lists: ti.template(),
        entries: ti.template(),
        in_focus: ti.template(),
        disparity: ti.template(),
        lens: ti.template(),
        dense_sums: ti.template(),
        y,
        row,
        first,
        last,
        top,
        pad,
        samples_per_px,
        occlusion,
    ):
        """Adds a row of sources to the columns first … last − 1 of a row of sums."""
        dy, reach = row + pad - y, pad + 1
        for k in range(ti.max(0, first + pad - reach), ti.min(sources.shape[1], last + pad + reach)):
            at = node_coordinate[y, k]
            head = head_of(lists, dy, at)
            t = ti.abs(at) - ti.cast(ti.abs(at), ti.i32)
            some = entries_between(head, at, k - pad, first, last)
            for i in range(some[0], some[1]):
                dx = ti.select(at < 0, head[FIRST] + i, -head[FIRST] - i)
                x = k - pad + dx
                w = weight(
                    entries[head[BEGIN] + i], t, dx, dy, at / samples_per_px, samples_per_px, field_at(lens, top + row, x)
                )[0]
                e = in_focus[top + row, x]
                if e > negligible and (dx != 0 or dy != 0):
                    w *= 1 - e * tau(source_disparity[y, k] - disparity[top + row, x], occlusion)[0]
                dense_sums[row, x] = dense_sums[row, x] + w * sources[y, k]

    @ti.kernel
    def gather(
        sources: interleaved,  # [rows, W + 2·pad]: P of a band of padded rows
        source_disparity: maps,  # [rows, W + 2·pad]: what the occlusion compares of the sources, their disparity or radius
        node_coordinate: maps,  # [rows, W + 2·pad]: signed radius in nodes of the lists
        widest: numbers,  # [rows]: how far, in px, any source of a row counts
        lists: list_heads,  # [dy, intervals, parts]: begin, first offset, length, kind (rows/row_lists.py)
        entries: polynomials,  # [total]: powers of t of the weights
        disparity: maps,  # [H, W]: what the occlusion compares of the pixels
        in_focus: maps,  # [H, W]: e
        lens: numbers,  # [3]: see field_at
        dense_sums: interleaved,  # [rows, W]: sums of a band, scratch
        sums: planar,  # [5, H, W]: s, written
        top: ti.i32,
        pad: ti.i32,
        samples_per_px: real,  # nodes of the lists in a px of the radius
        occlusion: vec2,  # (gap, steepness) of τ
        row_parts: ti.i32,
    ):
        """Writes s to `sums` [5, H, W] from row `top` on."""
        ti.loop_config(block_dim=block_dim)
        for row, row_part in ti.ndrange(dense_sums.shape[0], row_parts):
            columns = part(row_part, row_parts, dense_sums.shape[1])
            if columns[1] > columns[0]:
                for x in range(columns[0], columns[1]):
                    dense_sums[row, x] = vec(0.0)
                for y in range(row, row + 2 * pad + 1):
                    if ti.cast(ti.abs(row + pad - y), real) < widest[y]:
                        row_of(
                            sources, source_disparity, node_coordinate, lists, entries, in_focus, disparity, lens, dense_sums,
                            y, row, columns[0], columns[1], top, pad, samples_per_px, occlusion,
                        )  # fmt: skip
                for x in range(columns[0], columns[1]):
                    for c in ti.static(range(CHANNELS)):
                        sums[c, top + row, x] = dense_sums[row, x][c]

    @ti.kernel
    def focus_adjoint(
        sources: interleaved,  # [rows, W + 2·pad]: P of a band of padded rows
        source_disparity: maps,  # [rows, W + 2·pad]: what the occlusion compares of the sources, their disparity or radius
        node_coordinate: maps,  # [rows, W + 2·pad]: signed radius in nodes of the lists
        widest: numbers,  # [rows]: how far, in px, any source of a row counts
        lists: list_heads,  # [dy, intervals, parts]: begin, first offset, length, kind (rows/row_lists.py)
        entries: polynomials,  # [total]: powers of t of the weights
        disparity: maps,  # [H, W]: what the occlusion compares of the pixels
        in_focus: maps,  # [H, W]: e
        lens: numbers,  # [3]: see field_at
        d_sums: planar,  # [5, H, W]: ∂loss/∂s
        d_disparity: maps,  # [H, W], added to
        d_in_focus: maps,  # [H, W], added to
        top: ti.i32,
        pad: ti.i32,
        samples_per_px: real,  # nodes of the lists in a px of the radius
        occlusion: vec2,  # (gap, steepness) of τ
        row_parts: ti.i32,
    ):
        """Adds what the pixels in focus of a band get: inverts the `w *= 1 - e·τ` of row_of, for e and d_x."""
        ti.loop_config(block_dim=block_dim)
        for row, row_part in ti.ndrange(sources.shape[0] - 2 * pad, row_parts):
            columns, reach = part(row_part, row_parts, in_focus.shape[1]), pad + 1
            if columns[1] > columns[0]:
                for y in range(row, row + 2 * pad + 1):
                    dy = row + pad - y
                    if ti.cast(ti.abs(dy), real) < widest[y]:
                        for k in range(ti.max(0, columns[0] + pad - reach), ti.min(sources.shape[1], columns[1] + pad + reach)):
                            at = node_coordinate[y, k]
                            head = head_of(lists, dy, at)
                            t = ti.abs(at) - ti.cast(ti.abs(at), ti.i32)
                            some = entries_between(head, at, k - pad, columns[0], columns[1])
                            for i in range(some[0], some[1]):
                                dx = ti.select(at < 0, head[FIRST] + i, -head[FIRST] - i)
                                x = k - pad + dx
                                if dx != 0 or dy != 0:
                                    e = in_focus[top + row, x]
                                    if e > negligible:
                                        field = field_at(lens, top + row, x)
                                        w = weight(
                                            entries[head[BEGIN] + i], t, dx, dy, at / samples_per_px, samples_per_px, field
                                        )[0]
                                        share = tau(source_disparity[y, k] - disparity[top + row, x], occlusion)
                                        along = real(0.0)
                                        for c in ti.static(range(CHANNELS)):
                                            along += sources[y, k][c] * d_sums[c, top + row, x]
                                        tilt = -e * share[1]
                                        d_in_focus[top + row, x] = d_in_focus[top + row, x] - w * share[0] * along
                                        d_disparity[top + row, x] = d_disparity[top + row, x] - w * tilt * along

    @ti.kernel
    def sources_adjoint(
        sources: interleaved,  # [rows, W + 2·pad]: P of a band of padded rows
        source_disparity: maps,  # [rows, W + 2·pad]: what the occlusion compares of the sources, their disparity or radius
        node_coordinate: maps,  # [rows, W + 2·pad]: signed radius in nodes of the lists
        widest: numbers,  # [rows]: how far, in px, any source of a row counts
        lists: list_heads,  # [dy, intervals, parts]: begin, first offset, length, kind (rows/row_lists.py)
        entries: polynomials,  # [total]: powers of t of the weights
        disparity: maps,  # [H, W]: what the occlusion compares of the pixels
        in_focus: maps,  # [H, W]: e
        lens: numbers,  # [3]: see field_at
        d_sums: planar,  # [5, H, W]: ∂loss/∂s
        d_sources: interleaved,  # as sources, written
        d_node_coordinate: maps,  # as node_coordinate, written
        d_source_disparity: maps,  # as source_disparity, written
        top: ti.i32,
        pad: ti.i32,
        samples_per_px: real,  # nodes of the lists in a px of the radius
        occlusion: vec2,  # (gap, steepness) of τ
        row_parts: ti.i32,
    ):
        """Writes the gradients of a band of padded sources, the first of which is row `top` of the padded image."""
        ti.loop_config(block_dim=block_dim)
        for y, row_part in ti.ndrange(sources.shape[0], row_parts):
            columns = part(row_part, row_parts, sources.shape[1])
            if columns[1] > columns[0]:
                own = y + top - pad
                reach = ti.cast(widest[y], ti.i32)
                height, width = in_focus.shape[0], in_focus.shape[1]
                for k in range(columns[0], columns[1]):
                    at = node_coordinate[y, k]
                    t = ti.abs(at) - ti.cast(ti.abs(at), ti.i32)
                    total, slope, tilt = vec(0.0), real(0.0), real(0.0)
                    for row in range(ti.max(0, own - reach), ti.min(height, own + reach + 1)):
                        dy = row - own
                        head = head_of(lists, dy, at)
                        for i in range(head[LENGTH]):
                            dx = ti.select(at < 0, head[FIRST] + i, -head[FIRST] - i)
                            x = k - pad + dx
                            if 0 <= x < width:
                                w = weight(
                                    entries[head[BEGIN] + i],
                                    t,
                                    dx,
                                    dy,
                                    at / samples_per_px,
                                    samples_per_px,
                                    field_at(lens, row, x),
                                )
                                along, visible, leaning = real(0.0), real(1.0), real(0.0)
                                e = in_focus[row, x]
                                if e > negligible and (dx != 0 or dy != 0):
                                    share = tau(source_disparity[y, k] - disparity[row, x], occlusion)
                                    visible = 1 - e * share[0]
                                    leaning = -e * share[1]
                                for c in ti.static(range(CHANNELS)):
                                    g = d_sums[c, row, x]
                                    total[c] += w[0] * visible * g
                                    along += sources[y, k][c] * g
                                slope += w[1] * visible * along
                                tilt += w[0] * leaning * along
                    d_sources[y, k] = total
                    d_node_coordinate[y, k] = slope / samples_per_px
                    d_source_disparity[y, k] = tilt

    return AnyAperture(gather, focus_adjoint, sources_adjoint)
