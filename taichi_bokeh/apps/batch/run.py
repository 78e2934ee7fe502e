"""``taichi-bokeh render-batch``: many photographs, each as ``render`` would do it."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from taichi_bokeh._version import __version__
from taichi_bokeh.apps.batch.dask import run_in_dask
from taichi_bokeh.apps.batch.job import RECORDS, Job, Outcome, json_bytes, run_job
from taichi_bokeh.apps.batch.list import Item, read_items
from taichi_bokeh.apps.batch.processes import run_in_processes
from taichi_bokeh.apps.common import Say, speaker
from taichi_bokeh.apps.options.batch import BatchRequest
from taichi_bokeh.apps.options.model import device_of
from taichi_bokeh.apps.options.photo import Network
from taichi_bokeh.apps.photo.layer_cache import check_cache
from taichi_bokeh.apps.photo.lens import aperture_of
from taichi_bokeh.apps.photo.rendering import check_rendering
from taichi_bokeh.apps.photo.scene import stages_of
from taichi_bokeh.apps.progress import progress_bar
from taichi_bokeh.io import write_atomically
from taichi_bokeh.io.images import check_format
from taichi_bokeh.storage.locks import acquire, holder, lock_of_folder
from taichi_bokeh.storage.temporary import remove_left_over

_PROGRAM = "taichi-bokeh render-batch"
_FOCI = ("focus", "focus_distance", "focus_at", "focus_box")  # of which one counts
_SHOWN = 5  # failures that are printed
_SPEED_OVER_S = 900.0


def render_batch(request: BatchRequest) -> int:
    """Run the command; see ``taichi-bokeh render-batch --help``.

    Returns:
        0 when every image is there, 1 when some failed.

    Raises:
        ValueError, OSError, ModuleNotFoundError: what is wrong with the arguments or the list, in one line.
        KeyboardInterrupt: with what was done, and how to go on.
    """
    each, say = request.each, speaker(request.each.output.quiet)
    items = read_items(request.source, request.disparity_dir)
    if not any(item.options for item in items):
        each.lens.check()
    check_rendering(each.model, each.look, aperture_of(each.aperture))
    stages_of(each.photo)
    check_format(f"image.{request.format}", each.output.bits)
    check_cache(each.cache)
    index, count = request.shard or (1, 1)
    if not 1 <= index <= count:
        raise ValueError(f"--shard {index}/{count}: the part must be one from 1 to {count}")
    folder = request.out.absolute()
    report = folder / ("report.json" if count == 1 else f"report-{index}-of-{count}.json")
    _check_folder(folder, report, request.source)
    jobs = [_job(item, request, folder) for item in items][index - 1 :: count]
    say(f"photographs: {len(jobs)}" + (f" of {len(items)}" if count > 1 else ""))
    outcomes: list[Outcome] = []
    start = time.perf_counter()
    with _at_work(folder, (index, count), say):
        try:
            _run(jobs, request, outcomes)
        except KeyboardInterrupt:
            there = len([outcome for outcome in outcomes if outcome.status != "failed"])
            message = f"{there} of {len(jobs)} images are in {request.out}; the same command goes on from there"
            raise KeyboardInterrupt(message) from None
        _write_report(report, outcomes, len(jobs), time.perf_counter() - start)
    return _tell(outcomes, report, say)


@contextmanager
def _at_work(folder: Path, shard: tuple[int, int], say: Say) -> Iterator[None]:
    """Make the folder, or tell of a run that is at work in it; leave nothing behind that is no result.

    Two runs get along, as each result has a lock of its own; this one is to tell of the other.
    """
    records = folder / RECORDS
    folder.mkdir(exist_ok=True)
    records.mkdir(exist_ok=True)
    path = lock_of_folder(records, shard)
    lock = acquire(path, wait=False)
    if lock is None:
        say(f"another run ({holder(path)}) is at work in {folder}: its images are waited for, and not made twice")
    try:
        yield
    finally:
        if lock is not None:
            lock.release()
        for one in (folder, records):
            remove_left_over(one)  # of workers that died in this run, or of an earlier one


def _run(jobs: Sequence[Job], request: BatchRequest, outcomes: list[Outcome]) -> None:
    with progress_bar("rendering", request.each.output.quiet, "images", speed_over_s=_SPEED_OVER_S) as progress:
        for outcome in _outcomes(jobs, request):
            outcomes.append(outcome)
            if progress is not None:
                progress(len(outcomes), len(jobs))


def _outcomes(jobs: Sequence[Job], request: BatchRequest) -> Iterator[Outcome]:
    if request.dask is not None:
        return run_in_dask(jobs, request.dask)
    if request.workers is not None:
        return run_in_processes(jobs, request.workers, device_of(request.each.model.device).type)
    return map(run_job, jobs)


def _job(item: Item, batch: BatchRequest, folder: Path) -> Job:
    """The request by which ``render`` would make this image."""
    each = batch.each
    of_its_own: dict[str, Any] = dict.fromkeys(_FOCI) if any(name in item.options for name in _FOCI) else {}
    networks: dict[str, Any] = {
        name: value.absolute() for name, value in vars(each.photo).items() if isinstance(value, Network)
    }
    aperture_image, cache = each.aperture.aperture_image, each.cache
    request = replace(
        each,
        photo=replace(each.photo, photo=item.photo, disparity=item.disparity, alpha=item.alpha, **networks),
        lens=replace(each.lens, **of_its_own | item.options),
        aperture=replace(each.aperture, aperture_image=aperture_image and aperture_image.absolute()),
        output=replace(each.output, output=folder / f"{item.name}.{batch.format}", quiet=True),
        cache=cache and cache.absolute(),
    )
    return Job(request, item.problem if each.photo.depth_model is None and each.photo.stereo is None else "")


def _check_folder(folder: Path, report: Path, source: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"--out {folder} is a file, and must be a folder")
    if not folder.parent.is_dir():
        raise FileNotFoundError(f"--out {folder} cannot be made: there is no folder {folder.parent}")
    if folder.resolve() == source.resolve():
        raise ValueError(f"--out {folder} is the folder of the photographs, and must be another one")
    if report.exists() and not _is_ours(report):
        raise FileExistsError(f"{report} exists already, and is no report of this command")


def _is_ours(report: Path) -> bool:
    try:
        return bool(json.loads(report.read_text(encoding="utf-8"))["program"] == _PROGRAM)
    except (ValueError, KeyError, TypeError):
        return False


def _write_report(path: Path, outcomes: Sequence[Outcome], total: int, seconds: float) -> None:
    counts = Counter(outcome.status for outcome in outcomes)
    failures = sorted((outcome for outcome in outcomes if outcome.status == "failed"), key=lambda outcome: outcome.name)
    content = {
        "program": _PROGRAM,
        "version": __version__,
        "total": total,
        **{status: counts[status] for status in ("done", "kept", "failed")},
        "seconds": round(seconds, 3),
        "failures": [{"name": one.name, "photo": one.photo, "error": one.error} for one in failures],
    }
    write_atomically(path, json_bytes(content), overwrite=True)


def _tell(outcomes: Sequence[Outcome], report: Path, say: Say) -> int:
    counts = Counter(outcome.status for outcome in outcomes)
    failures = [outcome for outcome in outcomes if outcome.status == "failed"]
    for outcome in failures[:_SHOWN]:
        say(f"failed: {outcome.name}: {outcome.error}")
    if len(failures) > _SHOWN:
        say(f"failed: {len(failures) - _SHOWN} more")
    say(f"rendered: {counts['done']}, there already: {counts['kept']}, failed: {counts['failed']}; see {report}")
    return 1 if failures else 0
