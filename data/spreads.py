"""Stored quotes, as a backtest takes them: half spreads, each from the moment it was known."""

from pathlib import Path

from data.files.quotes import MINUTE_MS
from data.kinds import QUOTES
from data.manifest import Series, read_manifest
from data.store import load_arrays
from strategy.candles import Candles
from strategy.errors import WickError
from strategy.slippage import Spread


def spread_of_store(store: Path, candles: Candles) -> Spread:
    """Read the half spreads that are known while the candles of a symbol last; the first may be
    from before them.

    Each is the mean of its minute, and known from that minute's end.

    Raises
    ------
    WickError
        None are stored of this symbol for this time, or a file is damaged.
    """
    times = candles.arrays["open_time"]
    first_ms, end_ms = int(times[0]), int(times[-1]) + candles.timeframe_ms
    wanted = Series(candles.market, candles.symbol, "", QUOTES.name)
    files = [one for one in read_manifest(wanted.folder(store)).files if one.first_ms < end_ms]
    before = [one for one in files if one.first_ms <= first_ms - MINUTE_MS]
    if not files or (files == before and files[-1].last_ms < first_ms - MINUTE_MS):
        raise WickError(
            f"costs.spread needs half spreads, and no quotes of {candles.symbol} are stored for"
            " these candles",
            f"wick data fetch {candles.symbol} --kind bookTicker --from …, or costs.spread=0",
        )
    start = (before or files)[-1 if before else 0].first_ms
    arrays = load_arrays(store, wanted, start, end_ms)
    return Spread(arrays["time"] + MINUTE_MS, arrays["half"])
