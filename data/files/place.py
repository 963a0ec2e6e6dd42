"""Which series the rows of a file belong to: from flags, the file itself, its name and folders."""

from pathlib import Path

from data.files.layouts import TICKS
from data.files.names import Labels, Told
from data.files.parse import ParsedFile
from data.files.spacing import spacing
from data.kinds import Kind
from data.manifest import MARKETS, Series, timeframe_of
from data.table import column
from strategy.errors import WickError, did_you_mean
from strategy.timeframes import longest_ms


def place(path: Path, parsed: ParsedFile, labels: Labels, told: Told) -> tuple[Series, list[str]]:
    """Tell the series of a file from flags, then the file itself, then its name and folders.

    Returns
    -------
    series : Series
        Where its rows belong.
    notes : list of str
        What was guessed.

    Raises
    ------
    WickError
        Symbol, market or timeframe cannot be told, or is not known.
    """
    kind, notes = parsed.kind, []
    own = parsed.labels
    if TICKS in own:
        notes.append("the file knows no volume: its counts of ticks are taken for it")
    symbol = labels.symbol or own.get("symbol") or told.symbol
    if not symbol:
        raise _cannot_place(path, "symbol", "--symbol BTCUSDT")
    if not labels.symbol and told.symbol and symbol != told.symbol:
        raise WickError(
            f"{path.name} is named for {told.symbol} and says inside that it holds {symbol}",
            "add --symbol with the right one",
        )
    timeframe = labels.timeframe or ""
    if kind.has_timeframe and not timeframe:
        timeframe = own.get("timeframe") or told.timeframe
        if not timeframe:
            timeframe = spacing(column(parsed.table, kind.time))
            notes.append(f"timeframe {timeframe} taken from the spacing of the rows")
        if not timeframe:
            raise _cannot_place(path, "timeframe", "--timeframe 1m")
        timeframe = timeframe_of(timeframe)
    if timeframe:
        longest_ms(timeframe)
    inside = own.get("market", "").removesuffix("-mark")
    if not labels.market and inside and told.market in MARKETS and inside != told.market:
        raise WickError(
            f"{path.name} is of the market {told.market} by its name or folders, and of {inside} by"
            " what is inside",
            "add --market with the right one",
        )
    market = labels.market or told.market or inside or _market_of(kind, symbol)
    if not market:
        raise _cannot_place(path, "market", "--market um or --market spot")
    if market not in kind.markets:
        what = f" of {kind.plural}" if market in MARKETS else ""
        raise WickError(
            f"{path.name} belongs to the market {market!r}{what}, which is not stored",
            did_you_mean(market, kind.markets),
        )
    return Series(market, symbol.upper(), timeframe, kind.name), notes


def _market_of(kind: Kind, symbol: str) -> str:
    # Contracts against dollars are margined in coins.
    return kind.markets[0] if len(kind.markets) == 1 and not symbol.endswith("USD") else ""


def _cannot_place(path: Path, what: str, flag: str) -> WickError:
    return WickError(
        f"cannot tell the {what} of {path.name} from its name or content", f"add {flag}"
    )
