"""The folder of a run: what its results belong to, in run.json, and on what machines they were computed."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taichi_bokeh._version import __version__
from taichi_bokeh.benchmark.results import FORMAT
from taichi_bokeh.storage import resumable

NAME, WHAT = "run.json", "benchmark"


@dataclass(frozen=True)
class RunFile:
    """What run.json holds.

    Attributes:
        settings: what the accuracy depends on; equal in all results of one folder.
        scenes: how many there are to be, over all shards.
        machines: those that computed the results, each once.
    """

    settings: dict[str, Any]
    scenes: int
    machines: tuple[dict[str, str], ...] = ()


def settings_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as run.json has them, with the versions of the files and of this program."""
    return {"format": FORMAT, "version": __version__, **values}


def open_run(folder: Path, run: RunFile) -> RunFile:
    """Make the folder, or go on in the one of an earlier run: its settings must be equal, and it may become larger.

    Raises:
        ValueError: the settings differ, or run.json is damaged.
        OSError: the folder holds something else, or cannot be made.
    """
    check_settings(folder, run.settings)
    if (folder / NAME).exists():
        earlier = read(folder)
        run = together(earlier, run)
        if run == earlier:
            return run
    folder.mkdir(exist_ok=True)
    resumable.write_json(folder / NAME, asdict(run), overwrite=True)
    return run


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a folder in which a run with these settings can neither begin nor go on.

    Raises:
        ValueError: it is that of a run with other settings, or its run.json is damaged.
        OSError: the folder holds something else, or is none.
    """
    if (folder / NAME).exists():
        resumable.require_same(folder, WHAT, read(folder).settings, settings)
    else:
        resumable.check_record(folder, NAME, WHAT, {})


def read(folder: Path) -> RunFile:
    """Read the folder's run.json.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
    """
    path = folder / NAME
    values = resumable.read_json(path)
    if values is None:
        raise FileNotFoundError(f"{folder} is not the folder of a benchmark: it has no {NAME}")
    try:
        return RunFile(dict(values["settings"]), int(values["scenes"]), tuple(map(dict, values["machines"])))
    except resumable.DAMAGED:
        raise resumable.damaged(path, "not of a benchmark") from None


def together(first: RunFile, second: RunFile) -> RunFile:
    """Both, with equal settings."""
    machines = first.machines + tuple(machine for machine in second.machines if machine not in first.machines)
    return replace(first, scenes=max(first.scenes, second.scenes), machines=machines)


def machine(workers: int) -> dict[str, str]:
    """What the times were taken on."""
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "worker processes": str(workers),
        "GPU": gpu,
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "taichi-bokeh": __version__,
    }


def _processor() -> str:
    """Its model; on Linux platform knows only the instruction set."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()
