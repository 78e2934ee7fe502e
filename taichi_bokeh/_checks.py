"""What public entry points refuse, in one wording: the argument's name, what came, what was expected."""

from collections.abc import Mapping
from math import inf, isinf, isnan
from numbers import Integral, Real
from types import UnionType
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

_reads_values = True  # of the whole process: a backward pass may run on a thread of its own
_FLOATS = (torch.float32, torch.float64)


class checks:
    """Turn the checks that read values on or off, for the process, or for a `with` block.

    Looking for NaN and for values out of range waits for the device at every call. Off, a NaN in a disparity makes NaN pixels,
    other bad values make images that mean nothing, and light or an alpha that rounding put out of range stays there. Types,
    shapes, dtypes and devices are checked either way.

        import torch
        import taichi_bokeh as tb

        rgb, plane = torch.rand(1, 1, 3, 48, 64), torch.ones(1, 1, 1, 48, 64)
        with tb.checks(False):
            image = tb.render(tb.Layers(rgb, plane, plane), tb.ThinLens(8.0, 0.5))

    Args:
        enabled: whether values are read.

    Raises:
        TypeError: it is not a bool.
    """

    def __init__(self, enabled: bool) -> None:
        global _reads_values
        require_type("enabled", enabled, bool, "a bool")
        self._before, _reads_values = _reads_values, enabled

    def __enter__(self) -> None:
        """Nothing: the constructor has done it."""

    def __exit__(self, *exception: object) -> None:
        """Return to what held before."""
        global _reads_values
        _reads_values = self._before


def values_are_read() -> bool:
    """Tell whether values are looked at: not with `checks(False)`, and not under torch.compile, which knows none."""
    return _reads_values and not torch.compiler.is_compiling()


class Bounded(NamedTuple):
    """A tensor, the closed interval in which its finite values must lie, and what rounding may put them out of it.

    The last is for values up to 1; where there are larger ones, it is that share of the largest.
    """

    tensor: Tensor
    at_least: float = -inf
    at_most: float = inf
    rounding: float = 0.0


def require_type(name: str, value: object, kind: type | UnionType, expected: str) -> None:
    """TypeError unless `value` is of a type; `expected` names it with its article."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} is of type {type(value).__name__}; expected {expected}")


def require_float_tensor(name: str, value: object) -> None:
    """Raise TypeError unless `value` is a torch tensor of float32 or float64."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} is of type {type(value).__name__}; expected a torch tensor")
    if value.layout != torch.strided:
        raise TypeError(f"{name} has layout {value.layout}; expected torch.strided (a dense tensor)")
    if value.dtype not in _FLOATS:
        raise TypeError(f"{name} has dtype {value.dtype}; expected torch.float32 or torch.float64")


