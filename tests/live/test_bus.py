import asyncio
import math
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.exceptions import RedisError

from live.bus import ROLES, Bus
from live.connect import connect, shown
from live.journal_records import Began, Dropped, Halted
from live.records import (
    ACCOUNT,
    CONTROL,
    EQUITY,
    FILLS,
    ORDERS,
    SIGNALS,
    Batch,
    Beat,
    ClosedCandle,
    Control,
    EquityPoint,
    Health,
    Signal,
)
from strategy.errors import WickError
from tests.live.chain import Server, bits, lose, redis_in, with_bus
from tests.live.sessions import make_session

CANDLES = "candles:BTCUSDT:1m"
COMMANDS: tuple[Literal["pause"], Literal["resume"]] = ("pause", "resume")


def candle(open_time: int) -> ClosedCandle:
    return ClosedCandle("BTCUSDT", open_time, "1.10", "2.0", "0.50", "1.5", "10.000")


def point(time: int) -> EquityPoint:
    return EquityPoint(time, float(time))


def test_every_stream_gives_back_what_was_published(tmp_path: Path) -> None:
    nan = float("nan")
    records: dict[str, Any] = {
        CANDLES: candle(60_000),
        SIGNALS: Batch(
            60_000, (Signal("A", 0, 0.3, 0.0, 0.1, (-0.0, 1e-308), 3, 0.5, 2.0, 1.5, "h"),), ("B",)
        ),
        CONTROL: Control("flatten", "me"),
        ORDERS: Dropped(n=1, symbol="A", decided_at=1, reason="too old", time=2),
        FILLS: Halted(n=2, reason="why", time=3),
        ACCOUNT: Began(n=3, time=1, wallet=5, last_trade={"A": -1}),
        EQUITY: EquityPoint(5, 0.1),
    }

    async def test(bus: Bus, _: Server) -> None:
        for stream, record in records.items():
            assert await bus.publish(stream, record, 7)
            (entry,) = await bus.range(stream)
            assert (entry.stream, entry.id, entry.number, entry.record) == (
                (stream, "7-0", 7, record)
            )
        said = msgspec.structs.replace(records[SIGNALS].signals[0], close=nan, row=(nan, -nan))
        await bus.publish(SIGNALS, Batch(9, (said,)), 9)
        (entry,) = await bus.range(SIGNALS, 9)
        back = entry.record.signals[0]
        assert bits(back.close, *back.row) == bits(nan, nan, -nan)
        assert math.copysign(1.0, back.row[1]) != math.copysign(1.0, back.row[0])

    with_bus(tmp_path, test)


def test_a_repeat_and_an_older_entry_change_nothing(tmp_path: Path) -> None:
    async def test(bus: Bus, server: Server) -> None:
        assert await bus.publish(EQUITY, point(5), 5)
        assert not await bus.publish(EQUITY, EquityPoint(5, 99.0), 5)
        assert not await bus.publish(EQUITY, point(4), 4)
        other = server.bus()  # another process, that has asked for nothing
        assert await other.publish_all([(EQUITY, point(n), n) for n in (5, 6, 6, 4, 7)]) == [
            *(False, True, False, False, True)
        ]
        assert [entry.record for entry in await bus.range(EQUITY)] == [point(5), point(6), point(7)]
        await other.close()

    with_bus(tmp_path, test)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_in(tmp_path_factory.mktemp("redis")) as server:
        yield server


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.integers(1, 20), min_size=1, max_size=5)  # to publish at once
        | st.just("ask")  # for the newest id, as when a role begins again
        | st.integers(1, 3),  # entries that Redis loses
        max_size=20,
    )
)
def test_ids_only_grow_and_nothing_follows_on_what_was_lost(
    shared_server: Server, steps: list[Any]
) -> None:
    async def run() -> None:
        bus = shared_server.bus()
        await bus._redis.flushall()
        there: list[int] = []
        known = 0
        for step in steps:
            if step == "ask":
                known = await bus.last_id(EQUITY)
                assert known == max(there, default=0)
            elif isinstance(step, int):
                await lose(bus, EQUITY, min(step, len(there)))
                del there[-step:]
            elif max(there, default=0) < known:
                with pytest.raises(RedisError, match="lost"):
                    await bus.publish_all([(EQUITY, point(n), n) for n in step])
            else:
                new = [n > max([*there, *step[:at]], default=0) for at, n in enumerate(step)]
                assert await bus.publish_all([(EQUITY, point(n), n) for n in step]) == new
                there += [n for n, is_new in zip(step, new, strict=True) if is_new]
                known = there[-1] if any(new) else known
            assert [entry.number for entry in await bus.range(EQUITY)] == there
        await bus.close()

    asyncio.run(run())


