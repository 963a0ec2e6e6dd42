"""Real liquidations: BTCUSDT at 20 times its margin over all its hours, against a plain loop."""

import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from backtest import backtest
from data.manifest import Series
from data.symbols import RuleBook
from tests.backtest.slow_market import Rules
from tests.backtest.test_real_funding import ALWAYS_LONG, add, candles_of, file

MARK_FILE = "klines/BTCUSDT-um-1h-mark-2019-202605-ohlcv.parquet"
PER_TRADE, STOP, FEE, SLIPPAGE = 0.2, 0.98, 0.0005, 0.0001


@pytest.fixture(scope="module")
def bitcoin(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BTCUSDT from its listing to May 2026, with mark prices from Christmas 2019 on."""
    store = tmp_path_factory.mktemp("store")
    candles_of(shared_data, store, "BTCUSDT", "BTCUSDT")
    marks = pq.read_table(file(shared_data, MARK_FILE)).select(
        ["open_time", "open", "high", "low", "close"]
    )
    columns = dict(zip(marks.column_names, marks.columns, strict=True))
    add(store, Series("um", "BTCUSDT", "1h", "mark"), columns)
    return store


def in_a_loop(
    rows: list[tuple[Any, ...]], terms: list[tuple[int, Rules]], leverage: float
) -> list[Any]:
    """Hold a position with a margin of its own whenever none is held; return prices and costs.

    A row is open time, the contract's open, high, low, close, and the mark's open and low.
    """
    margin = RuleBook(None, "um").margin("BTCUSDT", rows[0][0])
    assert margin is not None
    brackets = [(float(b.cap), float(b.maintenance), float(b.cum)) for b in margin.brackets]
    wallet, position, order = 10_000 * 10**8, None, 0
    rules, found = terms[0][1], []
    for time, o, high, low, close, mark_open, mark_low in rows:
        if order:
            entry, steps = rules.ceil(o * (1 + SLIPPAGE)), order
            qty = rules.qty(steps)
            fees = round(FEE * (qty * entry) * 1e8)
            wallet -= fees
            put = qty * entry / leverage - 0.0
            for cap, rate, amount in brackets:
                level = (put + amount - qty * entry) / (qty * rate - qty)
                if qty * level < cap:
                    break
            position, order = (time, entry, qty, fees, put, level), 0
        if position:
            began, entry, qty, fees, put, level = position
            price = o if mark_open <= level else None
            if price is None and mark_low <= level:
                price = min(max(level, low), high)
            if price is not None:
                fill, most = rules.floor(price * (1 - SLIPPAGE)), round(put * 1e8)
                pnl = round(qty * (fill - entry) * 1e8)
                fee = round(FEE * (qty * fill) * 1e8) + round(0.02 * (qty * fill) * 1e8)
                fee = min(fee, most + pnl)
                if most + pnl < 0:
                    fill, pnl, fee = entry - most / 1e8 / qty, -most, 0
                wallet += pnl - fee
                found.append((began, time, fill, pnl, fees + fee))
                position = None
        if position is None:
            now = time + 3_600_000
            rules = next(its for since, its in reversed(terms) if since <= now)
            order = math.floor(
                PER_TRADE * (wallet / 1e8) / (STOP * close * float(rules.step)) + 1e-9
            )
    return found


@pytest.mark.parametrize(("leverage", "count"), [(20.0, 16), (75.0, 57)])
def test_liquidations_of_6_years_are_those_of_a_plain_loop(
    bitcoin: Path, shared_data: Path, tmp_path: Path, leverage: float, count: int
) -> None:
    run = backtest(
        ALWAYS_LONG,
        "BTCUSDT",
        store=bitcoin,
        runs=tmp_path,
        risk={"isolated": 1, "leverage": leverage},
    )
    (candles,) = run.candles
    marks = pq.read_table(file(shared_data, MARK_FILE)).to_pydict()
    seen = {
        time: (o, low)
        for time, o, low in zip(marks["open_time"], marks["open"], marks["low"], strict=True)
    }
    columns = [
        candles.arrays[name].tolist() for name in ("open_time", "open", "high", "low", "close")
    ]
    rows = [(*row, *seen.get(row[0], (row[1], row[3]))) for row in zip(*columns, strict=True)]
    book = RuleBook(None, "um")
    first, (change,) = (
        book.rules("BTCUSDT", rows[0][0]),
        book.changes("BTCUSDT", rows[0][0], rows[-1][0]),
    )
    assert first is not None
    terms = [
        (since, Rules(its.tick_size, its.step_size, its.min_qty, its.max_qty, its.min_notional))
        for since, its in ((0, first), (change.at_ms, change.rules))
    ]
    wanted = in_a_loop(rows, terms, leverage)
    trades = run.trades
    liquidated = trades[trades["exit_reason"] == "liquidation"]
    assert len(trades) - len(liquidated) <= 1  # what is held at the end
    assert len(liquidated) == len(wanted) == count
    for (_, trade), (began, candle, fill, pnl, fees) in zip(
        liquidated.iterrows(), wanted, strict=True
    ):
        assert trade["entry_time"].timestamp() * 1000 == began
        assert trade["exit_time"].timestamp() * 1000 in (candle, candle + 3_600_000)
        assert trade["exit_price"] == fill
        assert (round(trade["pnl"] * 1e8), round(trade["fees"] * 1e8)) == (pnl, fees)
