"""A batch in several processes of this machine, each with a GPU of its own where there are GPUs to use."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import get_context
from typing import Any

from taichi_bokeh.apps.batch.job import Job, Outcome, failed, run_job
from taichi_bokeh.storage.workers import in_processes

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def run_in_processes(jobs: Sequence[Job], count: int, device: str) -> Iterator[Outcome]:
    """Outcomes as they come.

    A process that dies takes the others with it; then the jobs that were under way are tried again alone, one by one, and the
    one that its process does not survive has failed.

    Args:
        jobs: to be done.
        count: of processes.
        device: "cpu" or "cuda".

    Raises:
        ChildProcessError: a process died before it began with a job.
    """
    left = {job.name: job for job in jobs}
    while left:
        under_way: dict[str, Job] = {}
        try:
            for outcome in _outcomes(list(left.values()), count, device, under_way):
                del left[outcome.name]
                yield outcome
        except ChildProcessError:
            if not under_way:
                raise
            for job in under_way.values():
                del left[job.name]
                yield _alone(job, device)


def _alone(job: Job, device: str) -> Outcome:
    try:
        return next(_outcomes([job], 1, device, {}))
    except ChildProcessError as error:
        return failed(job, str(error))


def _outcomes(jobs: Sequence[Job], count: int, device: str, under_way: dict[str, Job]) -> Iterator[Outcome]:
    by_name = {job.name: job for job in jobs}
    for found in in_processes(_Start(device, count), jobs, count):
        if isinstance(found, Outcome):
            under_way.pop(found.name, None)
            yield found
        else:
            under_way[str(found)] = by_name[str(found)]


class _Start:
    """What each process begins with: the GPU that it may see; it goes there by pickle while the process is spawned."""

    def __init__(self, device: str, count: int) -> None:
        self._gpus: Any = None
        if device == "cuda":
            names = visible_gpus(os.environ, _gpu_count)
            self._gpus = get_context("spawn").SimpleQueue()
            for index in range(count):
                self._gpus.put(names[index % len(names)])

    def __call__(self) -> Callable[[Any], Iterator[object]]:
        if self._gpus is not None:
            os.environ[_VISIBLE] = self._gpus.get()  # CUDA reads it at its first use, which is to come
        return _do


def visible_gpus(environment: Mapping[str, str], count: Callable[[], int]) -> list[str]:
    """The names of the GPUs to share out: those that CUDA_VISIBLE_DEVICES allows, else all.

    Args:
        environment: of the process.
        count: tells how many GPUs there are.

    Raises:
        ValueError: there is none.
    """
    if _VISIBLE in environment:
        names = [name.strip() for name in environment[_VISIBLE].split(",") if name.strip()]
    else:
        names = [str(index) for index in range(count())]
    if not names:
        raise ValueError("--device cuda: no GPU is visible")
    return names


def _gpu_count() -> int:
    import torch

    return torch.cuda.device_count()


def _do(job: Job) -> Iterator[object]:
    yield job.name
    yield run_job(job)
