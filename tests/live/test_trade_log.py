"""Trades and equity from a journal: those of the backtest, and those that no backtest knows."""

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.run_tables import result_hash
from live.journal_records import Began, Decided, Filled, Funded, Order, Record
from live.session import Session
from live.trade_log import Booked, TradeLog
from strategy.account import book_fill, fee_of, money
from strategy.candles import Candles
from strategy.errors import RunRefused
from strategy.grid import grid, qty_of
from strategy.records import EXIT_REASONS, POSITION, TRADE, UNIT
from tests.backtest.random_markets import World, draw_funded, run_fast
from tests.backtest.script import MINUTE, MONDAY, Bar, bar, candles_of
from tests.live.perfect import journal_of, rules_of, session_of
from tests.live.sessions import make_session

T = MONDAY


def booked(session: Session, records: Sequence[Record], candles: Sequence[Candles]) -> Booked:
    log = TradeLog(session)
    for record in records:
        log.apply(record)
    return log.result(candles)


def differences(ours: Any, theirs: Any) -> list[str]:
    assert len(ours) == len(theirs)
    return [
        f"trade {i}: {name} {mine[name]!r}, backtest {its[name]!r}"
        for i, (mine, its) in enumerate(zip(ours, theirs, strict=True))
        for name in TRADE.names or ()
        if mine[name] != its[name]
    ]


def to_one_end(world: World) -> World:
    """Give every symbol a candle at the last instant, as a session ends for all at once."""
    last = Bar(10.0, 10.0, 10.0, 10.0)
    bars = tuple(
        (*some[:-1], some[-1] or next((one for one in reversed(some) if one), last))
        for some in world.bars
    )
    return dataclasses.replace(world, bars=bars)


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 10**6), length=st.integers(2, 60), symbols=st.integers(1, 3))
def test_a_perfect_session_has_the_trades_and_equity_of_the_backtest_to_the_last_bit(
    seed: int, length: int, symbols: int
) -> None:
    world = to_one_end(draw_funded(seed, length, symbols))
    try:
        result = run_fast(world)
    except RunRefused:
        return
    session = session_of(result, rules_of(world))
    ours = booked(session, journal_of(result), result.candles)
    assert differences(ours.trades, result.trades) == []
    assert ours.parts.tolist() == result.parts.tolist()
    assert ours.time.tobytes() == result.time.tobytes()
    assert ours.equity.tobytes() == result.equity.tobytes()
    assert result_hash(ours.trades, ours.equity) == result_hash(result.trades, result.equity)


@pytest.mark.parametrize("seed", [1, 2])
def test_many_trades_of_a_long_session_come_in_the_order_of_the_backtest(seed: int) -> None:
    rng = random.Random(seed)
    while True:
        world = to_one_end(draw_funded(rng.randrange(10**6), 1_500, 3))
        try:
            result = run_fast(world)
        except RunRefused:
            continue
        if len({*result.trades.exit_reason.tolist()}) >= 7 and len(result.trades) > 100:
            break
    ours = booked(session_of(result, rules_of(world)), journal_of(result), result.candles)
    assert differences(ours.trades, result.trades) == []


# By hand: BTCUSDT with a tick of 0.1 and a step of 0.001, fee 5 bps, one candle a minute.

SESSION = make_session(first_open_time=T, trade_from=T)
GRID = grid("0.1", "0.001").view(np.recarray)[0]
CANDLES = candles_of(
    [bar("100 100 100 100"), bar("100 106 99 105"), bar("105 107 104 106"), bar("106 108 96 97")],
    symbol="BTCUSDT",
)


def began(wallet: int = 10**12) -> Began:
    return Began(n=1, time=T, wallet=wallet, last_trade={"BTCUSDT": -1})


def decided(minute: int, wallet: int, mark: float, *orders: Order, equity: float = 0.0) -> Decided:
    return Decided(
        n=0,
        time=T + minute * MINUTE,
        wallet=wallet,
        equity=equity or wallet / UNIT,
        day=0,
        day_open=0.0,
        blocked=False,
        marks=(mark,),
        orders=orders,
    )


def order(side: int = 1, steps: int = 1000, price: float = 100.0, reason: int = 0) -> Order:
    return Order("BTCUSDT", reason, side, steps, 3.0, 6.0, False, price)


