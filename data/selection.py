"""Which stored candles are meant where a command does not say."""

from collections.abc import Sequence
from pathlib import Path

from data import store
from data.find import select
from strategy.errors import WickError
from strategy.timeframes import longest_ms


def only_symbol(folder: Path, market: str | None, timeframe: str) -> str:
    """Return the symbol that is meant where none is named: the only one stored.

    Raises
    ------
    WickError
        None or several are stored with candles of this timeframe.
    """
    stored = [one.series for one in select(folder, None, market, None)]
    names = sorted({series.symbol for series in stored if series.timeframe == timeframe})
    if not names:
        known = ", ".join(sorted({series.timeframe for series in stored}, key=longest_ms))
        raise WickError(
            f"no {timeframe} candles are stored in {folder}; stored are {known}",
            f"take a stored --timeframe, or wick data fetch {stored[0].symbol}"
            f" --timeframe {timeframe} --from 2023-01-01",
        )
    if len(names) > 1:
        raise WickError(
            f"{len(names)} symbols are stored with {timeframe} candles, which are meant?",
            f"--symbols {names[0]} or --symbols {','.join(names[:3])}",
        )
    return names[0]


def market_of(folder: Path, symbol: str, timeframe: str) -> str:
    """Return the market that is meant where none is named."""
    # Futures are what this is for; where only spot is stored, there is nothing to confuse.
    markets = {
        s.series.market
        for s in store.series(folder)
        if s.series.symbol == symbol and s.series.timeframe == timeframe
    }
    return "spot" if markets == {"spot"} else "um"


def symbol_names(text: str) -> tuple[str, ...]:
    """Read names with commas between them, in small letters or large ones.

    Raises
    ------
    WickError
        One is empty.
    """
    names = tuple(name.strip().upper() for name in text.split(","))
    if "" in names:
        raise WickError(f"--symbols {text!r} has an empty name", "--symbols BTCUSDT,ETHUSDT")
    return names


def refuse_twice(symbols: Sequence[str]) -> None:
    """Refuse a symbol that is named twice.

    Raises
    ------
    WickError
        One is.
    """
    for symbol in symbols:
        if symbols.count(symbol) > 1:
            raise WickError(
                f"--symbols names {symbol} twice",
                f"--symbols {','.join(dict.fromkeys(symbols))}",
            )
