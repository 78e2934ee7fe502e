"""The report of a run: one page that needs no other file."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from taichi_bokeh.benchmark.results import Record, Summary, load_all, mean, summarise
from taichi_bokeh.benchmark.run_file import RunFile, read
from taichi_bokeh.benchmark.store import scene_folder
from taichi_bokeh.benchmark.tables import ACCURACY, TIMING, number, write_tables
from taichi_bokeh.io import write_atomically
from taichi_bokeh.report import pictures
from taichi_bokeh.report.page import (
    Cell,
    Figure,
    definitions,
    figures,
    heading,
    page,
    paragraph,
    scale_bar,
    table,
)
from taichi_bokeh.report.plot import Dot, accuracy_against_time

NAME = "report.html"

T = TypeVar("T")

_ZOOM = 4

_PROTOCOL = (
    "Each scene is a stack of flat layers with mattes: cut-outs before one another, each at one disparity, focused near, in "
    "the middle or far. The truth is ray traced through an ideal thin lens. Every method gets the same layers (one that takes "
    "a single picture gets the all-in-focus picture and the disparity map), renders them at the true blur, and is compared "
    "with the truth. As some methods take blur to mean something else, each is also compared at the blur that brings it "
    "closest, found anew for each scene. Colours are linear light, clipped to [0, 1]; the columns named sRGB compare the "
    "pictures as files have them. Times are those of one picture at the true blur, after a first one that is not counted."
)


def write_report(folder: Path) -> Path:
    """Write the tables and the page of what the folder of a run holds.

    Args:
        folder: with run.json, results and pictures, of a whole run or a part of one.

    Returns:
        The page's file.

    Raises:
        ValueError: there are no results yet, or a file is damaged.
        OSError: a file is missing, or cannot be written.
    """
    run = read(folder)
    records = load_all(folder)
    if not records:
        raise ValueError(f"{folder} holds no results yet")
    write_tables(folder, records)
    path = folder / NAME
    write_atomically(path, _page(folder, run, records).encode(), overwrite=True)
    return path


def _page(folder: Path, run: RunFile, records: Sequence[Record]) -> str:
    summaries = summarise(records)
    scenes = len({record.scene for record in records})
    size, rays = run.settings.get("size"), run.settings.get("rays")
    lead = f"Methods: {len(summaries)}. Scenes: {scenes}, of {size} pixels, against {rays} traced rays a pixel."
    show = _Pictures(folder)
    parts = [
        paragraph(lead),
        *([paragraph(f"The run is not complete: {run.scenes} scenes are planned.")] if scenes < run.scenes else []),
        heading("Accuracy"),
        _summary_table(summaries),
        heading("Accuracy against time"),
        *_plot(summaries),
        heading("Side by side"),
        *_side_by_side(records, summaries, show),
        heading("Each method: its worst, median and best scene"),
        *_each_method(records, summaries, show),
        heading("All scenes"),
        paragraph("PSNR in dB at the true blur, linear light. A click on a column's title sorts by it.", faint=True),
        _scene_table(records, summaries, show),
        heading("Protocol"),
        paragraph(_PROTOCOL),
        *_settings(run),
    ]
    return page("Lens blur, measured", parts)


def _summary_table(summaries: Sequence[Summary]) -> str:
    columns = (*ACCURACY, TIMING[0])
    head = [("method", ""), ("scenes", "on which it was measured"), *((c.title, c.meaning) for c in columns)]
    rows = [
        [Cell(s.title), Cell(str(s.scenes), s.scenes), *(Cell(column.text(s), column.value(s)) for column in columns)]
        for s in summaries
    ]
    return table(head, rows, sortable=True) + definitions((column.title, column.meaning) for column in columns)


def _plot(summaries: Sequence[Summary]) -> list[str]:
    dots = [Dot(s.title, s.wall_s, s.psnr) for s in summaries if s.wall_s is not None and s.wall_s > 0]
    head = [("method", ""), *((column.title, column.meaning) for column in TIMING)]
    rows = [[Cell(s.title), *(Cell(column.text(s), column.value(s)) for column in TIMING)] for s in summaries]
    return [*([accuracy_against_time(dots)] if dots else []), table(head, rows, sortable=True)]


def _side_by_side(records: Sequence[Record], summaries: Sequence[Summary], show: "_Pictures") -> list[str]:
    """The scenes that are worst, median and best for all methods together, each by every method."""
    by_scene: dict[str, list[Record]] = {}
    for record in records:
        by_scene.setdefault(record.scene, []).append(record)
    most = max(map(len, by_scene.values()))
    complete = sorted(scene for scene, units in by_scene.items() if len(units) == most)
    ranked = sorted(complete, key=lambda scene: mean([record.psnr for record in by_scene[scene]]))
    parts = [_scale()]
    for rank, scene in _worst_median_best(ranked):
        units = {record.method: record for record in by_scene[scene]}
        parts.append(heading(f"Scene {scene}, the {rank} for the methods together", 3))
        parts.append(paragraph(_about(by_scene[scene][0]), faint=True))
        row = [Figure(show.of_scene(scene, "all-in-focus"), "all in focus"), Figure(show.of_scene(scene, "truth"), "truth")]
        for record in (units[s.method] for s in summaries if s.method in units):
            row.append(Figure(show.picture(record.method, scene), f"{record.title}: {_db(record)}"))
            row.append(Figure(show.error(record.method, scene), f"{record.title}: error"))
        parts.append(figures(row))
    return parts


def _each_method(records: Sequence[Record], summaries: Sequence[Summary], show: "_Pictures") -> list[str]:
    explanation = (
        f"The zooms are {_ZOOM} times as large, from where the method's squared error is largest: truth, method, error."
    )
    parts = [paragraph(explanation, faint=True)]
    for summary in summaries:
        parts.append(heading(summary.title, 3))
        mine = sorted((r for r in records if r.method == summary.method), key=lambda r: (r.psnr, r.scene))
        for rank, record in _worst_median_best(mine):
            about = f"{rank} scene ({record.scene}): {_db(record)}. {_about(record)}"
            shown = [
                Figure(show.of_scene(record.scene, "truth"), "truth"),
                Figure(show.picture(record.method, record.scene), summary.title),
                Figure(show.error(record.method, record.scene), "error"),
                *show.zooms(record.method, record.scene),
            ]
            parts += [paragraph(about[0].upper() + about[1:], faint=True), figures(shown)]
    return parts


def _scene_table(records: Sequence[Record], summaries: Sequence[Summary], show: "_Pictures") -> str:
    psnr = {(record.scene, record.method): record.psnr for record in records}
    facts = {record.scene: record for record in records}
    head = [("scene", ""), ("focal plane", ""), ("largest radius, px", "of the circles of confusion")]
    head += [("in band", "part of the pixels near occluding edges"), *((s.title, "PSNR") for s in summaries)]
    rows = []
    for scene, about in sorted(facts.items()):
        row = [Cell(scene, None, show.thumbnail(scene)), Cell(about.focal_plane)]
        row.append(Cell(f"{about.largest_radius_px:.1f}", about.largest_radius_px))
        row.append(Cell(f"{about.band_share:.1%}", about.band_share))
        values = [psnr.get((scene, summary.method)) for summary in summaries]
        rows.append([*row, *(Cell(number(value, ".2f"), value) for value in values)])
    return table(head, rows, sortable=True)


def _settings(run: RunFile) -> list[str]:
    parts = [heading("Settings", 3), definitions((name, _text(value)) for name, value in run.settings.items())]
    for machine in run.machines:
        parts += [heading("Computed on", 3), definitions(machine.items())]
    return parts


def _scale() -> str:
    text = (
        "Error maps show the largest |error| of the three channels in linear light, where white is 1, on a logarithmic scale, "
        "the same for all: the smaller an error, the more it is amplified."
    )
    low, high = (round(math.log10(end)) for end in pictures.HEAT_RANGE)
    return paragraph(text, faint=True) + scale_bar(pictures.HEAT, [f"{10.0**power:g}" for power in range(low, high + 1)])


def _worst_median_best(ranked: Sequence[T]) -> list[tuple[str, T]]:
    """Of a sequence from the worst to the best; each once, where it is short."""
    picks = {0: "worst", len(ranked) - 1: "best"} if len(ranked) > 1 else {0: "only one"}
    if len(ranked) > 2:
        picks[(len(ranked) - 1) // 2] = "median"
    return [(picks[i], ranked[i]) for i in sorted(picks)]


def _db(record: Record) -> str:
    at_true = f"{record.psnr:.2f} dB"
    if record.best_psnr is None:
        return at_true
    return f"{at_true}, {record.best_psnr:.2f} dB at {record.scale_best:.3f} × the blur"


def _about(record: Record) -> str:
    return f"Focused {record.focal_plane}, circles of confusion up to {record.largest_radius_px:.1f} px in radius."


def _text(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


class _Pictures:
    """The pictures of a run as data URLs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.of_scene = cache(self._of_scene)
        self.picture = cache(self._picture)
        self.error = cache(self._error)

    def thumbnail(self, scene: str) -> str:
        return pictures.jpeg_url(self._load_truth(scene), pictures.THUMBNAIL_PX)

    def zooms(self, method: str, scene: str) -> list[Figure]:
        """Truth, picture and error where the error is largest."""
        error = pictures.load_error(pictures.error_path(self._folder, method, scene))
        at = pictures.worst_window(error)
        parts = (
            ("truth", self._load_truth(scene)[at]),
            ("method", pictures.load_picture(pictures.picture_path(self._folder, method, scene))[at]),
            ("error", pictures.heat_map(error[at])),
        )
        place = f"row {at[0].start}, column {at[1].start}"
        return [Figure(pictures.png_url(part), f"{name}, {place}", _ZOOM * part.shape[1]) for name, part in parts]

    def _of_scene(self, scene: str, name: str) -> str:
        return pictures.jpeg_url(pictures.load_picture(scene_folder(self._folder, scene) / f"{name}.png"))

    def _picture(self, method: str, scene: str) -> str:
        return pictures.jpeg_url(pictures.load_picture(pictures.picture_path(self._folder, method, scene)))

    def _error(self, method: str, scene: str) -> str:
        error = pictures.load_error(pictures.error_path(self._folder, method, scene))
        return pictures.jpeg_url(pictures.heat_map(error))

    def _load_truth(self, scene: str) -> pictures.Bytes:
        return pictures.load_picture(scene_folder(self._folder, scene) / "truth.png")