def filled(steps: int, price: float, time: int, held: int, **changes: Any) -> Filled:
    opens = abs(held) >= abs(steps) and held * steps > 0
    values: dict[str, Any] = {
        "n": 0,
        "symbol": "BTCUSDT",
        "trade_id": time,
        "id": "",
        "leg": "e" if opens else "s",
        "fee": 100,
        "pnl": 0,
        "entry": price if held else 0.0,
        "reason": "" if opens else "stop",
        "stop": 97.0 if held else 0.0,
        "take": 106.0 if held else 0.0,
        "decided_at": T + MINUTE,
        "reversal": False,
    }
    return Filled(steps=steps, price=price, time=time, held=held, **(values | changes))


def test_fills_of_one_order_are_one_trade_at_their_mean_price() -> None:
    records: list[Record] = [
        began(),
        decided(1, 10**12, 100.0, order()),
        filled(600, 100.1, T + MINUTE + 20, 600),
        filled(400, 100.6, T + MINUTE + 30, 1000, entry=100.3, take=107.5),
        filled(-250, 96.9, T + 3 * MINUTE + 10_000, 750, pnl=-85_000_000),
        filled(-750, 96.5, T + 3 * MINUTE + 10_400, 0, pnl=-285_000_000),
        decided(4, 10**12 - 370_000_400, 97.0),
    ]
    ours = booked(SESSION, records, [CANDLES])
    (trade,) = ours.trades
    assert (trade.side, trade.steps, trade.qty) == (1, 1000, 1.0)
    assert trade.entry_price == pytest.approx(100.3)
    assert trade.exit_price == pytest.approx(0.25 * 96.9 + 0.75 * 96.5)
    assert (trade.pnl, trade.fees) == (-370_000_000, 400)
    assert (trade.entry_time, trade.exit_time) == (T + MINUTE + 20, T + 3 * MINUTE + 10_400)
    assert (trade.entry_candle, trade.exit_candle) == (1, 3)
    assert EXIT_REASONS[trade.exit_reason] == "stop"
    assert trade.stop == 97.0
    assert trade["take"] == 107.5
    assert trade.risked == 3.0
    # The open was 100 for the entry, the level 97 for the exit, whose candle also reached 108.
    assert trade.slippage == pytest.approx(0.06 + 0.24 + 0.25 * 0.1 + 0.75 * 0.5)
    assert trade.ambiguous == 1
    # Held through candles 1 and 2; what candle 3 did after the exit does not count.
    assert trade.mfe == pytest.approx((107 - 100.3) / 100.3)
    assert trade.mae == pytest.approx((96.5 - 100.3) / 100.3)


def test_a_better_fill_than_the_open_is_a_gain_of_slippage() -> None:
    records: list[Record] = [
        began(),
        decided(1, 10**12, 100.0, order(-1)),
        filled(-1000, 100.2, T + MINUTE, -1000, stop=103.0, take=94.0),
        decided(2, 10**12 - 100, 105.0, order(0, 0, 105.0, 3)),
        filled(1000, 104.9, T + 2 * MINUTE, 0, leg="x", reason="signal", decided_at=T + 2 * MINUTE),
        decided(3, 10**12 - 200, 106.0),
    ]
    (trade,) = booked(SESSION, records, [CANDLES]).trades
    assert trade.slippage == pytest.approx(-0.2 - 0.1)
    assert EXIT_REASONS[trade.exit_reason] == "signal"


