"""Tuning over a year of 1m candles: what asking, telling and keeping add to the evaluation.

python -m tests.benchmarks.tuning STORE MARKET SYMBOL TRIALS
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from backtest.inputs import Asked, gather
from backtest.sweeps.engine import evaluate
from backtest.sweeps.figures import SweepTable
from research.tuning.asked import TuneAsked, prepare, rests_on
from research.tuning.sampling import Sampling
from research.tuning.scoring import Scorer
from research.tuning.search import search
from research.tuning.study import Study
from tests.benchmarks.measure import process
from tests.benchmarks.section import Rows, Section, Target
from tests.benchmarks.workload import COSTS, END, RISK, START, STRATEGY, Market, day_ms

TRIALS, MANY = 1_000, 2_000
SPLIT = "2023-12-31"  # a year without a day, so that the searched span is W's
TEXT = """- *search* is tpe over the six params of `rsi_macd_atr`'s `TUNE`, over the year, with two
  threads, its trials kept in a journal file; it runs in a process of its own whose compiled kernels
  were loaded before.
- *ask, tell, keep* is everything beside the evaluation: the sampler's estimate, the study's file,
  the bookkeeping.
- *wick tune* is the whole command: candles from the store, search, the verdict with three more
  searches on shuffled markets, the report.
- vectorbt's loop runs 30 combinations in one process, with indicator columns shared by hand and no
  sampler. Elsewhere, on a machine of this kind, backtesting.py's `optimize` did 0.14 combinations a
  second of this year, jesse 0.10, nautilus_trader 0.055 and freqtrade, whose hyperopt runs one such
  backtest a trial, 0.046."""


def measure(store: Path, market: str, symbol: str, trials: int) -> dict[str, float]:
    """Search once, and part the time of the evaluation from the rest."""
    changes = tuple(f"risk.{name}={value}" for name, value in RISK.items())
    asked = Asked(
        STRATEGY, (symbol,), market, start_ms=day_ms(START), end_ms=day_ms(END), changes=changes,
        fee_bps=COSTS.fee_rate * 1e4, slippage_bps=COSTS.slippage * 1e4,
    )  # fmt: skip
    inputs = gather(asked, store, store)
    wanted = TuneAsked(trials, split_ms=day_ms(SPLIT))
    prepared = prepare(inputs, wanted)
    names = [one.name for one in prepared.spaces]
    spent = 0.0

    def timed(*given: Any, **options: Any) -> SweepTable:
        nonlocal spent
        began = time.perf_counter()
        found = evaluate(*given, **options)
        spent += time.perf_counter() - began
        return found

    scorer = Scorer(prepared.folds, names, prepared.objectives, evaluate=timed)
    with tempfile.TemporaryDirectory() as folder, Study("w", None, Path(folder), 1) as study:
        study.begin(rests_on(prepared, wanted))
        sampling = Sampling("tpe", prepared.spaces, 1, 0)
        began = time.perf_counter()
        search(scorer, sampling, trials, study=study)
        seconds = time.perf_counter() - began
    return {"trials": trials, "seconds": seconds, "evaluation": spent}


def section(markets: list[Market], folder: Path) -> Section:
    """Measure a search, the whole command, and vectorbt's loop beside it, on the first market."""
    market = markets[0]
    where = [str(market.store), market.market, market.symbol]

    def searched(trials: int) -> dict[str, float]:
        words = ["-m", "tests.benchmarks.tuning", *where, str(trials)]
        done = process(words, folder / "compiled", folder)
        return json.loads(done.out.splitlines()[-1]) | {"peak_mib": done.peak_mib}

    searched(80)  # compiled once, and the files are in the page cache
    found = {trials: searched(trials) for trials in (TRIALS, MANY)}
    flags = ["--symbols", market.symbol, "--market", market.market, "--from", START, "--to", END]
    whole = process(
        ["-m", "wick", "tune", STRATEGY, *flags, "--trials", str(MANY), "--store",
         str(market.store), "--runs", str(folder / "tuned")],
        folder / "compiled", folder,
    )  # fmt: skip
    months = market.store / market.market / market.symbol / "1m"
    theirs = process(
        ["-m", "tests.benchmarks.vectorbt_w", str(months), "rust", "0", "30"],
        folder / "compiled", folder,
    )  # fmt: skip
    loop = 30 / float(theirs.out.split()[1])
    rows: Rows = [
        (f"search, {trials:,} trials", f"{one['seconds']:.3g} s",
         f"{trials / one['seconds']:,.0f}", f"{one['evaluation'] / trials * 1e3:.2f} ms",
         f"{(one['seconds'] - one['evaluation']) / trials * 1e3:.2f} ms",
         f"{one['peak_mib']:,.0f} MiB")
        for trials, one in found.items()
    ]  # fmt: skip
    rows.append((f"wick tune, {MANY:,} trials", f"{whole.seconds:.3g} s", "", "", "",
                 f"{whole.peak_mib:,.0f} MiB"))  # fmt: skip
    rows.append(("vectorbt Rust's loop", "", f"{loop:,.0f}", f"{1e3 / loop:.0f} ms", "",
                 f"{theirs.peak_mib:,.0f} MiB"))  # fmt: skip
    nothing = float("nan")
    one = found[TRIALS]
    targets = [
        Target(f"ask, tell, keep, {TRIALS:,} trials", "their evaluation",
               (one["seconds"] - one["evaluation"]) / one["evaluation"], 1, nothing, "×", False,
               "the estimate of tpe"),
        Target(f"wick tune, {MANY:,} trials, a year", "", whole.seconds, 180, nothing, " s", False),
        Target("its peak memory", "", whole.peak_mib, 1_000, nothing, " MiB", False),
    ]  # fmt: skip
    head = ("tuning of W", "time", "trials a second", "evaluation each", "ask, tell, keep each",
            "peak")  # fmt: skip
    figures = {"search": found, "wick tune": whole.seconds, "peak_mib": whole.peak_mib,
               "vectorbt a second": loop}  # fmt: skip
    return Section("Tuning", [(head, rows)], TEXT, targets, figures)


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))))
