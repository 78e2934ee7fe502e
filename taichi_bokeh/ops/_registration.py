"""How a function of tensors becomes an operator of torch: `operator` instead of `torch.library.custom_op`.

An operator of `custom_op` imports torch's compiler at its first call, to keep it out of the function, and that takes most of a
second. Here the compiler is kept out once it is there, and does not come by our doing.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, List  # noqa: UP035 - see `_declared`

import torch

from taichi_bokeh._autocast import in_full_precision

_LIBRARY = torch.library.Library("taichi_bokeh", "FRAGMENT")
_SPELT = {list[float]: List[float], list[int]: List[int]}  # noqa: UP006
_apart_from_compiler = functools.cache(torch.compiler.disable)


def operator(function: Callable[..., Any]) -> Any:
    """Make the operator taichi_bokeh::<name of the function>, for any device; its schema is read off the annotations.

    The function changes none of its arguments, and what it returns shares no memory with them. It runs without autocast. What
    `torch.library` registers by operator (`register_fake`, `register_autograd`) it registers for the result.
    """
    plain = in_full_precision(function)

    @functools.wraps(function)
    def kernel(*args: Any) -> Any:
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and `disable` would import it
            return _apart_from_compiler(plain)(*args)
        return plain(*args)

    name = function.__name__.removeprefix("_")
    schema = torch.library.infer_schema(_declared(function), mutates_args=(), op_name=name)
    _LIBRARY.define(schema, tags=torch.Tag.pt2_compliant_tag)
    torch.library.impl(f"taichi_bokeh::{name}", "default", kernel, lib=_LIBRARY)
    return getattr(torch.ops.taichi_bokeh, name).default


def _declared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of the same signature, with list[…] spelt as torch reads it in all versions: 2.6 knows only typing's."""
    signature = inspect.signature(function)
    parameters = [
        value.replace(annotation=_SPELT.get(value.annotation, value.annotation)) for value in signature.parameters.values()
    ]

    def declared() -> None: ...

    declared.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return declared