def test_an_open_position_is_closed_at_the_last_close_and_the_log_goes_on_unharmed() -> None:
    log = TradeLog(SESSION)
    fee = int(fee_of(0.0005, 1.0, 100.1))
    opened: list[Record] = [
        began(),
        decided(1, 10**12, 100.0, order()),
        filled(1000, 100.1, T + MINUTE, 1000, fee=fee),
        decided(2, 10**12 - fee, 105.0, equity=10_000.0 - fee / UNIT + 4.9),
    ]
    for record in opened:
        log.apply(record)
    for _ in range(2):  # looking changes nothing
        ours = log.result([CANDLES.slice(0, 2)])
        (trade,) = ours.trades
        assert EXIT_REASONS[trade.exit_reason] == "end"
        assert (trade.exit_price, trade.exit_time) == (105.0, T + 2 * MINUTE)
        assert (trade.exit_candle, trade.mfe) == (1, (106.0 - 100.1) / 100.1)
        last_fee = int(fee_of(0.0005, 1.0, 105.0))
        assert trade.fees == fee + last_fee
        assert ours.equity[-1] == (10**12 + int(money(105.0 - 100.1)) - fee - last_fee) / UNIT
    assert (log.closed, log.held) == (0, 1)
    log.apply(filled(-1000, 97.0, T + 4 * MINUTE - 1, 0, pnl=-310_000_000))
    log.apply(decided(4, 10**12 - fee - 310_000_100, 97.0))
    (trade,) = log.result([CANDLES]).trades
    assert EXIT_REASONS[trade.exit_reason] == "stop"
    assert (trade.exit_time, trade.exit_candle) == (T + 4 * MINUTE, 3)
    assert log.besides == 0


def test_a_fill_after_the_last_decision_is_in_the_last_equity() -> None:
    records: list[Record] = [
        began(),
        decided(1, 10**12, 100.0, order()),
        filled(1000, 100.1, T + MINUTE, 1000),
        decided(3, 10**12 - 100, 106.0, equity=10_005.0),
        filled(-1000, 97.0, T + 4 * MINUTE - 1, 0, pnl=-310_000_000),
    ]
    ours = booked(SESSION, records, [CANDLES])
    assert ours.equity.tolist() == [10_000.0, (10**12 - 310_000_200) / UNIT]


def test_an_exit_that_nobody_here_ordered_counts_as_a_persons() -> None:
    records: list[Record] = [
        began(),
        decided(1, 10**12, 100.0, order()),
        filled(1000, 100.1, T + MINUTE, 1000),
        # Through zero: closes our thousand and opens five hundred the other way.
        filled(-1500, 105.1, T + 2 * MINUTE + 7, -500, pnl=5 * 10**8, fee=301, leg="",
               reason="foreign", entry=105.1, stop=0.0, take=0.0, decided_at=0),
        filled(500, 106.1, T + 3 * MINUTE + 5, 0, pnl=-50_000_000, leg="", reason="foreign",
               decided_at=0),
        decided(4, 10**12 - 501 + 450_000_000, 97.0),
    ]  # fmt: skip
    log = TradeLog(SESSION)
    for record in records:
        log.apply(record)
    ours = log.result([CANDLES])
    assert [EXIT_REASONS[one.exit_reason] for one in ours.trades] == ["flatten", "flatten"]
    assert [(one.side, one.steps) for one in ours.trades] == [(1, 1000), (-1, 500)]
    assert sum(ours.trades.fees) == 501
    assert [int(one.fees) for one in ours.trades] == [100 + 200, 101 + 100]
    assert ours.trades.slippage[1] == 0.0
    assert log.besides == 0


def test_money_that_no_fill_moved_is_told_apart() -> None:
    log = TradeLog(SESSION)
    for record in (began(), decided(1, 10**12 - 5_000, 100.0)):
        log.apply(record)
    assert log.besides == -5_000


def funded(payment: int, time: int, opened: int) -> Funded:
    return Funded(n=0, symbol="BTCUSDT", number=time, payment=payment, time=time, opened=opened)


def test_funding_belongs_to_the_trade_that_it_names_however_late_it_comes() -> None:
    first, second = T + MINUTE, T + 2 * MINUTE
    records: list[Record] = [
        began(),
        decided(1, 10**12, 100.0, order()),
        filled(1000, 100.1, first, 1000),
        funded(7_000, first + 20_000, first),
        filled(-1000, 97.0, second - 1, 0, pnl=-310_000_000),
        decided(2, 10**12 - 310_007_700, 100.0, order()),  # knows of what is told below
        filled(1000, 100.1, second, 1000),
        funded(500, first + 40_000, first),
        funded(-900, second + 10_000, second),
        filled(-1000, 97.0, T + 3 * MINUTE - 1, 0, pnl=-310_000_000),
    ]
    log = TradeLog(SESSION)
    for record in records:
        log.apply(record)
    assert log.besides == 0
    ours = log.result([CANDLES])
    assert ours.trades.funding.tolist() == [7_500, -900]
    assert ours.equity[-1] == (10**12 - 2 * 310_000_200 - 7_500 + 900) / UNIT
    last = decided(3, 10**12 + log.booked, 97.0)
    log.apply(last)
    assert log.besides == 0
    log.apply(decided(4, last.wallet - 11, 97.0))
    assert log.besides == -11