def test_a_publisher_goes_on_after_what_redis_still_has(tmp_path: Path) -> None:
    async def test(bus: Bus, _: Server) -> None:
        for n in range(1, 6):
            await bus.publish(EQUITY, point(n), n)
        await lose(bus, EQUITY, 2)
        for _repeat in range(2):  # not only once: there may be several at work
            with pytest.raises(RedisError, match="lost entries of equity"):
                await bus.publish(EQUITY, point(6), 6)
        assert await bus.last_id(EQUITY) == 3
        assert await bus.publish_all([(EQUITY, point(n), n) for n in (4, 5, 6)]) == [True] * 3

    with_bus(tmp_path, test)


def test_who_publishes_can_ask_whether_redis_has_lost_something(tmp_path: Path) -> None:
    async def test(bus: Bus, _: Server) -> None:
        await bus.check([EQUITY])  # nothing was published, nothing is missed
        for n in (1, 2):
            await bus.publish(EQUITY, point(n), n)
        await bus.check([CANDLES, EQUITY])
        await lose(bus, EQUITY, 1)
        with pytest.raises(RedisError, match="lost entries of equity"):
            await bus.check([CANDLES, EQUITY])
        assert await bus.last_id(EQUITY) == 1
        await bus.check([EQUITY])

    with_bus(tmp_path, test)


def test_what_is_written_survives_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(bus: Bus, server: Server) -> None:
        left = [7, 3, 0]

        async def info(section: str) -> dict[str, Any]:
            return {"aof_enabled": 1, "aof_buffer_length": left.pop(0)}

        await bus.publish(EQUITY, point(1), 1)
        monkeypatch.setattr(bus._redis, "info", info)
        await bus.written()
        assert not left
        monkeypatch.undo()
        await bus.written()
        server.kill()
        server.start()
        await bus.close()
        assert await bus.last_id(EQUITY) == 1

    with_bus(tmp_path, test)


@pytest.mark.parametrize("state", ["running", "ended"])
def test_a_role_that_has_ended_is_known(tmp_path: Path, state: Any) -> None:
    async def test(bus: Bus, _: Server) -> None:
        assert not await bus.has_ended("trader")
        await bus.set_health(Health("trader", 1, 2, state))
        assert await bus.has_ended("trader") == (state == "ended")
        assert not await bus.has_ended("market_data")

    with_bus(tmp_path, test)


def test_reading_waits_for_what_comes_and_goes_on_after_it(tmp_path: Path) -> None:
    async def test(bus: Bus, server: Server) -> None:
        assert await bus.read({EQUITY: 0, CONTROL: "0-0"}, 10) == []
        reading = asyncio.create_task(bus.read({EQUITY: 0, CONTROL: "0-0"}, 5_000))
        await asyncio.sleep(0.05)
        other = server.bus()
        await other.publish(EQUITY, point(3), 3)
        assert [(entry.stream, entry.number) for entry in await reading] == [(EQUITY, 3)]
        asked = [await other.ask(Control(command, "me")) for command in COMMANDS]
        entries = await bus.read({EQUITY: 3, CONTROL: "0-0"}, 5_000)
        assert [entry.id for entry in entries] == asked
        assert [entry.record.command for entry in entries] == ["pause", "resume"]
        assert await bus.read({CONTROL: entries[0].id}, 10) == entries[1:]
        await other.close()

    with_bus(tmp_path, test)


def test_a_long_stream_is_read_in_parts(tmp_path: Path) -> None:
    async def test(bus: Bus, _: Server) -> None:
        await bus.publish_all([(EQUITY, point(n), n) for n in range(1, 2_501)])
        seen: list[int] = []
        while entries := await bus.read({EQUITY: seen[-1] if seen else 0}, 10):
            assert len(entries) <= 1_000
            seen += [entry.number for entry in entries]
        assert seen == list(range(1, 2_501))
        assert [entry.number for entry in await bus.newest(EQUITY, 2)] == [2_499, 2_500]
        assert [entry.number for entry in await bus.range(EQUITY, 5, 7)] == [5, 6, 7]
        assert len(await bus.range(EQUITY, 5, count=9)) == 9

    with_bus(tmp_path, test)


def test_sessions_on_one_server_do_not_meet(tmp_path: Path) -> None:
    async def test(bus: Bus, server: Server) -> None:
        other = server.bus("other")
        await bus.publish(EQUITY, point(1), 1)
        await bus.keep("tape:A", b"\0\xff")
        await bus.set_health(Health("trader", 1, 2, "running"))
        assert await other.last_id(EQUITY) == 0
        assert await other.kept("tape:A") is None
        assert await bus.kept("tape:A") == b"\0\xff"
        assert await other.health() == {}
        assert await bus.health() == {"trader": Health("trader", 1, 2, "running")}
        await other.close()

    with_bus(tmp_path, test)


def test_a_killed_server_raises_and_a_restarted_one_is_found_again(tmp_path: Path) -> None:
    async def test(bus: Bus, server: Server) -> None:
        await bus.publish(EQUITY, point(1), 1)
        reading = asyncio.create_task(bus.read({EQUITY: 1}, 5_000))
        await asyncio.sleep(0.05)
        server.kill()
        with pytest.raises((RedisError, OSError)):
            await reading
        with pytest.raises((RedisError, OSError)):
            await bus.publish(EQUITY, point(2), 2)
        with pytest.raises((RedisError, OSError)):
            await bus.read({EQUITY: 1}, 10)
        server.start()
        assert await bus.publish(EQUITY, point(2), 2)
        assert [entry.number for entry in await bus.read({EQUITY: 0}, 10)] == [1, 2]

    with_bus(tmp_path, test)


def test_a_cancelled_role_ends(tmp_path: Path) -> None:
    async def test(bus: Bus, server: Server) -> None:
        async def work(own: Bus) -> None:
            while True:
                await own.publish(EQUITY, point(await own.last_id(EQUITY) + 1), 1)

        for n in range(50):  # at any place inside a command
            own = server.bus()
            role = asyncio.create_task(work(own))
            await asyncio.sleep(n * 5e-5)
            role.cancel()
            done, _ = await asyncio.wait([role], timeout=2.0)
            assert done
            await own.close()

    with_bus(tmp_path, test)


def test_a_server_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(bus: Bus, server: Server) -> None:
        await bus.ping()
        server.process.send_signal(signal.SIGSTOP)
        with pytest.raises(RedisError, match=r"no answer within 0\.05 s"):
            await bus.last_id(EQUITY)
        server.process.send_signal(signal.SIGCONT)
        assert await bus.last_id(EQUITY) == 0

    monkeypatch.setattr("live.bus._ANSWER_S", 0.05)
    with_bus(tmp_path, test)


def test_a_session_finds_its_own_server_or_the_one_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        own = await connect(make_session(), tmp_path)
        await own.publish(EQUITY, point(1), 1)
        monkeypatch.setenv("WICK_REDIS", server.url)
        there = await connect(make_session(redis="redis://somewhere"), tmp_path / "other")
        assert await there.last_id(EQUITY) == 1
        await own.close()
        await there.close()

    with redis_in(tmp_path) as server:
        asyncio.run(run())


def refusal(redis: str, folder: Path, wait_s: float = 0.0) -> WickError:
    with pytest.raises(WickError) as error:
        asyncio.run(connect(make_session(redis=redis), folder, wait_s))
    return error.value


def test_a_server_that_is_not_there_is_one_sentence_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WICK_REDIS", "redis://me:hunter2@127.0.0.1:1/3?password=hunter2")
    error = refusal("redis://127.0.0.1:1/3", tmp_path)
    assert error.message == "Redis at redis://127.0.0.1:1/3 is not reachable (ConnectionError)"
    assert error.hint == "start it, or check WICK_REDIS"
    assert "redis.log" in refusal("", tmp_path, 0.2).hint


def test_a_wrong_password_is_one_sentence_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def protect() -> None:
        bus = server.bus()
        await bus._redis.config_set("requirepass", "hunter2")
        await bus.close()

    with redis_in(tmp_path) as server:
        asyncio.run(protect())
        for url in (server.url, server.url.replace("unix://", "unix://:hunter3@")):
            monkeypatch.setenv("WICK_REDIS", url)
            error = refusal("unix://there", tmp_path, 5.0)
            assert error.message.startswith(f"Redis at {server.url} refuses the password: ")
            assert "hunter" not in str(error)


@pytest.mark.parametrize("url", ["localhost:hunter2", "http://:hunter2@there", "redis://x:hunter2"])
def test_a_url_that_is_none_is_not_quoted_with_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("WICK_REDIS", url)
    error = refusal("redis://there", tmp_path)
    assert error.message == "the URL in WICK_REDIS cannot be read, expected redis://HOST:PORT/0"


