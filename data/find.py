"""Which series of a store a command means, also those whose manifest is lost or damaged."""

from collections.abc import Sequence
from pathlib import Path

from data.kinds import KINDS, KLINES, known_kind
from data.manifest import MANIFEST, MARKETS, Series, known_market, series_of
from data.store import StoredSeries, not_stored, rank, series
from strategy.errors import WickError
from strategy.timeframes import longest_ms


def find_series(
    store: Path,
    symbols: Sequence[str] | None = None,
    market: str | None = None,
    timeframe: str | None = None,
    kind: str | None = None,
) -> list[Series]:
    """List the series of all kinds that fit, by symbol, market, kind and timeframe; None fits all.

    Raises
    ------
    WickError
        Nothing is stored, or nothing of a symbol named.
    """
    if market is not None:
        known_market(market)
    if timeframe is not None:
        longest_ms(timeframe)
    if kind is not None:
        kind = known_kind(kind).name
    stored = _folders(store)
    fitting = [
        s
        for s in stored
        if market in (None, s.market)
        and timeframe in (None, s.timeframe)
        and kind in (None, s.kind)
    ]
    symbols = None if symbols is None else [symbol.upper() for symbol in symbols]
    for symbol in symbols or ():
        if not any(s.symbol == symbol for s in fitting):
            raise not_stored(store, _wanted(symbol, market, timeframe, kind))
    if not fitting:
        asked = " ".join(filter(None, (market, None if kind == KLINES.name else kind, timeframe)))
        known = sorted({" ".join(str(s).split()[1:]) for s in stored})
        raise WickError(
            f"the store {store} holds {f'nothing of {asked}' if stored else 'no candles yet'}",
            f"stored are {', '.join(known)}"
            if stored
            else "wick data fetch BTCUSDT --from 2023-01-01, or wick data import PATH",
        )
    return [s for s in fitting if symbols is None or s.symbol in symbols]


def select(
    store: Path,
    symbols: Sequence[str] | None = None,
    market: str | None = None,
    timeframe: str | None = None,
) -> list[StoredSeries]:
    """List the stored candles that fit, as `find_series`, with what their manifests say."""
    found = find_series(store, symbols, market, timeframe, KLINES.name)
    return [one for one in series(store) if one.series in found]


def _folders(store: Path) -> list[Series]:
    found = set()
    for market in MARKETS:
        for pattern in (MANIFEST, "*.parquet"):
            for folder in {path.parent for path in (store / market).glob(f"*/*/{pattern}")}:
                its = series_of(folder)
                if its is not None:
                    found.add(its)
    return sorted(found, key=rank)


def _wanted(symbol: str, market: str | None, timeframe: str | None, kind: str | None) -> Series:
    its = KINDS[kind or "klines"]
    length = (timeframe or "1m") if its.has_timeframe else ""
    return Series(market or "um", symbol, length, its.name)
