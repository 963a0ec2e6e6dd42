"""Time stands still until it is acknowledged, whoever comes and goes in between."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from live.simulator import lockstep
from live.simulator.faults import Drop, Faults
from live.simulator.lockstep import Stalled
from tests.live.simulated import (
    MINUTE,
    START,
    Trader,
    hear,
    market,
    served,
    silent,
    simulator,
    until,
    without,
)

ROOT = Path(__file__).resolve().parents[2]
BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}


def fills(trader: Trader) -> list[tuple[int, str]]:
    return [
        (event["T"], event["o"]["L"])
        for event in trader.events
        if event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["x"] == "TRADE"
    ]


def test_every_candle_is_told_and_decided_once() -> None:
    async def run() -> None:
        exchange = simulator(market(minutes=10))
        async with served(exchange) as (_, call):
            trader = Trader(call)
            working = asyncio.create_task(trader.run())
            await until(lambda: bool(exchange.hub.subscribed()))
            await asyncio.wait_for(exchange.run_lockstep(), 10)
            await asyncio.wait_for(working, 5)
            expected = [START + i * MINUTE for i in range(10)]
            assert trader.closed == [("BTCUSDT", time) for time in expected]
            assert trader.opened == [("BTCUSDT", time) for time in expected[1:]]
            assert trader.instants == [(time + MINUTE, ["BTCUSDT"]) for time in expected]
            assert trader.times == sorted(trader.times)

    asyncio.run(run())


def test_symbols_close_in_configured_order_and_only_those_with_a_candle() -> None:
    async def run() -> None:
        first, second = market("ETHUSDT", 4), without(market("BTCUSDT", 4, seed=8), 1)
        exchange = simulator(first, second)
        async with served(exchange) as (_, call):
            trader = Trader(call, ("BTCUSDT", "ETHUSDT"))
            working = asyncio.create_task(trader.run())
            await until(lambda: len(exchange.hub.subscribed()) == 2)
            await asyncio.wait_for(exchange.run_lockstep(), 10)
            await asyncio.wait_for(working, 5)
        both = ["ETHUSDT", "BTCUSDT"]
        assert [symbols for _, symbols in trader.instants] == [both, ["ETHUSDT"], both, both]
        assert trader.closed[:3] == [
            ("ETHUSDT", START),
            ("BTCUSDT", START),
            ("ETHUSDT", START + MINUTE),
        ]

    asyncio.run(run())


def test_an_instant_without_any_candle_is_no_decision() -> None:
    async def run() -> None:
        exchange = simulator(without(market(minutes=5), 1, 2))
        async with served(exchange) as (_, call):
            trader = Trader(call)
            trader.orders = {START + MINUTE: [BUY]}
            working = asyncio.create_task(trader.run())
            await asyncio.wait_for(exchange.run_lockstep(), 10)
            await asyncio.wait_for(working, 5)
        minutes = [(time - START) // MINUTE for time, _ in trader.instants]
        assert minutes == [1, 4, 5]
        # The order waited for the next stored candle.
        assert [time for time, _ in fills(trader)] == [START + 3 * MINUTE]

    asyncio.run(run())


def test_a_market_order_fills_at_the_open_after_the_decision() -> None:
    async def run() -> None:
        candles = market(minutes=5)
        exchange = simulator(candles)
        async with served(exchange) as (_, call):
            trader = Trader(call)
            trader.orders = {START + 2 * MINUTE: [BUY]}
            working = asyncio.create_task(trader.run())
            await asyncio.wait_for(exchange.run_lockstep(), 10)
            await asyncio.wait_for(working, 5)
        ((time, price),) = fills(trader)
        assert time == START + 2 * MINUTE
        place = list(candles.open_time).index(time)
        opened = float(candles.arrays["open"][place])
        assert opened < float(price) < opened * 1.001

    asyncio.run(run())


def test_nothing_moves_while_nobody_answers() -> None:
    async def run() -> None:
        exchange = simulator()
        async with served(exchange) as (_, call):
            running = asyncio.create_task(exchange.run_lockstep())
            await asyncio.sleep(0.1)
            assert exchange.venue.now == START
            private, clock = await call.private(), await call.clock()
            assert await hear(clock) == {"now": START, "rate": 0}
            marker = await hear(private)
            assert (marker["e"], marker["n"], marker["E"]) == ("marker", 1, START)
            await clock.send_json({"settled": 1})
            # Nothing happened inside the candle, so there is nothing to settle.
            assert await hear(clock) == {"now": START + MINUTE, "rate": 0}
            closing = {"now": START + MINUTE, "rate": 0, "closing": ["BTCUSDT"]}
            assert await hear(clock) == closing
            await asyncio.sleep(0.1)
            assert exchange.venue.now == START + MINUTE
            # Who comes now is told where things stand.
            late = await call.clock("signal_generator")
            assert await hear(late) == closing
            assert await hear(late) == {"now": START + MINUTE, "rate": 0}
            again = await call.private()
            assert (await hear(again))["n"] == marker["n"]
            await call(
                "POST", "/fapi/v1/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="1"
            )
            await clock.send_json({"decided": START + MINUTE})
            while (event := await hear(private))["e"] != "marker":
                pass
            await asyncio.sleep(0.1)
            assert (event["n"], exchange.venue.now) == (2, START + MINUTE), "the fill is unsettled"
            await clock.send_json({"settled": 2})
            assert await hear(clock) == {"now": START + 2 * MINUTE, "rate": 0}
            running.cancel()

    asyncio.run(run())


def test_time_passes_for_work_that_needs_it_but_never_past_the_next_close() -> None:
    async def run() -> None:
        exchange = simulator()
        async with served(exchange) as (_, call):
            running = asyncio.create_task(exchange.run_lockstep())
            private, clock = await call.private(), await call.clock()
            await hear(clock)
            await hear(private)
            await clock.send_json({"pass_until": START + 4_000})
            assert await hear(clock) == {"now": START + 4_000, "rate": 0}
            await clock.send_json({"pass_until": START + 3_000})
            await clock.send_json({"pass_until": START + 5 * MINUTE})
            assert await hear(clock) == {"now": START + MINUTE - 1, "rate": 0}
            await clock.send_json({"settled": 1})
            # The rest of the wish is granted in the next candle, the instant keeps its name.
            assert await hear(clock) == {"now": START + MINUTE, "rate": 0}
            assert (await hear(clock))["closing"] == ["BTCUSDT"]
            assert await hear(clock) == {"now": START + 2 * MINUTE - 1, "rate": 0}
            running.cancel()

    asyncio.run(run())


@pytest.mark.parametrize("sockets", ["private", "market", "all"])
@pytest.mark.parametrize("phase", ["close", "open"])
def test_a_dropped_socket_holds_time_up_and_loses_no_order(sockets: str, phase: str) -> None:
    async def run() -> None:
        at = START + 3 * MINUTE
        faults = Faults([Drop(at, sockets, phase)])  # type: ignore[arg-type]
        exchange = simulator(faults=faults)
        async with served(exchange) as (_, call):
            trader = Trader(call)
            trader.orders = {at: [BUY]}
            working = asyncio.create_task(trader.run())
            await until(lambda: bool(exchange.hub.subscribed()))
            await asyncio.wait_for(exchange.run_lockstep(), 10)
            await asyncio.wait_for(working, 5)
            assert len(trader.instants) == 10
            trades = await call("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
            assert [trade["time"] for trade in trades] == [at]
        assert len(faults.done) == 1
        if sockets == "market":
            assert len(fills(trader)) == 1
            missed = {"close": START + 2 * MINUTE, "open": 0}[phase]
            assert ("BTCUSDT", missed) not in trader.closed
        if phase == "open" and sockets != "market":
            # What is told while nobody listens is not told again.
            assert fills(trader) == []

    asyncio.run(run())


_CLIENT = """
import asyncio, sys, time
sys.path.insert(0, {root!r})
from tests.live.simulated import START, MINUTE, Caller, Trader
import aiohttp
from live.session import Addresses

