"""The folder of a run: what its results belong to, in run.json, and on what machines they were computed."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from taichi_bokeh._version import __version__
from taichi_bokeh.benchmark.results import FORMAT
from taichi_bokeh.io import write_atomically

NAME = "run.json"


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
    text = json.dumps({"settings": run.settings, "scenes": run.scenes, "machines": run.machines}, indent=1) + "\n"
    write_atomically(folder / NAME, text.encode(), overwrite=True)
    return run


def check_folder(folder: Path) -> None:
    """Refuse a folder that is not one, or that holds files but no run.json.

    Raises:
        OSError: which of the two.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, and must be a folder")
    if not folder.absolute().parent.is_dir():
        raise FileNotFoundError(f"{folder} cannot be made: there is no folder {folder.parent}")
    if folder.is_dir() and any(not file.name.startswith(".") for file in folder.iterdir()) and not (folder / NAME).exists():
        raise FileExistsError(f"{folder} holds files of something else; give a new folder, or that of a benchmark ({NAME})")


def check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a folder in which a run with these settings can neither begin nor go on.

    Raises:
        ValueError: it is that of a run with other settings, or its run.json is damaged.
        OSError: as `check_folder`.
    """
    check_folder(folder)
    if (folder / NAME).exists():
        compare(folder, read(folder).settings, settings)


def read(folder: Path) -> RunFile:
    """What the folder's run.json holds.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
    """
    path = folder / NAME
    if not path.exists():
        raise FileNotFoundError(f"{folder} is not the folder of a benchmark: it has no {NAME}")
    try:
        values = json.loads(path.read_bytes())
        run = RunFile(dict(values["settings"]), int(values["scenes"]), tuple(map(dict, values["machines"])))
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{path} is damaged") from None
    return run


def compare(folder: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Refuse results that do not belong together.

    Raises:
        ValueError: which setting differs.
    """
    for name in {**expected, **found}:
        if found.get(name) != expected.get(name):
            there, here = _brief(found.get(name)), _brief(expected.get(name))
            raise ValueError(f"{folder} holds a benchmark with {name} {there}, and this one has {name} {here}")


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


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"
