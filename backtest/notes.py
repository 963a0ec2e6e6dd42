"""What a reader of a run should know about its inputs, a sentence each."""

from collections.abc import Sequence

import numpy as np

from backtest.engine import Result
from data.dates import show_time
from data.quality import holes
from data.run_json import RunRecord
from data.run_record import detail_record, funding_record, marks_record
from strategy.candles import Candles
from strategy.errors import RunRefused
from strategy.funding import Funding
from strategy.load import Strategy
from strategy.margin import Marks
from strategy.timeframes import DAY_MS


def source_notes(
    start_ms: int | None,
    end_ms: int | None,
    strategy: Strategy,
    candles: Sequence[Candles],
    funding: Sequence[Funding],
    marks: Sequence[Marks | None],
    source: RunRecord | None,
) -> list[str]:
    """Say what has changed since the run that params, and all that was not asked for, come from."""
    if source is None:
        return []
    notes = []
    if source.strategy.name != strategy.name:
        notes.append(f"the params are of {source.strategy.name}, run {source.id}")
    elif source.strategy.source_hash != strategy.source_hash:
        notes.append(
            f"{strategy.name} has changed since run {source.id}, which keeps it as strategy.py"
        )
    first, end = span_of(source)
    if (start_ms, end_ms, strategy.timeframe) == (first, end, source.data[0].timeframe):
        known = {(its.market, its.symbol): its.fingerprint for its in source.data}
        notes += [
            f"{one.symbol}: the stored candles have changed since run {source.id}"
            for one in candles
            if known.get((one.market, one.symbol), one.fingerprint) != one.fingerprint
        ]
        paid = {(its.market, its.symbol): its.funding for its in source.data}
        for one, its in zip(candles, funding, strict=True):
            now = funding_record(its)
            if paid.get((one.market, one.symbol), now) != now:
                notes.append(f"{one.symbol}: the stored funding has changed since run {source.id}")
        seen = {(its.market, its.symbol): its.marks for its in source.data}
        for one, prices in zip(candles, marks, strict=True):
            new = marks_record(one, prices)
            if seen.get((one.market, one.symbol), new) != new:
                notes.append(f"{one.symbol}: the stored mark prices have changed since {source.id}")
    return notes


def detail_notes(
    candles: Sequence[Candles], detail: Sequence[Candles | None], source: RunRecord | None
) -> list[str]:
    """Say where finer candles lack, or are not those of the run before."""
    if not detail:
        return []
    notes = [
        f"{one.symbol}: no finer candles are stored, the worst case stands in"
        for one, its in zip(candles, detail, strict=True)
        if its is None
    ]
    known = {(its.market, its.symbol): its.detail for its in source.data} if source else {}
    for one, finer in zip(candles, detail, strict=True):
        was = known.get((one.market, one.symbol))
        if was is not None and was != detail_record(finer):
            notes.append(f"{one.symbol}: the finer candles are others than those of the run")
    return notes


def span_of(source: RunRecord) -> tuple[int, int]:
    """Return the first candle's open and the end of a run, in UTC ms."""
    return min(one.first_ms for one in source.data), max(one.end_ms for one in source.data)


def span_notes(start_ms: int | None, end_ms: int | None, candles: Sequence[Candles]) -> list[str]:
    """Say where candles begin or end a day or more away from what was asked for."""
    notes = []
    for one in candles:
        first = int(one.arrays["open_time"][0])
        end = end_of(one)
        if start_ms is not None and first - start_ms >= DAY_MS:
            notes.append(f"{one.symbol}: candles begin at {show_time(first)} UTC, later than asked")
        if end_ms is not None and end_ms - end >= DAY_MS:
            notes.append(f"{one.symbol}: candles end at {show_time(end)} UTC, earlier than asked")
    return notes


def end_of(candles: Candles) -> int:
    """Return when the last candle closes, in UTC ms."""
    return int(candles.arrays["open_time"][-1]) + candles.timeframe_ms


def data_notes(candles: Sequence[Candles], strict: bool) -> list[str]:
    """Say how many candles are missing, and that spot stands in for futures.

    Raises
    ------
    RunRefused
        Candles are missing and `strict` is given.
    """
    notes = []
    for one in candles:
        missing = sum(gap.count for gap in holes(one.arrays["open_time"], one.timeframe))
        if missing and strict:
            raise RunRefused(
                f"{one.symbol} {one.timeframe} lacks {missing:,} candles, and --strict is given",
                f"wick data repair {one.symbol} fills what can be had; without --strict a note",
            )
        if missing:
            notes.append(
                f"{one.symbol}: {missing:,} candles are missing (wick data repair {one.symbol})"
            )
        if one.market == "spot":
            notes.append(f"{one.symbol}: spot candles stand in for futures")
    return notes


def volume_notes(result: Result) -> list[str]:
    """Say how much smaller trades are than was asked for, where a share of the volume bounds
    them."""
    share, trades = result.costs.volume_share, result.trades
    if not share or not len(trades):
        return []
    before = np.maximum(np.searchsorted(result.time, trades.entry_time) - 1, 0)
    risked = float(np.median(trades.risked / result.equity[before]))
    slow = np.count_nonzero(trades.parts > 0)
    said = (
        f"costs.volume_share={share:g}: half of the trades risk {risked:.2g} of the equity or less"
    )
    said += f", risk.per_trade is {result.risk.per_trade:g}; {slow:,} of {len(trades):,} exits took"
    return [f"{said} more than one candle"]
