"""Semi-global matching: the costs of labels summed along straight paths on which neighbours pay for unequal labels.

On a path with the step s, for pixel p and label k of N:

    L(p, k) = C(p, k) + min(L(p − s, k), L(p − s, k ± 1) + P1, m + P2(p)) − m,       m = min_j L(p − s, j)
    P2(p)   = max(P1, P2·exp(−w·|G(p) − G(p − s)|))                                  cheap where the guide G has an edge
    S(p, k) = Σ_s L(p, k)                                                            over the 8 steps to a neighbour

Where a path enters the image L = C. Source: Hirschmüller, Stereo processing by semiglobal matching and mutual information
(2008), Eq. (13) and (14). It is a search, not a function to be differentiated: there is no adjoint.
"""

from functools import cache
from typing import Any

from taichi_bokeh._runtime import ti
from taichi_bokeh.kernels.arithmetic import REAL

#: The step of every path, (down, right).
STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
_HUGE = 1e30


@cache
def semi_global(dtype: str) -> Any:
    real = REAL[dtype]
    volumes, images = ti.types.ndarray(dtype=real, ndim=3), ti.types.ndarray(dtype=real, ndim=2)

    @ti.func
    def start_of(line, down: ti.template(), right: ti.template(), height, width):
        """Find where the path `line` enters: along the side that it comes from, and for diagonals along two."""
        row, column = 0, 0
        if ti.static(down == 0):
            row, column = line, 0 if ti.static(right > 0) else width - 1
        elif ti.static(right == 0):
            row, column = 0 if ti.static(down > 0) else height - 1, line
        else:
            first_row = 0 if ti.static(down > 0) else height - 1
            first_column = 0 if ti.static(right > 0) else width - 1
            if line < width:
                row, column = first_row, line
            else:
                row, column = first_row + down * (line - width + 1), first_column
        return row, column

    @ti.kernel
    def aggregate(
        cost: volumes,  # [H, W, N]
        guide: images,  # [H, W]
        scratch: volumes,  # [lines, 2, N + 2]: L of the pixel before and of this one
        total: volumes,  # [H, W, N], added to: every pixel lies on one line
        small: real,  # P1
        large: real,  # P2
        edge: real,  # w
        down: ti.template(),
        right: ti.template(),
    ):
        height, width, labels = cost.shape[0], cost.shape[1], cost.shape[2]
        for line in range(scratch.shape[0]):
            row, column = start_of(line, down, right, height, width)
            for k in ti.static((0, 1)):
                scratch[line, k, 0], scratch[line, k, labels + 1] = real(_HUGE), real(_HUGE)
            lowest = real(_HUGE)
            for k in range(labels):
                value = cost[row, column, k]
                scratch[line, 0, k + 1] = value
                total[row, column, k] += value
                lowest = ti.min(lowest, value)
            before = 0
            row, column = row + down, column + right
            while row >= 0 and row < height and column >= 0 and column < width:
                change = ti.abs(guide[row, column] - guide[row - down, column - right])
                jump = lowest + ti.max(small, large * ti.exp(-edge * change))
                next_lowest = real(_HUGE)
                for k in range(labels):
                    stay, up, off = scratch[line, before, k + 1], scratch[line, before, k], scratch[line, before, k + 2]
                    value = cost[row, column, k] + ti.min(ti.min(stay, ti.min(up, off) + small), jump) - lowest
                    scratch[line, 1 - before, k + 1] = value
                    total[row, column, k] += value
                    next_lowest = ti.min(next_lowest, value)
                lowest = next_lowest
                before = 1 - before
                row, column = row + down, column + right

    return aggregate
