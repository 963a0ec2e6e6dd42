"""Exact slippage by spread and by range on candles written by hand.

Where nothing else is said: balance 10,000, one percent at risk, a stop distance of 2, tick 0.1,
step 0.001, no fees. The entry is decided at the first close and fills at the second open.
"""

import numpy as np
import pytest

from strategy.errors import WickError
from strategy.fills import Costs
from strategy.grid import grid
from strategy.slippage import Spread, spread_notes
from tests.backtest.random_markets import draw_slipping, run_slow
from tests.backtest.script import MINUTE, MONDAY, NAN, WIDE, Bar, bar, run
from tests.backtest.slow_slippage import extra_slippage

GRID = grid("0.1", "0.001")
CALM = "100 100 100 100"
SPREAD = Costs(0.0, 0.001, spread=1.0)


def halves(*known: tuple[float, float]) -> list[Spread | None]:
    """Write half spreads as (minutes after the first open, share)."""
    times = [MONDAY + round(minutes * MINUTE) for minutes, _ in known]
    return [Spread(np.array(times, np.int64), np.array([half for _, half in known]))]


def held(says: str = "long") -> list[Bar | None]:
    """Enter at the second open, leave by a signal at the fourth."""
    out = f"exit_{says}"
    return [bar(CALM, says, 2.0), bar(CALM), bar(CALM, out), bar(CALM), bar(CALM)]


def test_a_market_order_pays_the_half_spread_known_at_its_open_on_top() -> None:
    spreads = halves((0, 0.5), (1, 0.002), (1.5, 0.9), (2, 0.004), (3.01, 0.9))
    trade = run(held(), grids=GRID, costs=SPREAD, spreads=spreads).trades[0]
    # 100 × (1 + 0.001 + 0.002) = 100.3 at the second open; the last one known at the fourth is
    # 0.004: 100 × (1 - 0.001 - 0.004) = 99.5.
    assert (trade["entry_price"], trade["exit_price"]) == (100.3, 99.5)
    # 100 at risk ÷ 2 = 50 coins: 50 × (0.3 + 0.5).
    assert trade["slippage"] == pytest.approx(40.0, abs=1e-9)


def test_costs_spread_scales_the_half_spread() -> None:
    costs = SPREAD._replace(spread=2.5)
    trade = run(held("short"), grids=GRID, costs=costs, spreads=halves((0, 0.002))).trades[0]
    # 0.001 + 2.5 × 0.002 = 0.006: sold at 99.4, bought back at 100.6.
    assert (trade["entry_price"], trade["exit_price"]) == (99.4, 100.6)


def test_without_a_known_spread_only_the_fixed_share_counts() -> None:
    spreads = halves((2.5, 0.004))
    trade = run(held(), grids=GRID, costs=SPREAD, spreads=spreads).trades[0]
    assert (trade["entry_price"], trade["exit_price"]) == (100.1, 99.5)
    for none in (None, [None]):
        trade = run(held(), grids=GRID, costs=SPREAD, spreads=none).trades[0]
        assert (trade["entry_price"], trade["exit_price"]) == (100.1, 99.9)


def test_a_half_spread_is_known_for_a_day_and_no_longer() -> None:
    # The entry's open is 1 minute after the first candle's, a day and no more after the value.
    for late, price in ((0.0, 100.4), (1 / 60_000, 100.1)):
        spreads = halves((1 - 1440 - late, 0.003))
        trade = run(held(), grids=GRID, costs=SPREAD, spreads=spreads).trades[0]
        assert (trade["entry_price"], trade["exit_price"]) == (price, 99.9)
    (one,) = run(held(), grids=GRID, costs=SPREAD, spreads=spreads).candles
    (note,) = spread_notes(SPREAD, [one], spreads)
    assert note.startswith("AAA: no spread is known at 4 of 5 opens;")


def test_a_stop_pays_the_spread_of_its_candle() -> None:
    bars = [bar(CALM, "long", 2.0), bar(CALM), bar("100 100 90 95")]
    spreads = halves((2, 0.01))
    trade = run(bars, grids=GRID, costs=SPREAD, spreads=spreads).trades[0]
    # Bought at 100.1, stop at 98.1: 98.1 × (1 - 0.011) = 97.0209, down to the tick.
    assert (trade["entry_price"], trade["stop"], trade["exit_price"]) == (100.1, 98.1, 97.0)


