"""Evaluations as files: a row a sample and a row an estimator, and pictures of what was found.

``results.csv``, ``results.json``  every sample of every estimator, to the last digit
``summary.csv``, ``summary.md``    every estimator, mean ± deviation over the samples
``times.csv``                      seconds, which no two runs have in common, so that they have a file of their own
``pictures/NAME.png``              all-in-focus, blurred, true disparity; then for each estimator its disparity and its error
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from taichi_bokeh.dfd.evaluation.evaluate import METRICS, Evaluation
from taichi_bokeh.dfd.evaluation.metrics import MeanStd
from taichi_bokeh.dfd.observation import Sample
from taichi_bokeh.io import to_srgb8, write_atomically
from taichi_bokeh.report.pictures import heat, png_bytes
from taichi_bokeh.report.tables import NONE, csv_text, markdown_text

Bytes = NDArray[np.uint8]

PICTURES = "pictures"
TABLES = ("results.csv", "results.json", "summary.csv", "summary.md", "times.csv")
ERROR_RANGE_PX = 3.0  # of the error's colours
_GAP_PX = 4  # between two pictures


@dataclass(frozen=True)
class Column:
    """A column of the summary.

    Attributes:
        metric: its name in `evaluate.METRICS`.
        title: what stands above it.
        format: of the number.
        factor: by which the metric is multiplied.
    """

    metric: str
    title: str
    format: str
    factor: float = 1.0

    def text(self, spread: MeanStd | None, samples: int) -> str:
        """The cell, mean ± deviation; where not all samples have the metric, with the number of those that have."""
        if spread is None:
            return NONE
        part = "" if spread.count == samples else f" (of {spread.count})"
        return f"{self.factor * spread.mean:{self.format}} ± {self.factor * spread.deviation:{self.format}}{part}"


COLUMNS = (
    Column("rmse_px", "RMSE px", ".2f"),
    Column("mae_px", "MAE px", ".2f"),
    Column("within_1_px", "≤ 1 px %", ".0f", 100),
    Column("within_half_px", "≤ ½ px %", ".0f", 100),
    Column("edge_mae_px", "edge MAE px", ".2f"),
    Column("off_edge_mae_px", "off-edge MAE px", ".2f"),
    Column("border_mae_px", "border MAE px", ".2f"),
    Column("textured_within_1_px", "textured ≤ 1 px %", ".0f", 100),
    Column("sign_accuracy", "sign %", ".0f", 100),
    Column("abs_rel", "AbsRel", ".3f"),
    Column("delta_1", "δ1", ".3f"),
    Column("own_psnr_db", "own re-render dB", ".1f"),
    Column("retrace_psnr_db", "true-tracer re-render dB", ".1f"),
    Column("retrace_edge_psnr_db", "of it at edges dB", ".1f"),
)


def write_evaluations(folder: Path, evaluations: Sequence[Evaluation]) -> None:
    """Write the tables into a folder, which is made if need be; those of an earlier run are replaced.

    Raises:
        ValueError: there are no evaluations, two have one title, or they are not of the same samples.
        OSError: the file system refuses.
    """
    _require_comparable(evaluations)
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    rows = [(each.title, result) for each in evaluations for result in each.results]
    results = [[title, result.name, *(result.metrics[name] for name in METRICS)] for title, result in rows]
    as_json = [{"estimator": title, "sample": result.name, **result.metrics} for title, result in rows]
    texts = (
        csv_text(["estimator", "sample", *METRICS], results),
        json.dumps(as_json, indent=1, allow_nan=False, ensure_ascii=False) + "\n",
        csv_text(*_summary(evaluations)),
        markdown(evaluations),
        csv_text(["estimator", "sample", "seconds"], [[title, result.name, result.seconds] for title, result in rows]),
    )
    for name, text in zip(TABLES, texts, strict=True):
        write_atomically(folder / name, text.encode(), overwrite=True)


def markdown(evaluations: Sequence[Evaluation]) -> str:
    """Write a row for each estimator; columns that all of them lack are left out."""
    columns = shown_columns(evaluations)
    rows = []
    for each in evaluations:
        summary, samples = each.summary(), len(each.results)
        rows.append([each.title, str(samples), *(column.text(summary[column.metric], samples) for column in columns)])
    return markdown_text(["estimator", "samples", *(column.title for column in columns)], rows)


def shown_columns(evaluations: Sequence[Evaluation]) -> list[Column]:
    """The columns that not all estimators lack."""
    summaries = [each.summary() for each in evaluations]
    return [column for column in COLUMNS if any(summary[column.metric] is not None for summary in summaries)]


def write_picture(folder: Path, sample: Sample, evaluations: Sequence[Evaluation], number: int) -> None:
    """Write the images of a sample side by side; see `images_of`."""
    shown = [image for _, image in images_of(sample, evaluations, number)]
    gap = np.full((shown[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    strip = np.concatenate([part for image in shown for part in (image, gap)][:-1], 1)
    (Path(folder) / PICTURES).mkdir(parents=True, exist_ok=True)
    write_atomically(picture_of(folder, sample.name), png_bytes(strip), overwrite=True)


def images_of(sample: Sample, evaluations: Sequence[Evaluation], number: int) -> list[tuple[str, Bytes]]:
    """The images of a sample with their captions; its results are at `number` of each evaluation.

    Disparities have the colours of their range, from dark (far) to light (near), and errors those of 0 to 3 px.
    """
    blur, span = float(sample.blur.max()), sample.near - sample.far
    shown = [
        ("all in focus", to_srgb8(sample.all_in_focus.movedim(0, -1))),
        ("observed", to_srgb8(sample.blurred[0].movedim(0, -1))),
    ]
    truth = None if sample.disparity is None else sample.disparity[0].numpy()
    if truth is not None:
        shown.append(("true disparity", heat((truth - sample.far) / span)))
    for each in evaluations:
        found = each.results[number].disparity[0].numpy()
        shown.append((each.title, heat((found - sample.far) / span)))
        if truth is not None:
            error = heat(blur * np.abs(found - truth) / ERROR_RANGE_PX)
            shown.append((f"its error, 0 to {ERROR_RANGE_PX:g} px", error))
    return shown


def picture_of(folder: Path, name: str) -> Path:
    """The file of a sample's picture."""
    return Path(folder) / PICTURES / f"{name}.png"


def _summary(evaluations: Sequence[Evaluation]) -> tuple[list[str], list[list[object]]]:
    rows: list[list[object]] = []
    for each in evaluations:
        row: list[object] = [each.title, len(each.results)]
        for spread in each.summary().values():
            row += [None, None, 0] if spread is None else [spread.mean, spread.deviation, spread.count]
        rows.append(row)
    parts = ("mean", "deviation", "count")
    return ["estimator", "samples", *(f"{name}.{part}" for name in METRICS for part in parts)], rows


def _require_comparable(evaluations: Sequence[Evaluation]) -> None:
    if not evaluations:
        raise ValueError("evaluations is empty; expected at least one")
    titles = [each.title for each in evaluations]
    if len(set(titles)) < len(titles):
        raise ValueError(f"evaluations have the titles {titles}; expected different ones")
    names = [result.name for result in evaluations[0].results]
    for each in evaluations[1:]:
        if [result.name for result in each.results] != names:
            raise ValueError(f"evaluation {each.title!r} is of other samples than {titles[0]!r}; expected the same")
