"""Records as tables: CSV, Markdown and JSON. Accuracy and times are files of their own.

The accuracy of two runs with equal settings is equal to the last digit, so their files are too; times are never.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from taichi_bokeh.benchmark.results import Record, Summary, summarise
from taichi_bokeh.io import write_atomically
from taichi_bokeh.report.tables import csv_text, markdown_text, number


@dataclass(frozen=True)
class Column:
    """A column of the summary.

    Attributes:
        title: what stands above it.
        short: the same for a terminal.
        meaning: one line for the reader of the report.
        value: the number of a method; None where it has none.
        format: of the number.
    """

    title: str
    short: str
    meaning: str
    value: Callable[[Summary], float | None]
    format: str

    def text(self, summary: Summary) -> str:
        """The cell of a method."""
        return number(self.value(summary), self.format)


def _part(at: str, metric: str, of: str = "mean") -> Callable[[Summary], float | None]:
    return lambda summary: getattr((getattr(summary, at) or {}).get(metric), of, None)


_true, _best = partial(_part, "at_true"), partial(_part, "at_best")
ACCURACY = (
    Column("PSNR", "PSNR", "dB, linear light, at the true blur: mean of the scenes", _true("linear.frame.psnr"), ".2f"),
    Column("worst PSNR", "worst", "of the worst scene", _true("linear.frame.psnr", "worst"), ".2f"),
    Column(
        "PSNR at best blur",
        "best blur",
        "at the blur of each scene that brings the method closest",
        _best("linear.frame.psnr"),
        ".2f",
    ),
    Column(
        "worst PSNR at best blur", "worst", "of the worst scene, at its best blur", _best("linear.frame.psnr", "worst"), ".2f"
    ),
    Column("best blur", "scale", "over the true blur: 1 is unbiased", lambda summary: summary.scale_best, ".3f"),
    Column("RMSE", "RMSE", "linear light", _true("linear.frame.rmse"), ".5f"),
    Column("RMSE-s", "RMSE-s", "RMSE when the picture may be multiplied by a number", _true("linear.frame.rmse_s"), ".5f"),
    Column("SSIM", "SSIM", "structural similarity, linear light", _true("linear.frame.ssim"), ".5f"),
    Column("ZNCC", "ZNCC", "zero-mean normalised cross-correlation, linear light", _true("linear.frame.zncc"), ".5f"),
    Column("PSNR in band", "band", "PSNR among the pixels near occluding edges", _true("linear.band.psnr"), ".2f"),
    Column("PSNR, sRGB", "sRGB", "PSNR of the pictures as files have them", _true("srgb.frame.psnr"), ".2f"),
    Column("SSIM, sRGB", "SSIM", "and their SSIM", _true("srgb.frame.ssim"), ".5f"),
)
TIMING = (
    Column("median s", "s", "seconds a picture at the true blur, median of the scenes", lambda summary: summary.wall_s, ".3f"),
    Column("median CPU s", "CPU s", "the same of all threads together", lambda summary: summary.cpu_s, ".3f"),
)


def write_tables(folder: Path, records: Sequence[Record]) -> None:
    """Write accuracy, timing and summary (accuracy with the median seconds), each as CSV, Markdown and JSON.

    accuracy.csv and timing.csv have one row a scene and method, the rest one a method.
    """
    summaries = summarise(records)
    files = {
        "accuracy.csv": accuracy_csv(records),
        "timing.csv": csv_text(
            ["scene", "method", "wall_s", "cpu_s"], [[r.scene, r.method, r.wall_s, r.cpu_s] for r in records]
        ),
        "summary.csv": summary_csv(summaries, (*ACCURACY, TIMING[0])),
    }
    for name, columns in (("accuracy", ACCURACY), ("timing", TIMING), ("summary", (*ACCURACY, TIMING[0]))):
        files[f"{name}.md"] = markdown(summaries, columns)
        files[f"{name}.json"] = _json(summaries, name)
    for file, text in files.items():
        write_atomically(folder / file, text.encode(), overwrite=True)


def accuracy_csv(records: Sequence[Record]) -> str:
    """One row a scene and method, with all metrics at the true and at the best blur, to the last digit."""
    names = sorted({name for record in records for name in record.at_true})
    head = ["scene", "method", "focal_plane", "largest_radius_px", "band_share", "scale_best", "evaluations"]
    rows = [
        [r.scene, r.method, r.focal_plane, r.largest_radius_px, r.band_share, r.scale_best, r.evaluations]
        + [metrics.get(name) for metrics in (r.at_true, r.at_best or {}) for name in names]
        for r in records
    ]
    return csv_text([*head, *(f"{at}.{name}" for at in ("true", "best") for name in names)], rows)


def summary_csv(summaries: Sequence[Summary], columns: Sequence[Column]) -> str:
    """One row a method, to the last digit."""
    head = ["method", "title", "scenes", *(column.title for column in columns)]
    return csv_text(head, [[s.method, s.title, s.scenes, *(column.value(s) for column in columns)] for s in summaries])


def markdown(summaries: Sequence[Summary], columns: Sequence[Column]) -> str:
    """One row a method."""
    head = ["method", "scenes", *(column.title for column in columns)]
    return markdown_text(head, [[s.title, str(s.scenes), *(column.text(s) for column in columns)] for s in summaries])


def _json(summaries: Sequence[Summary], part: str) -> str:
    times = ("wall_s", "cpu_s")
    keep = {"timing": ("method", "title", "scenes", *times)}.get(part)
    rows: list[dict[str, Any]] = []
    for summary in summaries:
        values = asdict(summary)
        if part == "accuracy":
            values = {key: value for key, value in values.items() if key not in times}
        rows.append(values if keep is None else {key: values[key] for key in keep})
    return json.dumps(rows, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
