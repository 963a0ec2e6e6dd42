"""What a backtest's margin rests on: brackets, liquidation fees and mark prices of the store."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.dates import show_time
from data.kinds import MARK
from data.manifest import Series
from data.store import load_if_stored
from data.symbols import DatedRules, MarginRules, grids_of
from strategy.candles import Candles
from strategy.dated import RuleChange, SymbolTiers
from strategy.margin import LIQUIDATION_FEE, TIER, Marks


def tiers_of(margin: MarginRules | None) -> SymbolTiers | None:
    """Return brackets as a backtest takes them; None for none."""
    if margin is None:
        return None
    rows = [
        (float(one.floor), float(one.cap), float(one.maintenance), float(one.cum), one.leverage)
        for one in margin.brackets
    ]
    fee = float(margin.liquidation_fee) if margin.liquidation_fee else LIQUIDATION_FEE
    return SymbolTiers(np.array(rows, TIER), fee)


def changes_of(later: Sequence[DatedRules]) -> list[RuleChange]:
    """Return rules by date as a backtest takes them."""
    return [RuleChange(one.at_ms, grids_of([one.rules]), tiers_of(one.margin)) for one in later]


def marks_of_store(store: Path, candles: Candles) -> Marks | None:
    """Read the mark price candles of a symbol's own timeframe within its candles; None for none.

    Raises
    ------
    WickError
        A file is damaged.
    """
    times = candles.arrays["open_time"]
    series = Series("um", candles.symbol, candles.timeframe, MARK.name)
    arrays = load_if_stored(store, series, int(times[0]), int(times[-1]))
    if arrays is None:
        return None
    prices = (arrays[name] for name in ("open", "high", "low", "close"))
    return Marks(arrays["open_time"], *prices)


def mark_notes(candles: Candles, marks: Marks | None) -> list[str]:
    """Say for how many candles the contract's price stands in for the mark price."""
    times = candles.arrays["open_time"]
    missing = len(times) if marks is None else int(np.count_nonzero(marks.rows_of(times) < 0))
    if not missing:
        return []
    symbol, length, day = candles.symbol, candles.timeframe, show_time(int(times[0]))[:10]
    fetch = f"wick data fetch {symbol} --kind mark --timeframe {length} --from {day}"
    if marks is None:
        return [f"no mark prices of {symbol} {length} are stored, the contract's stand in: {fetch}"]
    many = f"{missing:,} of {len(times):,} candles have no mark price candle"
    return [f"{symbol}: {many}, the contract's stand in: {fetch}"]
