"""The report of a run: one page that needs no other file."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

from taichi_bokeh.benchmark.results import Record, load_all, mean, summarise
from taichi_bokeh.benchmark.run_file import RunFile, read
from taichi_bokeh.benchmark.store import scene_folder
from taichi_bokeh.benchmark.tables import ACCURACY, TIMING, write_tables
from taichi_bokeh.io import write_atomically
from taichi_bokeh.report import pictures
from taichi_bokeh.report.page import render_page
from taichi_bokeh.report.plot import Dot, accuracy_against_time

NAME = "report.html"

T = TypeVar("T")

_ZOOM = 4


def write_report(folder: Path) -> Path:
    """Write the tables and the page of what the folder of a run holds.

    Args:
        folder: with run.json, results and pictures, of a whole run or a part of one.

    Returns:
        The page's file.

    Raises:
        ValueError: there are no results yet, or a file is damaged.
        ModuleNotFoundError: a package of the extra "report" is missing.
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
    dots = [Dot(s.title, s.wall_s, s.psnr) for s in summaries if s.wall_s is not None and s.wall_s > 0]
    low, high = (round(math.log10(end)) for end in pictures.HEAT_RANGE)
    return render_page(
        "benchmark.html",
        run=run,
        summaries=summaries,
        scenes={record.scene: record for record in records},
        units={(record.scene, record.method): record for record in records},
        accuracy=(*ACCURACY, TIMING[0]),
        timing=TIMING,
        plot=accuracy_against_time(dots) if dots else "",
        heat=pictures.HEAT,
        ticks=[f"{10.0**power:g}" for power in range(low, high + 1)],
        zoom=_ZOOM,
        ranked_scenes=_worst_median_best(_complete_scenes(records)),
        ranked_records=lambda method: _worst_median_best(
            sorted((r for r in records if r.method == method), key=lambda r: (r.psnr, r.scene))
        ),
        show=_Images(folder),
    )


def _complete_scenes(records: Sequence[Record]) -> list[str]:
    """The scenes that all methods have, from the worst to the best for the methods together."""
    by_scene: dict[str, list[float]] = {}
    for record in records:
        by_scene.setdefault(record.scene, []).append(record.psnr)
    most = max(map(len, by_scene.values()))
    return sorted((scene for scene, found in by_scene.items() if len(found) == most), key=lambda s: (mean(by_scene[s]), s))


def _worst_median_best(ranked: Sequence[T]) -> list[tuple[str, T]]:
    """Of a sequence from the worst to the best; each once, where it is short."""
    picks = {0: "worst", len(ranked) - 1: "best"} if len(ranked) > 1 else {0: "only one"}
    if len(ranked) > 2:
        picks[(len(ranked) - 1) // 2] = "median"
    return [(picks[i], ranked[i]) for i in sorted(picks)]


class _Images:
    """The images of a run as data URLs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.of_scene = cache(self._of_scene)
        self.image = cache(self._image)
        self.error = cache(self._error)

    def thumbnail(self, scene: str) -> str:
        return pictures.jpeg_url(self._load_truth(scene), pictures.THUMBNAIL_PX)

    def zooms(self, method: str, scene: str, zoom: int) -> list[tuple[str, str, int]]:
        """URL, caption and width of truth, image and error where the error is largest."""
        error = pictures.load_error(pictures.error_path(self._folder, method, scene))
        at = pictures.worst_window(error)
        parts = (
            ("truth", self._load_truth(scene)[at]),
            ("method", pictures.load_picture(pictures.picture_path(self._folder, method, scene))[at]),
            ("error", pictures.heat_map(error[at])),
        )
        where = f"row {at[0].start}, column {at[1].start}"
        return [(pictures.png_url(part), f"{name}, {where}", zoom * part.shape[1]) for name, part in parts]

    def _of_scene(self, scene: str, name: str) -> str:
        return pictures.jpeg_url(pictures.load_picture(scene_folder(self._folder, scene) / f"{name}.png"))

    def _image(self, method: str, scene: str) -> str:
        return pictures.jpeg_url(pictures.load_picture(pictures.picture_path(self._folder, method, scene)))

    def _error(self, method: str, scene: str) -> str:
        error = pictures.load_error(pictures.error_path(self._folder, method, scene))
        return pictures.jpeg_url(pictures.heat_map(error))

    def _load_truth(self, scene: str) -> pictures.Bytes:
        return pictures.load_picture(scene_folder(self._folder, scene) / "truth.png")
