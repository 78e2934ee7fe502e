"""How much memory this process can still take."""

import os
from pathlib import Path

import torch

_ROOT = Path("/")
_UNLIMITED = 1 << 60  # limits from here on are none


def available_bytes(device: torch.device, root: Path = _ROOT) -> int | None:
    """Memory that can be had on a device without swapping; None where the system does not tell.

    On the CPU: what the machine has left, no more than the process's own limit and those of its control groups leave.

    Args:
        device: the CPU or CUDA.
        root: of the file system in which Linux tells.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    found = [_of_the_machine(root), _of_the_process(root), *_of_control_groups(root)]
    known = [value for value in found if value is not None]
    return max(0, min(known)) if known else None


def _of_the_machine(root: Path) -> int | None:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this system
        return None


def _of_the_process(root: Path) -> int | None:
    """What ulimit -v leaves."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows has none
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _lines(root / "proc/self/statm")
    if limit in (resource.RLIM_INFINITY, -1) or not used:
        return None
    return limit - int(used[0].split()[0]) * resource.getpagesize()


def _of_control_groups(root: Path) -> list[int]:
    """What the groups of this process, and those round them, leave; both versions of control groups."""
    left = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if controllers else ("memory.max", "memory.current")
        group = base / path.strip().lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(base):
                break
            limit, used = (_number(folder / name) for name in names)
            if limit is not None and used is not None and limit < _UNLIMITED:
                left.append(limit - used + _cache(folder))
    return left


def _cache(group: Path) -> int:
    """What of a group's memory holds files only, and goes when it is needed."""
    entries = dict(line.split(maxsplit=1) for line in _lines(group / "memory.stat") if len(line.split()) == 2)
    return int(entries.get("total_inactive_file", entries.get("inactive_file", 0)))


def _number(path: Path) -> int | None:
    lines = _lines(path)
    return int(lines[0]) if lines and lines[0].strip().isdecimal() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
