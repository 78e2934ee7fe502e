"""What the benchmarks measure with: CPU and wall time, time on a device, memory, and what the machine is."""

import contextlib
import ctypes
import platform
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch


def measure(
    run: Callable[[], object], repeats: int = 2, device: torch.device | None = None, warm_up: bool = True
) -> tuple[float, float]:
    """Least CPU seconds (user and system, all threads) and wall seconds of `repeats` runs, after one to compile.

    On a CUDA device the first is the device's time, by events.
    """
    if warm_up:
        run()
    best = (float("inf"), float("inf"))
    for _ in range(repeats):
        taken = _on_device(run) if device is not None and device.type == "cuda" else _on_processor(run)
        best = (min(best[0], taken[0]), min(best[1], taken[1]))
    return best


def _on_processor(run: Callable[[], object]) -> tuple[float, float]:
    usage, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    run()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime, time.perf_counter() - wall


def _on_device(run: Callable[[], object]) -> tuple[float, float]:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    wall = time.perf_counter()
    start.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3, time.perf_counter() - wall


def peak_growth(run: Callable[[], object]) -> int:
    """Bytes by which the resident set grows at most while `run` runs (sampled every 2 ms), on the host.

    What the allocator still holds from before would not show; where it can be told to, it gives that back first.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    statm, page = Path("/proc/self/statm"), resource.getpagesize()

    def resident() -> int:
        return int(statm.read_text().split()[1]) * page

    before, peak, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return max(0, peak - before)


def bandwidth(device: str) -> float:
    """Bytes a second of the triad a = b + s·c on arrays beyond all caches, the best of five."""
    b, c = (torch.rand(1 << 27, device=device) for _ in range(2))
    a = torch.empty_like(b)
    seconds = measure(lambda: torch.add(b, c, alpha=3.0, out=a), 5, torch.device(device))[1]
    return 3 * a.numel() * a.element_size() / seconds


def machine(device: str) -> str:
    """The processor or GPU, cores, and versions."""
    import taichi as ti

    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    threads = torch.get_num_threads()
    versions = ".".join(map(str, ti.__version__))
    return f"{name}, {threads} threads; Python {platform.python_version()}, Taichi {versions}, torch {torch.__version__}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
