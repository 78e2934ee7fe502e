"""Damaged files, of a seed, to every reader: each is read, or refused in one line, within bounds of time and memory.

A worker process, whose address space is bounded, reads them one after the other, in all ways in which the commands read files.
What it may raise is what the command line turns into its one line: ValueError, TypeError and OSError. Anything else is WRONG:
another exception, a warning, memory or time beyond the bound, a worker that dies. Each such case is printed with the seed that
makes it again. The numbers of what was read, refused and wrong stand at the end; exits with 1 where anything was wrong.

    python benchmarks/fuzz_readers.py [--cases 100000] [--seed 0] [--format png] [--seconds 20] [--gigabytes 4]
"""

import argparse
import contextlib
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.fuzz_files import FORMATS, damaged

READ, REFUSED, WRONG = "read", "refused", "WRONG"
_REFUSALS = (ValueError, TypeError, OSError)


class Bounds(NamedTuple):
    """What one file may cost.

    Attributes:
        seconds: of time.
        gigabytes: of address space, beyond what a process has that has read whole files.
    """

    seconds: float = 20
    gigabytes: float = 4


class Verdict(NamedTuple):
    """What became of one file: READ, REFUSED or WRONG, and the error in words."""

    seed: int
    kind: str
    text: str = ""


def fuzz(name: str, seeds: range, bounds: Bounds) -> Iterator[Verdict]:
    """Have the readers read a damaged file of a format for each seed."""
    at = seeds.start
    with tempfile.TemporaryDirectory() as folder:
        while at < seeds.stop:
            for verdict in _one_worker(name, range(at, seeds.stop), bounds, Path(folder)):
                yield verdict
                at = verdict.seed + 1


def _one_worker(name: str, seeds: range, bounds: Bounds, folder: Path) -> Iterator[Verdict]:
    """Yield what a worker tells, up to the first case that it does not survive."""
    here, there = multiprocessing.Pipe(duplex=False)
    worker = multiprocessing.get_context("spawn").Process(target=_work, args=(there, name, seeds, bounds, folder))
    worker.start()
    there.close()
    try:
        here.recv()  # it is about to begin
        for seed in seeds:
            if not here.poll(bounds.seconds):
                yield Verdict(seed, WRONG, f"not done after {bounds.seconds:g} s")
                return
            try:
                yield here.recv()
            except EOFError:
                worker.join()
                yield Verdict(seed, WRONG, f"the worker died: exit code {worker.exitcode}")
                return
    finally:
        worker.kill()
        worker.join()
        here.close()


def _work(pipe: Connection, name: str, seeds: range, bounds: Bounds, folder: Path) -> None:
    """Read the damaged files of these seeds, and tell of each."""
    files = FORMATS[name][1]()
    warnings.simplefilter("error")  # a warning would be a second line
    for content in files[:2]:
        judge(name, [content], 0, folder)  # imports what it needs
    _bound_memory(bounds.gigabytes)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)  # what C code says of the files
    pipe.send(None)
    for seed in seeds:
        pipe.send(judge(name, files, seed, folder))


def judge(name: str, files: list[bytes], seed: int, folder: Path) -> Verdict:
    """Damage one of the files of a format, in a folder, and read it in all ways."""
    path = folder / f"case{FORMATS[name][0]}"
    path.write_bytes(damaged(files, name, random.Random(seed)))
    refusals = []
    try:
        for read in (ways := _ways(path)):
            try:
                read(path)
            except _REFUSALS as error:
                refusals.append((read, str(error)))
    except BaseException as error:
        return Verdict(seed, WRONG, f"{type(error).__name__} {error} in {_where(error)}")
    refused = bool(refusals) and refusals[0][0] is ways[0]
    return Verdict(seed, REFUSED, refusals[0][1]) if refused else Verdict(seed, READ)


def _where(error: BaseException) -> str:
    """Name the last place in the package that an error came through."""
    place, step = "", error.__traceback__
    while step is not None:
        file = Path(step.tb_frame.f_code.co_filename)
        if "taichi_bokeh" in file.parts:
            place = f"{file.name}:{step.tb_lineno}"
        step = step.tb_next
    return place


def _ways(path: Path) -> list:  # type: ignore[type-arg]
    """List what reads such a file in the commands: that which takes most of them first."""
    from taichi_bokeh.io import describe_depth, read_alpha, read_disparity, read_image, read_metadata
    from taichi_bokeh.io.formats.metadata import read_orientation

    if path.suffix == ".mkv":
        return [_watch]
    ways = [read_image, describe_depth, read_disparity, read_alpha, read_metadata, read_orientation]
    return (
        [*ways, _look_into_exr]
        if path.suffix == ".exr"
        else [*ways, _look_beside]
        if path.suffix in (".jpg", ".heic")
        else ways
    )


def _look_beside(path: Path) -> None:
    from taichi_bokeh.io.phones import find_parts, read_part

    for part in find_parts(path).found:
        with contextlib.suppress(ValueError):
            read_part(part, path)


def _look_into_exr(path: Path) -> None:
    from taichi_bokeh.io import exr, read_alpha, read_disparity

    for read in (exr.summary, exr.decode_channels):
        with contextlib.suppress(ValueError):
            read(path.read_bytes())
    with contextlib.suppress(ValueError):
        read_disparity(path, depth=True)
    read_alpha(path, object="a")


def _watch(path: Path) -> None:
    from taichi_bokeh.io.video import read_video, timing_of

    for _ in read_video(path):
        pass
    timing_of(path)


def _bound_memory(gigabytes: float) -> None:
    """Bound the address space to what is in use and this much more."""
    statm = Path("/proc/self/statm")
    used = int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0
    limit = used + int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> int:
    """Read damaged files of one format or of all, and print how many were read, refused and wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000, help="of all formats together")
    parser.add_argument("--seed", type=int, default=0, help="of the first case; each next one has the next seed")
    parser.add_argument("--format", choices=FORMATS, help="only this one")
    parser.add_argument("--seconds", type=float, default=Bounds().seconds, help="that one file may take")
    parser.add_argument("--gigabytes", type=float, default=Bounds().gigabytes, help="of address space that one file may take")
    given = parser.parse_args()
    names = [given.format] if given.format else list(FORMATS)
    each, bounds, wrong = -(-given.cases // len(names)), Bounds(given.seconds, given.gigabytes), 0
    for name in names:
        counts, start = Counter[str](), time.perf_counter()
        for verdict in fuzz(name, range(given.seed, given.seed + each), bounds):
            counts[verdict.kind] += 1
            if verdict.kind == WRONG:
                print(f"WRONG: --format {name} --seed {verdict.seed} --cases 1: {verdict.text}", flush=True)
        wrong += counts[WRONG]
        seconds = time.perf_counter() - start
        print(
            f"{name:8} read {counts[READ]:6}  refused {counts[REFUSED]:6}  wrong {counts[WRONG]:4}  {seconds:6.0f} s",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
