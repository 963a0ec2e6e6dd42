"""Candles written by hand, each with what the strategy says at its close, and runs over them."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from backtest.engine import Result, backtest
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.funding import Funding
from strategy.load import Strategy, load
from strategy.risk import Risk
from strategy.slippage import Spread
from strategy.timeframes import timeframe_ms

MONDAY = 1_672_617_600_000  # 2023-01-02 00:00 UTC
MINUTE = 60_000
NAN = float("nan")
FREE = Costs(0.0, 0.0)
# Large enough that neither leverage nor margin is in the way of what a test is about.
WIDE = Risk(per_trade=0.01, max_leverage=100.0, leverage=125.0)
_STRATEGIES = Path(__file__).parents[1] / "strategies"
_ENTER = {"long": 1, "short": 2}
_EXIT = {"exit_long": 1, "exit_short": 2}


@dataclass(frozen=True, slots=True)
class Bar:
    """One candle, what its close says (long, short, exit_long, exit_short), the distances, and the
    volume where it is not made of what is said."""

    open: float
    high: float
    low: float
    close: float
    says: tuple[str, ...] = ()
    stop: float = NAN
    take: float = NAN
    volume: float | None = None


def bar(prices: str, says: str = "", stop: float = NAN, take: float = NAN) -> Bar:
    """Write a candle as "open high low close" and its words as "long exit_short"."""
    o, h, l, c = (float(text) for text in prices.split())  # noqa: E741
    return Bar(o, h, l, c, tuple(says.split()), stop, take)


def candles_of(
    bars: Sequence[Bar | None],
    *,
    start: int = MONDAY,
    timeframe: str = "1m",
    symbol: str = "AAA",
) -> Candles:
    """Turn bars into Candles, one a timeframe from start on; None is a missing candle."""
    length = timeframe_ms(timeframe)
    there = [(start + at * length, one) for at, one in enumerate(bars) if one is not None]
    names = ("open", "high", "low", "close")
    prices: dict[str, Any] = {
        name: np.array([getattr(one, name) for _, one in there]) for name in names
    }
    return Candles.from_arrays(
        symbol=symbol,
        market="um",
        timeframe=timeframe,
        open_time=np.array([time for time, _ in there], np.int64),
        volume=np.array([volume_of(one) for _, one in there], np.float64),
        trades=np.array([_code(one, _EXIT) for _, one in there], np.float64),
        quote_volume=np.array([one.stop for _, one in there], np.float64),
        taker_buy=np.array([one.take for _, one in there], np.float64),
        **prices,
    )


def scripted(
    timeframe: str = "1m",
    *,
    take: bool = True,
    trail: bool = False,
    limit: float | None = None,
    ranked: bool = False,
) -> Strategy:
    """Load the strategy that says what the bars dictate; one that trails, whose entries rest so
    many stop distances from the close or are ranked by their take's has a take rule."""
    if limit is not None:
        strategy = _with_rule("limit")
        params = functools.partial(strategy.params, limit=limit)
        return dataclasses.replace(strategy, timeframe=timeframe, params=params)
    if ranked or trail:
        strategy = _with_rule("ranked" if ranked else "trailing")
    else:
        strategy = _loaded("scripted" if take else "scripted_without_take")
    return dataclasses.replace(strategy, timeframe=timeframe)


def run(
    *markets: Sequence[Bar | None],
    grids: Any = None,
    risk: Risk = WIDE,
    costs: Costs = FREE,
    balance: float = 10_000.0,
    start: int = MONDAY,
    timeframe: str = "1m",
    take: bool | None = None,
    trail: bool = False,
    funding: Funding | Sequence[Funding | None] | None = None,
    detail: Sequence[Candles | None] | None = None,
    spreads: Sequence[Spread | None] | None = None,
    limit: float | None = None,
    ranked: bool = False,
    **margin: Any,
) -> Result:
    """Backtest the bars of one or more symbols named AAA, BBB, CCC.

    `grids` is one record for all symbols or one for each. Without `take`, the strategy has that
    rule if a bar gives a distance for it. `margin` are tiers, marks and changes.
    """
    candles = [
        candles_of(bars, start=start, timeframe=timeframe, symbol=letter * 3)
        for letter, bars in zip("ABC", markets, strict=False)
    ]
    if grids is not None:
        each = [grids] * len(markets) if isinstance(grids, np.ndarray) else grids
        grids = np.concatenate(each).view(np.recarray)
    if take is None:
        take = limit is not None or any(
            bar is not None and bar.take == bar.take for bars in markets for bar in bars
        )
    return backtest(
        scripted(timeframe, take=take, trail=trail, limit=limit, ranked=ranked),
        candles,
        risk=risk,
        costs=costs,
        balance=balance,
        grids=grids,
        funding=funding,
        detail=detail,
        spreads=spreads,
        **margin,
    )


def pays(*instants: tuple[int, float] | tuple[int, float, float]) -> Funding:
    """Write funding as (time, rate) or (time, rate, mark price)."""
    price = [one[2] if len(one) > 2 else NAN for one in instants]
    return Funding(
        np.array([one[0] for one in instants], np.int64),
        np.array([one[1] for one in instants], np.float64),
        np.array(price, np.float64),
    )


def units(amount: str) -> int:
    """Read an amount of quote currency in units of 1e-8."""
    return int(Decimal(amount) * 10**8)


@cache
def _loaded(name: str) -> Strategy:
    return load(str(_STRATEGIES / f"{name}.py"))


# Rules that scripted.py has not got.
_RULES = {
    "trailing": "def trail_distance(x: Row, p: Params) -> float:\n    return x.stop\n",
    "limit": "def limit_distance(x: Row, p: Params) -> float:\n    return p.limit * x.stop\n",
    "ranked": "def entry_priority(x: Row, p: Params) -> float:\n    return x.take\n",
}


@cache
def _with_rule(name: str) -> Strategy:
    text = (_STRATEGIES / "scripted.py").read_text()
    if name == "limit":
        text = text.replace("half: float = 0.5\n", "half: float = 0.5\n    limit: float = 1.0\n")
    path = Path(_written().name) / f"scripted_{name}.py"
    path.write_text(f"{text}\n\n@rule\n{_RULES[name]}")
    return load(str(path))


@cache
def _written() -> TemporaryDirectory[str]:
    """Return the folder of written strategies, which stays for those who load one again."""
    return TemporaryDirectory()


def volume_of(one: Bar) -> float:
    """Return a bar's volume: its own, or 1 where it says long, 2 for short, 3 for both, 0 for
    neither."""
    return _code(one, _ENTER) if one.volume is None else one.volume


def _code(one: Bar, words: dict[str, int]) -> float:
    assert set(one.says) <= {*_ENTER, *_EXIT}, one.says
    return float(sum(words.get(word, 0) for word in one.says))
