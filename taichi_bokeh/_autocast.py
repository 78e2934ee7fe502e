"""What keeps results the same inside `torch.autocast` as outside of it.

Autocast computes products of matrices in bfloat16 or half; where the backward pass runs inside of it, there as well. Public
functions leave it (`in_full_precision`), operators leave it, forward and backward (ops/_registration.py), and so does a product
of matrices that is differentiated (`product`).
"""

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])

_DEVICES = ("cpu", "cuda")
_AUTOCAST_DTYPES = (torch.bfloat16, torch.float16)


def full_precision(value: Any) -> Any:
    """Take a bfloat16 or half tensor inside autocast as float32, as torch's float32 operators do; others as they are."""
    if not isinstance(value, Tensor) or value.dtype not in _AUTOCAST_DTYPES or value.device.type not in _DEVICES:
        return value
    return value.float() if torch.is_autocast_enabled(value.device.type) else value


def without_autocast(device_type: str) -> AbstractContextManager[Any]:
    """Make a context in which autocast of this type of device is off."""
    if device_type in _DEVICES and torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


def in_full_precision(function: F) -> F:
    """Let a function take its tensors by `full_precision`, and run without autocast."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if not any(torch.is_autocast_enabled(device) for device in _DEVICES):
            return function(*args, **kwargs)
        taken = [full_precision(value) for value in args]
        named = {name: full_precision(value) for name, value in kwargs.items()}
        with without_autocast("cpu"), without_autocast("cuda"):
            return function(*taken, **named)

    return cast(F, run)


def product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply `a @ b` of tensors of two and more axes, whose backward pass is without autocast too."""
    return _apply_product(a, b)


class _Product(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> Tensor:
        with without_autocast(a.device.type):
            return a @ b

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        d_a = product(grad, b.mT).sum_to_size(a.shape) if ctx.needs_input_grad[0] else None
        d_b = product(a.mT, grad).sum_to_size(b.shape) if ctx.needs_input_grad[1] else None
        return d_a, d_b


_apply_product: Callable[[Tensor, Tensor], Tensor] = _Product.apply
