"""Taichi's runtime: the only module that imports taichi.

The runtime starts at the first launch, on the device of the tensors that the launch is given; importing the package starts
nothing. Taichi wants the first launch on the thread that started it and one launch at a time, and torch runs CUDA backward
passes on threads of its own, so every launch goes through `launch`, which holds one lock.
"""

import atexit
import contextlib
import ctypes
import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from taichi_bokeh import _forks, _kernel_cache
from taichi_bokeh._cores import cores

os.environ.setdefault("ENABLE_TAICHI_HEADER_PRINT", "0")
_kernel_cache.find_home()

import taichi as ti  # noqa: E402 - it reads the environment

__all__ = [
    "autodiff",
    "bands",
    "before_launch",
    "has_vulkan",
    "launch",
    "look_in",
    "nested_progress",
    "open_window",
    "progress",
    "report",
    "threads",
    "ti",
]

_lock = threading.RLock()
_owner_pid: int | None = None
_ARCH_OF_DEVICE = {"cpu": (ti.x64, ti.arm64), "cuda": (ti.cuda,)}

#: Called with (done, total) rows while a long launch is under way; None where nobody listens.
progress: ContextVar[Callable[[int, int], None] | None] = ContextVar("progress", default=None)
#: Called before every launch: a window takes its input there, and what it raises ends the work under way. None: nobody.
before_launch: ContextVar[Callable[[], None] | None] = ContextVar("before_launch", default=None)


def _started() -> bool:
    return ti.lang.impl.get_runtime().prog is not None


def _start(device: Any) -> None:
    """Start Taichi for `device`, or raise RuntimeError where the running one cannot serve it."""
    global _owner_pid
    if _forks.forked:
        raise RuntimeError(
            "Taichi was started before this process was forked and would hang in the child. Use the 'spawn' start method "
            "(DataLoader: multiprocessing_context='spawn', persistent_workers=True), or start rendering only after the fork."
        )
    if device.type not in _ARCH_OF_DEVICE:
        raise RuntimeError(f"tensors must be on the CPU or on CUDA, got device {device}")
    if device.type == "cuda" and device.index not in (None, 0):
        raise RuntimeError(
            f"Taichi drives one GPU a process, cuda:0; got tensors on {device}. Start one process a GPU, each with its own "
            "CUDA_VISIBLE_DEVICES."
        )
    if not _started():
        _kernel_cache.prepare()
        with contextlib.redirect_stdout(io.StringIO()):  # "Starting on arch=…" is a plain print
            ti.init(arch=ti.cuda if device.type == "cuda" else ti.cpu, log_level=ti.ERROR, **_settings())
        ti.sync()  # materialises the runtime here, so that other threads may launch
        _owner_pid = os.getpid()
        atexit.register(_save_kernels)
    if _owner_pid is None:  # somebody else called ti.init
        ti.sync()
        _owner_pid = os.getpid()
    arch = ti.lang.impl.current_cfg().arch
    if arch not in _ARCH_OF_DEVICE[device.type]:
        raise RuntimeError(
            f"Taichi runs on arch {arch.name} in this process but the tensors are on {device}. Call ti.init with "
            f"arch=ti.{'cuda' if device.type == 'cuda' else 'cpu'} (or let taichi_bokeh start Taichi), one arch a process."
        )


def _settings() -> dict[str, int]:
    """Choose the settings of `ti.init`; what the user's environment says goes before it."""
    return {} if os.environ.get("TI_CPU_MAX_NUM_THREADS") else {"cpu_max_num_threads": cores()}


