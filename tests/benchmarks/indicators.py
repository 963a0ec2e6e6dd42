"""Indicator kernels beside TA-Lib's C code."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import talib

from strategy import indicators as ours
from strategy.candles import Candles
from tests.benchmarks.measure import Pair, alternate, seconds_of
from tests.benchmarks.section import Rows, Section, Target
from tests.benchmarks.workload import Market

ROUNDS = 9
# By name: the share of TA-Lib's time to be reached, the one hoped for, and what bounds it.
TARGETS = {
    "RSI 14": (0.8, 0.6, "a multiplication and an addition wait for those of the candle before"),
    "MACD 12 26 9": (
        0.35,
        0.25,
        "three values to store a candle, one a cycle: no lanes share them",
    ),
    "ATR 14": (1.1, 0.85, "as RSI"),
    "Stochastic 14 3 3": (0.5, 0.35, "two running means, a division each"),
    "ROC 10": (0.7, 0.5, "a division a candle, and memory"),
}
TEXT = """Whole columns of 65,536 candles, as a backtest hands them over, by the public functions.
MACD's averages run in four pieces of the history side by side, each begun early enough to be right
to the last bit, or done again; the stochastic's extremes are put together from halves, eight
candles at a time."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One indicator, seconds for a whole column."""

    name: str
    rows: int
    pair: Pair


def against_talib(candles: Candles) -> list[Timed]:
    """Compare whole columns; results are compared in the tests of the indicators."""
    c = candles.slice(0, 1 << 16)  # what a backtest hands over in one piece
    high, low, close = (c.arrays[name] for name in ("high", "low", "close"))
    cases: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
        ("RSI 14", lambda: ours.rsi(c.close, 14), lambda: talib.RSI(close, 14)),
        ("MACD 12 26 9", lambda: ours.macd(c.close), lambda: talib.MACD(close, 12, 26, 9)),
        (
            "ATR 14",
            lambda: ours.atr(c.high, c.low, c.close, 14),
            lambda: talib.ATR(high, low, close, 14),
        ),
        (
            "Stochastic 14 3 3",
            lambda: ours.stochastic(c.high, c.low, c.close),
            lambda: talib.STOCH(high, low, close, 14, slowk_period=3, slowd_period=3),
        ),
        ("ROC 10", lambda: ours.roc(c.close, 10), lambda: talib.ROC(close, 10)),
        ("EMA 50", lambda: ours.ema(c.close, 50), lambda: talib.EMA(close, 50)),
        ("SMA 20", lambda: ours.sma(c.close, 20), lambda: talib.SMA(close, 20)),
    ]
    timed = []
    for name, one, other in cases:
        one(), other()
        pair = alternate(partial(seconds_of, one, 15), partial(seconds_of, other, 15), ROUNDS)
        timed.append(Timed(name, len(close), pair))
    return timed


def section(markets: list[Market], folder: Path) -> Section:
    """Measure all of them, on the first market."""
    timed = against_talib(markets[0].candles())
    rows: Rows = [
        (
            one.name,
            f"{one.pair.ours / one.rows * 1e9:.1f}",
            f"{one.pair.theirs / one.rows * 1e9:.1f}",
            f"{1 / one.pair.ratio:.2f}",
        )
        for one in timed
    ]
    targets = [
        Target(one.name, "TA-Lib's time", 1 / one.pair.ratio, must, wish, "×", False, bound)
        for one in timed
        if one.name in TARGETS
        for must, wish, bound in [TARGETS[one.name]]
    ]
    head = ("indicator, ns a row", "Candlewick", "TA-Lib", "share of its time")
    return Section("Indicators", [(head, rows)], TEXT, targets, [asdict(one) for one in timed])
