"""Ctrl-C that waits for the end of a step."""

import os
import signal

import pytest

from taichi_bokeh.apps.interrupt import deferred_interrupt


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("ctrl_c")
def test_it_waits_until_it_is_asked_for(capsys):
    before = signal.getsignal(signal.SIGINT)
    with deferred_interrupt() as raise_if_wanted:
        raise_if_wanted()
        press_ctrl_c()
        assert "stopping after this step" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            raise_if_wanted()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_one_does_not_wait(capsys):
    before = signal.getsignal(signal.SIGINT)
    with deferred_interrupt():
        press_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
    assert signal.getsignal(signal.SIGINT) is before
    capsys.readouterr()


def test_where_it_is_ignored_it_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_interrupt() as raise_if_wanted:
            press_ctrl_c()
            raise_if_wanted()
    finally:
        signal.signal(signal.SIGINT, before)