def _free_lock() -> None:
    """Make the lock anew in a forked child: one that another thread held is never given back."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # where processes can fork
    os.register_at_fork(after_in_child=_free_lock)


def _save_kernels() -> None:
    """End the runtime, as only then Taichi writes compiled kernels to its cache on disk, and it does not end by itself."""
    if _owner_pid != os.getpid() or not _started():
        return
    if _kernel_cache.prepare():
        ti.reset()
    else:  # it may be gone since the start: the runtime is kept from ending, as it would end in a crash
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(ti.lang.impl.get_runtime().prog))


@contextlib.contextmanager
def _in_stream_order(device: Any) -> Iterator[None]:
    """Order a launch, on CUDA's null stream, after, and before, torch's work on any other stream."""
    if device.type != "cuda":
        yield
        return
    import torch

    stream = torch.cuda.current_stream(device)
    side = stream != torch.cuda.default_stream(device)
    if side:
        stream.synchronize()
    yield
    if side:
        ti.sync()


def look_in() -> None:
    """Give way to who watches, as every launch does: for work without launches that takes long."""
    watcher = before_launch.get()
    if watcher is not None:
        watcher()


def launch(kernel: Callable[..., Any], *args: Any) -> None:
    """Run a Taichi kernel on torch tensors (contiguous, detached, on one device) and numbers."""
    device = next(arg.device for arg in args if hasattr(arg, "device"))
    look_in()
    with _lock:
        _start(device)
        with _in_stream_order(device):
            kernel(*args)


def threads() -> int:
    """Tell how many threads of the processor a launch may use."""
    return int(ti.lang.impl.current_cfg().cpu_max_num_threads) if _started() else cores()


def has_vulkan() -> bool:
    """Tell whether Taichi finds a Vulkan driver, which its windows are drawn by, whatever computes."""
    with _silenced(2):  # Vulkan's loader says there what the answer says here
        return bool(ti._lib.core.with_vulkan())  # no public name asks without starting Vulkan as the runtime


@contextlib.contextmanager
def _silenced(descriptor: int) -> Iterator[None]:
    """Let nothing be written to this file descriptor, not by compiled code either."""
    kept, nothing = os.dup(descriptor), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(nothing)


def open_window(title: str, size_px: tuple[int, int], device: Any, *, visible: bool = True) -> Any:
    """Open a `ti.ui.Window` of this width and height; one a process, as Taichi 1.7.4 crashes at exit after a second.

    Where there is no display, Taichi ends the process: ask before.

    Raises:
        RuntimeError: no Vulkan driver, or the device cannot be served.
    """
    with _lock:
        _start(device)
        return ti.ui.Window(title, size_px, vsync=False, show_window=visible)


def autodiff(kernel: Any, inputs: Sequence[Any], outputs: Sequence[Any], d_outputs: Sequence[Any], *numbers: Any) -> list[Any]:
    """Take gradients through a straight-line kernel, `kernel(*inputs, *outputs, *numbers)`, by Taichi's autodiff.

    Works on copies that own their `.grad`, so that no user's tensor is touched. Reverse mode clears the outputs' gradients
    in place, hence the clones.
    """
    leaves = [t.detach().requires_grad_() for t in (*inputs, *outputs)]
    for leaf, gradient in zip(leaves, [None] * len(inputs) + list(d_outputs), strict=True):
        leaf.grad = leaf.new_zeros(leaf.shape) if gradient is None else gradient.detach().clone().contiguous()
    launch(kernel.grad, *leaves, *numbers)
    return [leaf.grad for leaf in leaves[: len(inputs)]]


def bands(rows: int) -> Iterator[tuple[int, int]]:
    """Yield row ranges [first, last) that cover `rows`: one, or some, each reported once done, where somebody listens."""
    listener = progress.get()
    step = rows if listener is None else max(1, -(-rows // 32))
    for first in range(0, rows, step):
        last = min(rows, first + step)
        yield first, last
        if listener is not None:
            listener(last, rows)


def report(done: int, total: int) -> None:
    """Tell whoever listens how far the work under way has come."""
    listener = progress.get()
    if listener is not None:
        listener(done, total)


@contextlib.contextmanager
def nested_progress(index: int, count: int) -> Iterator[None]:
    """Let what runs inside report as part `index` of `count` equal ones."""
    listener = progress.get()
    if listener is None or count == 1:
        yield
        return
    token = progress.set(lambda done, total: listener(index * total + done, count * total))
    try:
        yield
    finally:
        progress.reset(token)
