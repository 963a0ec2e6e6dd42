"""Where a session is read from: a real Redis first, its journal otherwise."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.load import Reader, session_reader, sessions
from live.connect import connect
from live.folders import Hold
from live.journal import FILE, Journal
from live.journal_records import Asked
from live.records import ACCOUNT
from live.session import Session
from strategy.errors import WickError
from tests.dashboard.made_session import NOON, asked, running, session, ship, story, written
from tests.live.chain import redis_in

Running = tuple[Session, Path]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("sessions"), 330) as found:
        yield found


def from_journal(folder: Path) -> Reader:
    return Reader(folder)


def test_redis_and_the_journal_show_the_same(live: Running, tmp_path: Path) -> None:
    made, folder = live
    shipped = Reader(folder).read()
    written(tmp_path, made, story(330)[0])
    kept = Reader(tmp_path / made.id).read()
    assert (shipped.live, kept.live) == (True, False)
    assert shipped.view.state == "running"
    assert kept.view.state == "ended"
    for name in ("wallet", "equity", "today", "positions", "trades", "fills", "equities", "marks"):
        assert getattr(shipped.view, name) == getattr(kept.view, name)
    assert len(shipped.view.trades) == 3
    assert [one.name for one in shipped.view.roles][2] == "trader"
    assert [one.age_ms < 60_000 for one in shipped.view.roles] == [True] * 4
    assert kept.view.roles == ()


def test_candles_come_from_redis_and_closes_from_the_journal(live: Running, tmp_path: Path) -> None:
    made, folder = live
    reader = Reader(folder)
    bars = reader.bars(reader.read(), "BTCUSDT", 120)
    assert bars.whole
    assert len(bars.time) == 120
    assert (bars.high >= bars.close).all()
    written(tmp_path, made, story(330)[0])
    kept = Reader(tmp_path / made.id)
    closes = kept.bars(kept.read(), "BTCUSDT", 120)
    assert not closes.whole
    assert (closes.close == bars.close).all()


def test_a_second_look_finds_only_what_is_new(tmp_path: Path) -> None:
    with running(tmp_path, 5) as (made, folder):
        reader = Reader(folder)
        assert reader.read().view.state == "running"
        last = reader.read().view.time

        async def pause() -> None:
            bus = await connect(made, folder)
            record = Asked(n=7, command="pause", by="me", time=last + 1)
            await bus.publish("orders", record, 7)
            await bus.close()

        asyncio.run(pause())
        found = reader.read().view
        assert (found.state, found.time) == ("paused", last + 1)
        assert len(found.equities) == 5


def test_a_redis_that_lost_a_part_is_not_believed(tmp_path: Path) -> None:
    with running(tmp_path, 5) as (made, folder):

        async def lose() -> None:
            bus = await connect(made, folder)
            await bus._redis.delete(f"{made.id}:{ACCOUNT}")
            await bus.close()

        asyncio.run(lose())
        seen = Reader(folder).read()
        assert seen.live  # it can still be asked
        assert len(seen.view.equities) == 5


def test_what_is_asked_for_is_in_the_control_stream(live: Running) -> None:
    made, folder = live
    Reader(folder).ask("flatten")
    (control,) = asked(made, folder)
    assert (control.command, control.by) == ("flatten", "dashboard")


def test_nobody_is_asked_where_redis_is_gone(tmp_path: Path) -> None:
    made = session()
    written(tmp_path, made, story(3)[0])
    with pytest.raises(WickError, match="is not running, so nobody could pause it"):
        Reader(tmp_path / made.id).ask("pause")
    hold = Hold(tmp_path / made.id)
    with pytest.raises(WickError, match="is not reachable"):
        Reader(tmp_path / made.id).ask("pause")
    hold.close()


def test_what_an_outside_redis_has_of_a_session_that_nobody_runs_is_no_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis_in(tmp_path) as server:
        monkeypatch.setenv("WICK_REDIS", server.url)
        made = session(redis="unix://somewhere")
        records, candles = story(5)
        numbered = written(tmp_path, made, records)
        folder = tmp_path / made.id
        asyncio.run(ship(made, folder, numbered, candles))
        reader = Reader(folder)
        seen = reader.read()
        assert (seen.live, seen.view.state) == (True, "ended")
        with pytest.raises(WickError, match="is not running, so nobody could flatten it"):
            reader.ask("flatten")
        assert asked(made, folder) == []


def test_a_redis_that_is_gone_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WICK_REDIS", "redis://:hunter2@127.0.0.1:1/0")
    made = session(redis="redis://127.0.0.1:1/0")
    written(tmp_path, made, story(3)[0])
    reader = Reader(tmp_path / made.id)
    assert not reader.read().live
    hold = Hold(tmp_path / made.id)
    with pytest.raises(WickError, match="is not reachable") as caught:
        reader.ask("pause")
    hold.close()
    assert "hunter2" not in str(caught.value)


def test_a_journal_that_grows_is_read_again(tmp_path: Path) -> None:
    made = session()
    records = story(6)[0]
    written(tmp_path, made, records[:-1])
    reader = Reader(tmp_path / made.id)
    assert len(reader.read().view.equities) == 5
    journal = Journal(tmp_path / made.id)
    journal.append(records[-1])
    journal.close()
    assert len(reader.read().view.equities) == 6


def test_a_session_without_a_journal_has_just_begun(tmp_path: Path) -> None:
    made = session()
    written(tmp_path, made, [])
    (tmp_path / made.id / FILE).unlink()
    assert Reader(tmp_path / made.id).read().view.equities == ()


def test_sessions_come_newest_first_and_a_damaged_one_hides_none(tmp_path: Path) -> None:
    assert sessions(tmp_path / "none") == []
    for name, created_ms in (("b", NOON), ("a", NOON + 1), ("c", NOON - 1)):
        written(tmp_path, session(name, created_ms=created_ms), [])
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "session.json").write_bytes(b"{")
    assert sessions(tmp_path) == ["a", "b", "c", "torn"]
    with pytest.raises(WickError, match="damaged or of another version"):
        session_reader(tmp_path, "torn")
    with pytest.raises(WickError, match="there is no session 'd'"):
        session_reader(tmp_path, "d")
