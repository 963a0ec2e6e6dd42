"""Compile every kernel once by tiny runs, so that the first real one waits for nothing."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from backtest.inputs import Asked, gather
from backtest.running import run_asked
from backtest.sweeps.engine import evaluate
from backtest.sweeps.plan import SweepPlan
from data.runs import keep
from data.store import load as load_candles
from data.synthetic import synthetic_market
from data.writer import save
from research.indicator_list import Indicator, all_indicators
from research.indicator_plot import LENGTH
from strategy.candles import Candles
from strategy.load import available

START_MS = 1_672_531_200_000
MINUTES = 4 * 1440
# Lengths that fit into four days; the numbers change no compiled form.
SHORT: dict[str, tuple[str, ...]] = {
    "rsi_macd_atr": ("trend=10", "oversold=45", "overbought=55"),
    "trend_ema": ("fast=3", "slow=6", "filter=4"),
    "stoch_roc": ("roc=8", "edge=45"),
}
OPTIONS = (
    "risk.trail=1", "risk.break_even=1", "risk.time_stop=60", "risk.cooldown=5",
    "risk.part_1=1", "risk.part_1_share=0.5", "risk.daily_loss_limit=0.02",
)  # fmt: skip


def steps() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what there is to run, each with its name; in the order given."""
    with tempfile.TemporaryDirectory() as scratch:
        store, runs = Path(scratch) / "store", Path(scratch) / "runs"
        names = ("AUSDT", "BUSDT")
        for seed, symbol in enumerate(names):
            save(store, synthetic_market(seed, MINUTES, START_MS, symbol=symbol), "made up")
        for one in available():
            yield one, partial(_run, one, names[:1], SHORT.get(one, ()), store, runs)
        options = (*SHORT["rsi_macd_atr"], *OPTIONS)
        yield "two symbols", partial(_run, "rsi_macd_atr", names, options, store, runs)
        yield "a sweep", partial(_sweep, names[:1], SHORT["rsi_macd_atr"], store, runs)
        candles = load_candles(store, "um", names[0], "1m")
        for indicator in all_indicators():
            yield indicator.name, partial(_indicator, indicator, candles)


def _indicator(one: Indicator, candles: Candles) -> None:
    fields = {"high": candles.high, "low": candles.low, "volume": candles.volume}
    given: dict[str, Any] = {name: fields.get(name, candles.close) for name in one.inputs}
    if "condition" in given:
        given["condition"] = candles.close > candles.open
    lengths = {name: LENGTH if value is None else value for name, value in one.numbers.items()}
    one.function(**given, **lengths, **dict.fromkeys(one.candles, candles))


def _sweep(symbols: tuple[str, ...], changes: tuple[str, ...], store: Path, runs: Path) -> None:
    inputs = gather(Asked("rsi_macd_atr", symbols, "um", changes=changes), store, runs)
    evaluate(SweepPlan.of(inputs, ("rsi", "stop")), np.array([[7.0, 2.0], [9.0, 3.0]]))


def _run(
    strategy: str, symbols: tuple[str, ...], changes: tuple[str, ...], store: Path, runs: Path
) -> None:
    asked = Asked(strategy, symbols, "um", changes=changes)
    run, inputs = run_asked(asked, store, runs)
    keep(runs, run, inputs.strategy.source)
