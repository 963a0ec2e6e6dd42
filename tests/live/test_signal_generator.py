"""Signals are those of a backtest, bit for bit, however candles come and whatever dies between."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from redis.exceptions import RedisError

from data.synthetic import synthetic_market
from live import pulse, signal_generator
from live.records import CANDLES, SIGNALS, Batch, ClosedCandle, Health
from live.session import Session
from live.signal_generator import SignalGenerator
from live.symbol_tape import SymbolTape, decision_hash
from strategy.candles import Candles
from strategy.errors import WickError
from strategy.load import load
from strategy.tape import TapeError
from tests.live.chain import (
    Server,
    all_closed,
    batches_of,
    lose,
    redis_in,
    said_in_batch,
    said_live,
)
from tests.live.hand_clock import HandClock
from tests.live.sessions import MINUTE, START, make_session, write_session

# Short, so that a few hundred candles are enough for both entries.
PARAMS: dict[str, Any] = {"rsi": 3, "fast": 2, "slow": 4, "signal": 2, "trend": 2, "atr": 3}
PARAMS |= {"oversold": 45.0, "overbought": 55.0}


def market(symbol: str, minutes: int, seed: int, *gaps: int) -> Candles:
    candles = synthetic_market(seed, minutes, START, "1m", symbol)
    keep = [i for i in range(minutes) if i not in gaps]
    arrays = {name: values[keep] for name, values in candles.arrays.items()}
    return Candles.from_arrays(symbol=symbol, market="um", timeframe="1m", **arrays)


class Stage:
    """A session with its Redis, where a generator comes and goes."""

    def __init__(self, server: Server, session: Session, clock: HandClock) -> None:
        self.server = server
        self.session = session
        self.clock = clock
        self.bus = server.bus()
        self._own = server.bus()
        self._generator = self._make()
        self.running: asyncio.Task[None] | None = None

    def _make(self) -> SignalGenerator:
        folder = self.server.folder / "session"
        return SignalGenerator(self.session, folder, self._own, self.clock)

    def start(self) -> None:
        self.running = asyncio.create_task(self._generator.run())

    async def end(self, *, clean: bool = True) -> None:
        """End it as SIGTERM does, or as kill -9 does: nothing is saved."""
        if not clean:

            async def nothing() -> None: ...

            self._generator._save = nothing  # type: ignore[method-assign]
        if self.running is not None:
            self.running.cancel()
            with suppress(asyncio.CancelledError):
                await self.running
        self._generator = self._make()

    async def publish(self, *candles: ClosedCandle) -> None:
        entries = [
            (CANDLES.format(symbol=one.symbol, timeframe="1m"), one, one.open_time)
            for one in candles
        ]
        await self.bus.publish_all(entries)

    async def batches(self, count: int) -> list[Batch]:
        """Wait for so many batches and return them."""
        assert self.running is not None
        async with asyncio.timeout(8):
            while await self.bus.last_id(SIGNALS) == 0 or len(await batches_of(self.bus)) < count:
                if self.running.done():
                    self.running.result()
                    break
                await asyncio.sleep(0.005)
        found = await batches_of(self.bus)
        assert len(found) == count
        return found


def on_stage(
    folder: Path,
    test: Callable[[Stage], Awaitable[None]],
    symbols: Sequence[str] = ("A", "B"),
    *,
    lockstep: bool = False,
    **changes: Any,
) -> None:
    session = make_session(symbols, params=PARAMS, **changes)
    write_session(folder / "session", session)

    async def run(server: Server) -> None:
        stage = Stage(server, session, HandClock(START, lockstep=lockstep))
        stage.start()
        try:
            await test(stage)
        finally:
            await stage.end()
            await stage.bus.close()
            await stage._own.close()

    with redis_in(folder) as server:
        asyncio.run(run(server))


def in_batch(*candles: Candles) -> Any:
    strategy = load("rsi_macd_atr")
    return said_in_batch(strategy, strategy.with_params(PARAMS), candles)


def times(batches: Sequence[Batch]) -> list[int]:
    return [(batch.time - START) // MINUTE for batch in batches]


def order_of_arrival(rng: random.Random, *candles: Candles) -> list[ClosedCandle]:
    """Mix the symbols' candles; each symbol's own order stays."""
    queues = [all_closed(one) for one in candles]
    mixed = []
    while queue := rng.choice(queues) if any(queues) else None:
        mixed += [queue.pop(0) for _ in range(min(len(queue), rng.choice((1, 1, 1, 7, 60))))]
        queues = [one for one in queues if one]
    return mixed


@pytest.mark.parametrize("seed", range(6))
def test_signals_are_those_of_a_backtest_for_any_cutting_and_any_restarts(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    gaps = rng.sample(range(1, 250), 12)
    a, b = market("A", 300, seed), market("B", 300, seed + 100, *gaps)
    expected = in_batch(a, b)

    async def test(stage: Stage) -> None:
        arrivals = order_of_arrival(rng, a, b)
        while arrivals:
            part = rng.randint(1, 40)
            await stage.publish(*arrivals[:part])
            del arrivals[:part]
            if rng.random() < 0.5:
                await asyncio.sleep(rng.choice((0.0, 0.002, 0.02)))
            if rng.random() < 0.3:
                await stage.end(clean=rng.random() < 0.5)
                stage.start()
        batches = await stage.batches(300)
        assert times(batches) == list(range(1, 301))
        assert said_live(batches) == expected
        late = {(batch.time - START) // MINUTE - 1 for batch in batches if batch.late == ("B",)}
        assert late == set(gaps)

    on_stage(tmp_path, test)
    assert {flags for _, flags, _ in expected.values()} >= {0, 1, 2}


def test_after_a_long_pause_every_instant_is_emitted_once(tmp_path: Path) -> None:
    a, b = market("A", 2_500, 1), market("B", 2_500, 2)

    async def test(stage: Stage) -> None:
        await stage.publish(*all_closed(a)[:10], *all_closed(b)[:10])
        await stage.batches(10)
        await stage.end()
        await stage.publish(*all_closed(a)[10:])
        await stage.publish(*all_closed(b)[10:])
        stage.start()
        batches = await stage.batches(2_500)
        assert said_live(batches) == in_batch(a, b)
        assert not any(batch.late for batch in batches)
        assert await stage.bus.kept("tape:A") is not None

    on_stage(tmp_path, test)


def test_what_is_older_than_the_session_is_read_and_not_spoken_of(tmp_path: Path) -> None:
    a, b = market("A", 200, 1), market("B", 200, 2)
    expected = in_batch(a, b)

    async def test(stage: Stage) -> None:
        await stage.publish(*all_closed(a)[:60], *all_closed(b)[:30])
        await asyncio.sleep(0.05)
        await stage.publish(*all_closed(b)[30:], *all_closed(a)[60:])
        batches = await stage.batches(80)
        assert times(batches) == list(range(121, 201))
        said = said_live(batches)
        assert said == {key: expected[key] for key in said}

    on_stage(tmp_path, test, trade_from=START + 120 * MINUTE + 30_000 - 30_000)


def test_a_session_that_starts_within_a_minute_decides_when_that_minute_closes(
    tmp_path: Path,
) -> None:
    async def test(stage: Stage) -> None:
        await stage.publish(*all_closed(market("A", 125, 1)), *all_closed(market("B", 125, 2)))
        batches = await stage.batches(5)
        assert times(batches) == [121, 122, 123, 124, 125]
        assert not any(batch.late for batch in batches)

    on_stage(tmp_path, test, trade_from=START + 120 * MINUTE + 17_000)


def test_an_instant_waits_for_a_straggler_and_no_longer(tmp_path: Path) -> None:
    a, b, c = (market(name, 40, seed) for seed, name in enumerate("ABC"))

    async def test(stage: Stage) -> None:
        for i in range(30):
            await stage.publish(*(all_closed(one)[i] for one in (b, c, a)))
        assert [one.symbol for one in (await stage.batches(30))[-1].signals] == ["A", "B", "C"]
        await stage.publish(all_closed(c)[30])
        await asyncio.sleep(0.1)
        await stage.publish(all_closed(a)[30])
        await asyncio.sleep(0.1)
        await stage.clock.move(START + 1_999)
        await asyncio.sleep(0.1)
        assert len(await batches_of(stage.bus)) == 30
        await stage.clock.move(START + 2_000)
        last = (await stage.batches(31))[-1]
        assert [one.symbol for one in last.signals] == ["A", "C"]
        assert last.late == ("B",)
        # It comes after all: read, so that what follows is right, and never decided.
        await stage.publish(all_closed(b)[30])
        await stage.publish(*(all_closed(one)[31] for one in (a, b, c)))
        batches = await stage.batches(32)
        expected = in_batch(a, b, c)
        said = said_live(batches)
        assert said == {key: expected[key] for key in said}
        assert ("B", START + 30 * MINUTE) not in said
        assert ("B", START + 31 * MINUTE) in said

    on_stage(tmp_path, test, "ABC")


def test_who_still_brings_older_candles_is_not_late(tmp_path: Path) -> None:
    a, b = market("A", 60, 1), market("B", 60, 2)

    async def test(stage: Stage) -> None:
        await stage.publish(*all_closed(a))
        for i, candle in enumerate(all_closed(b)):
            await stage.publish(candle)
            await stage.batches(i + 1)
            await stage.clock.move(stage.clock.now + 1_500)
        assert not any(batch.late for batch in await stage.batches(60))

    on_stage(tmp_path, test)


def test_who_comes_back_candle_by_candle_is_waited_for(tmp_path: Path) -> None:
    a, b = market("A", 20, 1), market("B", 20, 2)

    async def test(stage: Stage) -> None:
        for i in range(10):
            await stage.publish(all_closed(a)[i])
            await asyncio.sleep(0.02)
            await stage.clock.move(stage.clock.now + 2_000)
            await stage.batches(i + 1)
        await stage.publish(all_closed(a)[10])
        for candle in all_closed(b)[:11]:
            await asyncio.sleep(0.02)
            await stage.clock.move(stage.clock.now + 1_500)
            await stage.publish(candle)
        assert (await stage.batches(11))[-1].late == ()

    on_stage(tmp_path, test)


def test_a_late_symbol_may_miss_many_instants_and_comes_back_right(tmp_path: Path) -> None:
    a, b = market("A", 90, 1), market("B", 90, 2)

    async def test(stage: Stage) -> None:
        await stage.publish(*all_closed(a)[:40], *all_closed(b)[:40])
        await stage.batches(40)
        for i in range(40, 60):
            await stage.publish(all_closed(a)[i])
            await asyncio.sleep(0.02)
            await stage.clock.move(stage.clock.now + 2_000)
            await stage.batches(i + 1)
        await stage.end(clean=False)
        stage.start()
        await stage.publish(*all_closed(b)[40:], *all_closed(a)[60:])
        batches = await stage.batches(90)
        expected, said = in_batch(a, b), said_live(batches)
        assert said == {key: expected[key] for key in said}
        assert [batch.late for batch in batches] == [
            *[()] * 40,
            *[("B",)] * 20,
            *[()] * 30,
        ]

    on_stage(tmp_path, test)


def test_in_lockstep_an_instant_waits_for_exactly_those_who_close(tmp_path: Path) -> None:
    a, b = market("A", 5, 1), market("B", 5, 2, 2)

    async def test(stage: Stage) -> None:
        for i in range(2):
            await stage.clock.tell(START + (i + 1) * MINUTE, "A", "B")
            await stage.publish(all_closed(b)[i])
            await stage.publish(all_closed(a)[i])
        await stage.batches(2)
        await stage.publish(all_closed(a)[2])
        await stage.clock.move(START + 2**30)  # no time is long enough, only the word is
        await asyncio.sleep(0.1)
        assert len(await batches_of(stage.bus)) == 2
        await stage.clock.tell(START + 3 * MINUTE, "A", "UNKNOWN")
        assert (await stage.batches(3))[-1].late == ("B",)
        await stage.clock.tell(START + 4 * MINUTE, "A", "B")
        await stage.publish(all_closed(a)[3])
        await asyncio.sleep(0.1)
        assert len(await batches_of(stage.bus)) == 3
        await stage.publish(all_closed(b)[2])
        assert (await stage.batches(4))[-1].late == ()

    on_stage(tmp_path, test, lockstep=True)


def test_in_lockstep_an_instant_that_is_over_waits_for_all_who_closed(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        await stage.clock.tell(START + 2 * MINUTE, "A", "B")
        await stage.clock.tell(START + MINUTE, "A", "B")
        a, b = (all_closed(market(one, 2, 1)) for one in "AB")
        await stage.publish(*a)
        await asyncio.sleep(1.5)  # however long it takes to bring B again
        assert await batches_of(stage.bus) == []
        await stage.publish(*b)
        assert [one.late for one in await stage.batches(2)] == [(), ()]

    on_stage(tmp_path, test, lockstep=True)


def test_in_lockstep_no_instant_is_emitted_before_it_is_told(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        await stage.publish(*(all_closed(market(one, 1, 1))[0] for one in "AB"))
        await asyncio.sleep(0.3)  # its fills are not told yet
        assert await batches_of(stage.bus) == []
        await stage.clock.tell(START + MINUTE, "A", "B")
        await stage.batches(1)

    on_stage(tmp_path, test, lockstep=True)


def test_a_replay_that_is_over_ends_it_with_all_that_came(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        await stage.publish(*all_closed(market("A", 5, 1)), *all_closed(market("B", 3, 1)))
        await stage.batches(3)
        stage.clock.ended = True
        assert stage.running is not None
        await asyncio.sleep(2)  # the last candles may still be on their way
        assert not stage.running.done()
        await lose(stage.bus, SIGNALS, 1)
        await stage.bus.set_health(Health("market_data", 1, START, "ended"))
        with pytest.raises(RedisError, match="lost entries of signals"):
            await asyncio.wait_for(stage.running, 10)
        stage.start()
        await asyncio.wait_for(stage.running, 10)
        assert [batch.late for batch in await stage.batches(5)] == [(), (), (), ("B",), ("B",)]
        assert (await stage.bus.health())["signal_generator"].state == "ended"

    on_stage(tmp_path, test)


@pytest.mark.parametrize("lockstep", [False, True])
def test_signals_that_redis_lost_are_said_again_before_the_next_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lockstep: bool
) -> None:
    monkeypatch.setattr(pulse, "_CHECK_S", 0.5)
    monkeypatch.setattr(pulse, "_LOCKSTEP_CHECK_S", 0.5)

    async def test(stage: Stage) -> None:
        for minute in (1, 2):
            await stage.clock.tell(START + minute * MINUTE, "A", "B")
        await stage.publish(*all_closed(market("A", 2, 1)), *all_closed(market("B", 2, 1)))
        said = await stage.batches(2)
        await lose(stage.bus, SIGNALS, 1)
        assert stage.running is not None
        with pytest.raises(RedisError, match="lost entries of signals"):
            await asyncio.wait_for(stage.running, 5)
        stage.start()
        assert said_live(await stage.batches(2)) == said_live(said)

    on_stage(tmp_path, test, lockstep=lockstep)


@pytest.mark.parametrize("seed", range(3))
def test_redis_may_be_killed_and_lose_what_it_likes(tmp_path: Path, seed: int) -> None:
    """Whatever end of the streams is gone, market_data fills it again; so does the generator."""
    rng = random.Random(seed)
    a, b = market("A", 200, seed), market("B", 200, seed + 50)
    session = make_session(("A", "B"), params=PARAMS)
    folder = write_session(tmp_path / "session", session)

    async def run(server: Server) -> None:
        clock, own, bus = HandClock(START), server.bus(), server.bus()
        role = asyncio.create_task(signal_generator.run(session, folder, own, clock))
        seen: dict[int, list[str]] = {}
        for i in range(200):
            for candles in (a, b):
                stream = CANDLES.format(symbol=candles.symbol, timeframe="1m")
                last = await bus.last_id(stream)
                missing = [one for one in all_closed(candles)[: i + 1] if one.open_time > last]
                await bus.publish_all([(stream, one, one.open_time) for one in missing])
            await asyncio.sleep(0.002)
            for batch in await batches_of(bus):
                seen.setdefault(batch.time, []).append(batch.signals[0].hash)
            if i % 40 == 20:
                server.kill()
                server.start()
                await bus.close()
                bus = server.bus()
                if rng.random() < 0.7:  # the tail of one log: what came last is lost first
                    lost = rng.randint(0, 5)
                    for stream in ("candles:A:1m", "candles:B:1m"):
                        await lose(bus, stream, lost)
                    await lose(bus, SIGNALS, lost + rng.randint(0, 3))
        async with asyncio.timeout(8):
            while len(batches := await batches_of(bus)) < 200:
                await asyncio.sleep(0.01)
        assert times(batches) == list(range(1, 201))
        assert said_live(batches) == in_batch(a, b)
        assert all(len(set(hashes)) == 1 for hashes in seen.values())
        role.cancel()
        with suppress(asyncio.CancelledError):
            await role
        await own.close()
        await bus.close()

    with redis_in(tmp_path) as server:
        asyncio.run(run(server))


def test_a_snapshot_of_something_else_is_not_gone_on_from(tmp_path: Path) -> None:
    a, b = market("A", 50, 1), market("B", 50, 2)

    async def test(stage: Stage) -> None:
        await stage.publish(*all_closed(a)[:30], *all_closed(b)[:30])
        await stage.batches(30)
        await stage.end()
        saved = await stage.bus.kept("tape:A")
        assert saved is not None
        await stage.bus.keep("tape:B", saved)
        await stage.bus.keep("tape:A", saved[:-1] + bytes([saved[-1] ^ 1]))
        stage.start()
        await stage.publish(*all_closed(a)[30:], *all_closed(b)[30:])
        assert said_live(await stage.batches(50)) == in_batch(a, b)

    on_stage(tmp_path, test)


def test_a_changed_strategy_is_refused(tmp_path: Path) -> None:
    session = make_session()
    folder = write_session(tmp_path / "session", session)
    path = folder / "strategy" / session.strategy
    path.write_text(path.read_text() + "\n")
    with redis_in(tmp_path) as server, pytest.raises(WickError, match="has changed since"):
        asyncio.run(signal_generator.run(session, folder, server.bus(), HandClock()))


def signal_of(**changes: Any) -> str:
    said: dict[str, Any] = {
        "symbol": "A",
        "open_time": START,
        "high": 2.0,
        "low": 1.0,
        "close": 1.5,
        "row": (0.0, float("nan")),
        "signals": 1,
        "stop_distance": 2.0,
        "take_distance": float("nan"),
        "trail_distance": float("nan"),
    }
    return decision_hash(**said | changes)


def test_a_hash_tells_every_bit_apart() -> None:
    one = signal_of()
    assert len(one) == 16
    assert one == signal_of()
    changes: list[dict[str, Any]] = [
        {"symbol": "B"},
        {"open_time": START + 1},
        {"high": 2.5},
        {"low": 0.5},
        {"close": np.nextafter(1.5, 2.0)},
        {"row": (-0.0, float("nan"))},
        {"row": (0.0, -float("nan"))},
        {"row": (0.0,)},
        {"signals": 2},
        {"stop_distance": float("nan"), "take_distance": 2.0},
        {"trail_distance": 1.0},
    ]
    hashes = {signal_of(**change) for change in changes}
    assert len(hashes | {one}) == len(changes) + 1


def test_a_tape_reads_every_candle_once(tmp_path: Path) -> None:
    session = make_session(params=PARAMS)
    strategy, params, _ = session.loaded(write_session(tmp_path / "session", session))
    tape = SymbolTape(session, strategy, params, "A")
    candles = all_closed(market("A", 20, 1))
    assert [one.open_time for one in tape.read(candles[:10], START + 9 * MINUTE)] == [
        START + 9 * MINUTE
    ]
    with pytest.raises(TapeError):
        tape.read(candles[9:12], 0)
    other = SymbolTape(session, strategy, params, "A", tape.snapshot())
    assert other.last_open_time == START + 9 * MINUTE
    hashes = [[said.hash for said in one.read(candles[10:], 0)] for one in (tape, other)]
    assert len(hashes[0]) == 10
    assert hashes[0] == hashes[1]
    with pytest.raises(TapeError):
        SymbolTape(
            msgspec.structs.replace(session, first_open_time=START + MINUTE),
            strategy,
            params,
            "A",
            tape.snapshot(),
        )
