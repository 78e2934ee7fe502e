"""How the suite runs, and what several of the tests stand on."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests that are marked slow as well, as CI does")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process for each core, or this process alone where only files are named: they are done before others start.

    Each process, and each that a test starts, is left one thread.
    """
    os.environ["TI_ENABLE_PYBUF"] = "0"  # else Taichi prints that it takes a process without a terminal for a notebook
    from taichi_bokeh._cores import cores

    count = cores()
    if count == 1 or all(".py" in argument for argument in config.args):
        return 0
    for variable in ("OMP_NUM_THREADS", "TI_CPU_MAX_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    return count


#: Files of tests that mostly compile: kernels, or pymatting. A process keeps kernels from the others until it ends.
_COMPILING = (
    *("tests/apps/test_models.py", "tests/io/test_arrays_given.py", "tests/photo/"),
    *("tests/doors/", "tests/kernels/", "tests/models/", "tests/ops/", "tests/viewer/", "tests/runtime/"),
    *("tests/test_nn.py", "tests/test_render.py"),
)
_LEFT_OUT = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_LEFT_OUT] = 0


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put those that compile first, so that one of two processes runs them; leave out the slow ones."""
    items.sort(key=lambda item: not item.nodeid.startswith(_COMPILING))
    if config.option.slow:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    items[:] = [item for item in items if item not in slow]
    config.stash[_LEFT_OUT] = len(slow)
    if hasattr(config, "workeroutput"):  # the process that reports does not collect
        config.workeroutput["left_out"] = len(slow)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    node.config.stash[_LEFT_OUT] = node.workeroutput.get("left_out", 0) if error is None else 0


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.stash[_LEFT_OUT]:
        terminalreporter.write_line(f"{config.stash[_LEFT_OUT]} slow tests were left out; --slow runs them")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Have torch compute with one thread: images as small as the tests' are done before a second one has been woken."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C do what it does in the foreground, in this process and in those that it starts meanwhile.

    Where a shell starts a suite in its background, SIGINT is ignored, by every process that the suite starts as well.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
