"""Nothing is compiled twice, whatever the strategy's file, and nothing after wick doctor."""

import shutil
import time
from pathlib import Path

from strategy.load import available
from tests.cli.conftest import BLUEPRINT, LONG_RULE, OFTEN
from tests.compilations import compiled_by


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


def test_after_wick_doctor_the_first_backtest_compiles_nothing(stored: Path) -> None:
    def compiled(*words: str) -> list[str]:
        cache = str(stored / "cache")
        return compiled_by(*words, cwd=stored, out=stored / "compiled", NUMBA_CACHE_DIR=cache)

    assert len(compiled("doctor")) > 100
    for strategy in available():
        assert compiled("backtest", strategy) == []
    options = ("--set", "risk.trail=1", "--set", "risk.part_1=1", "--set", "risk.part_1_share=0.5")
    assert compiled("backtest", "rsi_macd_atr", *OFTEN, *options) == []
    assert compiled("doctor") == []
