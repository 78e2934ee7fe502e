"""One photograph of a batch: rendered, or found to be there already. Runs in any process of any machine.

Beside the results lies the folder ``records`` with a file for each of them: digests of the options and files that it was made
from, and of the result. It is written before the result takes its place, so that a result is known for what it is, or is not
ours.
"""

import json
import shutil
import time
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from taichi_bokeh._version import __version__
from taichi_bokeh.apps.camera import aperture_of, check_camera
from taichi_bokeh.apps.common import speaker
from taichi_bokeh.apps.errors import one_line
from taichi_bokeh.apps.fingerprint import file_digest, fingerprint
from taichi_bokeh.apps.render_photo import render_one
from taichi_bokeh.apps.rendering import check_rendering
from taichi_bokeh.io import write_atomically

RECORDS = "records"
_NOT_OF_THE_RESULT = frozenset({"output", "overwrite", "quiet", "save_layers", "show_focus", "cache"})


@dataclass(frozen=True)
class Job:
    """A photograph to be rendered.

    Attributes:
        arguments: as ``taichi-bokeh render`` would have them, paths absolute.
        problem: why it cannot be rendered, known beforehand; empty if it can be tried.
    """

    arguments: Namespace
    problem: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """File name of the result."""
        return Path(self.arguments.output).name


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        name: of the job.
        photo: the file.
        status: "done", "kept" (it was there) or "failed".
        error: one line, if it failed.
        seconds: it took.
    """

    name: str
    photo: str
    status: Literal["done", "kept", "failed"]
    error: str = ""
    seconds: float = 0.0


def failed(job: Job, error: str) -> Outcome:
    """The outcome of a job that could not be done."""
    return Outcome(job.name, job.arguments.photo, "failed", error)


def run_job(job: Job) -> Outcome:
    """Do it; whatever goes wrong with this photograph becomes part of the outcome."""
    start = time.perf_counter()
    try:
        if job.problem:
            raise ValueError(job.problem)
        is_new = _render(job.arguments)
    except Exception as error:
        return failed(job, one_line(error) or type(error).__name__)
    return Outcome(job.name, job.arguments.photo, "done" if is_new else "kept", seconds=time.perf_counter() - start)


def _render(arguments: Namespace) -> bool:
    """Render unless the result is there; whether it was not."""
    output = Path(arguments.output)
    records = output.parent / RECORDS
    record, scratch = records / f"{output.name}.json", records / f"{output.name}.part"
    key = fingerprint(arguments, _NOT_OF_THE_RESULT, version=__version__)
    if output.exists():
        known = _read(record)
        if known.get("key") == key and known.get("result") == file_digest(output):
            return False
        if not arguments.overwrite:
            raise FileExistsError(
                f"{output} exists already, of other files, options or version, and is kept: overwriting was not asked for"
            )
    check_camera(arguments)
    aperture = aperture_of(arguments)
    check_rendering(arguments, aperture)
    shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
    scratch.mkdir(parents=True)
    try:
        part = scratch / output.name
        render_one(Namespace(**vars(arguments) | {"output": str(part)}), aperture, speaker(quiet=True))
        content = {"key": key, "result": file_digest(part), "photo": arguments.photo, "version": __version__}
        write_atomically(record, (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode(), overwrite=True)
        part.replace(output)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return True


def _read(record: Path) -> dict[str, Any]:
    """What is known of a result: nothing, if there is no record or a damaged one."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
