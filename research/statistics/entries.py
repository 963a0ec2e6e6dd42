"""The winner against entries at random candles: is it the entries, or the exits and the market?"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from backtest.engine import Result
from backtest.inputs import Inputs, run
from backtest.signals import Signals
from data.tune_json import EntriesRecord
from research.statistics.montecarlo import LEVELS
from strategy.candles import Candles
from strategy.errors import RunRefused
from strategy.metrics import MIN_TRADES
from strategy.rules import ENTER_LONG, ENTER_SHORT

DRAWS = 200


class _Anywhere(NamedTuple):
    # A symbol's signals as if every candle were an entry, and how many entries a side to draw of
    # which candles.
    signals: Signals
    valid: NDArray[np.int64]
    counts: tuple[int, int]


def entries(inputs: Inputs, result: Result, seed: int, draws: int = DRAWS) -> EntriesRecord:
    """Run the winner's exits behind random entries.

    Each symbol and side gets so many entry signals that about as many trades come of them as the
    winner has: its trades ÷ the share of candles at which that side was not held already. They lie
    at candles whose stop distance is known. Sizes, stops, takes, exit rules, costs and limits are
    the winner's.

    Parameters
    ----------
    inputs : Inputs
        The searched span.
    result : Result
        The winner's run on it.

    Returns
    -------
    EntriesRecord
        Without draws and with a note for fewer than 10 trades.
    """
    end = float(result.equity[-1] / result.balance - 1.0)
    if len(result.trades) < MIN_TRADES:
        note = f"needs {MIN_TRADES} trades, has {len(result.trades)}"
        return EntriesRecord(0, end, list(LEVELS), [], None, note)
    reads = inputs.history or inputs.candles
    every = [_anywhere(inputs, result, read, s) for s, read in enumerate(reads)]
    winner = dataclasses.replace(inputs, params=result.params)
    rng = np.random.default_rng(seed)
    found, trades = np.empty(draws), np.empty(draws)
    for draw in range(draws):
        try:
            its = run(winner, signals=[_drawn(one, rng) for one in every])
        except RunRefused:  # the balance was used up
            found[draw], trades[draw] = -1.0, np.nan
            continue
        found[draw], trades[draw] = its.equity[-1] / its.balance - 1.0, len(its.trades)
    return EntriesRecord(
        draws=draws,
        total_return=end,
        levels=list(LEVELS),
        random=np.quantile(found, LEVELS).tolist(),
        p=float((1 + (found >= end).sum()) / (1 + draws)),
        note=_said(trades, len(result.trades)),
    )


def _anywhere(inputs: Inputs, result: Result, read: Candles, s: int) -> _Anywhere:
    strategy, params, rules = inputs.strategy, result.params, inputs.strategy.rules
    warm = len(read.arrays["open_time"]) - len(inputs.candles[s].arrays["open_time"])
    at = np.arange(warm, len(read.arrays["open_time"]))
    numbers = np.array([float(value) for value in params])
    columns = strategy.columns(read, params)
    flags = rules.signals(*columns, numbers)[warm:] & ~np.uint8(ENTER_LONG | ENTER_SHORT)
    stop, take = rules.distances(at, *columns, numbers)
    signals = Signals(
        flags,
        at - warm,
        stop,
        take,
        rules.trails(*columns, numbers)[warm:],
        rules.limits(at, *columns, numbers),
        rules.priorities(at, *columns, numbers),
    )
    valid = np.flatnonzero(stop[:-1] > 0.0)
    its = result.trades[result.trades.symbol == s]
    counts = [_signals(its[its.side == side], len(at), len(valid)) for side in (1, -1)]
    return _Anywhere(signals, valid, (counts[0], counts[1]))


def _signals(trades: Any, candles: int, valid: int) -> int:
    held = (trades.exit_candle - trades.entry_candle).sum() / candles
    return min(round(len(trades) / max(1.0 - held, 0.05)), valid // 2)


def _drawn(one: _Anywhere, rng: np.random.Generator) -> Signals:
    whole, (longs, shorts) = one.signals, one.counts
    at = rng.choice(one.valid, longs + shorts, replace=False, shuffle=True)
    flags = whole.flags.copy()
    flags[at[:longs]] |= np.uint8(ENTER_LONG)
    flags[at[longs:]] |= np.uint8(ENTER_SHORT)
    at = np.sort(at)

    def there(column: NDArray[np.float64]) -> NDArray[np.float64]:
        return column[at] if len(column) else column

    return Signals(
        flags,
        at,
        whole.stop[at],
        there(whole.take),
        whole.trail,
        there(whole.limit),
        there(whole.priority),
    )


def _said(trades: NDArray[np.float64], real: int) -> str:
    known = trades[~np.isnan(trades)]
    if not len(known):
        return "every draw used the balance up"
    if not 0.5 <= np.mean(known) / real <= 2.0:
        return f"random entries made {np.mean(known):.0f} trades on average, the winner {real}"
    return ""
