"""Progress: one line that rewrites itself at a terminal, messages now and then in a log."""

import io
import logging
import sys
from itertools import pairwise

import pytest

from chestgan_core.local import progress as module
from chestgan_core.local.log_lines import StandardError
from chestgan_core.local.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_a_terminal_has_one_line_that_rewrites_itself(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("archive", 4, "series") as progress:
        for _ in range(4):
            clock.now += 1
            progress.step(note="left out 1")
    shown = terminal.getvalue().split("\r\033[K")
    assert shown[1] == "archive  1/4 series  1/s  3 s left  left out 1"
    assert shown[-1] == "archive  4/4 series  1/s  left out 1\n"
    assert terminal.getvalue().count("\n") == 1


def test_a_message_takes_the_place_of_the_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    StandardError().emit(logging.LogRecord("x", logging.INFO, __file__, 1, "scored", None, None))
    assert terminal.getvalue() == "\r\033[Kscored\n"


def test_a_log_gets_a_line_every_few_seconds_at_first_and_once_a_minute_in_the_end(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    times = []
    with Progress("training", 100_000, "images") as progress:
        for second in range(20_000):
            clock.now += 1
            before = len(caplog.records)
            progress.step()
            if len(caplog.records) > before:
                times.append(second)
    assert {later - earlier for earlier, later in pairwise(times) if later < 100} == {5}
    assert times[-1] - times[-2] == 60
    assert caplog.messages[-1].startswith("training  20000/100000 images  1/s  80000 s left")


def test_where_nothing_was_done_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(ValueError, match="broken"), Progress("archive", 4, "series"):
        raise ValueError("broken")
    assert not caplog.messages
