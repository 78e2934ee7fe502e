"""A child process that computes on a Vulkan device as it would on CUDA, with tensors that stay on the CPU.

    python -m tests.on_vulkan CASES RESULTS

Taichi copies tensors to the device and back, so that kernels run there as they do on a GPU: those of GPUs, with shared memory.
A software driver will do. float64 is left out, as SPIR-V has no asin or exp of it; tables of discs come with the cases.
"""

import sys

import torch

from taichi_bokeh import _runtime, ops
from taichi_bokeh.ops import _common
from taichi_bokeh.ops.scatter import bands as _bands


def compute_there(tables: dict) -> None:
    """Start Taichi on Vulkan, and have the operators launch what they launch on CUDA."""
    ti = _runtime.ti
    _runtime._ARCH_OF_DEVICE["cpu"] = (ti.vulkan,)
    ti.init(arch=ti.vulkan, log_level=ti.ERROR)
    _common.GPU_DEVICES.add("cpu")
    _bands.disc_table_of = lambda size, dtype, device: tables[size]


def results(name: str, inputs: tuple, gradient: torch.Tensor) -> tuple:
    """Of an operator, and of its adjoint for a gradient of its first output."""
    outputs = getattr(ops, name)(*inputs)
    outputs = (outputs,) if isinstance(outputs, torch.Tensor) else outputs
    saved = ()
    if name == "scatter_sums":
        outputs, saved, inputs = outputs[:1], outputs[1:], (*inputs[:-1], False)  # in place of whether to save
    if name == "subaperture":
        outputs, saved = outputs[:1], outputs[1:]
        inputs = (*inputs, True)  # the gradient of the radius, too
    return *outputs, *getattr(torch.ops.taichi_bokeh, f"{name}_backward")(gradient, *saved, *inputs)


if __name__ == "__main__":
    cases, tables = torch.load(sys.argv[1])
    compute_there(tables)
    torch.save([results(*case) for case in cases], sys.argv[2])
