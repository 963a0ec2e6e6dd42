"""market_data and signal_generator over the real simulator: the rows of a backtest."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from live import market_data, signal_generator
from live.clocks import make_clock
from live.exchange.binance import Binance
from live.simulator.faults import Drop, Faults
from strategy.candles import Candles
from strategy.load import load
from tests.live.chain import (
    Decider,
    Server,
    batches_of,
    redis_in,
    said_in_batch,
    said_live,
)
from tests.live.sessions import MINUTE, make_session, write_session
from tests.live.simulated import HISTORY, Caller, market, served, simulator, until, without
from tests.live.simulated import START as PLAYED_FROM


async def roles(
    call: Caller, server: Server, folder: Path, symbols: Sequence[str], **changes: Any
) -> Callable[[], Awaitable[None]]:
    session = make_session(
        symbols,
        addresses=call.addresses,
        first_open_time=PLAYED_FROM - HISTORY * MINUTE,
        trade_from=PLAYED_FROM,
        **changes,
    )
    write_session(folder, session)

    async def role(name: str, run: Any, *, reads_exchange: bool) -> None:
        clock, bus = make_clock(session, name), server.bus()
        await clock.start()
        exchange = Binance(session.addresses, clock, "", "")
        try:
            if reads_exchange:
                await run(session, bus, clock, exchange)
            else:
                await run(session, folder, bus, clock)
        finally:
            await exchange.close()
            await clock.close()
            await bus.close()

    decider = Decider(call, server.bus())
    tasks = [
        asyncio.create_task(one)
        for one in (
            role("market_data", market_data.run, reads_exchange=True),
            role("signal_generator", signal_generator.run, reads_exchange=False),
            decider.run(),
        )
    ]

    async def ended() -> None:
        try:
            async with asyncio.timeout(20):
                await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await decider._bus.close()

    return ended


def replayed(
    folder: Path, candles: Sequence[Candles], faults: Faults | None = None, rate: float = 0.0
) -> Any:
    symbols = [one.symbol for one in candles]
    exchange_side = simulator(*candles, faults=faults)

    async def run(server: Server) -> Any:
        async with served(exchange_side) as (_, call):
            ended = await roles(call, server, folder / "session", symbols)
            async with asyncio.timeout(60):
                await until(lambda: bool(exchange_side.hub.subscribed()))
                playing = exchange_side.run_at(rate) if rate else exchange_side.run_lockstep()
                await playing
            await ended()
            bus = server.bus()
            batches = await batches_of(bus)
            await bus.close()
            return batches

    with redis_in(folder) as server:
        return asyncio.run(run(server))


def expected(candles: Sequence[Candles]) -> Any:
    strategy = load("rsi_macd_atr")
    said = said_in_batch(strategy, strategy.params(), candles)
    return {key: value for key, value in said.items() if key[1] >= PLAYED_FROM}


def test_a_lockstep_with_gaps_gives_the_rows_of_a_backtest(tmp_path: Path) -> None:
    candles = [market("BTCUSDT", 60), without(market("ETHUSDT", 60, 8), 3, 4, 20, 59)]
    batches = replayed(tmp_path, candles)
    assert said_live(batches) == expected(candles)
    late = [(batch.time - PLAYED_FROM) // MINUTE - 1 for batch in batches if batch.late]
    assert late == [3, 4, 20, 59]


def test_a_lockstep_with_broken_sockets_gives_the_same(tmp_path: Path) -> None:
    candles = [market("BTCUSDT", 30), market("ETHUSDT", 30, 8)]
    drops = tuple(
        Drop(PLAYED_FROM + at * MINUTE, "market", "open" if at == 9 else "close")
        for at in (3, 4, 9, 15, 30)
    )
    assert said_live(replayed(tmp_path, candles, Faults(drops))) == expected(candles)


def test_a_replay_at_a_rate_gives_the_same_rows(tmp_path: Path) -> None:
    candles = [market("BTCUSDT", 40), market("ETHUSDT", 40, 8)]
    batches = replayed(tmp_path, candles, rate=1_000.0)
    assert [batch.time for batch in batches] == [PLAYED_FROM + at * MINUTE for at in range(1, 41)]
    said, rows = said_live(batches), expected(candles)
    assert said == {key: rows[key] for key in said}