def test_the_size_counts_on_the_spread_known_at_the_decision() -> None:
    # Notional of at most 10,000: at the first close, one minute in, 0.099 is known already, so the
    # estimate is 100 × 1.1 = 110 and 10,000 ÷ 110 is 90.909 coins.
    risk = WIDE._replace(per_trade=1.0, max_notional=10_000.0)
    spreads = halves((0.5, 0.0), (1, 0.099), (1.001, 0.0))
    result = run(held(), grids=GRID, costs=SPREAD, risk=risk, spreads=spreads)
    assert result.trades[0]["qty"] == 90.909
    assert result.trades[0]["entry_price"] == 110.0


def test_a_market_order_pays_a_share_of_the_range_of_closed_candles() -> None:
    # Fifteen candles with ranges of 2: the first average of 14 ranges is 2 at the fifteenth close.
    wild = "100 101 99 100"
    bars: list[Bar | None] = [bar(wild, "long" if at in (5, 14) else "", 20.0) for at in range(15)]
    bars[8] = bar(wild, "exit_long")
    # The candle that the order fills in does not count: its range of 42 is known at its close.
    bars += [bar("100 141 99 100", "exit_long"), bar(CALM), bar(CALM)]
    costs = Costs(0.0, 0.0, atr=0.25)
    first, second = run(bars, grids=GRID, costs=costs).trades
    assert (first["entry_price"], first["exit_price"]) == (100.0, 100.0)  # no ATR yet
    # 0.25 × 2 ÷ 100 = 0.005: 100.5. Then the ATR is (13 × 2 + 42) ÷ 14 = 4.857, a quarter of it
    # 1.214: 100 × (1 - 0.01214) = 98.786, down to the tick.
    assert (second["entry_price"], second["exit_price"]) == (100.5, 98.7)


def test_all_that_depends_on_the_candle_is_at_most_half_the_price() -> None:
    costs = Costs(0.0, 0.05, spread=50.0)
    bars = held()
    bars[0] = bar(CALM, "long", 99.0)
    trade = run(bars, grids=GRID, costs=costs, spreads=halves((2, 0.02))).trades[0]
    # 50 × 0.02 = 1, cut to 0.5: 100 × (1 - 0.05 - 0.5) = 45.
    assert (trade["entry_price"], trade["exit_price"]) == (105.0, 45.0)


@pytest.mark.parametrize(
    ("times", "shares", "said"),
    [
        ([0, 1], [0.1], "AAA: 2 times for 1 half spreads"),
        ([5, 5], [0.1, 0.1], "AAA: the half spread at 5 is not later than the one before"),
        ([5], [1.0], "AAA: the half spread at 5 is 1, expected a share from 0 to below 1"),
        ([5], [NAN], "AAA: the half spread at 5 is nan"),
    ],
)
def test_spreads_that_no_book_had_are_refused(
    times: list[int], shares: list[float], said: str
) -> None:
    spread = Spread(np.array(times, np.int64), np.array(shares))
    with pytest.raises(WickError, match=said):
        run(held(), costs=SPREAD, spreads=[spread])


def test_spreads_for_other_symbols_than_there_are_are_refused() -> None:
    with pytest.raises(WickError, match="2 spreads for 1 symbols"):
        run(held(), costs=SPREAD, spreads=[None, None])


def test_the_drawn_worlds_reach_every_case() -> None:
    seen = dict.fromkeys(("spread", "no spread", "range", "no range", "cut", "moved in a gap"), 0)
    for seed in range(60):
        slow = run_slow(draw_slipping(seed, 90, 1 + seed % 3))
        costs = slow.costs
        for trade in slow.trades:
            market, at = slow.markets[trade.symbol], trade.entry_candle
            time, before = trade.entry_time, market.candles[at - 1].time + slow.timeframe_ms
            known = any(since <= time for since, _ in market.spreads)
            seen["spread" if known else "no spread"] += costs.spread > 0
            if costs.atr:
                seen["no range" if at <= 14 else "range"] += 1
            extra = extra_slippage(costs, market, time, at)
            seen["cut"] += extra == 0.5
            seen["moved in a gap"] += extra != extra_slippage(costs, market, before, at)
    assert all(count >= 10 for count in seen.values()), seen
