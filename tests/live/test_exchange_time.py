"""Orders and questions go on when the machine's clock and the exchange's come apart."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from live import roles
from live.clocks import WallClock
from live.exchange import rest
from live.exchange.binance import Binance
from live.exchange.port import Accepted, Outcome, Rejected, Unavailable
from live.roles import exchange_of
from strategy.errors import WickError
from tests.live.fake_exchange import (
    KEY,
    SECRET,
    Answer,
    FakeExchange,
    HandClock,
    PunctualExchange,
    answer,
    cut,
)
from tests.live.sessions import make_session
from tests.live.simulated import until

BALANCE = [
    {"asset": "USDT", "balance": "1", "crossWalletBalance": "1", "updateTime": 1},
]
Work = Callable[[PunctualExchange, Binance, WallClock], Awaitable[None]]


@asynccontextmanager
async def trading(ahead_ms: int = 0) -> AsyncIterator[tuple[PunctualExchange, Binance, WallClock]]:
    """Give an adapter as a role gets it, its clock set at the start."""
    async with PunctualExchange(ahead_ms) as fake:
        fake.says("GET balance", answer(BALANCE))
        fake.says("GET klines", answer([]))
        fake.says("POST order", answer({"orderId": 7}))
        fake.says("DELETE algoOrder", answer({"algoId": 8}))
        session = make_session(on="testnet", addresses=fake.addresses)
        async with exchange_of(session, "trader", (KEY, SECRET)) as (client, clock):
            fake.requests.clear()
            yield fake, client, clock


def with_trading(work: Work, ahead_ms: int = 0) -> None:
    async def run() -> None:
        async with trading(ahead_ms) as (fake, client, clock):
            await work(fake, client, clock)

    asyncio.run(run())


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a second measurement follow the one at the start without a pause."""
    monkeypatch.setattr(rest, "_MEASURE_EVERY_S", 0.0)


async def place(client: Binance) -> Outcome:
    return await client.place_market("cw-1", "BTCUSDT", "BUY", "0.010", False)


@pytest.mark.parametrize("ahead_ms", [-3_600_000, -3_000, 3_000, 3_600_000])
def test_a_role_starts_by_the_exchanges_time_whatever_the_system_says(ahead_ms: int) -> None:
    async def work(fake: PunctualExchange, client: Binance, clock: WallClock) -> None:
        assert await place(client) == Accepted(7)
        assert (await client.balance()).wallet == 10**8
        assert abs(clock.now_ms() - fake.now_ms()) < 500
        assert not fake.asked("GET time")

    with_trading(work, ahead_ms)


@pytest.mark.parametrize("skew_ms", [-5_000, -2_500, 2_500, 5_000])
def test_an_order_succeeds_at_the_second_attempt_when_the_clocks_have_come_apart(
    skew_ms: int,
) -> None:
    async def work(fake: PunctualExchange, client: Binance, clock: WallClock) -> None:
        assert await place(client) == Accepted(7)
        before = clock.now_ms()
        fake.ahead_ms += skew_ms
        refused = await place(client)
        assert isinstance(refused, Rejected)
        assert (refused.code, refused.retry) == (-1021, True)
        assert await place(client) == Accepted(7)
        assert len(fake.asked("POST order")) == 3
        assert len(fake.asked("GET time")) == 1
        assert clock.now_ms() >= before
        assert abs(clock.stamp_ms() - fake.now_ms()) < 500

    with_trading(work)


@pytest.mark.parametrize("skew_ms", [-60_000, -2_500, 6_000, 60_000])
def test_a_question_is_asked_again_with_the_right_time(skew_ms: int) -> None:
    async def work(fake: PunctualExchange, client: Binance, clock: WallClock) -> None:
        fake.ahead_ms += skew_ms
        assert (await client.balance()).wallet == 10**8
        first, second = (one.parameters for one in fake.asked("GET balance"))
        moved = int(second["timestamp"]) - int(first["timestamp"])
        assert abs(moved - skew_ms) < 500
        assert await place(client) == Accepted(7)

    with_trading(work)


@pytest.mark.parametrize("skew_ms", [-5_000, 5_000])
def test_a_cancellation_is_mended_like_an_order(skew_ms: int) -> None:
    async def work(fake: PunctualExchange, client: Binance, clock: WallClock) -> None:
        fake.ahead_ms += skew_ms
        refused = await client.cancel_algo("cw-s")
        assert isinstance(refused, Rejected)
        assert refused.retry
        assert await client.cancel_algo("cw-s") == Accepted(8)

    with_trading(work)


def test_a_step_of_the_systems_clock_is_not_even_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(fake: PunctualExchange, client: Binance, clock: WallClock) -> None:
        real = time.time_ns
        for step_s in (-3_600, 3_600):
            monkeypatch.setattr(time, "time_ns", lambda step_s=step_s: real() + step_s * 10**9)
            assert await place(client) == Accepted(7)
            assert (await client.balance()).wallet == 10**8
        assert not fake.asked("GET time")

    with_trading(work)


