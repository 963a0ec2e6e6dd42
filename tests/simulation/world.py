"""One world: a market, an exchange, Redis, and a trader that is killed now and then."""

import asyncio
import errno
import logging
import os
import random
import shutil
import tempfile
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from live import journal
from live.journal_records import Dropped, Intent
from live.journal_records import Record as JournalRecord
from live.records import ACCOUNT, CONTROL, FILLS, ORDERS, SIGNALS, Control
from live.session import Session
from live.trader import Trader
from strategy.load import Strategy, load
from tests.live.sessions import MINUTE, START, make_session, write_session
from tests.simulation.bus import FakeBus, Streams
from tests.simulation.exchange import Connection, Server
from tests.simulation.faults import Faults, draw_faults
from tests.simulation.invariants import Watch, facts
from tests.simulation.script import FIRST_PRICE, write_script
from tests.simulation.virtual_time import VirtualClock, now_ms, run, until

WALLET = 10_000 * 10**8
SETTLE_MS = 150_000  # two of the looks at everything that the trader takes once a minute
_SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
_STRATEGY = load("rsi_macd_atr")


_RISKS: tuple[dict[str, float], ...] = (
    {},
    {"max_positions": 1.0},
    {"trail": 0.5},
    {"trail": 1.0, "trail_after": 0.5, "break_even": 0.3},
    {"break_even": 0.2, "time_stop": 3.0, "cooldown": 2.0},
    {"part_1": 0.3, "part_1_share": 0.4, "part_2": 0.6, "part_2_share": 0.3, "trail": 0.5},
)


class SimulatedSession(Session, frozen=True):
    """A session that does not compile its strategy again at every start."""

    def loaded(self, folder: Path) -> tuple[Strategy, object, Any]:
        return _STRATEGY, _STRATEGY.with_params({}), _STRATEGY.with_risk(self.risk)


@dataclass(frozen=True, slots=True)
class Result:
    """What came out of a world.

    Attributes
    ----------
    broken : list of str
        The invariants that did not hold.
    """

    seed: int
    faults: Faults
    broken: list[str]
    facts: dict[str, Any]
    wallet: int
    longest_naked_ms: int
    fills: int
    payments: int
    starts: int
    records: list[JournalRecord]

    @property
    def keeps_facts(self) -> bool:
        """Whether orders and fills must be those of the same world undisturbed; a trader that was
        dead for more than five seconds beside a naked position has to close it, and one that dies
        again and again while an entry's fate is not known finds it too old."""
        closed = any(isinstance(one, Intent) and one.leg == "q" for one in self.records)
        late = any(
            isinstance(one, Dropped) and one.reason.startswith("older than") for one in self.records
        )
        return self.faults.keeps_facts and not closed and not late


class Process:
    """One life of the trader."""

    def __init__(self, world: "World", kill_at: int) -> None:
        self._world = world
        self._left = kill_at
        self.is_dead = False
        self.size = self.durable = 0  # of the journal, when it died
        self.died = asyncio.Event()
        self.clock = VirtualClock()
        self.connection = Connection(
            world.server, self.step, lambda: self.is_dead, world.watch.see_life
        )
        bus: Any = FakeBus(world.streams, lambda: self.is_dead)
        path = world.folder / journal.FILE
        self.durable = path.stat().st_size if path.exists() else 0
        with mock.patch("os.fdatasync", self._synced):
            self.trader = Trader(world.session, world.folder, bus, self.clock, self.connection)
        its: Any = self.trader.writer
        self._append = its._journal.append
        its._journal.append = self._appended

    def step(self, what: str) -> None:
        """Come one step nearer to the end, and die there."""
        self._world.said(what)
        if self._left > 0:
            self._left -= 1
            if self._left == 0:
                its: Any = self.trader.writer
                # What was just written the ledger takes in next.
                if not what.startswith("wrote") and not its._unwritten:
                    self._world.watch.see_journal(self.trader.ledger)
                self.die()

    def die(self) -> None:
        """Nothing of what follows leaves the process any more."""
        if not self.is_dead and not self._world.server.is_calm:
            self.is_dead = True
            self.size = (self._world.folder / journal.FILE).stat().st_size
            self.died.set()
            self._world.said("killed")

    def _appended(self, record: JournalRecord, *, durable: bool = False) -> JournalRecord:
        with mock.patch("os.fdatasync", self._synced), self._world.disk():
            numbered: JournalRecord = self._append(record, durable=durable)
        if not self.is_dead:
            self._world.watch.records.append(numbered)
            self.step(f"wrote {numbered}")
        return numbered

    def _synced(self, file: int) -> None:
        if not self.is_dead:
            self.durable = os.fstat(file).st_size


