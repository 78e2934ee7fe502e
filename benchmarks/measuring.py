"""What the benchmarks measure with: CPU and wall time, and memory."""

import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path


def measure(run: Callable[[], object], repeats: int = 2) -> tuple[float, float]:
    """Least CPU seconds (user and system, all threads) and wall seconds of `repeats` runs, after one to compile."""
    run()
    best = (float("inf"), float("inf"))
    for _ in range(repeats):
        usage, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        run()
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
        best = min(best, (cpu, time.perf_counter() - wall))
    return best


def peak_growth(run: Callable[[], object]) -> int:
    """Bytes by which the resident set grows at most while `run` runs (sampled every 2 ms)."""
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
