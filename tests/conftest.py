"""What several of the tests stand on."""

import signal
from collections.abc import Iterator

import pytest


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