def require_shape(name: str, tensor: Tensor, *expected: int | str) -> None:
    """Raise ValueError unless `tensor` has the `expected` sizes; a string names a size that may be any from 1 up."""
    sizes = tuple(tensor.shape)
    fits = len(sizes) == len(expected) and all(
        isinstance(want, str) or size == want for size, want in zip(sizes, expected, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} has shape {list(sizes)}; expected [{', '.join(map(str, expected))}]")
    if 0 in sizes:
        raise ValueError(f"{name} has shape {list(sizes)}; every size must be at least 1")


def require_same_kind(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """ValueError unless `value` has the dtype of another tensor and is on its device."""
    if (value.dtype, value.device) != (other.dtype, other.device):
        raise ValueError(
            f"{name} is {value.dtype} on {value.device}; expected that of {other_name}, {other.dtype} on {other.device}"
        )


def require_values(arguments: Mapping[str, Bounded]) -> dict[str, Tensor]:
    """Raise ValueError unless every tensor is finite and within its bounds; all are on one device, which is synced once.

    Nothing is read, so nothing is refused, where the values are not there to be read: meta and fake tensors, and
    code that torch.compile is tracing; nor with `checks(False)`.

    Returns:
        The tensors; one that is out of bounds by rounding is a copy with the values put on the bound. Its gradient is that of
        the identity, so that a value that is trained finds its way back.
    """
    tensors = {name: bounded.tensor for name, bounded in arguments.items()}
    if not values_are_read() or any(t.is_meta or isinstance(t, FakeTensor) for t in tensors.values()):
        return tensors
    ends = [end for bounded in arguments.values() for end in torch.aminmax(bounded.tensor.detach())]
    found = torch.stack(ends).tolist()
    for (name, bounded), low, high in zip(arguments.items(), found[::2], found[1::2], strict=True):
        if isnan(low):
            raise ValueError(f"{name} holds NaN; expected finite values")
        if isinf(low) or isinf(high):
            raise ValueError(f"{name} holds infinite values; expected finite values")
        if low < bounded.at_least or high > bounded.at_most:
            if max(bounded.at_least - low, high - bounded.at_most) > bounded.rounding * max(1.0, high):
                expected = _interval(bounded.at_least, bounded.at_most)
                raise ValueError(f"{name} has values from {low!r} to {high!r}; expected {expected}")
            tensor, detached = bounded.tensor, bounded.tensor.detach()
            beyond = detached - detached.clamp(bounded.at_least, bounded.at_most)
            tensors[name] = tensor - beyond  # exact, as the two are so close
    return tensors


def spoilt(image: Tensor, disparity: Tensor) -> Tensor:
    """Give the image [B, 3, H, W], NaN where the disparity [B, L, 1, H, W] of a layer is not finite, if values are not read.

    Kernels lose a NaN, as what they compile to takes numbers to be finite. Where values are read such ones have been refused.
    """
    if values_are_read():
        return image
    return image + (0 * disparity.detach()).sum(1)


def refuse_forward_mode(*tensors: Tensor) -> None:
    """Raise RuntimeError under torch.func and for dual numbers: custom operators have no such rule, and would give zeros."""
    if torch.compiler.is_compiling():
        return
    if any(torch._C._functorch.is_gradtrackingtensor(t) for t in tensors):  # not part of torch's public interface
        raise RuntimeError("taichi_bokeh: torch.func transforms (grad, jvp) are not supported; use torch.autograd.grad")
    if any(torch.autograd.forward_ad.unpack_dual(t).tangent is not None for t in tensors):
        raise RuntimeError("taichi_bokeh: forward-mode differentiation is not supported; use torch.autograd.grad")


def require_choice(name: str, value: object, choices: Any) -> None:
    """Raise ValueError unless `value` is one of the choices: of a Literal, or those that a tuple or a mapping holds."""
    known = get_args(choices) or tuple(choices)
    if value not in known:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, known))}")


def require_integer(name: str, value: object, *, at_least: float = -inf) -> None:
    """Raise TypeError unless `value` is an integer and no bool; ValueError unless it is within its bound."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} is of type {type(value).__name__}; expected an integer")
    if value < at_least:
        raise ValueError(f"{name} is {value!r}; expected at least {at_least:g}")


def require_number(name: str, value: object, *, at_least: float = -inf, above: float = -inf, at_most: float = inf) -> None:
    """Raise TypeError unless `value` is a real number and no bool; ValueError unless it is finite and within its bounds."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is of type {type(value).__name__}; expected a number")
    if not -inf < float(value) < inf:  # torch.compile does not trace math.isfinite of a float that varies
        raise ValueError(f"{name} is {value!r}; expected a finite number")
    if value < at_least:
        raise ValueError(f"{name} is {value!r}; expected at least {at_least:g}")
    if value <= above:
        raise ValueError(f"{name} is {value!r}; expected more than {above:g}")
    if float(value) > at_most:
        raise ValueError(f"{name} is {value!r}; expected at most {at_most:g}")


def _interval(at_least: float, at_most: float) -> str:
    if isinf(at_most):
        return f"at least {at_least:g}"
    return f"values in [{at_least:g}, {at_most:g}]"
