"""The bar of symbols."""

import io
import sys

import pytest

from backtest import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_symbols_done_are_shown_where_it_takes_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "WAIT_S", 0.0)
    with progress.SymbolsDone() as done:
        for _ in range(2):
            done.stage("reading", 3)()
        step = done.stage("signals", 3)
        for _ in range(3):
            step()
    assert "signals" in screen.getvalue()
    assert "3/3" in screen.getvalue()


def test_nothing_is_shown_of_quick_work_or_where_nobody_watches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress.SymbolsDone() as done:
        done.stage("reading", 3)()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(progress, "WAIT_S", 0.0)
    with progress.SymbolsDone() as done:
        done.stage("reading", 3)()
    assert screen.getvalue() == ""
