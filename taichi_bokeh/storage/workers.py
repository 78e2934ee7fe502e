"""Jobs spread over processes.

The processes are spawned, as Taichi does not survive a fork; each takes its part of the cores. Parent and worker talk
through one pipe each, so that a worker which dies is seen at once, and none waits for a lock that a dead one holds.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple

import torch

from taichi_bokeh._cores import cores
from taichi_bokeh.storage.atomic_files import begin_writing, note_written, written_files

Start = Callable[[], Callable[[Any], Iterator[object]]]

_PATIENCE_S = 5.0  # for a worker to come to a place where it can stop


class Count(NamedTuple):
    """How much of some work is done."""

    done: int
    total: int


def do_all(
    start: Start, jobs: Sequence[object], count: int, before: Count, progress: Callable[[int, int], None] | None = None
) -> None:
    """Do the jobs in `count` processes, or in this one if `count` is 1.

    Args:
        start: as of `in_processes`; it is not called where there are no jobs.
        jobs: what to do.
        count: of processes.
        before: what was done before; each thing that a job yields is one more.
        progress: called with (done, total).

    Raises:
        ChildProcessError, Exception: as of `in_processes`.
    """
    done, total = before
    if progress is not None:
        progress(done, total)
    for _ in in_processes(start, jobs, count) if count > 1 else _here(start, jobs):
        done += 1
        if progress is not None:
            progress(done, total)


def _here(start: Start, jobs: Sequence[object]) -> Iterator[object]:
    if jobs:
        do = start()
        for job in jobs:
            yield from do(job)


class _Worker(NamedTuple):
    process: SpawnProcess
    connection: Connection


def in_processes(start: Start, jobs: Sequence[object], count: int) -> Iterator[object]:
    """Do the jobs in `count` processes; yields what they yield, as it comes.

    Leaving the iterator early, by an exception such as KeyboardInterrupt too, ends the processes.

    Args:
        start: is called once in each process, and returns what does a job; it is pickled, as the jobs are.
        jobs: what to do, in this order as far as processes are free.
        count: of processes; no more are started than there are jobs.

    Raises:
        ChildProcessError: a worker died; the message names its job.
        Exception: what a job raised.
    """
    left = list(reversed(jobs))
    workers: list[_Worker] = []
    doing: dict[int, object] = {}
    try:
        _spawn(start, min(count, len(jobs)), workers)
        for index, worker in enumerate(workers):
            doing[index] = left.pop()
            worker.connection.send(doing[index])
        while doing:
            ready = wait([workers[index].connection for index in doing])
            for index in [index for index in doing if workers[index].connection in ready]:
                kind, value = _receive(workers[index], doing[index])
                if kind == "yielded":
                    yield value
                elif kind == "wrote":
                    note_written(value)
                elif kind == "raised":
                    raise value
                elif left:
                    doing[index] = left.pop()
                    workers[index].connection.send(doing[index])
                else:
                    del doing[index]
    finally:
        _end(workers)


def _spawn(start: Start, count: int, workers: list[_Worker]) -> None:
    context = get_context("spawn")
    threads = max(1, cores() // max(1, count))
    with _interrupts_ignored():
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(start, theirs, threads), daemon=True)
            process.start()
            theirs.close()  # so that the pipe ends when the worker does
            workers.append(_Worker(process, ours))


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Have processes started here take no notice of Ctrl-C, not even while they start; it is the parent that ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _receive(worker: _Worker, job: object) -> tuple[str, Any]:
    try:
        message: tuple[str, Any] = worker.connection.recv()
    except (EOFError, ConnectionError):
        worker.process.join(_PATIENCE_S)
        code = worker.process.exitcode
        raise ChildProcessError(f"the worker at {job} died (exit code {code}); it may have run out of memory") from None
    return message


def _end(workers: Sequence[_Worker]) -> None:
    """End all; one that is at work stops where it is, and leaves no part of a file behind."""
    for worker in workers:
        worker.connection.close()
        worker.process.terminate()
    for worker in workers:
        worker.process.join(_PATIENCE_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.process.close()


def _work(start: Start, connection: Connection, threads: int) -> None:
    """Live the life of a worker; it ends when the parent closes the pipe, or tells it to."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    os.environ["TI_CPU_MAX_NUM_THREADS"] = str(threads)  # Taichi reads it when it starts, which it has not done yet
    torch.set_num_threads(threads)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError):
        try:
            do = start()
            while True:
                for value in do(connection.recv()):
                    _tell_written(connection)
                    connection.send(("yielded", value))
                connection.send(("idle", None))
        except (EOFError, ConnectionError):
            raise
        except Exception as error:
            _tell_written(connection)
            connection.send(("raised", error))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends by itself, and would say so in the middle of that


def _end_with_parent() -> None:
    """End at once when the parent is gone, which was killed: another run of the same command may begin now."""
    parent = parent_process()
    assert parent is not None  # this is a worker
    parent.join()
    os._exit(1)


def _tell_written(connection: Connection) -> None:
    files = written_files()
    begin_writing()
    if files:
        connection.send(("wrote", files))
