"""How many cores of the processor this process may use."""

import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


def cores() -> int:
    """Count the cores that the process is bound to, or fewer where its container has a quota of time on them; at least 1."""
    return max(1, min([_bound(), *(-(-time // period) for time, period in _quotas())]))


def _bound() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _quotas() -> list[tuple[int, int]]:
    """Read the time on the processor, and in what time, of the control groups (versions 1 and 2) that the process is in."""
    try:
        lines = _OWN_GROUP.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        own = Path(path.lstrip("/"))
        for group in (own, *own.parents):
            if not controllers:
                found.append(_numbers(_GROUPS / group / "cpu.max"))
            elif "cpu" in controllers.split(","):
                folder = _GROUPS / "cpu" / group
                found.append(_numbers(folder / "cpu.cfs_quota_us") + _numbers(folder / "cpu.cfs_period_us"))
    return [(numbers[0], numbers[1]) for numbers in found if len(numbers) == 2 and min(numbers) > 0]


def _numbers(path: Path) -> list[int]:
    """Read the numbers in a small file; none where it has other words, or cannot be read."""
    try:
        return [int(word) for word in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []
