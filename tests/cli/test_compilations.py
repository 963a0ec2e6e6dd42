"""Nothing is compiled twice, whatever the strategy's file, and nothing after wick doctor."""

import shutil
import time
from pathlib import Path

import pyarrow as pa

from data.manifest import Series, Source
from data.writer import save, writing
from strategy.load import available
from tests.cli.conftest import BLUEPRINT, LONG_RULE, OFTEN, START_MS, market, tree
from tests.cli.test_detail import coarse
from tests.compilations import compiled_by

SOURCE = Source("synthetic", "0" * 64)


def test_a_second_process_compiles_nothing_whatever_the_strategy_file(stored: Path) -> None:
    mine, theirs = stored / "mine.py", stored / "deep" / "er" / "theirs.py"
    theirs.parent.mkdir(parents=True)
    # Rules of its own, so that its kernels are not those of the shipped one.
    mine.write_text(BLUEPRINT.replace("return p.stop * x.atr", "return 1.0625 * p.stop * x.atr"))

    def compiled(path: Path) -> list[str]:
        return compiled_by("backtest", str(path), *OFTEN, cwd=stored, out=stored / "compiled")

    compiled(mine)
    assert compiled(mine) == []
    shutil.copy(mine, theirs)
    assert compiled(theirs) == []
    # Comments, names and params do not enter a rule's kernel; lines may move.
    mine.write_text("# mine\n\n\n" + mine.read_text().replace("trend: int = 50", "trend: int = 20"))
    assert compiled(mine) == []
    new = -(time.time_ns() % 10**9) / 1e6  # a text that was never compiled before
    mine.write_text(mine.read_text().replace(LONG_RULE, f"{LONG_RULE} & (x.rsi > {new})"))
    first = {name.partition(".")[0] for name in compiled(mine)} - {"numba"}
    assert len(first) == 1
    assert first.pop().startswith("candlewick_rules_")
    assert compiled(mine) == []


GRID = {
    "breakout_donchian": "channel=24|48,stop=2:4:1,risk.part_1=0|1,risk.part_1_share=0.5",
    "mean_reversion_bollinger": "length=30|40,stop=2:4:1",
    "rsi_macd_atr": "rsi=10|14,oversold=40|45,stop=2|4,risk.trail=0|2",
    "stoch_roc": "roc=48|96,stop=2:4:1",
    "trend_ema": "fast=10|20,stop=2:4:1,costs.atr=0|0.05",
}
LIMIT = "\n\n@rule\ndef limit_distance(x: Row, p: Params) -> float:\n    return 0.1 * x.atr\n"


def keep_all_kinds(store: Path) -> None:
    """Store 1m and 15m candles of a symbol whose tiers are known, mark prices and funding."""
    fine = market(20 * 1440, symbol="BTCUSDT")
    save(store, fine, "synthetic")
    save(store, coarse(fine, 15, "15m"), "synthetic")
    names = ("open_time", "open", "high", "low", "close")
    with writing(store, Series("um", "BTCUSDT", "1m", "mark")) as writer:
        writer.add(pa.table({name: fine.arrays[name] for name in names}), SOURCE)
    times = [START_MS + k * 8 * 3_600_000 for k in range(60)]
    with writing(store, Series("um", "BTCUSDT", "", "funding")) as writer:
        writer.add(pa.table({"time": times, "rate": [1e-4] * len(times)}), SOURCE)


def test_after_wick_doctor_no_first_backtest_or_sweep_compiles_anything(folder: Path) -> None:
    keep_all_kinds(folder / "var" / "store")

    def compiled(*words: str) -> list[str]:
        cache = str(folder / "cache")
        return compiled_by(*words, cwd=folder, out=folder / "compiled", NUMBA_CACHE_DIR=cache)

    assert len(compiled("doctor")) > 100
    files = set(tree(folder / "cache"))
    for strategy in available():
        assert compiled("backtest", strategy) == []
        assert compiled("sweep", strategy, "--grid", GRID[strategy]) == []
    options = ("--set", "risk.trail=1", "--set", "risk.part_1=1", "--set", "risk.part_1_share=0.5")
    assert compiled("backtest", "rsi_macd_atr", *OFTEN, *options) == []
    detail = ("breakout_donchian", "--timeframe", "15m", "--detail", "1m")
    assert compiled("backtest", *detail) == []
    assert compiled("sweep", *detail, "--grid", GRID["breakout_donchian"]) == []
    assert compiled("doctor") == []
    assert set(tree(folder / "cache")) == files
    (folder / "limits.py").write_text(BLUEPRINT + LIMIT)
    for words in (
        ("backtest", "limits.py"),
        ("sweep", "limits.py", "--grid", GRID["rsi_macd_atr"]),
    ):
        modules = {name.partition(".")[0] for name in compiled(*words)} - {"numba"}
        assert all(name.startswith("candlewick_rules_") for name in modules)