def test_many_that_are_refused_at_once_ask_for_the_time_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(fake: PunctualExchange, client: Binance, clock: WallClock) -> None:
        monkeypatch.setattr(rest, "_MEASURE_EVERY_S", 60.0)
        # Time enough since the one at the start.
        client._rest._measured_s -= 60.0
        fake.time_takes_s = 0.2
        fake.ahead_ms += 30_000
        outcomes = await asyncio.gather(*(client.balance() for _ in range(8)), place(client))
        assert isinstance(outcomes[-1], Rejected)
        assert len(fake.asked("GET time")) == 1
        # Refused again so soon, it is not asked again.
        fake.ahead_ms += 30_000
        with pytest.raises(Unavailable):
            await client.balance()
        assert len(fake.asked("GET time")) == 1

    with_trading(work)


@pytest.mark.parametrize("said", [answer("<html>", 502), answer("<html>", 404), cut])
def test_a_time_that_cannot_be_had_later_on_is_no_reason_to_give_up(said: Answer) -> None:
    async def work(fake: PunctualExchange, client: Binance, clock: WallClock) -> None:
        assert (await client.balance()).wallet == 10**8
        fake.says("GET time", said)
        fake.ahead_ms += 30_000
        with pytest.raises(Unavailable, match="-1021"):
            await client.balance()
        refused = await place(client)
        assert isinstance(refused, Rejected)
        assert refused.retry

    with_trading(work)


def test_a_refused_order_does_not_wait_long_for_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(fake: PunctualExchange, client: Binance, clock: WallClock) -> None:
        monkeypatch.setattr(rest, "_MEND_S", 0.1)
        fake.time_takes_s = 1.0
        fake.ahead_ms += 30_000
        began_s = time.monotonic()
        assert isinstance(await place(client), Rejected)
        assert time.monotonic() - began_s < 0.6
        # The answer is waited for by nobody, and still sets the clock.
        await until(lambda: abs(clock.stamp_ms() - fake.now_ms()) < 700)
        assert await place(client) == Accepted(7)

    with_trading(work)


def test_a_slow_answer_moves_the_clock_only_where_it_proves_it_wrong() -> None:
    async def work(fake: PunctualExchange, client: Binance, clock: WallClock) -> None:
        fake.time_takes_s = 0.4
        fake.ahead_ms += 100
        await client.set_clock()
        assert -200 < clock.stamp_ms() - fake.now_ms() < -50
        fake.ahead_ms += 500
        await client.set_clock()
        assert abs(clock.stamp_ms() - fake.now_ms()) < 100

    with_trading(work)


@pytest.mark.parametrize("role", ["trader", "market-data", "signal-generator"])
def test_every_role_measures_again_while_it_runs(
    monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    monkeypatch.setattr(roles, "_SET_AGAIN_S", 0.05)

    async def run() -> None:
        async with PunctualExchange() as fake:
            session = make_session(on="testnet", addresses=fake.addresses)
            async with exchange_of(session, role, ("", "")) as (_, clock):
                fake.ahead_ms += 4_000
                await until(lambda: abs(clock.now_ms() - fake.now_ms()) < 500)
                fake.says("GET time", answer("<html>", 404))
                count = len(fake.requests)
                await until(lambda: len(fake.requests) > count + 2)
                fake.says("GET time", fake._time)
                fake.ahead_ms += 4_000
                await until(lambda: abs(clock.now_ms() - fake.now_ms()) < 500)
            asked = len(fake.requests)
            await asyncio.sleep(0.2)
            assert len(fake.requests) == asked

    asyncio.run(run())


def test_public_questions_go_on_with_a_clock_that_is_wrong() -> None:
    async def work(fake: PunctualExchange, client: Binance, clock: WallClock) -> None:
        for skew_ms in (-60_000, 120_000):
            fake.ahead_ms += skew_ms
            assert list(await client.klines("BTCUSDT", "1m", 0)) == []
            await client.set_clock()
            assert abs(clock.stamp_ms() - fake.now_ms()) < 500

    with_trading(work)


def test_only_before_the_first_signed_answer_the_clock_is_refused() -> None:
    async def run() -> None:
        async with FakeExchange() as fake:
            client = fake.client(HandClock())
            wrong = answer({"code": -1021, "msg": "Timestamp"}, 400)
            fake.says("GET time", answer({"serverTime": HandClock().now + 9_000}))
            fake.says("GET balance", wrong, wrong, answer(BALANCE), wrong)
            with pytest.raises(WickError, match="9000 ms behind"):
                await client.balance()
            assert (await client.balance()).wallet == 10**8
            for _ in range(2):
                with pytest.raises(Unavailable, match="-1021"):
                    await client.balance()
            await client.close()

    asyncio.run(run())
