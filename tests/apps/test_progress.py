"""Where there is no terminal, a long work is told of in lines, and a short one is not."""

import re
import time

from taichi_bokeh.apps import progress
from taichi_bokeh.apps.progress import progress_bar, progress_with_note


def test_a_short_work_says_nothing(capsys):
    with progress_bar("rendering", quiet=False) as update:
        update(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_long_work_is_told_of_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_FIRST_LINE_AFTER_S", 0.02)
    with progress_bar("rendering", quiet=False) as update:
        time.sleep(0.04)  # a first step that is not over
        update(0, 8)
        update(2, 8)
        time.sleep(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"rendering: after 0:00", lines[0])
    assert re.fullmatch(r"rendering: 25 % after 0:00, about 0:0[01] left", lines[-1])
    assert 2 <= len(lines) <= 5  # each pause is twice the last


def test_quiet_says_nothing_at_all(monkeypatch, capsys):
    monkeypatch.setattr(progress, "_FIRST_LINE_AFTER_S", 0.005)
    with progress_bar("rendering", quiet=True) as update, progress_with_note("optimising", True, 60.0) as show:
        assert update is None
        show(1, 2, "loss 0.5")
        time.sleep(0.03)
    assert capsys.readouterr() == ("", "")


def test_a_line_tells_time_and_note_of_a_work_that_went_on(monkeypatch):
    now_s = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now_s[0])
    lines = progress._Lines("optimising")
    now_s[0] = 110.0
    lines.update(40, 120, "")
    assert lines.line(110.0) == "optimising: 33 % after 0:10"
    lines.update(60, 120, "loss 0.5")
    assert lines.line(130.0) == "optimising: 50 % after 0:30, about 1:00 left, loss 0.5"
    assert lines.line(100.0 + 3725) == "optimising: 50 % after 1:02:05, about 3:05:45 left, loss 0.5"
