"""What memory is left is read from where Linux tells, and the least of it counts."""

from pathlib import Path

import torch

from taichi_bokeh.apps.memory import available_bytes

CPU = torch.device("cpu")
MIB = 1 << 20


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_D_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")


def test_the_machine_tells():
    free = available_bytes(CPU)
    assert free is None or free > MIB


def test_what_the_machine_has_left(tmp_path):
    write(tmp_path, proc__meminfo="MemTotal: 9000000 kB\nMemFree: 1 kB\nMemAvailable: 4096 kB\n")
    assert available_bytes(CPU, tmp_path) == 4 * MIB


def test_what_the_groups_of_either_kind_leave(tmp_path):
    write(tmp_path, proc__meminfo="MemAvailable: 999999 kB\n", proc__self__cgroup="0::/user/job\n")
    groups = tmp_path / "sys/fs/cgroup"
    write(groups, user__memory_D_max=f"{64 * MIB}\n", user__memory_D_current=f"{60 * MIB}\n")
    write(groups, user__job__memory_D_max="max\n", user__job__memory_D_current=f"{8 * MIB}\n")
    assert available_bytes(CPU, tmp_path) == 4 * MIB
    write(groups, user__memory_D_stat=f"anon 5\ninactive_file {2 * MIB}\n")
    assert available_bytes(CPU, tmp_path) == 6 * MIB
    write(tmp_path, proc__self__cgroup="12:cpu:/a\n5:memory:/docker/gone\n")
    old = {"memory__memory_D_limit_in_bytes": f"{10 * MIB}\n", "memory__memory_D_usage_in_bytes": f"{9 * MIB}\n"}
    write(groups, **old)
    assert available_bytes(CPU, tmp_path) == MIB
    write(groups, **old | {"memory__memory_D_limit_in_bytes": "9223372036854771712\n"})
    assert available_bytes(CPU, tmp_path) == 999999 * 1024
