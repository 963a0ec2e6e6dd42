"""The sweep makes the trades and figures of single runs, to the last bit."""

import dataclasses
import itertools
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.inputs import Inputs
from backtest.sweeps.engine import evaluate, trades_of
from backtest.sweeps.figures import SweepTable
from backtest.sweeps.plan import SweepPlan
from data.synthetic import synthetic_market
from strategy.errors import WickError
from strategy.fills import Costs
from strategy.funding import no_funding
from strategy.grid import fine_grid
from strategy.load import load
from strategy.options import OPTIONS, Option
from strategy.risk import Risk
from tests.backtest.late_markets import draw_late
from tests.backtest.random_margins import draw_margined
from tests.backtest.random_markets import draw_funded, draw_ranked, draw_world
from tests.backtest.script import scripted
from tests.backtest.sweeps import (
    SETTINGS,
    assert_same,
    draw_settings,
    draw_strategy,
    inputs_of,
    margined_inputs,
)

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("WICK_TEST_EXAMPLES", "1500"))
SEEDS = st.integers(0, 2**32)


@settings(max_examples=EXAMPLES // 20, deadline=None)
@given(SEEDS, st.integers(1, 400), st.integers(1, 2), st.sampled_from([draw_world, draw_funded]))
def test_every_combination_of_settings_equals_its_single_run(
    seed: int, length: int, symbols: int, draw: object
) -> None:
    world = draw(seed, length, symbols)  # type: ignore[operator]
    values = draw_settings(seed, 8, has_trail=world.trail)
    assert_same(inputs_of(world), SETTINGS, values, threads=1)


@settings(max_examples=EXAMPLES // 20, deadline=None)
@given(SEEDS, st.integers(1, 300))
def test_combinations_that_may_be_liquidated_equal_their_single_runs(
    seed: int, length: int
) -> None:
    inputs = margined_inputs(draw_margined(seed, length, 1))
    axes = ("risk.per_trade", "risk.leverage", "risk.max_leverage", "costs.fee_rate")
    rows = itertools.product((0.001, 0.05, 1.0), (20.0, 75.0), (1.0, 20.0), (0.0005,))
    assert_same(inputs, axes, np.array([*rows, (0.3, 50.0, 50.0, 0.01)]), threads=1)


def test_tiers_alone_send_no_combination_through_the_candles() -> None:
    # With at most half the wallet as notional, a liquidation is far away.
    terms = margined_inputs(draw_margined(3, 300, 1)).terms
    risk = Risk(per_trade=0.001, max_leverage=0.5)
    inputs = dataclasses.replace(grid_world()[0], risk=risk, terms=terms)
    plan = SweepPlan.of(inputs, ("risk.per_trade",))
    assert plan.says()[-1] == (
        "a combination that comes near a liquidation is walked through the candles"
    )
    trades = trades_of(plan, [0.001])
    assert len(trades) > 0
    assert "mae" not in trades.dtype.names


def test_rules_that_change_inside_the_run_are_walked() -> None:
    inputs = margined_inputs(draw_margined(3, 60, 1))
    inputs = dataclasses.replace(inputs, risk=Risk(), terms=(inputs.terms[0] * 2,))
    plan = SweepPlan.of(inputs, ("risk.per_trade",))
    assert plan.says()[-1] == "exchange rules change inside the run: candles are walked"


@pytest.mark.parametrize("seed", range(max(EXAMPLES // 250, 3)))
def test_every_combination_of_params_equals_its_single_run(seed: int, tmp_path: Path) -> None:
    strategy, rng = draw_strategy(seed, tmp_path), random.Random(seed)
    grid: dict[str, list[float]] = {
        "a": [3, 5, 9], "b": [4, 7, 9], "level": [-0.5, 0.0, 0.4, 30.0], "stop": [0.5, 1.5, 4.0],
        "take": [0.7, 2.5, 8.0], "risk.per_trade": [0.01, 0.1], "risk.daily_loss_limit": [0, 0.02],
        "risk.time_stop": [0, 0, 7, 40], "risk.break_even": [0, 0, 1], "risk.cooldown": [0, 5],
        "costs.slippage": [0.0, 0.001], "costs.intrabar": [0, 1], "risk.trail": [0, 0, 1, 6],
    }  # fmt: skip
    axes, choices = tuple(grid), list(grid.values())
    values = np.array([[rng.choice(one) for one in choices] for _ in range(60)], np.float64)
    for at in range(3):
        world = draw_funded(seed * 100 + at, 900, 1)
        world = dataclasses.replace(world, timeframe="1m", risk=Risk(leverage=50.0))
        assert_same(inputs_of(world, strategy), axes, values, threads=2, memory=1 << 20)


def grid_world(length: int = 500) -> tuple[Inputs, tuple[str, ...], np.ndarray]:
    world = dataclasses.replace(draw_funded(12, length, 1), risk=Risk(), costs=Costs())
    axes = ("risk.per_trade", "risk.time_stop", "costs.slippage", "half")
    rows = [
        (a, b, c, d)
        for a in (0.01, 0.02)
        for b in (0, 3, 20)
        for c in (0.0, 0.001)
        for d in (0.5, 0.6, 1.5)
    ]
    return inputs_of(world), axes, np.array(rows, np.float64)


def bytes_of(table: SweepTable) -> bytes:
    return b"".join(column.tobytes() for column in table.figures.values()) + table.note.tobytes()


def test_threads_memory_order_and_chunks_change_nothing() -> None:
    inputs, axes, values = grid_world()
    plan = SweepPlan.of(inputs, axes)
    table = evaluate(plan, values, threads=1)
    assert np.nanmax(table.figures["trades"]) > 10
    for threads, memory in ((2, 1 << 29), (3, 1 << 29), (1, 1), (2, 200_000)):
        assert bytes_of(evaluate(plan, values, threads=threads, memory=memory)) == bytes_of(table)
    turned = evaluate(plan, values[::-1])
    halves = [evaluate(plan, part) for part in np.array_split(values, 5)]
    for key, column in table.figures.items():
        assert turned.figures[key][::-1].tobytes() == column.tobytes()
        parts = np.concatenate([half.figures[key] for half in halves])
        assert parts.tobytes() == column.tobytes()


def test_stops_that_follow_for_days_equal_those_of_single_runs() -> None:
    candles, strategy = synthetic_market(3, 15_000, 0), load("stoch_roc")
    inputs = dataclasses.replace(
        grid_world()[0],
        strategy=strategy,
        params=strategy.params(),
        candles=(candles,),
        grids=cast(Any, fine_grid(float(candles.arrays["open"][0]))).view(np.recarray),
        funding=(no_funding(),),
        spreads=(),
        balance=1e6,
    )
    axes = ("stop", "risk.trail", "risk.trail_after", "risk.break_even", "risk.time_stop")
    rows = itertools.product((4.0, 20.0), (0.5, 1.0), (0.0, 0.7), (0.0, 0.5), (0.0, 3_000.0))
    values = np.array(list(rows))
    assert_same(inputs, axes, values, threads=1)
    trades = np.concatenate([trades_of(SweepPlan.of(inputs, axes), row) for row in values])
    lengths = trades["exit_candle"] - trades["entry_candle"]
    assert np.sum(lengths > 600) > 10  # whole blocks of candles are passed over


def test_indicators_see_all_candles_once_for_each_of_their_params(tmp_path: Path) -> None:
    strategy, lengths = draw_strategy(1, tmp_path), []

    def counting(c: Any, p: Any) -> Any:
        lengths.append(len(c._arrays["open_time"]))
        return strategy.indicators(c, p)

    world = dataclasses.replace(draw_funded(4, 2_000, 1), timeframe="1m", risk=Risk())
    inputs = inputs_of(world, dataclasses.replace(strategy, indicators=counting))
    rows = itertools.product((3, 5, 9), (4, 7), (-0.5, 0.4), (0.5, 1.5, 4.0))
    plan = SweepPlan.of(inputs, ("a", "b", "level", "stop"))
    evaluate(plan, np.array(list(rows)), threads=2)
    assert lengths.count(len(inputs.candles[0])) == 3 * 2


VALUES = {
    "risk.daily_loss_limit": 0.05,
    "risk.max_notional": 5_000.0,
    "risk.part_1_share": 0.5,
    "risk.part_2_share": 0.5,
    "risk.per_trade": 0.02,
    "risk.max_leverage": 2.0,
    "risk.leverage": 10.0,
    "costs.fee_rate": 0.001,
    "costs.slippage": 0.001,
    "costs.maker_rate": 0.001,
    "costs.impact": 1e-4,
    "costs.volume_share": 0.5,
}
TOGETHER = {
    "risk.daily_loss_flatten": ("risk.daily_loss_limit",),
    "risk.trail_after": ("risk.trail",),
    "risk.part_1": ("risk.part_1_share",),
    "risk.part_1_share": ("risk.part_1",),
    "risk.part_2": ("risk.part_2_share",),
    "risk.part_2_share": ("risk.part_2",),
}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_is_tabulated_or_falls_back_and_says_so(option: Option) -> None:
    name = option.name
    inputs, _, _ = grid_world(300)
    if "limit" in name.replace("loss_limit", ""):
        world = draw_funded(12, 300, 1)
        inputs = inputs_of(world, scripted(world.timeframe, limit=0.5))
        inputs = dataclasses.replace(inputs, risk=Risk())
    if name == "rule.entry_priority":
        world = draw_ranked(12, 300, 1)
        inputs = inputs_of(world, scripted(world.timeframe, take=world.take, ranked=True))
        inputs = dataclasses.replace(inputs, risk=Risk(), costs=Costs())
    if name == "costs.latency_ms":
        inputs = inputs_of(draw_late(49, 300, 1))  # candles of a second
        inputs = dataclasses.replace(inputs, risk=Risk())
    axes = ("risk.per_trade",) if name.startswith("rule.") else (name, *TOGETHER.get(name, ()))
    row = [VALUES.get(one, 1.0) for one in axes]
    plan = SweepPlan.of(inputs, axes)
    risk, costs = plan.settings(np.array(row))
    why = plan.why_walked(risk, costs)
    if option.tabulated:
        assert why == []
    else:
        assert f"{name} is set: candles are walked" in why
        assert any(name in sentence and "walked" in sentence for sentence in plan.says())
    # A walked combination's trades are whole records, a tabulated one's are not.
    assert ("mae" in trades_of(plan, row).dtype.names) == (not option.tabulated)
    assert_same(inputs, axes, np.array([row]))


def test_several_symbols_walk_and_say_so() -> None:
    plan = SweepPlan.of(inputs_of(draw_world(3, 50, 2)), ("risk.per_trade",))
    assert plan.says()[-1] == "2 symbols share one balance: candles are walked"


def test_a_plan_says_what_is_shared() -> None:
    inputs, axes, _ = grid_world(100)
    assert SweepPlan.of(inputs, axes).says() == [
        "indicators are computed once",
        "8 comparisons of the rules are kept as bits, each once for its operands",
        "exits are tabulated once for each distinct risk.time_stop, costs.slippage",
    ]


def test_wrong_axes_and_values_are_named() -> None:
    inputs, _, _ = grid_world(50)
    with pytest.raises(WickError, match=r"nothing called 'risk.per_trde' to sweep over"):
        SweepPlan.of(inputs, ("risk.per_trde",))
    with pytest.raises(WickError, match="half is given twice"):
        SweepPlan.of(inputs, ("half", "half"))
    plan = SweepPlan.of(inputs, ("half",))
    with pytest.raises(WickError, match="parameter half is nan, expected a number"):
        evaluate(plan, np.array([[np.nan]]))


def test_interpreted_kernels_give_the_same_table() -> None:
    found = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import fingerprint; print(fingerprint())"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == [fingerprint()]
    assert found.stderr == ""


def fingerprint() -> str:
    """Return a small sweep's table as hexadecimal digits."""
    inputs, axes, values = grid_world(200)
    plan = SweepPlan.of(inputs, axes)
    return bytes_of(evaluate(plan, values[::3], threads=1)).hex()


def test_a_kernel_that_holds_a_param_is_not_shared(tmp_path: Path) -> None:
    text = """
from typing import NamedTuple
import numpy as np
from strategy.candles import Candles
from strategy.column import Column, stateful
from strategy.indicators import atr
from strategy.rules import rule

TIMEFRAME = "1m"

class Params(NamedTuple):
    held: int = 4
    stop: float = 2.0

class Row(NamedTuple):
    held: float
    atr: float

def make(held):
    def kernel(close, state):
        return np.full(len(close), float(held))
    return kernel

def indicators(c: Candles, p: Params) -> Row:
    (column,) = stateful("held", c.timeframe, make(p.held), [c.close], (), 1)
    return Row(held=column, atr=atr(c.high, c.low, c.close, 14))

@rule
def enter_long(x: Row, p: Params) -> bool:
    return x.held > 20

@rule
def stop_distance(x: Row, p: Params) -> float:
    return p.stop * x.atr
"""
    path = tmp_path / "holds.py"
    path.write_text(text)
    candles = synthetic_market(7, 3_000, 1_672_531_200_000)
    inputs = dataclasses.replace(
        inputs_of(draw_world(5, 60, symbols=1), load(str(path))),
        risk=Risk(),
        costs=Costs(),
        balance=10_000.0,
        candles=(candles,),
        grids=fine_grid(float(candles.arrays["open"][0])),
        funding=(no_funding(),),
        spreads=(),
    )
    table = assert_same(inputs, ("held",), np.array([[4.0], [24.0], [8.0], [28.0]]))
    assert (table.figures["trades"] > 0).tolist() == [False, True, False, True]
