"""The lists of row_lists.py, TAPS entries at a time, for threads that each read another (gpu_tiles.py)."""

from functools import cache
from typing import Any, NamedTuple

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL
from taichi_bokeh.kernels.scatter.rows.list_heads import BEGIN, EDGES, FIRST, KIND, LENGTH, TAPS
from taichi_bokeh.kernels.scatter.rows.row_lists import sides


class ListBlocks(NamedTuple):
    """Lists, TAPS entries at a time; `entries` is [blocks, entry_size]."""

    parts: int  # lists of a source for a row
    sides: int  # of the source, to which a block's entries are added
    head_of: Any  # func: the list
    length: Any  # func: of the list, in blocks
    load: Any  # func: the coefficients of a block, as of a mirrored list's
    columns: Any  # func: of a block, for each side, (column of the first entry, direction of the others, weight's sign)


@cache
def list_blocks(shaped: bool, dtype: str) -> ListBlocks:
    """Functions for threads that each take a list of their own."""
    return _shaped_blocks(dtype) if shaped else _mirrored_blocks(dtype)


def _mirrored_blocks(dtype: str) -> ListBlocks:
    coefficients = ti.types.vector(4 * TAPS, REAL[dtype])

    @ti.func
    def head_of(lists: ti.template(), dy, at, part):
        return lists[ti.abs(dy), ti.cast(at, ti.i32), 0]

    @ti.func
    def length(head):
        return head[LENGTH]

    @ti.func
    def load(entries: ti.template(), head, block):
        return coefficients([entries[head[BEGIN] + block, k] for k in ti.static(range(4 * TAPS))])

    @ti.func
    def columns(head, block, at, x):
        near, is_edges = head[FIRST] + TAPS * block, ti.cast(head[KIND] == EDGES, ti.i32)
        return ti.math.ivec3(x - near, -1, 1), ti.math.ivec3(x + near + is_edges, 1, 1 - 2 * is_edges)

    return ListBlocks(1, 2, head_of, length, load, columns)


def _shaped_blocks(dtype: str) -> ListBlocks:
    real = REAL[dtype]
    coefficients = ti.types.vector(4 * TAPS, real)
    side, head_of, column_of = sides()

    @ti.func
    def length(head):
        return (head[LENGTH] + TAPS - 1) // TAPS

    @ti.func
    def load(entries: ti.template(), head, block):
        """Beyond the end of the list 0."""
        result = coefficients(0.0)
        for j in ti.static(range(TAPS)):
            if TAPS * block + j < head[LENGTH]:
                for k in ti.static(range(4)):
                    result[TAPS * k + j] = entries[head[BEGIN] + TAPS * block + j, k]
        return result

    @ti.func
    def columns(head, block, at, x):
        sign = side(at)
        return ti.math.ivec3(
            column_of(x, head[FIRST] + TAPS * block, head[KIND], sign), sign, ti.select(head[KIND] == EDGES, sign, 1)
        ), ti.math.ivec3(0)

    return ListBlocks(2, 1, head_of, length, load, columns)
