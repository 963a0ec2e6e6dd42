"""Stored funding, as a backtest takes it: instants on whole minutes with rate and mark price."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.dates import show_time
from data.kinds import FUNDING, MARK
from data.manifest import Series
from data.store import every_series, load_if_stored
from strategy.candles import Candles
from strategy.funding import Funding, no_funding

_MINUTE_MS = 60_000
# The exchange's longest interval: whoever sees none for longer lacks some.
_LONGEST_MS = 8 * 3_600_000


def funding_of_store(store: Path, candles: Candles) -> Funding:
    """Read the funding instants that lie within the candles of a symbol of um; none where none are
    stored.

    The exchange stamps some milliseconds past the minute; instants are put on it. The price is the
    one stored with the instant, else the open of a stored mark price candle that begins at it, of
    the shortest timeframe, else NaN.

    Raises
    ------
    WickError
        A file is damaged.
    """
    first_ms, end_ms = _span(candles)
    wanted = Series(candles.market, candles.symbol, "", FUNDING.name)
    arrays = load_if_stored(store, wanted, first_ms - _MINUTE_MS, end_ms)
    if arrays is None:
        return no_funding()
    time = (arrays["time"] + _MINUTE_MS // 2) // _MINUTE_MS * _MINUTE_MS
    time, at = np.unique(time, return_index=True)  # the same instant from two sources is one
    price = arrays.get("mark_price", np.full(len(arrays["time"]), np.nan))[at]
    known = Funding(time, arrays["rate"][at], np.where(price > 0.0, price, np.nan))
    inside = known.within(first_ms, end_ms)
    return inside._replace(price=_with_marks(store, candles.symbol, inside))


def _with_marks(store: Path, symbol: str, funding: Funding) -> NDArray[np.float64]:
    price = funding.price.copy()
    for one in every_series(store):  # the shortest timeframe first
        missing = np.flatnonzero(np.isnan(price))
        if (one.series.symbol, one.series.kind) != (symbol, MARK.name) or not len(missing):
            continue
        times = funding.time[missing]
        marks = load_if_stored(store, one.series, int(times[0]), int(times[-1]))
        if marks is None:
            continue
        at = np.minimum(np.searchsorted(marks["open_time"], times), len(marks["open_time"]) - 1)
        there = marks["open_time"][at] == times
        price[missing[there]] = marks["open"][at[there]]
    return price


def funding_notes(candles: Candles, funding: Funding) -> list[str]:
    """Say what a reader should know of the funding booked on candles of um: that there is none, or
    none for a part of the span."""
    symbol, (first_ms, end_ms) = candles.symbol, _span(candles)
    day = show_time(first_ms)[:10]
    fetch = f"wick data fetch {symbol} --kind funding --from {day}"
    if not len(funding.time):
        if -(-first_ms // _LONGEST_MS) * _LONGEST_MS >= end_ms:  # it may lie between two instants
            return []
        return [f"no funding is stored for {symbol}, none is booked: {fetch}"]
    first, last = int(funding.time[0]), int(funding.time[-1])
    notes = []
    if first - first_ms > _LONGEST_MS or end_ms - last > _LONGEST_MS:
        stored = f"{show_time(first)} to {show_time(last)} UTC"
        notes.append(f"{symbol}: funding is stored for {stored}, none is booked outside: {fetch}")
    gaps = int(np.count_nonzero(np.diff(funding.time) > _LONGEST_MS))
    if gaps:
        many = "a gap" if gaps == 1 else f"{gaps} gaps"
        notes.append(f"{symbol}: the stored funding has {many} of more than 8 hours: {fetch}")
    bare = int(np.count_nonzero(np.isnan(funding.price)))
    if bare:
        notes.append(
            f"{symbol}: {bare:,} of {len(funding.price):,} funding instants have no mark price, the"
            f" last close stands in: wick data fetch {symbol} --kind mark --timeframe 1h"
            f" --from {day}"
        )
    return notes


def _span(candles: Candles) -> tuple[int, int]:
    times = candles.arrays["open_time"]
    return int(times[0]), int(times[-1]) + candles.timeframe_ms
