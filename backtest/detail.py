"""Finer candles beside those of a run: what tells which of two levels was touched first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.kernels.market import Finer
from data import store
from data.manifest import Series
from strategy.candles import Candles
from strategy.errors import WickError, did_you_mean
from strategy.fills import DETAIL, INTRABAR, Costs
from strategy.timeframes import timeframe_ms


def intrabar_changes(intrabar: str | None, has_detail: bool) -> list[str]:
    """Turn --intrabar and whether finer candles are named into what --set takes.

    Raises
    ------
    WickError
        There is no such assumption, or finer candles are named beside another one.
    """
    if intrabar is None and not has_detail:
        return []
    name = intrabar or INTRABAR[DETAIL]
    if name not in INTRABAR:
        raise WickError(
            f"--intrabar {name!r} is no assumption, expected {', '.join(INTRABAR)}",
            did_you_mean(name, INTRABAR),
        )
    if has_detail and name != INTRABAR[DETAIL]:
        raise WickError(
            f"--detail names finer candles, but --intrabar {name} does not read them",
            "--intrabar detail, or leave --detail out",
        )
    return [f"costs.intrabar={INTRABAR.index(name)}"]


def detail_of_store(
    folder: Path, candles: Sequence[Candles], timeframe: str | None
) -> tuple[Candles | None, ...]:
    """Load the finer candles that a run needs, None for a symbol that has none.

    Raises
    ------
    WickError
        No timeframe was named, no symbol has such candles, or they do not divide those of the run.
    """
    if timeframe is None:
        raise WickError(
            "no timeframe of finer candles is named",
            "--detail 1s, after wick data tumble has made them of stored trades",
        )
    if timeframe_ms(timeframe) >= candles[0].timeframe_ms:
        raise _no_part(timeframe, candles[0])
    stored = {one.series for one in store.series(folder)}
    found = tuple(_load(folder, one, timeframe, stored) for one in candles)
    if not any(one is not None for one in found):
        name, market = candles[0].symbol, candles[0].market
        raise WickError(
            f"no {timeframe} candles of {name} are stored under {market}",
            f"wick data fetch {name} --market {market} --kind aggTrades --from …, then wick data"
            f" tumble {name} --market {market} --timeframe {timeframe}",
        )
    return found


def _load(folder: Path, one: Candles, timeframe: str, stored: set[Series]) -> Candles | None:
    if Series(one.market, one.symbol, timeframe) not in stored:
        return None
    times = one.arrays["open_time"]
    start, end = int(times[0]), int(times[-1]) + one.timeframe_ms
    return store.load(folder, one.market, one.symbol, timeframe, start, end, ())


def finer_of(
    candles: Sequence[Candles], detail: Sequence[Candles | None] | None, costs: Costs
) -> Finer:
    """Give finer candles as the walk takes them; none where the costs do not ask for them.

    Raises
    ------
    WickError
        The costs ask for them and there are none, or some are not of the same symbol and market,
        or do not divide the candles of the run.
    """
    if costs.intrabar != DETAIL:
        return _joined([None] * len(candles))
    given = [None] * len(candles) if detail is None else list(detail)
    if len(given) != len(candles):
        raise WickError(
            f"finer candles of {len(given)} symbols for {len(candles)}",
            "give one series, or None, a symbol",
        )
    if not any(given_one is not None for given_one in given):
        raise WickError(
            "costs.intrabar is 2 (detail), but there are no finer candles",
            "--detail 1s names those of the store; or --intrabar worst",
        )
    for one, its in zip(candles, given, strict=True):
        if its is not None:
            _check(one, its)
    return _joined(given)


def _check(one: Candles, its: Candles) -> None:
    if (one.symbol, one.market) != (its.symbol, its.market):
        raise WickError(
            f"the finer candles are of {its.symbol} {its.market}, those of the run of {one.symbol}"
            f" {one.market}",
            "give them in the order of the symbols",
        )
    if its.timeframe_ms >= one.timeframe_ms or one.timeframe_ms % its.timeframe_ms:
        raise _no_part(its.timeframe, one)


def _no_part(timeframe: str, one: Candles) -> WickError:
    return WickError(
        f"{timeframe} candles do not lie inside the {one.timeframe} ones of {one.symbol}",
        f"a timeframe that divides {one.timeframe}, such as 1s",
    )


def _joined(given: Sequence[Candles | None]) -> Finer:
    there = [None if one is None else one.arrays for one in given]

    def joined(name: str, kind: type) -> NDArray[Any]:
        parts = [arrays[name] for arrays in there if arrays is not None]
        # Of one symbol without a copy: a year of seconds takes more than a gigabyte.
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, kind), *parts])

    time = joined("open_time", np.int64)
    o, h, l, v = (joined(name, np.float64) for name in ("open", "high", "low", "volume"))  # noqa: E741
    lengths = [0 if arrays is None else len(arrays["open_time"]) for arrays in there]
    first = np.cumsum([0, *lengths], dtype=np.int64)
    each = np.array([0 if one is None else one.timeframe_ms for one in given], np.int64)
    return Finer(first, time, o, h, l, v, each, np.zeros((len(given), 3), np.int64))
