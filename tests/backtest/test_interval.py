"""What a run says about its candles that touch stop and take: the whole run in both cases."""

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest import backtest as from_python
from backtest.engine import Result
from backtest.interval import interval_of
from strategy.errors import RunRefused
from strategy.fills import BEST, DETAIL, WORST, Costs
from strategy.grid import grid
from strategy.risk import Risk
from tests.backtest.detailed_markets import draw_detailed
from tests.backtest.random_markets import World, draw_world, run_fast
from tests.backtest.script import FREE, MONDAY, WIDE, bar, candles_of, run, scripted

CALM = "100 100 100 100"
GRID = grid("0.1", "0.001")
BARS = [bar(CALM, "long", 2.0, 3.0), bar(CALM), bar("100 103 98 100"), bar(CALM)]


def with_case(world: World, intrabar: int) -> World:
    return dataclasses.replace(world, costs=world.costs._replace(intrabar=intrabar))


def test_a_run_lies_between_its_worst_and_its_best_case() -> None:
    def again(costs: Costs) -> Result:
        return run(BARS, grids=GRID, costs=costs)

    its = interval_of(again(FREE), again)
    assert its is not None
    # 50 from 100: to the stop 50 × −2 = −100, to the take 50 × 3 = 150; of the peak 10,000 that is
    # −1 % and nothing.
    assert its.worst is not None
    assert its.best is not None
    assert (its.trades, its.ambiguous, its.resolved) == (1, 1, 0)
    assert (its.worst.equity, its.best.equity) == (9_900.0, 10_150.0)
    assert its.worst.total_return == pytest.approx(-0.01, abs=1e-15)
    assert its.worst.max_drawdown == pytest.approx(-0.01, abs=1e-15)
    assert its.best.max_drawdown == 0.0


def test_without_an_ambiguous_candle_there_is_no_interval() -> None:
    bars = [bar(CALM, "long", 2.0, 3.0), bar(CALM), bar("100 102 98 100"), bar(CALM)]
    result = run(bars, grids=GRID)
    assert interval_of(result, lambda _: pytest.fail("nothing to run again")) is None


def test_a_case_that_uses_up_the_balance_has_no_end() -> None:
    # All of it at risk, at 125 × leverage: the stop takes 10,000.
    risk = WIDE._replace(per_trade=1.0)

    def again(costs: Costs) -> Result:
        return run(BARS, grids=GRID, costs=costs, risk=risk)

    with pytest.raises(RunRefused):
        again(FREE)
    its = interval_of(again(FREE._replace(intrabar=BEST)), again)
    assert its is not None
    assert its.worst is None
    assert its.best is not None
    assert its.best.equity == 25_000.0  # 5,000 × 3


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 90), st.integers(1, 3))
def test_up_to_the_first_ambiguous_candle_both_cases_are_the_same_run(
    seed: int, length: int, symbols: int
) -> None:
    world = draw_world(seed, length, symbols)
    try:
        worst, best = (run_fast(with_case(world, case)) for case in (WORST, BEST))
    except RunRefused:
        return
    first = next((at for at, one in enumerate(worst.trades) if one["ambiguous"]), None)
    if first is None:
        assert worst.trades.tobytes() == best.trades.tobytes()
        assert worst.equity.tobytes() == best.equity.tobytes()
        return
    assert best.trades[first]["ambiguous"] == 1
    assert worst.trades[:first].tobytes() == best.trades[:first].tobytes()
    # The first such trade itself is never better off in the worst case.
    low, high = worst.trades[first], best.trades[first]
    assert low["entry_time"] == high["entry_time"]
    assert low["pnl"] - low["fees"] <= high["pnl"] - high["fees"]


def fixed_size(world: World) -> World:
    """Let every entry be of the same quantity whatever the wallet, and no trade hinder another."""
    rules = tuple(dataclasses.replace(one, max_qty="0.4", min_qty="0") for one in world.rules)
    rules = tuple(dataclasses.replace(one, min_notional="0", step="0.1") for one in rules)
    bars = tuple(
        tuple(bar and dataclasses.replace(bar, stop=bar.close * 0.01) for bar in some)
        for some in world.bars
    )
    risk = Risk(per_trade=1.0, max_leverage=125.0, leverage=125.0)
    kept = ("trail", "trail_after", "break_even", "time_stop", "part_1", "part_1_share")
    risk = risk._replace(**{name: getattr(world.risk, name) for name in kept})
    return dataclasses.replace(world, rules=rules, bars=bars, risk=risk, balance=1e9)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 90), st.integers(1, 3))
def test_with_sizes_that_do_not_follow_the_wallet_the_total_is_bounded(
    seed: int, length: int, symbols: int
) -> None:
    world = fixed_size(draw_world(seed, length, symbols))
    worst, best = (run_fast(with_case(world, case)) for case in (WORST, BEST))
    assert worst.trades["entry_time"].tolist() == best.trades["entry_time"].tolist()
    assert worst.trades["exit_candle"].tolist() == best.trades["exit_candle"].tolist()
    low, high = (one.trades["pnl"] - one.trades["fees"] for one in (worst, best))
    assert (low <= high).all()
    assert (worst.equity <= best.equity).all()
    # Any mix of the two lies between them: each trade is one of the two.
    rng = random.Random(seed)
    mixed = sum(rng.choice(pair) for pair in zip(low.tolist(), high.tolist(), strict=True))
    assert low.sum() <= mixed <= high.sum()


def test_the_fixed_sizes_trade_and_are_ambiguous() -> None:
    results = [run_fast(fixed_size(draw_world(seed, 90, 1))) for seed in range(60)]
    assert sum(int(one.trades["ambiguous"].sum()) for one in results) > 50
    assert {qty for one in results for qty in one.trades["qty"].tolist()} == {0.4}


def test_what_finer_candles_resolve_is_counted_beside_what_stays() -> None:
    for seed in range(200):
        world = with_case(draw_detailed(seed, 90, 1), DETAIL)
        if not any(world.finer):
            continue
        try:
            result = run_fast(world)
        except RunRefused:
            continue

        def again(costs: Costs, world: World = world) -> Result:
            return run_fast(dataclasses.replace(world, costs=costs))

        its = interval_of(result, again)
        if its and its.resolved and its.ambiguous:
            assert its.walked >= its.resolved
            assert its.worst is not None
            assert its.worst.equity == run_fast(with_case(world, WORST)).equity[-1]
            return
    raise AssertionError("no such world among the seeds")


def test_a_run_from_python_has_its_interval() -> None:
    candles = candles_of(BARS, start=MONDAY)
    made = from_python(
        scripted(), candles, fee_bps=0, slippage_bps=0, intrabar="best", risk=WIDE._asdict()
    )
    assert made.interval is not None
    assert made.interval.loc["worst", "total_return"] == pytest.approx(-0.01, abs=1e-6)
    assert made.interval.loc["best", "total_return"] == pytest.approx(0.015, abs=1e-6)
    assert made.interval.loc["best", "equity"] == made.equity.iloc[-1]
    assert made.interval["ambiguous"].tolist() == [1, 1]