@pytest.mark.parametrize(
    ("command", "given"),
    [
        (("live", "--redis", "redis://127.0.0.1:1"), "--redis"),
        (("live", "--redis=redis://127.0.0.1:1"), "--redis"),
        (("live",), "WICK_REDIS (redis in wick.toml)"),
    ],
)
def test_the_hint_names_what_the_address_was_given_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], given: str
) -> None:
    monkeypatch.setenv("WICK_REDIS", "redis://127.0.0.1:1")
    session = make_session(redis="redis://127.0.0.1:1", command=command)
    with pytest.raises(WickError) as error:
        asyncio.run(connect(session, tmp_path, 0.0, claim=True))
    assert error.value.hint == f"start it, or check {given}"


@pytest.mark.parametrize(
    ("answer", "words", "hint"),
    [
        (b"-MISCONF Errors writing: No space left on device", "cannot write", "room"),
        (b"-NOAUTH Authentication required.", "refuses the password", "password"),
        (b"-WRONGPASS invalid username-password pair", "refuses the password", "password"),
        (b"-ERR unknown", "refuses us", "check WICK_REDIS"),
    ],
)
def test_a_server_that_refuses_is_told_by_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, words: str, hint: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(4_096):
            writer.write((answer + b"\r\n") * said.count(b"*"))
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
            monkeypatch.setenv("WICK_REDIS", url)
            with pytest.raises(WickError) as error:
                await connect(make_session(redis=url), tmp_path, 5.0)
            assert words in error.value.message
            assert hint in error.value.hint

    asyncio.run(run())


def test_a_session_with_a_server_of_its_own_needs_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WICK_REDIS", raising=False)
    error = refusal("redis://db.example:6379/0", tmp_path)
    assert "uses the Redis server redis://db.example:6379/0, and WICK_REDIS is not set" in str(
        error
    )
    assert error.hint.startswith("export WICK_REDIS=")


def test_a_server_that_still_starts_is_waited_for(tmp_path: Path) -> None:
    async def run() -> None:
        connecting = asyncio.create_task(connect(make_session(), tmp_path, 20.0))
        await asyncio.sleep(0.2)
        server.start()
        await (await connecting).close()

    with redis_in(tmp_path) as server:
        server.kill()
        asyncio.run(run())


def test_another_session_of_the_same_name_is_not_taken_for_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = make_session(redis="unix://somewhere")
    theirs = msgspec.structs.replace(ours, created_ms=ours.created_ms + 1)

    async def run() -> None:
        looks = await connect(theirs, tmp_path)  # who only looks takes no name
        for _again in range(2):
            bus = await connect(ours, tmp_path, claim=True)
            await bus.close()
        for claim in (False, True):
            with pytest.raises(WickError) as error:
                await connect(theirs, tmp_path, claim=claim)
            assert error.value.exit_code == 2
            assert error.value.message == (
                f"Redis at {server.url} has the data of another session called test"
            )
            assert "another --name" in error.value.hint
            cli = f"redis-cli -s {server.url.removeprefix('unix://')}"
            assert f"{cli} --scan --pattern 'test:*' | xargs {cli} del" in error.value.hint
        await looks.forget(ours)
        await (await connect(theirs, tmp_path, claim=True)).close()
        await looks.close()

    with redis_in(tmp_path) as server:
        monkeypatch.setenv("WICK_REDIS", server.url)
        asyncio.run(run())


def test_everything_that_a_session_has_in_redis_can_be_forgotten(tmp_path: Path) -> None:
    async def test(bus: Bus, server: Server) -> None:
        session = make_session()
        await bus.owner(session.identity, claim=True)
        for name in (CANDLES, SIGNALS, CONTROL, ORDERS, FILLS, ACCOUNT, EQUITY):
            await bus.publish(name, point(1), 1)
        for role in ROLES:
            await bus.set_health(Health(role, 1, 2, "running"))
            await bus.beat(role, Beat("here", 1))
        await bus.keep("tape:BTCUSDT", b"1")
        other = server.bus("testing")
        await other.keep("tape:BTCUSDT", b"1")
        await bus.forget(session)
        assert await bus._redis.keys() == [b"testing:tape:BTCUSDT"]
        await other.close()

    with_bus(tmp_path, test)


def test_what_is_shown_of_a_url_has_no_secret() -> None:
    assert shown("redis://:p@h:1/2") == "redis://h:1/2"
    assert shown("unix://u:p@/tmp/x.sock?db=1&password=p") == "unix:///tmp/x.sock"