class World:
    """The world of a seed."""

    def __init__(
        self, seed: int, faults: Faults, minutes: int, folder: Path, *, talk: bool
    ) -> None:
        self.draw = random.Random(f"world {seed}")
        self.faults = faults
        self.minutes = minutes
        self.folder = folder
        self._talk = talk
        symbols = _SYMBOLS[: self.draw.randint(1, 3)]
        plain = make_session(symbols, risk=self.draw.choice(_RISKS))
        self.session = SimulatedSession(
            **{name: getattr(plain, name) for name in plain.__struct_fields__}
        )
        write_session(folder, plain)
        self.watch = Watch(self.session, faults)
        self.streams = Streams()
        self.script = write_script(seed, symbols, minutes, wild=faults.wild)
        self.server = Server(
            symbols, WALLET, faults, seed, self.watch.see_request, self._sent, self._changed
        )
        self.account = self.server.account
        self.account.strange_children = faults.strange_children
        self.account.names_payers = seed % 3 != 0
        self.account.prices = dict.fromkeys(symbols, FIRST_PRICE)
        self.process: Process | None = None
        self.starts = 0

    def said(self, what: str) -> None:
        """Print what happens, for whoever looks into a seed."""
        if self._talk:
            print(f"{asyncio.get_running_loop().time():9.3f} {what}")  # noqa: T201

    def disk(self) -> AbstractContextManager[Any]:
        """Give the disk, which may be full."""
        now = now_ms() - START
        full = any(one.begins <= now < one.ends for one in self.faults.full)
        if not full or not self.watch.records:  # a session does not begin on a full disk
            return nullcontext()
        return mock.patch("os.write", side_effect=OSError(errno.ENOSPC, "No space left on device"))

    async def run(self) -> None:
        """Live through it."""
        tasks = [asyncio.create_task(one) for one in self._lives()]
        trading = asyncio.create_task(self._supervise())
        await asyncio.gather(*tasks)
        self.server.is_calm = True
        self.streams.is_down = False
        end = now_ms()
        for one in (*self.faults.outages, *self.faults.streams):
            end = max(end, START + one.ends)
        await until(end + SETTLE_MS)
        await self._until_quiet()
        self._look_at_the_end()
        process = self.process
        assert process is not None
        process.clock.ended = True
        self.streams.wake()
        done, _ = await asyncio.wait([trading], timeout=30)
        self.watch.check(bool(done), "the trader does not end")
        if done:
            trading.result()
        self.watch.see_streams(self.streams.entries)
        in_file = journal.read(self.folder)
        self.watch.check(in_file == self.watch.records, "the journal has something else in it")

    async def _until_quiet(self) -> None:
        # Its look once a minute may fall on this very moment.
        process, ends = self.process, now_ms() + 2_000
        while process and not process.trader.executor.quiet and now_ms() < ends:
            await asyncio.sleep(0.05)

    def _look_at_the_end(self) -> None:
        process, watch = self.process, self.watch
        if process is None or process.is_dead:
            watch.check(False, "the trader is not there")
            return
        trader: Any = process.trader
        watch.check(trader.executor.quiet, f"never quiet: {trader.executor._busy}")
        watch.see_quiet(self.account, trader.ledger, trader._wallet.units)
        watch.see_journal(trader.ledger)
        watch.see_executions(self.account)
        if not watch.foreign:
            watch.see_wishes(self.account)
        for symbol in self.account.symbols:
            watch.check_naked(symbol, now_ms())
        if not watch.foreign and not self.faults.lag_ms:
            watch.check(not trader.ledger.halted, f"halted: {trader.ledger.halted}")

    def _changed(self, symbol: str) -> None:
        self.watch.see_change(self.account, symbol, now_ms())

    def _sent(self, name: str, content: tuple[Any, ...]) -> None:
        reduces = name == "market" and content[4]
        if reduces or (name == "algo" and "-t" not in content[0]):
            self.watch.see_attempt(content[1], now_ms())

    def _lives(self) -> list[Any]:
        redis = [self._redis(one.begins, one.ends) for one in self.faults.redis]
        drops = [self._drop(0.0) for _ in range(self.faults.drops)]
        silences = [self._drop(self.draw.uniform(0, 20_000)) for _ in range(self.faults.silences)]
        foreign = [self._foreign() for _ in range(self.faults.foreign)]
        down = (*self.faults.outages, *self.faults.streams)
        outages = [self._outage(one.begins) for one in down]
        lost_stops = [self._lost_stop() for _ in range(self.faults.lost_stops)]
        wishes = [self._wish(*one) for one in self.faults.wishes]
        return [
            self._market(),
            self._funding(),
            self._signals(),
            *redis,
            *drops,
            *silences,
            *foreign,
            *outages,
            *lost_stops,
            *wishes,
        ]

    async def _supervise(self) -> None:
        kills = list(self.faults.kills)
        while True:
            kill_at = kills.pop(0) if kills else 0
            self.starts += 1
            self.said("start")
            self.process = process = Process(self, kill_at)
            main = asyncio.create_task(process.trader.run())
            died = asyncio.create_task(process.died.wait())
            await asyncio.wait([main, died], return_when=asyncio.FIRST_COMPLETED)
            if not process.is_dead:
                main.result()
                return
            main.cancel()
            await asyncio.gather(main, died, return_exceptions=True)
            with suppress(OSError):  # the lock goes with the process; mostly it has gone already
                process.trader.writer.close()
            self._leave_behind(process)
            self.watch.see_death(now_ms())
            await asyncio.sleep(self.draw.uniform(0.05, 0.5 if self.faults.keeps_facts else 3.0))

    def _leave_behind(self, process: Process) -> None:
        # What was written after the death never was; a crash may tear the last line.
        path = self.folder / journal.FILE
        size = process.size
        if self.faults.machine:
            size = self.draw.randint(min(process.durable, size), size)
        content = path.read_bytes()[:size]
        if self.draw.random() < 0.3:
            content += b'0a1b2c3d {"is":"answered","n":'[: self.draw.randint(1, 25)]
        path.write_bytes(content)
        self.watch.records = journal.read(self.folder)
        if self.faults.machine:  # Redis was on the same machine
            last = len(self.watch.records)
            for stream in (ORDERS, FILLS, ACCOUNT):
                there = self.streams.entries[stream]
                self.streams.entries[stream] = [one for one in there if one[0][0] <= last]

    async def _market(self) -> None:
        for one in self.script.moves:
            await until(one.time)
            self.said(f"{one.symbol} {one.price}")
            self.account.move(one.symbol, one.price)

    async def _funding(self) -> None:
        for one in self.script.funding:
            await until(one.time)
            self.said(str(one))
            self.account.fund(one.symbol, one.rate, one.mark)

    async def _signals(self) -> None:
        late_by_ms = 0.0
        for batch in self.script.batches:
            late_by_ms = self.draw.uniform(5, 50)
            if self.server.hits(self.faults.late_signals):
                late_by_ms = self.draw.uniform(10_000, 50_000)
            await until(batch.time + round(late_by_ms))
            self.said(str(batch))
            self.streams.add(SIGNALS, batch.time, batch)
        await until(START + (self.minutes + 1) * MINUTE)

    async def _redis(self, begins: int, ends: int) -> None:
        await until(START + begins)
        self.streams.is_down = True
        self.streams.wake()
        await until(START + ends)
        self.streams.is_down = False
        if self.faults.forgets:
            self.streams.lose(self.draw, (ORDERS, FILLS, ACCOUNT))

    async def _drop(self, silent_ms: float) -> None:
        await until(START + self.draw.randint(0, self.minutes * MINUTE))
        self.said(f"private socket down, noticed after {silent_ms:.0f} ms")
        if self.process is not None:
            await self.process.connection.drop(silent_ms)

    async def _outage(self, begins: int) -> None:
        await until(START + begins)
        self.said("outage")
        if self.process is not None:
            await self.process.connection.drop(self.draw.uniform(0, 1_000))

    async def _foreign(self) -> None:
        await until(START + self.draw.randint(10_000, self.minutes * MINUTE))
        while not self.watch.records:  # before that it would be refused at the start
            await asyncio.sleep(1.0)
        symbol = self.draw.choice(self.account.symbols)
        self.watch.foreign.add(symbol)
        side, steps = self.draw.choice((1, -1)), self.draw.randint(1, 500)
        self.said(f"foreign {symbol} {side * steps}")
        _, order = self.account.place("web_abc", symbol, side, steps, False)
        assert order is not None
        self.account.fill(order, steps)

    async def _lost_stop(self) -> None:
        await until(START + self.draw.randint(10_000, self.minutes * MINUTE))
        symbol = self.draw.choice(self.account.symbols)
        for one in self.account.algos[symbol]:
            if one.status == "NEW" and one.kind == "STOP_MARKET":
                self.said(f"somebody cancels {one.client_id}")
                self.account.cancel_algo(one.client_id)

    async def _wish(self, time: int, command: Any) -> None:
        await until(START + time)
        self.said(command)
        self.streams.add(CONTROL, now_ms(), Control(command, "someone"))


