"""The performance tracker beside a real Redis: equity for others, and a run that a report reads."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from backtest.commands import write_report_of
from backtest.engine import Result, backtest
from backtest.record import record_of
from data import runs, writer
from data.run_tables import trade_table
from data.symbols import grids_of
from live import redis_server
from live.bus import Bus
from live.journal import Journal
from live.journal_records import Decided, Dropped, Halted, Record
from live.outcome import History, keep
from live.performance_tracker import run
from live.records import CANDLES, EQUITY, Health
from live.session import Session
from live.writer import stream_of
from strategy.errors import RunRefused
from strategy.fills import Costs
from strategy.records import EXIT_REASONS
from strategy.risk import Risk
from tests.backtest.report_runs import market
from tests.backtest.script import WIDE, scripted
from tests.live.perfect import closed_candles, journal_of, session_of
from tests.live.sessions import rules, write_session

SYMBOLS = ("BTCUSDT", "ETHUSDT")
SCRIPTED = str(scripted().path)
RISK: Risk = WIDE._replace(per_trade=0.002)


class Clock:
    """Stands still; a test says when the replay is over."""

    def __init__(self) -> None:
        self.ended = False

    def now_ms(self) -> int:
        return 7


@dataclass
class Told:
    """A session that was played perfectly: what the backtest says, and what its roles wrote."""

    result: Result
    session: Session
    folder: Path
    kept_in: Path
    records: list[Record] = field(default_factory=list)

    def journaled(self, *more: Record) -> None:
        """Write the journal, with more records behind the session's own."""
        trader = Journal(self.folder)
        self.records = [trader.append(record) for record in (*journal_of(self.result), *more)]
        trader.close()

    def only_run(self) -> runs.Run:
        (record,) = runs.records(self.kept_in).records
        return runs.load(self.kept_in, record.id)


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    candles = [
        market(400, every, seed=every, symbol=s) for every, s in zip((9, 23), SYMBOLS, strict=True)
    ]
    its = [rules(symbol, "0.01") for symbol in SYMBOLS]
    result = backtest(scripted(), candles, risk=RISK, costs=Costs(), grids=grids_of(its))
    monkeypatch.setenv("WICK_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    session = session_of(result, its)
    folder = write_session(tmp_path / "session", session, SCRIPTED)
    return Told(result, session, folder, tmp_path / "runs")


@pytest.fixture
def url(told: Told) -> Iterator[str]:
    server = redis_server.start_embedded(told.folder)
    yield redis_server.url_of(told.folder)
    server.kill()
    server.wait()


@asynccontextmanager
async def tracked(told: Told, url: str) -> AsyncIterator[tuple[Bus, Clock, "asyncio.Task[None]"]]:
    bus, clock = Bus(url, told.session.id), Clock()
    task = asyncio.create_task(run(told.session, told.folder, bus, clock))  # type: ignore[arg-type]
    others = Bus(url, told.session.id)
    try:
        yield others, clock, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bus.close()
        await others.close()


async def tell_candles(told: Told, bus: Bus) -> None:
    await bus.publish_all(
        [
            (CANDLES.format(symbol=one.symbol, timeframe="1m"), one, one.open_time)
            for one in closed_candles(told.result)
        ]
    )


async def tell(bus: Bus, records: list[Record]) -> None:
    await bus.publish_all([(stream_of(one), one, one.n) for one in records])


async def say_ended(bus: Bus, last: int) -> None:
    await bus.set_health(Health("trader", 1, 7, "ended", str(last)))


async def finish(told: Told, bus: Bus, clock: Clock, task: "asyncio.Task[None]") -> None:
    clock.ended = True
    await say_ended(bus, len(told.records))
    await asyncio.wait_for(task, 30)


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not await holds():
            await asyncio.sleep(0.01)


def assert_the_backtest(told: Told, kept: runs.Run) -> None:
    ours = kept.record
    theirs = record_of(
        told.result, kind="paper", created_ms=ours.created_ms, command=ours.command,
        rules=told.session.rules, notes=ours.notes, name=ours.id,
    )  # fmt: skip
    theirs = msgspec.structs.replace(theirs, strategy=ours.strategy, refused=ours.refused)
    assert ours == theirs
    assert len(told.result.trades) > 20
    assert kept.trades.equals(trade_table(told.result.trades, SYMBOLS))
    assert kept.equity.tobytes() == told.result.equity.tobytes()
    copy = (told.folder / "strategy" / told.session.strategy).read_bytes()
    assert (kept.folder / "strategy.py").read_bytes() == copy


def test_a_session_becomes_the_run_that_the_backtest_would_have_kept(told: Told, url: str) -> None:
    told.journaled()

    async def play() -> None:
        async with tracked(told, url) as (bus, clock, task):
            for at in range(0, len(told.records), 97):
                await tell(bus, told.records[at : at + 97])
            await tell_candles(told, bus)
            await finish(told, bus, clock, task)
            points = [entry.record for entry in await bus.range(EQUITY)]
            decisions = [one for one in told.records if isinstance(one, Decided)]
            assert [(p.time, p.equity) for p in points] == [(d.time, d.equity) for d in decisions]
            health = (await bus.health())["performance_tracker"]
            closed = (told.result.trades.exit_reason != EXIT_REASONS.index("end")).sum()
            assert (health.state, health.note) == ("ended", f"{closed} trades")

    asyncio.run(play())
    kept = told.only_run()
    assert_the_backtest(told, kept)
    assert kept.record.id == told.session.id
    assert "a live session on paper, not a backtest: 400 decisions" in kept.record.notes[0]


def test_it_waits_for_the_last_record_of_the_trader(told: Told, url: str) -> None:
    trader = Journal(told.folder)
    written = journal_of(told.result)

    async def play() -> None:
        async with tracked(told, url) as (bus, clock, task):
            await tell_candles(told, bus)
            clock.ended = True
            await say_ended(bus, len(written))
            await tell(bus, [trader.append(one) for one in written[:-3]])
            await until(lambda: seen(bus, len(told.result.time) - 3))
            assert not task.done()
            await tell(bus, [trader.append(one) for one in written[-3:]])
            await asyncio.wait_for(task, 30)

    async def seen(bus: Bus, count: int) -> bool:
        return len(await bus.range(EQUITY)) >= count

    asyncio.run(play())
    trader.close()
    assert_the_backtest(told, told.only_run())


def test_the_last_records_are_in_the_journal_when_redis_lost_them(told: Told, url: str) -> None:
    trader = Journal(told.folder)
    written = journal_of(told.result)

    async def play() -> None:
        async with tracked(told, url) as (bus, clock, task):
            await tell_candles(told, bus)
            await tell(bus, [trader.append(one) for one in written][:-3])
            clock.ended = True
            await say_ended(bus, len(written))
            await asyncio.wait_for(task, 30)

    asyncio.run(play())
    trader.close()
    assert_the_backtest(told, told.only_run())


def test_asked_to_end_it_keeps_what_only_the_journal_has(told: Told, url: str) -> None:
    told.journaled()

    async def play() -> None:
        async with tracked(told, url) as (bus, _, task):
            await tell_candles(told, bus)
            await until(lambda: bus.range(EQUITY))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(play())
    assert_the_backtest(told, told.only_run())


def test_started_again_it_counts_nothing_twice_and_keeps_no_second_run(
    told: Told, url: str
) -> None:
    told.journaled()

    async def play(records: list[Record]) -> None:
        async with tracked(told, url) as (bus, clock, task):
            await tell(bus, records)
            await tell_candles(told, bus)
            await finish(told, bus, clock, task)
            assert len(await bus.range(EQUITY)) == len(told.result.time)

    for _ in range(2):
        asyncio.run(play(told.records))
    assert_the_backtest(told, told.only_run())


def test_without_the_journal_at_hand_the_streams_are_enough(told: Told, url: str) -> None:
    told.journaled()
    (told.folder / "journal").unlink()

    async def play() -> None:
        async with tracked(told, url) as (bus, clock, task):
            # The streams are filled one after the other, so records come out of order.
            for stream in ("account", "fills", "orders"):
                await tell(bus, [one for one in told.records if stream_of(one) == stream])
            await tell_candles(told, bus)
            await finish(told, bus, clock, task)

    asyncio.run(play())
    assert_the_backtest(told, told.only_run())


def test_it_outlives_a_redis_that_lost_everything(told: Told, url: str) -> None:
    told.journaled()
    (told.folder / "journal").unlink()

    async def play() -> None:
        async with tracked(told, url) as (bus, clock, task):
            await tell(bus, told.records[:300])
            await tell_candles(told, bus)
            await until(lambda: bus.range(EQUITY))
            await bus._redis.flushall()
            for stream in ("orders", "fills", "account", EQUITY):
                await bus.last_id(stream)
            await tell(bus, told.records)  # the trader ships all of its journal again
            await finish(told, bus, clock, task)
            assert len(await bus.range(EQUITY)) == len(told.result.time)

    asyncio.run(play())
    assert len(told.only_run().time) == len(told.result.time)


def test_asked_to_end_with_a_record_missing_it_keeps_what_came_before(told: Told, url: str) -> None:
    told.journaled()
    (told.folder / "journal").unlink()

    async def play() -> None:
        async with tracked(told, url) as (bus, _, task):
            await tell(bus, told.records[:100])
            await tell(bus, told.records[101:])
            await tell_candles(told, bus)
            await until(lambda: bus.range(EQUITY))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(play())
    decided = [one for one in told.records[:100] if isinstance(one, Decided)]
    kept = told.only_run()
    assert len(kept.time) == len(decided)
    assert kept.record.data[0].end_ms == decided[-1].time


def test_candles_from_before_the_session_are_left_out(told: Told, url: str) -> None:
    told.journaled()

    async def play() -> None:
        async with tracked(told, url) as (bus, clock, task):
            for symbol in SYMBOLS:
                first = next(one for one in closed_candles(told.result) if one.symbol == symbol)
                older = msgspec.structs.replace(first, open_time=first.open_time - 60_000)
                stream = CANDLES.format(symbol=symbol, timeframe="1m")
                await bus.publish(stream, older, older.open_time)
            await tell_candles(told, bus)
            await finish(told, bus, clock, task)

    asyncio.run(play())
    assert_the_backtest(told, told.only_run())


def history_of(told: Told) -> History:
    history = History(told.session, told.folder)
    for record in told.records:
        history.take(record)
    for candle in closed_candles(told.result):
        history.take_candle(CANDLES.format(symbol=candle.symbol, timeframe="1m"), candle)
    return history


def test_what_was_not_traded_and_why_is_in_the_run(told: Told) -> None:
    last = int(told.result.time[-1]) + 60_000
    told.journaled(
        Dropped(n=0, symbol="BTCUSDT", decided_at=last, reason="paused", time=last + 5),
        Halted(n=0, reason="BTCUSDT: a fill of an order that is not ours", time=last + 7),
    )
    missed = told.records[9]
    assert isinstance(missed, Decided)
    told.records[9] = msgspec.structs.replace(
        missed, missed=SYMBOLS, refused={"ETHUSDT": {"daily loss limit": 1}}
    )
    keep(history_of(told), told.kept_in)
    record = told.only_run().record
    assert record.refused == {"daily loss limit": 1, "missed": 2, "paused": 1}
    assert record.notes[-1].endswith("UTC: BTCUSDT: a fill of an order that is not ours")


def test_a_symbol_without_a_candle_does_not_spoil_the_run(told: Told) -> None:
    told.journaled()
    history = History(told.session, told.folder)
    for record in told.records:
        history.take(record)
    keep(history, told.kept_in)
    kept = told.only_run()
    assert [data.candles for data in kept.record.data] == [0, 0]
    assert kept.record.figure("hold_return").note == "not known"
    assert np.isfinite(kept.trades["slippage"].to_numpy()).all()
    assert kept.trades["net"].to_pylist() == pytest.approx(
        trade_table(told.result.trades, SYMBOLS)["net"].to_pylist()
    )


def test_a_session_that_decided_nothing_is_no_run(told: Told) -> None:
    assert keep(History(told.session, told.folder), told.kept_in) is None
    assert not told.kept_in.exists()


def test_a_folder_that_cannot_be_written_is_named(told: Told) -> None:
    told.journaled()
    told.kept_in.write_text("a file")
    with pytest.raises(RunRefused, match="the run of session test cannot be kept in") as error:
        keep(history_of(told), told.kept_in)
    assert "the journal still has everything" in error.value.hint


@pytest.mark.parametrize("stored", ["the same", "none", "others"])
def test_the_report_of_a_session_draws_its_candles_if_the_store_has_them(
    told: Told, stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told.journaled()
    keep(history_of(told), told.kept_in)
    store = told.kept_in.parent / "store"
    for one in told.result.candles:
        if stored == "the same":
            writer.save(store, one, "synthetic")
        elif stored == "others":
            writer.save(store, market(400, 5, seed=99, symbol=one.symbol), "synthetic")
    page = write_report_of(told.only_run(), store).read_text()
    assert ("the candles of this run are no longer in the store" in page) == (stored != "the same")
    assert ("the report is written without them" in capsys.readouterr().err) == (
        stored != "the same"
    )
    assert "a live session on paper" in page
