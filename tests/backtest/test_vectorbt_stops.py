"""vectorbt as a referee of stops that move and of exits in parts.

Trailing stops. vectorbt's follows the best price at a share of it, ours at a distance in price, so
`Risk.trail` cannot be lined up. A strategy's own `trail_distance` can: where it is that share of
the best price since the entry, both stops lie at best × (1 − share). A rule knows of no position;
so vectorbt goes first, and from its positions a script gets the distances. Were ours to make one
other position, the script would not fit it and the two would part.

- Ours moves at a close; vectorbt's after each row, and the first row of a candle is its open. That
  row gets a high and a low that touch nothing, which leaves its open to fill orders and gaps.
- Entries alternate between long and short, so every signal makes one trade on either side, whatever
  became of the one before, and a difference does not spread.
- A close beyond the stop that it has just moved: no stop can be placed there, ours leaves at the
  next open; vectorbt waits for the level, which the next open may have left again. Such trades are
  a class of their own.

Break-even has no like in vectorbt's Rust engine, and a function that adjusts stops is compiled
anew in every process (a minute); time stops and the daily limit know of candles and days, of
which vectorbt has no notion. Those are held by the slow engine alone.

Exits in parts. `from_signals` closes a position whole, `from_orders` takes any size, and books what
it is told: sizes, fees, cash and profit are then vectorbt's own.
"""

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backtest.engine import Result, backtest
from data.symbols import grids_of, rules_for
from data.synthetic import synthetic_market
from strategy.candles import Candles
from strategy.grid import grid, qty_of
from strategy.load import load
from strategy.records import BY_TRAILING, UNIT
from strategy.risk import Risk
from tests.backtest.script import scripted
from tests.backtest.test_vectorbt_referee import (
    BALANCE,
    COSTS,
    QTY,
    YEAR_2023_MS,
    RefereeTrade,
    agrees,
    rows,
    trades_of,
    verdict,
)