def simulate(
    seed: int, *, minutes: int = 8, faults: Faults | None = None, talk: bool = False
) -> Result:
    """Run the world of a seed from its beginning to its end."""
    drawn = draw_faults(seed, minutes) if faults is None else faults
    folder = Path(tempfile.mkdtemp(prefix="wick-world-", dir=_fast_folder()))
    level = logging.root.manager.disable
    logging.disable(logging.NOTSET if talk else logging.CRITICAL)
    try:
        world = World(seed, drawn, minutes, folder / "session", talk=talk)
        try:
            run(world.run())
        except Exception as error:  # it ends like this: that is what is looked for
            if talk:
                raise
            world.watch.broken.append(f"{type(error).__name__}: {error}")
        return Result(
            seed=seed,
            faults=drawn,
            broken=world.watch.broken,
            facts=facts(world.watch.records, world.account),
            wallet=world.account.wallet,
            longest_naked_ms=world.watch.longest_naked_ms,
            fills=sum(len(one) for one in world.account.trades.values()),
            payments=len(world.account.fees),
            starts=world.starts,
            records=world.watch.records,
        )
    finally:
        logging.disable(level)
        shutil.rmtree(folder)


def undisturbed(seed: int, minutes: int = 8) -> Result:
    """Run the world of a seed without anything going wrong in it."""
    return simulate(seed, minutes=minutes, faults=Faults())


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
