"""The engine and a slow, obvious one agree to the last bit, on random markets and on random params.

WICK_TEST_EXAMPLES=20000 asks for more than the usual number of worlds.
"""

import os
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.engine import Result, backtest
from data.dates import show_time
from data.synthetic import synthetic_market
from strategy import rsi_macd_atr as blueprint
from strategy.candles import Candles
from strategy.errors import RunRefused
from strategy.fills import Costs
from strategy.grid import grid
from strategy.load import load
from strategy.records import EXIT_REASONS
from strategy.risk import CANCELLED, LIMIT_DISTANCE, REFUSALS, VOLUME
from tests.backtest.random_markets import (
    World,
    assert_agree,
    assert_equal,
    draw_funded,
    draw_impacted,
    draw_limited,
    draw_risk,
    draw_slipping,
    draw_world,
    run_fast,
    run_slow,
)
from tests.backtest.script import MINUTE, MONDAY
from tests.backtest.slow_engine import SlowEngine
from tests.backtest.slow_market import Candle, Market, Rules, Said

EXAMPLES = int(os.environ.get("WICK_TEST_EXAMPLES", "1500"))
WORLDS, FUNDED, SLIPPING, LIMITED, IMPACTED = (
    st.builds(
        draw,
        seed=st.integers(0, 2**32),
        length=st.integers(1, 90),
        symbols=st.integers(1, 3),
    )
    for draw in (draw_world, draw_funded, draw_slipping, draw_limited, draw_impacted)
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(WORLDS | FUNDED | SLIPPING | LIMITED | IMPACTED)
def test_both_engines_give_the_same_trades_equity_and_refusals(world: World) -> None:
    slow = run_slow(world)
    if slow.broke is None:
        assert_equal(run_fast(world), slow)
        return
    with pytest.raises(RunRefused) as refusal:
        run_fast(world)
    count, equity = len(slow.trades), slow.marks[-1][1]
    when = f"at {show_time(slow.broke)} UTC after {count} trade{'' if count == 1 else 's'}"
    assert refusal.value.message == (
        f"the equity passed 4e+10 {when}, more than any market could fill"
        if equity > 0.0
        else f"the balance was used up {when} (equity {equity:.2f})"
    )


def test_the_random_worlds_reach_every_exit_and_every_refusal() -> None:
    seen: Counter[str] = Counter()
    for seed in range(400):
        slow = run_slow(draw_world(seed, 90, 1 + seed % 3))
        seen.update(trade.exit_reason for trade in slow.trades)
        seen.update(why for _, why in slow.refused)
        seen["broke"] += slow.broke is not None
        seen["ambiguous"] += sum(trade.ambiguous for trade in slow.trades)
    # An empty wallet beside an open profit is too rare to wait for; size() has its own test.
    wanted = {*EXIT_REASONS[1:], *REFUSALS[1:], "broke", "ambiguous"}
    wanted -= {"no balance", "flatten"}
    # Limit orders have worlds of their own: test_hand_limit_entries.
    wanted -= set(REFUSALS[LIMIT_DISTANCE : CANCELLED + 1])
    # Those of margin are reached by worlds that have it.
    wanted -= {"liquidation", "leverage bracket under the symbol's minimum"}
    # A share of the volume has worlds of its own, in test_capped_worlds.
    wanted -= {REFUSALS[VOLUME]}
    assert wanted <= {name for name, count in seen.items() if count}


def test_the_funded_worlds_reach_every_place_of_an_instant() -> None:
    seen: Counter[str] = Counter()
    for seed in range(200):
        world = draw_funded(seed, 90, 1 + seed % 3)
        slow = run_slow(world)
        opens = {close - slow.timeframe_ms for close, _ in slow.marks}
        for trade in slow.trades:
            market = slow.markets[trade.symbol]
            seen["received" if trade.funding < 0 else "paid" if trade.funding else "neither"] += 1
            seen["profit turned to loss"] += 0 < trade.pnl - trade.fees < trade.funding
            for one in market.funding:
                seen["at an entry"] += one.time == trade.entry_time
                seen["at an exit"] += one.time == trade.exit_time
                if trade.entry_time < one.time < trade.exit_time:
                    inside = one.time - one.time % slow.timeframe_ms
                    seen["at an open"] += one.time in opens
                    seen["inside a candle"] += one.time not in opens and inside in opens
                    seen["in a gap"] += one.time not in opens and inside not in opens
                    seen["at a mark price"] += not np.isnan(one.price)
                    seen["at a close"] += bool(np.isnan(one.price))
            steps = np.diff([one.time for one in market.funding])
            seen["of changing intervals"] += len(set(steps.tolist())) > 1
        seen["broke"] += slow.broke is not None
    assert len(seen) == 13
    assert all(count >= 10 for count in seen.values()), seen


@settings(max_examples=max(10, EXAMPLES // 20), deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_both_engines_agree_on_the_blueprint_strategy_with_random_params(
    seed: int, symbols: int
) -> None:
    rng = random.Random(seed)
    params = blueprint.Params(
        rsi=rng.randint(2, 8),
        oversold=rng.uniform(20, 55),
        overbought=rng.uniform(45, 80),
        fast=rng.randint(2, 3),
        slow=rng.randint(4, 8),
        signal=rng.randint(2, 4),
        trend=rng.randint(2, 8),
        atr=rng.randint(2, 20),
        stop=rng.uniform(0.3, 5.0),
        take=rng.uniform(0.3, 8.0),
    )
    risk, costs = draw_risk(rng), Costs(0.0004, rng.choice([0.0, 0.0002]))
    rules = [Rules("0.1", "0.001", "0.001", "100", "5") for _ in range(symbols)]
    candles = [_market(rng, at) for at in range(symbols)]
    length = candles[0].timeframe_ms
    markets = [Market(at, rules[at], _heard(candles[at], params)) for at in range(symbols)]
    slow = SlowEngine(markets, risk, costs, 10_000.0, length).run()

    def fast() -> Result:
        grids = np.concatenate([grid("0.1", "0.001", "0.001", "100", "5")] * symbols)
        return backtest(
            load("rsi_macd_atr"),
            candles,
            params=params,
            risk=risk,
            costs=costs,
            grids=grids.view(np.recarray),
        )

    assert_agree(fast, slow)


def _market(rng: random.Random, at: int) -> Candles:
    minutes = 600
    whole = synthetic_market(rng.randrange(2**31), minutes, MONDAY - 300 * MINUTE, symbol=f"S{at}")
    gaps = rng.choice([0.0, 0.1])
    keep = np.array([rng.random() >= gaps for _ in range(minutes)])
    arrays = {name: array[keep] for name, array in whole.arrays.items()}
    return Candles(whole.symbol, whole.market, whole.timeframe, arrays)


def _heard(candles: Candles, params: blueprint.Params) -> list[Candle]:
    # The rules as plain Python on one row after the other.
    found: Any = blueprint.indicators(candles, params)
    columns = [column.values.tolist() for column in found]
    names = ("open_time", "open", "high", "low", "close")
    prices = [candles.arrays[name].tolist() for name in names]
    out = []
    for row, (time, o, h, l, c) in zip(  # noqa: E741
        map(blueprint.Row._make, zip(*columns, strict=True)),
        zip(*prices, strict=True),
        strict=True,
    ):
        said = Said(
            long=blueprint.enter_long(row, params),
            short=blueprint.enter_short(row, params),
            stop=blueprint.stop_distance(row, params),
            take=blueprint.take_distance(row, params),
        )
        out.append(Candle(time, o, h, l, c, said))
    return out
