"""A strategy below a minute runs on candles made of a real day of trades."""

from pathlib import Path

import numpy as np

from backtest import Run, backtest
from data.dates import now_ms
from data.files.importer import Labels, import_file
from data.manifest import Series
from data.tumble import tumble_trades

ROOT = Path(__file__).resolve().parents[2]
ZIP = "futures-APEUSDT-aggTrades-2024-10-18.zip"


def run_on(store: Path, timeframe: str) -> Run:
    its = Series("um", "APEUSDT", timeframe)
    tumble_trades(store, its, None, None, now_ms(), lambda: None)
    strategy = ROOT / "strategy" / "mean_reversion_bollinger.py"
    return backtest(strategy, "APEUSDT", timeframe=timeframe, store=store)


def test_finer_candles_of_the_same_trades_give_the_same_trades_a_moment_earlier(
    tmp_path: Path, shared_data: Path
) -> None:
    (path,) = shared_data.rglob(ZIP)
    import_file(tmp_path, path, Labels(), now_ms())
    fine, coarse = (run_on(tmp_path, timeframe).trades for timeframe in ("100ms", "1s"))
    assert fine["side"].tolist() == coarse["side"].tolist() == ["long", "long", "short"]
    for moment in ("entry_time", "exit_time"):
        later = (coarse[moment] - fine[moment]).dt.total_seconds().to_numpy()
        assert np.all((later >= 0) & (later < 5))
