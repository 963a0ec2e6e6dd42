"""What the walk reads and writes, in a few named arguments instead of many."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.late import Late
from strategy.dated import Changes
from strategy.fills import MOST_EXTRA, Costs
from strategy.funding import NEVER
from strategy.kernel import borrowing
from strategy.margin import Margin
from strategy.risk import Risk


class Finer(NamedTuple):
    """The finer candles of all symbols, one symbol behind the other; empty where none are used.

    Attributes
    ----------
    first : int64 (symbols + 1,)
        Where each symbol's candles begin; the last one is the end.
    open_time : int64 (n,)
        UTC milliseconds.
    o, h, l, v : float64 (n,)
        Prices, and the volume: in a candle of 0 nothing traded.
    length : int64 (symbols,)
        Of each symbol's candles, in ms; 0 for none.
    counts : int64 (symbols, 3)
        Of `backtest.kernels.detailed`: WALKED, WANTING, RESOLVED. Written.
    """

    first: NDArray[np.int64]
    open_time: NDArray[np.int64]
    o: NDArray[np.float64]
    h: NDArray[np.float64]
    l: NDArray[np.float64]  # noqa: E741
    v: NDArray[np.float64]
    length: NDArray[np.int64]
    counts: NDArray[np.int64]


class Market(NamedTuple):
    """The candles of all symbols, one symbol behind the other.

    Attributes
    ----------
    first : int64 (symbols + 1,)
        Where each symbol's candles begin; the last one is the end.
    open_time : int64 (n,)
        UTC milliseconds.
    o, h, l, c : float64 (n,)
        Prices.
    slip : float64 (n,)
        Share of the price that a market order in this candle loses besides `Costs.slippage`, made
        of what was known at its open; empty for none.
    ahead : float64 (n,)
        The same for an order decided at the candle's close, made of what is known then.
    v : float64 (n,)
        Volumes; empty where no cost depends on them.
    """

    first: NDArray[np.int64]
    open_time: NDArray[np.int64]
    o: NDArray[np.float64]
    h: NDArray[np.float64]
    l: NDArray[np.float64]  # noqa: E741
    c: NDArray[np.float64]
    slip: NDArray[np.float64]
    ahead: NDArray[np.float64]
    v: NDArray[np.float64]


class Words(NamedTuple):
    """What the rules say, in the same order.

    Attributes
    ----------
    flags : uint8 (n,)
        Bits of `strategy.rules`.
    first : int64 (symbols + 1,)
        Where each symbol's entry candles begin.
    at : int64 (m,)
        The entry candles, each counted from its symbol's first candle.
    stop, take : float64 (m,)
        Their distances; take is empty without a rule.
    trail : float64 (n,)
        The trailing stop's distance; empty without a rule.
    limit : float64 (m,)
        How far from the close an entry rests; empty without a rule.
    priority : float64 (m,)
        Whose turn is first among the entries of one instant; empty without a rule.
    """

    flags: NDArray[np.uint8]
    first: NDArray[np.int64]
    at: NDArray[np.int64]
    stop: NDArray[np.float64]
    take: NDArray[np.float64]
    trail: NDArray[np.float64]
    limit: NDArray[np.float64]
    priority: NDArray[np.float64]


class Desk(NamedTuple):
    """What is held and asked for, one entry a symbol, and the settings that decide about it.

    Attributes
    ----------
    risk : Risk
    costs : Costs
    grids : record array of GRID
    positions : record array of POSITION
    orders : record array of ORDER
    said : record array of SAID
    margin : Margin
    changes : Changes
    late : Late
    """

    risk: Risk
    costs: Costs
    grids: Any
    positions: Any
    orders: Any
    said: Any
    margin: Margin
    changes: Changes
    late: Late


class Record(NamedTuple):
    """What is written.

    Attributes
    ----------
    trades : record array of TRADE
    parts : record array of PART
    equity : float64 (instants,)
        At each close.
    refused : int64 (symbols, reasons)
    """

    trades: Any
    parts: Any
    equity: NDArray[np.float64]
    refused: NDArray[np.int64]


class Walk(NamedTuple):
    """Where the walk stands, one entry a symbol.

    Attributes
    ----------
    cursor : int64
        Of a symbol that holds a position or waits for a fill (a busy one): its last candle that has
        opened. Of others the one before their next entry candle.
    seen : int64
        The last candle that a position knows of.
    signal : int64
        The next entry candle, as a position in `Words.at`.
    due : int64
        UTC ms of the candle at which a symbol is looked at next.
    busy : int64
        Busy symbols in configured order, then nothing.
    times, symbols : int64
        The others, as a queue by the time of their next entry candle.
    """

    cursor: NDArray[np.int64]
    seen: NDArray[np.int64]
    signal: NDArray[np.int64]
    due: NDArray[np.int64]
    busy: NDArray[np.int64]
    times: NDArray[np.int64]
    symbols: NDArray[np.int64]


def begin(market: Market, words: Words) -> Walk:
    """Return where a walk begins."""
    symbols = len(market.first) - 1
    before = market.first[:-1] - 1
    empty = (np.empty(symbols, np.int64) for _ in range(3))
    return Walk(before, before.copy(), words.first[:-1].copy(), np.full(symbols, NEVER), *empty)


@borrowing
def slip_of(costs, market, i, qty):
    """Return the share of the price that a market order of a quantity loses in candle i."""
    extra = market.slip[i] if len(market.slip) > 0 else 0.0
    if len(market.v) > 0:
        extra = min(extra + costs.impact * (qty / market.v[i]), MOST_EXTRA)
    return costs.slippage + extra


@borrowing
def has_trades(market, i):
    """Say whether anything can fill in candle i: not in one without volume, where that counts."""
    return len(market.v) == 0 or market.v[i] > 0.0