def _referee(
    candles: Candles, buys: NDArray[Any], sells: NDArray[Any], share: float
) -> list[RefereeTrade]:
    """Let vectorbt trail stops at a share of the best price."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas as pd
        import vectorbt as vbt

        o, h, low, c = (candles.arrays[name] for name in ("open", "high", "low", "close"))
        return trades_of(
            vbt.Portfolio.from_signals(
                pd.Series(rows(o, c)),
                rows(buys, False),
                False,
                rows(sells, False),
                False,
                price=rows(o, o),
                open=rows(o, o),
                high=rows(0.0, h),
                low=rows(np.inf, low),
                size=QTY,
                size_type="amount",
                sl_stop=share,
                sl_trail=True,
                stop_entry_price="fillprice",
                stop_exit_price="stopmarket",
                upon_opposite_entry="reverse",
                fees=COSTS.fee_rate,
                slippage=COSTS.slippage,
                init_cash=BALANCE,
                freq="30s",
                engine="rust",
            )
        )


def _distances(
    candles: Candles, at: NDArray[Any], side: NDArray[Any], found: list[RefereeTrade], share: float
) -> NDArray[np.float64]:
    """The share of the best price since the entry while vectorbt holds, of the fill at a signal."""
    o = candles.arrays["open"]
    out = np.full(len(o), np.nan)
    for trade in found:
        held = slice(trade.entry_candle, trade.exit_candle + 1)
        out[held] = share * _best(candles, trade, held)
    out[at] = share * o[at + 1] * (1.0 + side * COSTS.slippage)
    return out


def _best(candles: Candles, trade: Any, held: slice) -> NDArray[np.float64]:
    if trade.side > 0:
        highest = np.maximum.accumulate(candles.arrays["high"][held])
        return np.maximum(highest, trade.entry_price)
    return np.minimum(np.minimum.accumulate(candles.arrays["low"][held]), trade.entry_price)


def _left_beyond(candles: Candles, trade: Any, share: float) -> bool:
    # Its last close lay beyond the stop that it moved, and the next open did not any more.
    if trade.exit_reason != BY_TRAILING or not trade.ordered:
        return False
    best = _best(candles, trade, slice(trade.entry_candle, trade.exit_candle))[-1]
    level = best * (1.0 - trade.side * share)
    assert trade.side * (candles.arrays["close"][trade.exit_candle - 1] - level) <= 0.0
    return bool(trade.side * (candles.arrays["open"][trade.exit_candle] - level) > 0.0)


def _compare(candles: Candles, every: int, share: float) -> tuple[Result, Counter[str]]:
    o = candles.arrays["open"]
    count = len(o)
    at = np.arange(every, count - 1, every)
    side = np.where(np.arange(len(at)) % 2 == 0, 1.0, -1.0)
    buys, sells = np.zeros((2, count), bool)
    buys[at[side > 0] + 1], sells[at[side < 0] + 1] = True, True
    found = _referee(candles, buys, sells, share)
    says = np.zeros(count)
    says[at] = np.where(side > 0, 1.0, 2.0)
    market = Candles.from_arrays(
        symbol=candles.symbol,
        market=candles.market,
        timeframe="1m",
        **{name: candles.arrays[name] for name in ("open_time", "open", "high", "low", "close")},
        volume=says,
        trades=np.zeros(count),
        quote_volume=_distances(candles, at, side, found, share),
        taker_buy=np.full(count, np.nan),
    )
    market.arrays["taker_buy"][at] = 0.9 * o[at + 1]  # a take that no price reaches
    result = backtest(
        scripted(trail=True),
        market,
        risk=Risk(per_trade=0.01),
        costs=COSTS,
        balance=BALANCE,
        grids=grid(step=str(QTY), min_qty=str(QTY), max_qty=str(QTY)).view(np.recarray),
    )
    assert len(result.trades) == len(found) == len(at)
    classes: Counter[str] = Counter()
    for trade, theirs in zip(result.trades, found, strict=True):
        name, expected = verdict(trade)
        if _left_beyond(candles, trade, share):
            assert theirs.entry_candle == trade.entry_candle
            assert theirs.exit_candle >= trade.exit_candle
            classes["beyond the market"] += 1
            continue
        assert agrees(expected, theirs), f"{name}: expected {expected}, vectorbt has {theirs}"
        classes[name] += 1
    return result, classes


def test_vectorbt_trails_a_stop_to_the_same_exits_on_a_seeded_market() -> None:
    result, classes = _compare(synthetic_market(11, 60_000, YEAR_2023_MS), 120, 0.01)
    assert np.count_nonzero(result.trades.exit_reason == BY_TRAILING) > 90
    assert classes == {"same": 499}


@pytest.mark.parametrize(
    ("share", "trailed", "expected"),
    [
        (0.002, 1868, {"same": 2187, "beyond the market": 2}),
        (0.02, 194, {"same": 2188, "left open": 1}),
    ],
)
def test_vectorbt_trails_a_stop_to_the_same_exits_on_the_real_year(
    real_year: Candles, share: float, trailed: int, expected: dict[str, int]
) -> None:
    result, classes = _compare(real_year, 240, share)
    assert np.count_nonzero(result.trades.exit_reason == BY_TRAILING) == trailed
    assert classes == expected


def _books(result: Result) -> Any:
    """Let vectorbt execute our orders at our prices, one a row, with its own fees and cash."""
    orders = []
    for at, trade in enumerate(result.trades):
        its = result.parts[result.parts["trade"] == at]
        exits = [(qty_of(part.steps, result.grids[0]), part.price) for part in its]
        orders.append((trade.side * trade.qty, trade.entry_price))
        orders += [
            (-trade.side * qty, price) for qty, price in exits or [(trade.qty, trade.exit_price)]
        ]
    size, price = np.array(orders).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandas as pd
        import vectorbt as vbt

        return vbt.Portfolio.from_orders(
            pd.Series(price),
            size,
            price=price,
            fees=result.costs.fee_rate,
            init_cash=100.0 * result.balance,  # it has no leverage
            freq="1min",
        )


def test_vectorbt_books_exits_in_parts_to_the_same_money(real_year: Candles) -> None:
    rules = rules_for("spot", "BTCUSDT")
    assert rules is not None
    result = backtest(load("breakout_donchian"), real_year, grids=grids_of([rules]))
    trades = result.trades
    assert np.count_nonzero(trades["parts"]) > 100
    portfolio = _books(result)
    theirs = portfolio.positions.records
    assert len(theirs) == len(trades)
    assert len(portfolio.orders.records) == 2 * len(trades) + trades["parts"].sum()
    np.testing.assert_allclose(theirs["entry_price"], trades["entry_price"], rtol=1e-12)
    np.testing.assert_allclose(theirs["exit_price"], trades["exit_price"], rtol=1e-12)
    # Ours are rounded to 1e-8 at each booking: two of an entry or exit each.
    net = (trades["pnl"] - trades["fees"]) / UNIT
    np.testing.assert_allclose(theirs["pnl"], net, rtol=0.0, atol=4e-8)
    made = float(result.equity[-1] - result.balance)
    assert portfolio.total_profit() == pytest.approx(made, abs=1e-6)
