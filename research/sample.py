"""Candles for a first look: those of one's own store, or a made-up market where there are none."""

import atexit
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import store
from data.dates import show_time
from data.settings import load_settings
from data.synthetic import synthetic_market
from data.writer import save
from strategy.timeframes import DAY_MS

TIMEFRAME = "1m"
_MADE_FROM_MS = 1_672_531_200_000  # 2023-01-01
_SEED = 7


@dataclass(frozen=True, slots=True, repr=False)
class Sample:
    """Candles of one symbol in a store, and folders that are gone with the process.

    Attributes
    ----------
    store, runs, sessions : Path
        runs and sessions are temporary, so that examples leave nothing among one's own.
    symbol, market : str
    start_ms, end_ms : int
        UTC.
    made_up : bool
    """

    store: Path
    runs: Path
    sessions: Path
    symbol: str
    market: str
    start_ms: int
    end_ms: int
    made_up: bool

    @property
    def arguments(self) -> dict[str, Any]:
        """What `backtest.backtest` takes to run on these candles."""
        return {
            "symbols": self.symbol,
            "market": self.market,
            "start": self.start_ms,
            "end": self.end_ms,
            "store": self.store,
            "runs": self.runs,
        }

    def __repr__(self) -> str:
        what = "made-up market, no store has candles" if self.made_up else f"from {self.store}"
        return (
            f"{self.symbol} {self.market} {TIMEFRAME}, {show_time(self.start_ms)} to"
            f" {show_time(self.end_ms)} UTC ({what})"
        )


def sample(days: int) -> Sample:
    """Take the last days of candles stored, or draw as many where nothing is.

    The store is that of the settings, or the one beside the working folder, which is where it lies
    for a notebook in a folder of its own. BTCUSDT is taken first, and futures.
    """
    settings = load_settings()
    folder = Path(tempfile.mkdtemp(prefix="candlewick-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    runs, sessions = folder / "runs", folder / "sessions"
    for place in (settings.store, Path("..") / settings.store):
        found = [one for one in store.series(place) if one.series.timeframe == TIMEFRAME]
        if found:
            its = min(
                found, key=lambda one: (one.series.symbol != "BTCUSDT", one.series.market != "um")
            )
            end_ms = its.last_open_time + 60_000
            start_ms = max(its.first_open_time, end_ms - days * DAY_MS)
            market, symbol = its.series.market, its.series.symbol
            return Sample(place, runs, sessions, symbol, market, start_ms, end_ms, False)
    made = synthetic_market(_SEED, days * 1_440, _MADE_FROM_MS)
    save(folder / "store", made, "made up")
    end_ms = _MADE_FROM_MS + days * DAY_MS
    return Sample(
        folder / "store", runs, sessions, made.symbol, made.market, _MADE_FROM_MS, end_ms, True
    )