def test_funding_of_no_trade_is_money_besides_them() -> None:
    log = TradeLog(SESSION)
    for record in (began(), funded(300, T + 1, 0), decided(1, 10**12 - 300, 100.0)):
        log.apply(record)
    assert (log.besides, log.booked) == (-300, 0)


def test_missing_candles_leave_the_price_at_the_decision_and_the_level() -> None:
    records: list[Record] = [
        began(),
        decided(1, 10**12, 100.0, order()),
        filled(1000, 100.1, T + MINUTE, 1000),
        filled(-1000, 96.9, T + 3 * MINUTE + 10_000, 0, pnl=-320_000_000),
        decided(4, 10**12 - 320_000_200, 97.0),
    ]
    for count in (0, 1):
        (trade,) = booked(SESSION, records, [CANDLES.slice(0, count)]).trades
        assert trade.slippage == pytest.approx(0.1 + 0.1)
        assert (trade.mae, trade.mfe) == ((96.9 - 100.1) / 100.1, 0.0)
        assert trade.ambiguous == 0


def test_an_order_that_waited_for_a_candle_is_measured_by_that_candles_open() -> None:
    gap = candles_of([bar("100 100 100 100"), None, bar("105 107 104 106")], symbol="BTCUSDT")
    records: list[Record] = [
        began(),
        decided(1, 10**12, 100.0, order()),
        filled(1000, 105.2, T + 2 * MINUTE, 1000, stop=102.2, take=111.2),
        decided(3, 10**12 - 100, 106.0),
    ]
    (trade,) = booked(SESSION, records, [gap]).trades
    assert trade.slippage == pytest.approx(0.2)
    assert trade.entry_candle == 1


def test_a_session_without_a_decision_has_neither_trades_nor_equity() -> None:
    ours = booked(SESSION, [began()], [CANDLES])
    assert (len(ours.trades), len(ours.time), len(ours.equity)) == (0, 0, 0)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-2000, 2000).filter(bool),
            st.integers(900, 1100),
            st.integers(-500, 500),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_whatever_fills_come_the_trades_add_up_to_the_wallet(
    drawn: list[tuple[int, int, int, bool]],
) -> None:
    position: Any = np.zeros(1, POSITION).view(np.recarray)[0]
    wallet = 10**12
    records: list[Record] = [began()]
    for i, (steps, ticks, fee, decides) in enumerate(drawn):
        price = ticks / 10
        pnl = int(book_fill(position, GRID, steps, price))
        wallet += pnl - fee
        one = filled(steps, price, T + i * 7_001, int(position.steps), pnl=pnl, fee=fee)
        records.append(msgspec.structs.replace(one, entry=float(position.entry)))
        if decides:
            records.append(decided(i + 1, wallet, price))
    records.append(decided(100, wallet, 100.0, equity=1.0))
    log = TradeLog(SESSION)
    for record in records:
        log.apply(record)
    ours = log.result([CANDLES])
    flat = 0 if position.steps == 0 else 1
    assert len(ours.trades) == log.closed + flat
    assert log.besides == 0
    over = ours.trades[ours.trades.exit_reason != EXIT_REASONS.index("end")]
    if flat == 0:
        assert int((over.pnl - over.fees).sum()) == wallet - 10**12
    else:
        end = 10**12 + int((ours.trades.pnl - ours.trades.fees).sum())
        left = int(money(qty_of(int(position.steps), GRID) * (100.0 - position.entry)))
        fee = int(fee_of(0.0005, qty_of(abs(int(position.steps)), GRID), 100.0))
        assert end == wallet + left - fee
        assert ours.equity[-1] == end / UNIT
    assert (ours.trades.steps > 0).all()
    assert np.isfinite(ours.trades.mae).all()
    assert np.isfinite(ours.trades.slippage).all()
