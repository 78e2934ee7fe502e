"""A batch on Dask: a cluster that is there, or some workers of this machine."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from taichi_bokeh._cores import cores
from taichi_bokeh._extras import how_to_install
from taichi_bokeh.apps.batch.job import Job, Outcome, failed, run_job
from taichi_bokeh.apps.errors import one_line

_LOCAL = re.compile(r"local:([0-9]{1,4})")
_AHEAD = 1000  # jobs that the scheduler knows of at a time


def run_in_dask(jobs: Sequence[Job], where: str) -> Iterator[Outcome]:
    """Outcomes as they come.

    Workers see the same paths as this process, and have this package. A job whose workers die has failed.

    Args:
        jobs: to be done.
        where: the address of a scheduler, or ``local:N`` for N workers of this machine, spawned, of one thread each.

    Raises:
        ValueError: Dask is not installed, or `where` is no address.
        OSError: the scheduler cannot be reached.
    """
    with _client(where) as (distributed, client):
        left = iter(jobs)
        doing = {_submit(client, job): job for job, _ in zip(left, range(_AHEAD), strict=False)}
        running = distributed.as_completed(list(doing))
        for future in running:
            job = doing.pop(future)
            error = future.exception()
            yield future.result() if error is None else failed(job, f"{type(error).__name__}: {one_line(error)}")
            future.release()
            for following in left:
                submitted = _submit(client, following)
                doing[submitted] = following
                running.add(submitted)
                break


def _submit(client: Any, job: Job) -> Any:
    return client.submit(run_job, job, pure=False, retries=0)


@contextmanager
def _client(where: str) -> Iterator[tuple[Any, Any]]:
    """The package, and a client of the scheduler."""
    try:
        distributed: Any = import_module("distributed")
    except ModuleNotFoundError:
        raise ValueError(f"--dask needs Dask ({how_to_install('dask')})") from None
    local = _LOCAL.fullmatch(where)
    if local is None:
        with distributed.Client(where) as client:
            yield distributed, client
        return
    count = int(local[1])
    if count < 1:
        raise ValueError(f"--dask {where}: there must be at least one worker")
    threads = str(max(1, cores() // count))
    environment = {"TI_CPU_MAX_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    options = {"processes": True, "dashboard_address": None, "silence_logs": logging.CRITICAL, "env": environment}
    with (
        distributed.LocalCluster(n_workers=count, threads_per_worker=1, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield distributed, client
