"""Slippage that depends on the candle: what was known of spread and range before a fill."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from strategy.candles import Candles
from strategy.errors import WickError
from strategy.fills import MOST_EXTRA, Costs
from strategy.indicators import atr
from strategy.timeframes import DAY_MS

ATR_LENGTH = 14


class Spread(NamedTuple):
    """The half spreads of one symbol, as book data told them.

    Attributes
    ----------
    time : int64 (n,)
        UTC ms from which each is known, for a day at most; strictly increasing.
    half : float64 (n,)
        Half the distance between best ask and best bid, as a share of their mean.
    """

    time: NDArray[np.int64]
    half: NDArray[np.float64]


def check_spread(spread: Spread, symbol: str) -> None:
    """Refuse half spreads that no book can have had.

    Raises
    ------
    WickError
        Times that do not increase, a share that is not from 0 to below 1, or lengths that differ.
    """
    time, half = spread
    if len(time) != len(half):
        raise WickError(
            f"{symbol}: {len(time)} times for {len(half)} half spreads", "give one a time"
        )
    wrong = np.flatnonzero(np.diff(time) <= 0)
    if len(wrong):
        raise WickError(
            f"{symbol}: the half spread at {time[wrong[0] + 1]} is not later than the one before",
            "sort them by time and keep one a time",
        )
    wrong = np.flatnonzero(~((half >= 0.0) & (half < 1.0)))
    if len(wrong):
        raise WickError(
            f"{symbol}: the half spread at {time[wrong[0]]} is {half[wrong[0]]:g}, expected a share"
            " from 0 to below 1",
            "(ask - bid) / (ask + bid)",
        )


def half_spread_at(spread: Spread | None, times: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the half spread that is known at each time, NaN before the first and where the last
    one is more than a day old."""
    if spread is None or not len(spread.time):
        return np.full(len(times), np.nan)
    at = np.searchsorted(spread.time, times, side="right")
    last = np.maximum(at, 1) - 1
    known = (at > 0) & (times - spread.time[last] <= DAY_MS)
    return np.where(known, spread.half[last], np.nan)


def slippage_columns(
    costs: Costs, candles: Candles, spread: Spread | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what a market order of one symbol loses besides `Costs.slippage`, as a share of the
    price.

    A term whose value is not known yet counts nothing, and all together at most a half.

    Returns
    -------
    slip : float64 (n,)
        Of an order that fills in the candle, made of what was known at its open.
    ahead : float64 (n,)
        Of an order decided at the candle's close, made of what is known then.
    """
    opens = candles.arrays["open_time"]
    slip, ahead = np.zeros(len(opens)), np.zeros(len(opens))
    if costs.spread > 0.0:
        closes = opens + candles.timeframe_ms
        slip += costs.spread * np.nan_to_num(half_spread_at(spread, opens))
        ahead += costs.spread * np.nan_to_num(half_spread_at(spread, closes))
    if costs.atr > 0.0:
        ranges = atr(candles.high, candles.low, candles.close, ATR_LENGTH).values
        share = costs.atr * np.nan_to_num(ranges / candles.arrays["close"])
        ahead += share
        slip[1:] += share[:-1]
    return np.minimum(slip, MOST_EXTRA), np.minimum(ahead, MOST_EXTRA)


def spread_notes(
    costs: Costs, candles: Sequence[Candles], spreads: Sequence[Spread | None]
) -> list[str]:
    """Say in how many candles of a run `Costs.spread` finds no half spread."""
    if not costs.spread > 0.0:
        return []
    notes = []
    for one, spread in zip(candles, spreads, strict=True):
        opens = one.arrays["open_time"]
        unknown = int(np.isnan(half_spread_at(spread, opens)).sum())
        if unknown:
            notes.append(
                f"{one.symbol}: no spread is known at {unknown:,} of {len(opens):,} opens; market"
                " orders pay the rest of the slippage alone there"
            )
    return notes
