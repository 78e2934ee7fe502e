"""Random events, of a seed: no exception but refusals, and frames that stay whole. benchmarks/preview.py goes on for longer."""

import random

from benchmarks.preview import act
from taichi_bokeh.viewer.session import Session
from tests.viewer.scenes import square_scene


def test_random_events_leave_no_exception():
    session = Session(square_scene(width=30, height=20), (90, 110))
    generator = random.Random(5)
    refusals = sum(act(session, generator) for _ in range(120))
    assert refusals < 60
    session.finish()
    assert session.frame().shape[2] == 3
    assert session.is_idle
