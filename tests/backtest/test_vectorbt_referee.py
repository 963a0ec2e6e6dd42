"""vectorbt's Portfolio as a referee: another engine, by other people, must make the same trades.

Where the rules of the two differ by design they are made equal first:

- vectorbt fills one order a row and looks at stops only from the row after an entry. So each
  candle becomes two rows: its open, at which market orders fill, and the whole candle, in which
  stops live. Then gaps, stops inside the entry candle, both levels in one candle, reversals, and an
  entry in the candle after an exit need no exception.
- Sizes: a largest quantity of one step and much money make every size the same on both sides.
- Stops go to vectorbt as a share of the fill price, which is how it keeps them.
- Fine grids: what is left of rounding prices is 1e-8.

`verdict` says what the referee must find for each of our trades: the same, but for one class.
Another one cannot be lined up and would change the number of trades, but does not occur here: an
open beyond the stop at which a reversal is due is a reversal for us and only a stop for vectorbt.
"""

import dataclasses
import math
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backtest.engine import Result, backtest
from backtest.signals import signals_of
from data.synthetic import synthetic_market
from strategy.candles import Candles
from strategy.fills import Costs
from strategy.grid import grid
from strategy.load import load
from strategy.records import BY_END, BY_REVERSAL, UNIT
from strategy.rules import ENTER_LONG, ENTER_SHORT

QTY = 0.01
COSTS = Costs(fee_rate=0.0005, slippage=0.0001)
BALANCE = 1e9
YEAR_2023_MS = 1_672_531_200_000


@dataclass(frozen=True, slots=True)
class RefereeTrade:
    """One of vectorbt's trades, rows turned back into candles."""

    side: int
    entry_candle: int
    exit_candle: int
    entry_price: float
    exit_price: float
    net: float
    closed: bool


def _ours(candles: Candles, params: dict[str, float]) -> tuple[Result, Any]:
    """Run the blueprint strategy at one fixed quantity, and give its signals too."""
    strategy = load("rsi_macd_atr")
    values = strategy.with_params(params)
    risk = strategy.with_risk({"per_trade": 0.01, "max_leverage": 3.0, "daily_loss_limit": 0.0})
    step = str(QTY)
    result = backtest(
        strategy,
        candles,
        params=values,
        risk=risk,
        costs=COSTS,
        balance=BALANCE,
        grids=grid(step=step, min_qty=step, max_qty=step).view(np.recarray),
    )
    return result, signals_of(strategy, candles, values)


