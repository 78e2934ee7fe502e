"""What the operators share: dtype names, padding with its adjoint, and refusals of what autograd cannot do here."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from taichi_bokeh.kernels.scatter.rows.layout import ROW_PARTS

BORDERS = ("replicate", "reflect")
#: Devices on which a launch wants a thread for every pixel. Tests add another, for which Taichi launches on Vulkan.
GPU_DEVICES = {"cuda"}


class GradientOnly(NamedTuple):
    """Stands for a kernel's output where only its gradient is needed."""

    grad: Tensor


def dtype_name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def read_back(tensor: Tensor) -> Any:
    """Wait for the device, and return a tensor's values as nested lists."""
    return tensor.tolist()


def on_gpu(tensor: Tensor) -> bool:
    """Tell whether kernels that take it run where a launch wants a thread for every pixel."""
    return tensor.device.type in GPU_DEVICES


def parts_of_row(tensor: Tensor, columns: int) -> int:
    """Tell how many parts a row is cut into by kernels: see kernels/scatter/rows/layout.py."""
    return columns if on_gpu(tensor) else ROW_PARTS


def plain(tensor: Tensor) -> Tensor:
    """Make contiguous, without a sign that torch has put off, out of the graph: Taichi would allocate `.grad` on one in it."""
    return tensor.detach().contiguous().resolve_neg()


def border_index(size: int, pad: int, border: str, device: torch.device) -> Tensor:
    """Tell which row (or column) stands at each position of an axis padded by `pad` on both sides; any pad, any size."""
    index = torch.arange(-pad, size + pad, device=device)
    if border == "replicate" or size == 1:
        return index.clamp_(0, size - 1)
    period = 2 * (size - 1)
    index = index.remainder_(period)
    return torch.minimum(index, period - index)


def pad_planes(planes: Tensor, pad: int, border: str) -> Tensor:
    """Pad [..., H, W] -> [..., H + 2·pad, W + 2·pad]."""
    rows, columns = (border_index(planes.shape[k], pad, border, planes.device) for k in (-2, -1))
    return planes.index_select(-2, rows).index_select(-1, columns)


def pad_planes_adjoint(padded: Tensor, pad: int, border: str) -> Tensor:
    """Invert `pad_planes`: every padded pixel's gradient goes back to the pixel that it was copied from."""
    height, width = padded.shape[-2] - 2 * pad, padded.shape[-1] - 2 * pad
    rows, columns = (border_index(size, pad, border, padded.device) for size in (height, width))
    narrow = padded.new_zeros((*padded.shape[:-1], width)).index_add_(-1, columns, padded)
    return narrow.new_zeros((*padded.shape[:-2], height, width)).index_add_(-2, rows, narrow)


def refuse_double_backward(operator: Any, name: str) -> None:
    """Make differentiating a backward operator raise, naming it."""

    def backward(ctx: Any, *grads: Tensor) -> Any:
        raise RuntimeError(
            f"taichi_bokeh: double backward through {name} is not supported; its gradient cannot be differentiated again "
            "(drop create_graph=True)"
        )

    torch.library.register_autograd(operator, backward, setup_context=lambda ctx, inputs, output: None)
