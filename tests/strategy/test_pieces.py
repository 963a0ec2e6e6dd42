"""Averages of long histories run in pieces side by side; nobody can tell from the bits."""

from collections.abc import Callable

import numpy as np
import pytest

from strategy import indicators
from strategy.column import Column
from strategy.indicators import gains, momentum
from strategy.tape import Tape
from tests.strategy.market import IDENTITY, MONDAY, market, same_bits

LENGTH = 24_000
Run = Callable[[Column], tuple[Column, ...]]
LONG = {
    "ema": lambda x: (indicators.ema(x, 20),),
    "wilder": lambda x: (indicators.wilder(x, 14),),
    "atr": lambda x: (indicators.atr(x + 1.0, x - 1.0, x, 14),),
    "rsi": lambda x: (indicators.rsi(x, 14),),
    "macd": lambda x: tuple(indicators.macd(x)),
}


def by_chunks(run: Run, x: np.ndarray, size: int) -> list[np.ndarray]:
    tape = Tape(IDENTITY)
    parts = []
    for start in range(0, len(x), size):
        chunk = x[start : start + size]
        with tape.reading(MONDAY + 60_000 * np.arange(start, start + len(chunk))):
            parts.append([column.values for column in run(Column(chunk, "1m"))])
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("kind", ["plain", "nan", "infinity", "spike"])
def test_a_long_history_has_the_bits_of_small_chunks(name: str, kind: str) -> None:
    x = market(21, LENGTH).arrays["close"].copy()
    # A spike this high is not forgotten where a later piece begins, so its guess is wrong.
    x[9_000] = {"plain": 1000.0, "nan": np.nan, "infinity": np.inf, "spike": 1e60}[kind]
    whole = [column.values for column in LONG[name](Column(x, "1m"))]
    for ours, theirs in zip(whole, by_chunks(LONG[name], x, 300), strict=True):
        assert same_bits(ours, theirs)


def test_the_pieces_of_macd_are_taken_and_given_up() -> None:
    x = market(21, LENGTH).arrays["close"].copy()
    factors = (11 / 13, 2 / 13, 25 / 27, 2 / 27, 0.8, 0.2)

    def done() -> int:
        outs = (np.empty(LENGTH) for _ in range(3))
        return int(momentum._macd_pieces(x, factors, x[0], x[0], 0.0, *outs)[0])

    assert done() == LENGTH
    x[4_000] = 1e60
    assert done() == 0


def test_the_pieces_of_rsi_are_taken_and_given_up() -> None:
    x = market(21, LENGTH).arrays["close"].copy()

    def done() -> int:
        return int(gains._pieces(x, 13 / 14, 1 / 14, 0.1, 0.1, np.empty(LENGTH - 1))[0])

    assert done() > LENGTH - 600
    x[4_000] = 1e60
    assert done() == 0