def _referee(candles: Candles, signals: Any) -> list[RefereeTrade]:
    """Let vectorbt trade the same signals on two rows a candle."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vectorbt and what it imports lag behind pandas
        import pandas as pd
        import vectorbt as vbt

        o, h, low, c = (candles.arrays[name] for name in ("open", "high", "low", "close"))
        buys, sells = _orders(len(c), signals.flags)
        stop, take = _shares(o, signals)
        portfolio = vbt.Portfolio.from_signals(
            pd.Series(rows(o, c)),
            rows(buys, False),
            False,
            rows(sells, False),
            False,
            price=rows(o, o),
            open=rows(o, o),
            high=rows(o, h),
            low=rows(o, low),
            size=QTY,
            size_type="amount",
            sl_stop=rows(stop, np.nan),
            tp_stop=rows(take, np.nan),
            stop_entry_price="fillprice",
            stop_exit_price="stopmarket",
            upon_opposite_entry="reverse",
            fees=COSTS.fee_rate,
            slippage=COSTS.slippage,
            init_cash=BALANCE,
            freq="30s",
            engine="rust",
        )
        return trades_of(portfolio)


def trades_of(portfolio: Any) -> list[RefereeTrade]:
    """Turn the trades of two rows a candle back into candles."""
    return [
        RefereeTrade(
            side=1 if row.direction == 0 else -1,
            entry_candle=row.entry_idx // 2,
            exit_candle=row.exit_idx // 2,
            entry_price=row.entry_price,
            exit_price=row.exit_price,
            net=row.pnl,
            closed=row.status == 1,
        )
        for row in portfolio.trades.records.itertuples()
    ]


def rows(at_open: Any, at_candle: Any) -> NDArray[Any]:
    return np.stack(np.broadcast_arrays(at_open, at_candle), axis=1).ravel()


def _orders(count: int, flags: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
    # A decision at a candle's close is an order at the next candle's open; both at once is none.
    buys, sells = np.zeros((2, count), bool)
    long, short = flags & ENTER_LONG != 0, flags & ENTER_SHORT != 0
    buys[1:], sells[1:] = (long & ~short)[:-1], (short & ~long)[:-1]
    return buys, sells


def _shares(o: NDArray[Any], signals: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    stop, take = np.full((2, len(o)), np.nan)
    at = signals.at[signals.at + 1 < len(o)]
    side = np.where(signals.flags[at] & ENTER_LONG, 1.0, -1.0)
    fill = o[at + 1] * (1.0 + side * COSTS.slippage)
    stop[at + 1] = signals.stop[: len(at)] / fill
    take[at + 1] = signals.take[: len(at)] / fill
    return stop, take


def verdict(trade: Any) -> tuple[str, RefereeTrade]:
    """Return the class of a trade and what vectorbt must say of it."""
    same = RefereeTrade(
        trade.side,
        trade.entry_candle,
        trade.exit_candle,
        trade.entry_price,
        trade.exit_price,
        (trade.pnl - trade.fees) / UNIT,
        closed=True,
    )
    if trade.exit_reason == BY_END:
        # vectorbt values a position left open at the end; we close it, with a fee.
        fee = COSTS.fee_rate * QTY * trade.exit_price
        return "left open", dataclasses.replace(same, net=same.net + fee, closed=False)
    return "same", same


def agrees(ours: RefereeTrade, theirs: RefereeTrade) -> bool:
    """Compare candles exactly, prices to 1e-9 and money to the roundings of three bookings."""
    return (
        (ours.side, ours.entry_candle, ours.exit_candle, ours.closed)
        == (theirs.side, theirs.entry_candle, theirs.exit_candle, theirs.closed)
        and math.isclose(ours.entry_price, theirs.entry_price, rel_tol=1e-9)
        and math.isclose(ours.exit_price, theirs.exit_price, rel_tol=1e-9)
        and abs(ours.net - theirs.net) <= 3e-8 + 1e-9 * QTY * theirs.entry_price
    )


def _compare(candles: Candles, params: dict[str, float]) -> tuple[Result, Counter[str]]:
    """Hold every trade against the referee and count the classes."""
    result, signals = _ours(candles, params)
    found = _referee(candles, signals)
    assert len(found) == len(result.trades)
    classes: Counter[str] = Counter()
    for trade, theirs in zip(result.trades, found, strict=True):
        name, expected = verdict(trade)
        assert agrees(expected, theirs), f"{name}: expected {expected}, vectorbt has {theirs}"
        classes[name] += 1
    return result, classes


TIGHT = {"oversold": 30.0, "overbought": 70.0, "stop": 2.0, "take": 3.0}
WIDE = {"oversold": 30.0, "overbought": 70.0, "stop": 30.0, "take": 60.0}


def test_vectorbt_makes_the_same_trades_on_a_seeded_market() -> None:
    candles = synthetic_market(11, 100_000, YEAR_2023_MS)
    result, classes = _compare(candles, TIGHT)
    assert len(result.trades) > 50
    assert classes == {"same": len(result.trades)}


def test_vectorbt_makes_the_same_trades_on_the_real_year(real_year: Candles) -> None:
    result, classes = _compare(real_year, TIGHT)
    assert len(result.trades) == 1614
    assert classes == {"same": 1614}


def test_vectorbt_reverses_at_the_same_opens_and_prices(real_year: Candles) -> None:
    result, classes = _compare(real_year, WIDE)
    assert np.count_nonzero(result.trades.exit_reason == BY_REVERSAL) > 200
    assert classes == {"same": 545, "left open": 1}
