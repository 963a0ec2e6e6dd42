import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from live.clocks import SimulatorClock, WallClock, make_clock
from live.session import Addresses
from tests.live.sessions import make_session
from tests.live.simulated import until


class Teller:
    """The other side of the clock socket, told by the test what to say."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.welcome: list[dict[str, Any]] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.url = ""

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        for message in self.welcome:
            await socket.send_json(message)
        async for said in socket:
            self.heard.append(said.json())
        return socket

    async def tell(self, **message: Any) -> None:
        await self.sockets[-1].send_json(message)

    def heard_of(self, what: str) -> list[Any]:
        return [message[what] for message in self.heard if what in message]

    async def cut(self) -> None:
        count = len(self.sockets)
        self.sockets[-1]._req.transport.abort()  # type: ignore[union-attr]
        await until(lambda: len(self.sockets) > count)


def with_clock(test: Callable[[SimulatorClock, Teller], Awaitable[None]]) -> None:
    async def run() -> None:
        teller = Teller()
        app = web.Application()
        app.router.add_get("/clock", teller.serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        clock = SimulatorClock(f"ws://127.0.0.1:{port}/clock", "tester")
        try:
            await asyncio.wait_for(test(clock, teller), 10)
        finally:
            await clock.close()
            for socket in teller.sockets:
                await socket.close()
            await runner.cleanup()

    asyncio.run(run())


async def started(clock: SimulatorClock, teller: Teller, now: int = 1_000, rate: float = 0) -> None:
    teller.welcome = [{"now": now, "rate": rate}]
    await clock.start()


def soon(awaitable: Awaitable[Any]) -> "asyncio.Future[Any]":
    return asyncio.ensure_future(awaitable)


async def not_done(*waiting: "asyncio.Future[Any]") -> None:
    await asyncio.sleep(0.05)
    assert not any(one.done() for one in waiting)


def test_in_lockstep_time_is_what_was_told_last() -> None:
    async def test(clock: SimulatorClock, teller: Teller) -> None:
        await started(clock, teller)
        assert clock.lockstep
        assert not clock.ended
        assert clock.now_ms() == 1_000
        await until(lambda: teller.heard_of("role") == ["tester"])
        sleeps = [soon(clock.sleep_until(time)) for time in (1_000, 1_500, 2_000)]
        await not_done(*sleeps[1:])
        assert sleeps[0].done()
        await teller.tell(now=1_999, rate=0)
        await sleeps[1]
        await not_done(sleeps[2])
        await teller.tell(now=2_000, rate=0)
        await sleeps[2]
        assert clock.now_ms() == 2_000

    with_clock(test)


def test_time_that_runs_goes_on_between_two_messages_and_never_back() -> None:
    async def test(clock: SimulatorClock, teller: Teller) -> None:
        await started(clock, teller, 1_000_000, 1_000)
        assert not clock.lockstep
        await clock.sleep_until(1_030_000)
        seen = [clock.now_ms()]
        assert seen[0] >= 1_030_000
        await teller.tell(now=1_000_000, rate=1_000)
        for _ in range(20):
            await asyncio.sleep(0.005)
            seen.append(clock.now_ms())
        assert seen == sorted(seen)
        assert seen[-1] > seen[0]

    with_clock(test)


def test_a_sleep_ends_when_the_time_jumps_and_not_before_it_comes() -> None:
    async def test(clock: SimulatorClock, teller: Teller) -> None:
        await started(clock, teller, 1_000, 1)
        far = soon(clock.sleep_until(3_600_000))
        await not_done(far)
        await teller.tell(now=3_599_900, rate=0)
        await not_done(far)  # it stands still: the timer that was set may not count
        await asyncio.sleep(0.15)
        assert not far.done()
        await teller.tell(now=3_599_900, rate=1_000)
        await far
        assert clock.now_ms() >= 3_600_000

    with_clock(test)


def test_work_that_needs_time_asks_for_it() -> None:
    async def test(clock: SimulatorClock, teller: Teller) -> None:
        await started(clock, teller)
        await clock.pass_until(900)
        passing = soon(clock.pass_until(5_000))
        await until(lambda: 5_000 in teller.heard_of("pass_until"))
        await not_done(passing)
        await teller.tell(now=5_000, rate=0)
        await passing

    with_clock(test)


def test_closing_waits_until_it_is_told_and_knows_what_is_over() -> None:
    async def test(clock: SimulatorClock, teller: Teller) -> None:
        await started(clock, teller)
        first, second = soon(clock.closing(60_000)), soon(clock.closing(120_000))
        await teller.tell(now=60_000, rate=0)
        await not_done(first, second)
        await teller.tell(now=60_000, rate=0, closing=["A", "B"])
        assert await first == frozenset("AB")
        assert await clock.closing(60_000) == frozenset("AB")
        await not_done(second)
        await teller.tell(now=120_000, rate=0, closing=[])
        assert await second == frozenset()
        assert teller.heard_of("closing") == [60_000, 120_000, 120_000]
        over = soon(clock.closing(60_000))  # asked about, also on the next connection
        await until(lambda: teller.heard_of("closing")[3:] == [60_000])
        await teller.cut()
        await until(lambda: teller.heard_of("closing")[4:] == [60_000])
        await not_done(over)
        await teller.tell(now=60_000, rate=0, closing=["A", "B"])
        assert await over == frozenset("AB")
        assert clock.now_ms() == 120_000

    with_clock(test)


def test_the_name_of_an_instant_does_not_turn_time_back() -> None:
    async def test(clock: SimulatorClock, teller: Teller) -> None:
        await started(clock, teller, 60_400)
        await teller.tell(now=60_000, rate=0, closing=["A"])
        assert await clock.closing(60_000) == frozenset("A")
        assert clock.now_ms() == 60_400

    with_clock(test)


def test_when_time_runs_nobody_knows_who_closes() -> None:
    async def test(clock: SimulatorClock, teller: Teller) -> None:
        await started(clock, teller)
        asked = soon(clock.closing(60_000))
        await not_done(asked)  # a replay that has not begun stands still, too
        await teller.tell(now=1_000, rate=60)
        assert await asked is None
        assert not clock.lockstep

    with_clock(test)


@pytest.mark.parametrize("rate", [0, 60])
def test_after_the_end_only_work_goes_on(rate: int) -> None:
    async def test(clock: SimulatorClock, teller: Teller) -> None:
        await started(clock, teller, 1_000, rate)
        passing, asked = soon(clock.pass_until(10**9)), soon(clock.closing(10**9))
        sleeping = soon(clock.sleep_until(10**9 + 1))
        await teller.tell(now=600_000, rate=0, end=True)
        await passing
        assert await asked is None
        await not_done(sleeping)
        assert clock.ended
        assert clock.lockstep is (rate == 0)
        assert clock.now_ms() == 10**9
        await clock.pass_until(2 * 10**9)
        sleeping.cancel()

    with_clock(test)


def test_after_a_break_it_says_again_what_may_have_been_lost() -> None:
    async def test(clock: SimulatorClock, teller: Teller) -> None:
        await started(clock, teller)
        clock.acknowledge_settled(7)
        clock.acknowledge_decided(60_000)
        passing = soon(clock.pass_until(5_000))
        await until(lambda: len(teller.heard) == 4)
        teller.heard.clear()
        teller.welcome = [{"now": 4_000, "rate": 0}]
        await teller.cut()
        await until(lambda: len(teller.heard) >= 4)
        assert teller.heard[0] == {"role": "tester"}
        assert {"settled": 7} in teller.heard
        assert {"decided": 60_000} in teller.heard
        assert {"pass_until": 5_000} in teller.heard
        await until(lambda: clock.now_ms() == 4_000)
        await teller.tell(now=5_000, rate=0)
        await passing
        clock.acknowledge_decided(120_000)
        await until(lambda: {"decided": 120_000} in teller.heard)

    with_clock(test)


def test_what_is_said_while_nobody_listens_is_said_later() -> None:
    async def test(clock: SimulatorClock, teller: Teller) -> None:
        starting = soon(clock.start())
        clock.acknowledge_decided(60_000)
        await not_done(starting)
        teller.welcome = [{"now": 1, "rate": 0}]
        await teller.cut()
        await starting
        await until(lambda: 60_000 in teller.heard_of("decided"))

    with_clock(test)


def test_the_last_word_is_sent_before_the_end() -> None:
    async def test(clock: SimulatorClock, teller: Teller) -> None:
        await started(clock, teller)
        for n in range(1, 50):
            clock.acknowledge_settled(n)
        await clock.close()
        await until(lambda: teller.heard_of("settled")[-1:] == [49])

    with_clock(test)


def test_it_starts_when_the_simulator_comes_later() -> None:
    async def run() -> None:
        async with aiohttp.ClientSession():
            clock = SimulatorClock("ws://127.0.0.1:1/clock", "tester")
            starting = soon(clock.start())
            await not_done(starting)
            starting.cancel()
            await clock.close()

    asyncio.run(run())


def test_the_wall_clock_runs_by_the_exchanges_time() -> None:
    async def run() -> None:
        clock = make_clock(make_session(), "tester")
        assert isinstance(clock, WallClock)
        await clock.start()
        guess = clock.now_ms()
        assert abs(guess - time.time_ns() // 1_000_000) < 1_000
        clock.correct(-60_000)  # the first measurement: so far it was only a guess
        assert clock.now_ms() < guess - 50_000
        until_ms = clock.now_ms() + 20
        await clock.sleep_until(until_ms)
        assert clock.now_ms() >= until_ms
        await clock.pass_until(until_ms)
        assert await clock.closing(0) is None
        assert not clock.lockstep
        assert not clock.ended

    asyncio.run(run())


def test_the_wall_clock_does_not_follow_steps_of_the_systems(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = WallClock()
    before = clock.now_ms()
    for step_s in (-3_600, 3_600):
        stepped = time.time_ns() + step_s * 10**9
        monkeypatch.setattr(time, "time_ns", lambda stepped=stepped: stepped)
        assert 0 <= clock.now_ms() - before < 1_000
        assert 0 <= clock.stamp_ms() - before < 1_000


def test_a_time_that_was_ahead_stands_still_until_it_is_right() -> None:
    async def run() -> None:
        clock = WallClock()
        clock.correct(0)
        before = clock.now_ms()
        clock.correct(-200)
        assert clock.stamp_ms() <= before - 100  # what is stamped is right at once
        seen = [clock.now_ms()]
        assert seen[0] == before
        began_s = time.monotonic()
        sleeping = soon(clock.sleep_until(before + 50))
        while not sleeping.done():
            await asyncio.sleep(0.01)
            seen.append(clock.now_ms())
        assert seen == sorted(seen)
        assert seen[-1] >= before + 50
        assert time.monotonic() - began_s > 0.2
        clock.correct(5_000)
        assert clock.now_ms() >= seen[-1] + 5_000
        assert clock.now_ms() == clock.stamp_ms()

    asyncio.run(run())


def test_a_session_on_paper_has_the_simulators_clock() -> None:
    async def run() -> None:
        session = make_session(addresses=Addresses("", "", "ws://127.0.0.1:1/clock"))
        assert isinstance(make_clock(session, "tester"), SimulatorClock)

    asyncio.run(run())
