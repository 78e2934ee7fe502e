"""How far a long work is: a bar on a terminal, and where stderr is a file or a pipe a line now and then."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from taichi_bokeh.apps.terminal import console_of

_FIRST_LINE_AFTER_S = 20.0  # nothing is said of what is done by then
_LONGEST_PAUSE_S = 60.0
_NO_BARS = ("dumb", "unknown")  # terminals that cannot go back in a line


def shows_bars() -> bool:
    """Whether stderr is a terminal on which a bar can move."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in _NO_BARS


@contextmanager
def progress_bar(
    title: str, quiet: bool, unit: str = "", per_step: float = 1.0, speed_over_s: float = 30.0
) -> Iterator[Callable[[int, int], None] | None]:
    """A callback (done, total) that tells on stderr how far a work is; None where nothing is to be told.

    On a terminal it moves a bar. With a `unit`, of which every step done makes `per_step`, the bar also shows how many are
    made in a second. The time left follows from the speed over the last `speed_over_s` seconds, which must hold some steps.
    Elsewhere a work that takes longer than some seconds is told of in lines, at most one a minute after the first.
    """
    if quiet:
        yield None
    elif shows_bars():
        with _bar(title, unit, per_step, speed_over_s) as show:
            yield lambda done, total: show(done, total, "")
    else:
        with _lines(title) as show:
            yield lambda done, total: show(done, total, "")


@contextmanager
def progress_with_note(title: str, quiet: bool, speed_over_s: float) -> Iterator[Callable[[int, int, str], None]]:
    """The same with a third argument, which is shown as it is; a callback that does nothing where nothing is to be told."""
    if quiet:
        yield lambda done, total, note: None
        return
    with _bar(title, "", 1.0, speed_over_s, has_note=True) if shows_bars() else _lines(title) as show:
        yield show


@contextmanager
def _bar(
    title: str, unit: str, per_step: float, speed_over_s: float, *, has_note: bool = False
) -> Iterator[Callable[[int, int, str], None]]:
    from rich.markup import escape
    from rich.progress import Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed * per_step:.3g} {unit}/s")

    extra: list[Any] = [Rate()] if unit else []
    if has_note:
        extra.append(TextColumn("{task.fields[note]}", markup=False))
    options: dict[str, Any] = {"transient": True, "speed_estimate_period": speed_over_s}
    # Lines for stdout go above the bar on a terminal, and where stdout is something else there.
    options |= {"console": console_of(stderr=True), "redirect_stdout": sys.stdout is not None and sys.stdout.isatty()}
    with Progress(*Progress.get_default_columns(), *extra, **options) as bar:
        task = bar.add_task(escape(title), total=None, note="")
        yield lambda done, total, note: bar.update(task, completed=done, total=total, note=note)


@contextmanager
def _lines(title: str) -> Iterator[Callable[[int, int, str], None]]:
    lines = _Lines(title)
    ended = threading.Event()
    thread = threading.Thread(target=lines.tell_until, args=(ended,), daemon=True)
    thread.start()
    try:
        yield lines.update
    finally:
        ended.set()
        thread.join()


class _Lines:
    """What is known of a work, told now and then."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._start_s = time.monotonic()
        self._begun: tuple[int, float] | None = None  # what was done when the work began or went on, and when that was
        self._done = self._total = 0
        self._note = ""

    def update(self, done: int, total: int, note: str) -> None:
        """Learn how far it is."""
        if self._begun is None:
            self._begun = (done, time.monotonic())
        self._done, self._total, self._note = done, total, note

    def tell_until(self, ended: threading.Event) -> None:
        """Write lines until the work has ended; by a thread of its own, as a step may take minutes."""
        pause_s = _FIRST_LINE_AFTER_S
        while not ended.wait(pause_s):
            if not 0 < self._total <= self._done:  # what is done is told of by the command
                sys.stderr.write(self.line(time.monotonic()) + "\n")
                sys.stderr.flush()
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def line(self, now_s: float) -> str:
        """What there is to tell."""
        begun, done, total = self._begun, self._done, self._total
        parts = [f"{self._title}: {100 * done // total} %"] if total else [f"{self._title}:"]
        parts.append(f"after {_clock(now_s - self._start_s)}")
        if begun is not None and begun[0] < done < total:
            parts.append(f"about {_clock((now_s - begun[1]) * (total - done) / (done - begun[0]))} left")
        told = " ".join(parts[:2]) + "".join(f", {part}" for part in parts[2:])
        return f"{told}, {self._note}" if self._note else told


def _clock(seconds: float) -> str:
    minutes, seconds_left = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours}:{minutes_left:02}:{seconds_left:02}" if hours else f"{minutes_left}:{seconds_left:02}"