class At:
    class venue:
        now = {now}

async def main():
    async with aiohttp.ClientSession() as session:
        call = Caller(Addresses({rest!r}, {stream!r}, {clock!r}), session, At)
        trader = Trader(call)
        work = asyncio.create_task(trader.run())
        while not work.done():
            await asyncio.sleep(0.001)
            if len(trader.instants) >= {stop}:
                print("there", flush=True)
                time.sleep(60)  # it must not go on playing until it is killed
        work.result()

asyncio.run(main())
"""


def test_a_client_killed_in_the_middle_is_waited_for() -> None:
    async def run() -> None:
        exchange = simulator()
        async with served(exchange) as (addresses, _):
            running = asyncio.create_task(exchange.run_lockstep())
            for stop in (3, 100):
                code = _CLIENT.format(
                    root=str(ROOT),
                    now=START,
                    rest=addresses.rest,
                    stream=addresses.stream,
                    clock=addresses.clock,
                    stop=stop,
                )
                client = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", code, stdout=subprocess.PIPE
                )
                try:
                    if stop == 3:
                        assert client.stdout is not None
                        assert await asyncio.wait_for(client.stdout.readline(), 30)
                        client.kill()
                        await client.wait()
                        await until(lambda: not exchange.clock.roles)
                        stood = exchange.venue.now
                        await asyncio.sleep(0.1)
                        assert exchange.venue.now == stood < START + 10 * MINUTE
                    else:
                        await asyncio.wait_for(running, 30)
                        assert await asyncio.wait_for(client.wait(), 10) == 0
                finally:
                    if client.returncode is None:
                        client.kill()
                        await client.wait()
        assert exchange.venue.now == START + 10 * MINUTE

    asyncio.run(run())


def test_who_closed_at_an_instant_that_is_over_can_be_asked() -> None:
    async def run() -> None:
        exchange = simulator(market(minutes=4), without(market("ETHUSDT", 4, seed=8), 1))
        async with served(exchange) as (_, call):
            trader = Trader(call, ("BTCUSDT", "ETHUSDT"))
            working = asyncio.create_task(trader.run())
            asking = await call.clock("signal_generator")
            await asyncio.wait_for(exchange.run_lockstep(), 10)
            await asyncio.wait_for(working, 5)
            while not (await hear(asking)).get("end"):
                pass
            answers = {0: ["BTCUSDT", "ETHUSDT"], 1: ["BTCUSDT", "ETHUSDT"], 2: ["BTCUSDT"]}
            for minutes, symbols in answers.items():
                at = START + minutes * MINUTE
                await asking.send_json({"closing": at})
                assert await hear(asking) == {"now": at, "rate": 0, "closing": symbols}
                assert await hear(asking) == {"now": START + 4 * MINUTE, "rate": 0}

    asyncio.run(run())


def test_who_closes_at_an_instant_to_come_is_not_said() -> None:
    async def run() -> None:
        exchange = simulator()
        async with served(exchange) as (_, call):
            running = asyncio.create_task(exchange.run_lockstep())
            clock = await call.clock()
            assert await hear(clock) == {"now": START, "rate": 0}
            for at in (START, START + MINUTE):
                await clock.send_json({"closing": at})
            assert await silent(clock)
            running.cancel()

    asyncio.run(run())


def test_a_lockstep_that_stands_still_says_whom_it_waits_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lockstep, "PATIENCE_S", 0.2)

    async def run() -> None:
        exchange = simulator()
        async with served(exchange) as (_, call):
            running = asyncio.create_task(exchange.run_lockstep())
            await asyncio.sleep(0.6)
            assert not running.done(), "nobody has come yet"
            private, clock = await call.private(), await call.clock()
            await call.clock("signal_generator")
            await hear(private)
            await clock.send_json({"settled": 1})
            for _ in range(4):  # whoever says something is at work
                await asyncio.sleep(0.1)
                await clock.send_json({"role": "trader"})
            with pytest.raises(Stalled) as error:
                await asyncio.wait_for(running, 5)
            assert error.value.message == (
                "the lockstep has stood still for 0.2 s at 2025-05-01 00:01 UTC: the trader has"
                " not decided the candles that closed; on the clock are signal_generator, trader"
            )
            assert (error.value.instant, error.value.symbols) == (START + MINUTE, ["BTCUSDT"])

    asyncio.run(run())


def test_nonsense_on_the_clock_socket_is_answered_and_changes_nothing() -> None:
    async def run() -> None:
        exchange = simulator()
        async with served(exchange) as (_, call):
            clock = await call.clock()
            await hear(clock)
            await clock.send_str("nonsense")
            assert "error" in await hear(clock)
            assert (exchange.clock.settled, exchange.clock.decided) == (0, 0)

    asyncio.run(run())


def test_the_end_is_told_to_those_who_come_late_too() -> None:
    async def run() -> None:
        exchange = simulator(market(minutes=2))
        async with served(exchange) as (_, call):
            working = asyncio.create_task(Trader(call).run())
            await asyncio.wait_for(exchange.run_lockstep(), 10)
            await asyncio.wait_for(working, 5)
            late = await call.clock()
            assert await hear(late) == {"now": START + 2 * MINUTE, "rate": 0, "end": True}

    asyncio.run(run())
