"""Parts of a run whose indicators know what lies before them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.inputs import Inputs, run
from backtest.signals import signals_of
from backtest.spans import part_of, span_of
from data.synthetic import synthetic_market
from strategy.fills import Costs
from strategy.funding import no_funding
from strategy.grid import fine_grid
from strategy.load import load
from strategy.timeframes import DAY_MS
from tests.backtest.sweeps import assert_same

START_MS = 1_672_531_200_000
MINUTES = 12_000


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    candles = synthetic_market(7, MINUTES, START_MS)
    strategy = load("rsi_macd_atr")
    return Inputs(
        strategy=strategy,
        params=strategy.with_params({"oversold": 40.0, "overbought": 60.0}),
        risk=strategy.risk,
        costs=Costs(),
        balance=10_000.0,
        candles=(candles,),
        rules=(),
        grids=fine_grid(float(candles.arrays["open"][0])),
        funding=(no_funding(),),
        notes=(),
        source=None,
    )


@settings(max_examples=12, deadline=None)
@given(cut=st.tuples(st.integers(0, MINUTES - 2), st.integers(2, MINUTES)))
def test_a_part_has_the_signals_that_the_whole_has_there(
    inputs: Inputs, cut: tuple[int, int]
) -> None:
    first, stop = cut[0], min(cut[0] + cut[1], MINUTES)
    part = part_of(inputs, START_MS + first * 60_000, START_MS + stop * 60_000)
    assert span_of(part.candles) == (START_MS + first * 60_000, START_MS + stop * 60_000)
    whole = signals_of(inputs.strategy, inputs.candles[0], inputs.params)
    result = run(part)
    at = whole.at[(whole.at >= first) & (whole.at < stop)]
    # Every entry is one of the whole run's signals, a candle later, and the first is not missed.
    entries = result.trades.entry_candle + first - 1
    assert np.isin(entries, at).all()
    if len(at) and at[0] < stop - 1 and not result.refused.any():
        assert entries[0] == at[0]
    assert len(result.time) == stop - first


def test_a_part_is_warm_from_its_first_candle_on(inputs: Inputs) -> None:
    whole = signals_of(inputs.strategy, inputs.candles[0], inputs.params)
    signal = int(whole.at[whole.at > MINUTES // 2][0])
    start_ms = START_MS + (signal - 1) * 60_000
    assert run(part_of(inputs, start_ms, start_ms + DAY_MS)).trades.entry_candle[0] == 2


def test_a_sweep_over_a_part_equals_its_single_runs(inputs: Inputs) -> None:
    part = part_of(inputs, START_MS + 3_333 * 60_000, START_MS + 10_000 * 60_000)
    values = np.array([[14.0, 40.0, 2.0], [7.0, 35.0, 3.0], [7.0, 40.0, 2.0], [21.0, 45.0, 1.5]])
    table = assert_same(part, ("rsi", "oversold", "stop"), values)
    assert (table.figures["trades"] > 0).all()


def test_the_parts_of_a_part_know_all_that_lies_before(inputs: Inputs) -> None:
    once = part_of(inputs, START_MS + 5_000 * 60_000, START_MS + 8_000 * 60_000)
    outer = part_of(inputs, START_MS + 4_000 * 60_000, START_MS + 9_000 * 60_000)
    twice = part_of(outer, START_MS + 5_000 * 60_000, START_MS + 8_000 * 60_000)
    assert run(once).trades.tobytes() == run(twice).trades.tobytes()
