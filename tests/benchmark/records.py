"""Records with made-up numbers, and jobs for worker processes."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from taichi_bokeh.benchmark.metrics import KEYS
from taichi_bokeh.benchmark.results import Record
from taichi_bokeh.io import write_atomically


def record(scene: str = "000", method: str = "classical", psnr: float = 30.0, **replaced: object) -> Record:
    """A record whose metrics are all `psnr`, and 1 more at the best blur."""
    values: dict[str, object] = {
        "scene": scene,
        "method": method,
        "title": method.title(),
        "focal_plane": "near",
        "largest_radius_px": 12.5,
        "band_share": 0.25,
        "at_true": dict.fromkeys(KEYS, psnr),
        "scale_best": 0.9,
        "at_best": dict.fromkeys(KEYS, psnr + 1),
        "evaluations": 7,
        "wall_s": 0.5,
        "cpu_s": 0.75,
    }
    return Record(**(values | replaced))


def squares() -> "Squares":
    """What a worker process is started with."""
    return Squares()


class Squares:
    """Yields the number of a job, then its square; some jobs fail."""

    def __call__(self, job: int | str) -> Iterator[object]:
        if job == "threads":
            yield os.environ["TI_CPU_MAX_NUM_THREADS"], torch.get_num_threads()
        elif job == "write":
            write_atomically(Path.cwd() / "written", b"by a worker")
            yield "written"
        elif job == "fail":
            raise ValueError("no such square")
        elif job == "die":
            sys.stderr.flush()
            os._exit(7)
        else:
            yield job
            yield job**2
