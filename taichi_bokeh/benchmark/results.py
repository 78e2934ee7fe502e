"""What was measured: one file a scene and method, written when both are done with, and what they come to together."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

from taichi_bokeh.storage.resumable import DAMAGED, damaged, read_json, write_json

FORMAT = 1  # of the files; to be raised when what they hold, or what it means, changes
FOLDER = "results"
PSNR = "linear.frame.psnr"  # by which methods and scenes are ranked

Metrics = dict[str, float | None]  # as `metrics.measure` returns them


@dataclass(frozen=True)
class Record:
    """One method measured on one scene.

    Attributes:
        scene: its name.
        method: its name.
        title: the method's title, for tables.
        focal_plane: "near", "middle" or "far".
        largest_radius_px: of the scene's circles of confusion.
        band_share: part of the pixels that lie in the occlusion band.
        at_true: the metrics at the true blur.
        scale_best: the blur at which the method comes closest to the truth, over the true one; None where not searched.
        at_best: the metrics there.
        evaluations: pictures rendered in the search.
        wall_s: seconds that one picture at the true blur takes; None where the picture was only read from a file.
        cpu_s: of all threads together.
    """

    scene: str
    method: str
    title: str
    focal_plane: str
    largest_radius_px: float
    band_share: float
    at_true: Metrics
    scale_best: float | None
    at_best: Metrics | None
    evaluations: int
    wall_s: float | None
    cpu_s: float | None

    @property
    def psnr(self) -> float:
        """In dB at the true blur, linear light, over the frame."""
        return _frame_psnr(self.at_true)

    @property
    def best_psnr(self) -> float | None:
        """The same at the best blur; None where not searched."""
        return None if self.at_best is None else _frame_psnr(self.at_best)

    @property
    def accuracy(self) -> tuple[object, ...]:
        """All of it but the times, which no two runs have in common."""
        return tuple(getattr(self, field.name) for field in fields(self) if field.name not in ("wall_s", "cpu_s"))


@dataclass(frozen=True)
class Aggregate:
    """One metric over the scenes; the worst is the smallest, of an RMSE the largest."""

    mean: float
    median: float
    worst: float


@dataclass(frozen=True)
class Summary:
    """One method over all of its scenes.

    Attributes:
        method: its name.
        title: its title.
        scenes: how many.
        at_true: the metrics at the true blur, over the scenes that have them; None where none has.
        at_best: the same at the best blur of each scene; None where not searched.
        scale_best: the best blur over the true one.
        wall_s: median seconds a picture.
        cpu_s: the same of all threads together.
    """

    method: str
    title: str
    scenes: int
    at_true: dict[str, Aggregate | None]
    at_best: dict[str, Aggregate | None] | None
    scale_best: float | None
    wall_s: float | None
    cpu_s: float | None

    @property
    def psnr(self) -> float:
        """Mean PSNR in dB at the true blur, linear light, over the frame."""
        psnr = self.at_true[PSNR]
        assert psnr is not None  # a frame is never empty
        return psnr.mean


def unit_path(folder: Path, scene: str, method: str) -> Path:
    """The file of a unit."""
    return folder / FOLDER / f"{scene}.{method}.json"


def save(folder: Path, record: Record) -> None:
    """Write the record into the folder of a run; the file appears whole or not at all."""
    write_json(unit_path(folder, record.scene, record.method), {"format": FORMAT, **asdict(record)}, overwrite=True)


def load(path: Path) -> Record:
    """Read a record.

    Raises:
        ValueError: the file is damaged, or another version of this program wrote it.
        OSError: it cannot be read.
    """
    values = read_json(path)
    if values is None:
        raise FileNotFoundError(f"{path} does not exist")
    if "format" in values and values["format"] != FORMAT:
        raise ValueError(f"{path} has format {values['format']}, and must have format {FORMAT}: another version wrote it")
    try:
        del values["format"]
        return _record(values, path.name)
    except DAMAGED:
        raise damaged(path, "not of this scene and method") from None


def load_all(folder: Path) -> list[Record]:
    """All records in the folder of a run, by scene, then method.

    Raises:
        ValueError, OSError: as `load`.
    """
    records = [load(path) for path in (folder / FOLDER).glob("*.json")]
    return sorted(records, key=lambda record: (record.scene, record.method))


def merge(parts: Iterable[Sequence[Record]]) -> list[Record]:
    """The records of several runs together, by scene, then method; of a unit that two have, the first one's times.

    Raises:
        ValueError: two disagree on anything but times.
    """
    units: dict[tuple[str, str], Record] = {}
    for part in parts:
        for record in part:
            known = units.setdefault((record.scene, record.method), record)
            if known.accuracy != record.accuracy:
                raise ValueError(f"scene {record.scene}, method {record.method}: two of the runs have different results")
    return [units[key] for key in sorted(units)]


def summarise(records: Sequence[Record]) -> list[Summary]:
    """One summary a method, by mean PSNR at the true blur, then name; the order of the records has no influence."""
    by_method: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: (record.scene, record.method)):
        by_method.setdefault(record.method, []).append(record)
    return sorted(map(_summary, by_method.values()), key=lambda summary: (summary.psnr, summary.method))


def aggregate(name: str, values: Sequence[float]) -> Aggregate:
    """Mean, median and worst of a metric; the values must be at least one."""
    worst = max(values) if ".rmse" in name else min(values)
    return Aggregate(mean(values), median(values), worst)


def mean(values: Sequence[float]) -> float:
    """Their mean, to the last digit whatever their order."""
    return math.fsum(values) / len(values)


def _summary(records: Sequence[Record]) -> Summary:
    searched = [r for r in records if r.scale_best is not None and r.at_best is not None]
    return Summary(
        method=records[0].method,
        title=records[0].title,
        scenes=len(records),
        at_true=_aggregates([r.at_true for r in records]),
        at_best=_aggregates([r.at_best for r in searched if r.at_best is not None]) if searched else None,
        scale_best=mean([r.scale_best for r in searched if r.scale_best is not None]) if searched else None,
        wall_s=_median([r.wall_s for r in records if r.wall_s is not None]),
        cpu_s=_median([r.cpu_s for r in records if r.cpu_s is not None]),
    )


def _aggregates(metrics: Sequence[Metrics]) -> dict[str, Aggregate | None]:
    found = {name: [value for one in metrics if (value := one[name]) is not None] for name in metrics[0]}
    return {name: aggregate(name, values) if values else None for name, values in found.items()}


def _frame_psnr(metrics: Metrics) -> float:
    psnr = metrics[PSNR]
    assert psnr is not None  # a frame is never empty
    return psnr


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _record(values: dict[str, Any], name: str) -> Record:
    """The record of the file called `name`; any of some errors where the values are not its."""
    at_true, at_best = (_metrics(values.pop(key)) for key in ("at_true", "at_best"))
    if at_true is None or at_true.get(PSNR) is None:
        raise ValueError("no metrics")
    for key in ("largest_radius_px", "band_share", "scale_best", "wall_s", "cpu_s"):
        values[key] = None if values[key] is None else float(values[key])
    record = Record(**values, at_true=at_true, at_best=at_best)
    if f"{record.scene}.{record.method}.json" != name or not isinstance(record.evaluations, int):
        raise ValueError("the record of another unit")
    return record


def _metrics(values: dict[str, Any] | None) -> Metrics | None:
    return None if values is None else {name: None if value is None else float(value) for name, value in values.items()}
