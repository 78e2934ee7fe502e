"""Semi-global matching, pixel by pixel (kernels/dfd/semi_global.py)."""

import math

import torch
from torch import Tensor


def semi_global(cost: Tensor, guide: Tensor, small: float, large: float, edge: float) -> Tensor:
    """Sum costs [H, W, N] over the paths in all 8 directions; guide [H, W]."""
    height, width, labels = cost.shape
    total = torch.zeros_like(cost)
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):
        path = torch.zeros_like(cost)
        for row in range(height) if down >= 0 else reversed(range(height)):
            for column in range(width) if right >= 0 else reversed(range(width)):
                path[row, column] = cost[row, column]
                y, x = row - down, column - right
                if not (0 <= y < height and 0 <= x < width):
                    continue
                before, lowest = path[y, x], path[y, x].min()
                jump = max(small, large * math.exp(-edge * abs(float(guide[row, column] - guide[y, x]))))
                for k in range(labels):
                    candidates = [before[k], lowest + jump]
                    candidates += [before[j] + small for j in (k - 1, k + 1) if 0 <= j < labels]
                    path[row, column, k] += min(candidates) - lowest
        total += path
    return total
