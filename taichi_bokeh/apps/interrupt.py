"""Ctrl-C that waits for the end of a step, so that what was done until then can be kept."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C wait for a call of the function that this yields, which then raises KeyboardInterrupt.

    A second Ctrl-C does not wait. Where Ctrl-C is ignored, as in the background of a shell, it stays so. In the main thread
    only, as Python has it.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        yield lambda: None
        return
    is_wanted = False

    def on_signal(*_: object) -> None:
        nonlocal is_wanted
        if is_wanted:
            raise KeyboardInterrupt
        is_wanted = True
        sys.stderr.write("\nstopping after this step (Ctrl-C again: at once)\n")

    def raise_if_wanted() -> None:
        if is_wanted:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, on_signal)
    try:
        yield raise_if_wanted
    finally:
        signal.signal(signal.SIGINT, before)
