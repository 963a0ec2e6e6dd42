"""Trades and equity from a journal: those of the backtest, and those that no backtest knows."""

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.runs import result_hash
from live.journal import Record
from live.session import Session
from live.trade_log import Booked, TradeLog
from strategy.account import TRADE
from strategy.candles import Candles
from strategy.errors import RunRefused
from tests.backtest.random_markets import World, draw_world, run_fast
from tests.backtest.script import MONDAY, Bar
from tests.live.perfect import journal_of, rules_of, session_of

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
    world = to_one_end(draw_world(seed, length, symbols))
    try:
        result = run_fast(world)
    except RunRefused:
        return
    session = session_of(result, rules_of(world))
    ours = booked(session, journal_of(result), result.candles)
    assert differences(ours.trades, result.trades) == []
    assert ours.time.tobytes() == result.time.tobytes()
    assert ours.equity.tobytes() == result.equity.tobytes()
    assert result_hash(ours.trades, ours.equity) == result_hash(result.trades, result.equity)


@pytest.mark.parametrize("seed", [1, 2])
def test_many_trades_of_a_long_session_come_in_the_order_of_the_backtest(seed: int) -> None:
    rng = random.Random(seed)
    while True:
        world = to_one_end(draw_world(rng.randrange(10**6), 1_500, 3))
        try:
            result = run_fast(world)
        except RunRefused:
            continue
        if len({*result.trades.exit_reason.tolist()}) == 5 and len(result.trades) > 100:
            break
    ours = booked(session_of(result, rules_of(world)), journal_of(result), result.candles)
    assert differences(ours.trades, result.trades) == []
