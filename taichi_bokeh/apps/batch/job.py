"""One photograph of a batch: rendered, or found to be there already. Runs in any process of any machine.

Beside the results lies the folder ``records`` with a file for each of them: digests of the options and files that it was made
from, and of the result. It is written before the result takes its place, so that a result is known for what it is, or is not
ours.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from taichi_bokeh._version import __version__
from taichi_bokeh.apps.common import speaker
from taichi_bokeh.apps.errors import one_line
from taichi_bokeh.apps.options.render import RenderRequest
from taichi_bokeh.apps.photo.scene import Result, encoded_result
from taichi_bokeh.apps.render import checked_aperture, rendered
from taichi_bokeh.io import check_output, write_atomically
from taichi_bokeh.io.phones import find_parts
from taichi_bokeh.storage.fingerprint import file_digest, value_digest
from taichi_bokeh.storage.locks import lock_of_file, locked

RECORDS = "records"
_LONGEST_NAME = 255  # bytes, on all common file systems


@dataclass(frozen=True)
class Job:
    """A photograph to be rendered.

    Attributes:
        request: as ``taichi-bokeh render`` would have it, paths absolute.
        problem: why it cannot be rendered, known beforehand; empty if it can be tried.
    """

    request: RenderRequest
    problem: str = ""

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """File name of the result."""
        return self.request.output.output.name


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
    return Outcome(job.name, str(job.request.photo.photo), "failed", error)


def run_job(job: Job) -> Outcome:
    """Do it; whatever goes wrong with this photograph becomes part of the outcome."""
    start = time.perf_counter()
    try:
        if job.problem and find_parts(job.request.photo.photo).first("depth") is None:
            raise ValueError(job.problem)
        is_new = _render(job.request)
    except Exception as error:
        return failed(job, one_line(error) or type(error).__name__)
    return Outcome(job.name, str(job.request.photo.photo), "done" if is_new else "kept", seconds=time.perf_counter() - start)


def _render(request: RenderRequest) -> bool:
    """Render unless the result is there; whether it was not. Of several processes that are to, one does, the others wait."""
    output = request.output.output
    records = output.parent / RECORDS
    record = records / _record_name(output)
    parts = request.photo, request.lens, request.aperture, request.look, request.model, request.output.bits
    key = value_digest((parts, __version__))
    with locked(lock_of_file(output, records)):
        if output.exists():
            known = _read(record)
            if known.get("key") == key and known.get("result") == file_digest(output):
                return False
            if not request.output.overwrite:
                raise FileExistsError(
                    f"{output} exists already, of other files, options or version, and is kept: overwriting was not asked for"
                )
        shutil.rmtree(records / f"{output.name}.part", ignore_errors=True)  # of a killed run of an earlier version
        check_output(output, request.output.overwrite)
        say = speaker(quiet=True)
        made = rendered(request, checked_aperture(request), say)
        content = encoded_result(Result(made.image, made.scene.frame), request.photo.photo, request.output, say)
        photo = str(request.photo.photo)
        known = {"key": key, "result": hashlib.sha256(content).hexdigest(), "photo": photo, "version": __version__}
        write_atomically(record, json_bytes(known), overwrite=True)
        write_atomically(output, content, request.output.overwrite)
    return True


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """A file of JSON, in UTF-8; names of files that are no UTF-8 come out as they were when it is read."""
    text = json.dumps(content, ensure_ascii=False, indent=2)
    return f"{text}\n".encode(errors="backslashreplace")  # a lone surrogate, by which such a byte is told, as \\udc80


def _record_name(output: Path) -> str:
    """The file system takes it if it takes the name of the result."""
    name = f"{output.name}.json"
    return name if len(os.fsencode(name)) <= _LONGEST_NAME else f"{hashlib.sha256(os.fsencode(output.name)).hexdigest()}.json"


def _read(record: Path) -> dict[str, Any]:
    """What is known of a result: nothing, if there is no record or a damaged one."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
