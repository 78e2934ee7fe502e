"""Semi-global matching on torch tensors (kernels/dfd/semi_global.py)."""

import torch
from torch import Tensor

from taichi_bokeh import _runtime
from taichi_bokeh.kernels.dfd.semi_global import STEPS
from taichi_bokeh.kernels.dfd.semi_global import semi_global as kernel
from taichi_bokeh.ops._common import dtype_name


@torch.no_grad()
def semi_global(cost: Tensor, guide: Tensor, small: float, large: float, edge: float) -> Tensor:
    """Sum costs [H, W, N] over the paths, [H, W, N]; guide [H, W]; penalties P1, P2 and the weight of the guide's edges."""
    height, width, labels = cost.shape
    cost, guide = cost.contiguous(), guide.contiguous()
    total = torch.zeros_like(cost)
    for down, right in STEPS:
        lines = {(True, False): height, (False, True): width}.get((down == 0, right == 0), height + width - 1)
        scratch = cost.new_empty(lines, 2, labels + 2)
        _runtime.launch(kernel(dtype_name(cost)), cost, guide, scratch, total, small, large, edge, down, right)
    return total
