"""From stored candles to a kept tuning, and from its run back to the same result."""

from pathlib import Path

import pandas as pd
import pytest

from backtest.commands import run_backtest
from backtest.inputs import Asked, gather
from data import runs
from data.synthetic import synthetic_market
from data.writer import save
from research.tuning.asked import TuneAsked
from research.tuning.keep import run_tune
from research.validation.holdout import open_holdout

START = 1_672_531_200_000  # 2023-01-01 00:00 UTC
DAY_MS = 86_400_000
SPLIT = START + 20 * DAY_MS
END = START + 28 * DAY_MS
ASKED = Asked(
    "rsi_macd_atr",
    ("BTCUSDT", "ETHUSDT"),
    changes=("risk.per_trade=0.007", "signal=8"),
    balance=12_345.67,
    fee_bps=3.3,
    slippage_bps=0.7,
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Store 28 days of two symbols."""
    folder = tmp_path / "store"
    for seed, symbol in enumerate(ASKED.symbols or ()):
        save(folder, synthetic_market(seed, 28 * 1440, START, symbol=symbol), "seeded")
    return folder


def test_a_kept_tuning_and_its_hold_out_are_repeated_by_backtests(
    store: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "runs"
    asked = TuneAsked(12, seed=5, split_ms=SPLIT)
    tuned = run_tune(gather(ASKED, store, folder), folder, asked, command=["tune"])
    tune = tuned.record.tune
    assert tune is not None
    assert tuned.record.figure("sharpe").value == tune.best_value
    assert (tune.train_from_ms, tune.split_ms, tune.test_to_ms) == (
        START, SPLIT, END
    )  # fmt: skip

    name = tuned.record.id
    train, source = run_backtest(
        Asked("rsi_macd_atr", params=name), store, folder, None, ["backtest"]
    )
    assert source == tuned.record
    assert train.record.result_hash == tuned.record.result_hash
    assert train.record.figures == tuned.record.figures
    assert train.record.params == tuned.record.params
    opened = open_holdout(name, store, folder)
    assert opened.record.params == tuned.record.params
    assert opened.record.data[0].first_ms == SPLIT
    by_run = Asked("rsi_macd_atr", params=opened.record.id)
    by_flags = Asked("rsi_macd_atr", params=name, start_ms=SPLIT, end_ms=END, warm_ms=START)
    for way in (by_run, by_flags):
        test, _ = run_backtest(way, store, folder, None, ["backtest"])
        assert test.record.result_hash == opened.record.result_hash
        assert test.record.figures == opened.record.figures

    trials = pd.read_parquet(tuned.folder / "trials.parquet")
    assert trials.value_sharpe.max() == tune.best_value
    best = trials.sort_values("value_sharpe", na_position="first").iloc[-1]
    assert best.params_rsi == tuned.record.params["rsi"]
    assert runs.load(folder, name).record == tuned.record
