"""A world written by hand: one symbol, one trader, and what a test lets happen to them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from live.exchange.port import Connected, Disconnected, Outcome
from live.records import SIGNALS, Batch, Signal
from live.trader import Trader
from strategy.rules import ENTER_LONG
from tests.live.sessions import MINUTE, START, make_session, write_session
from tests.simulation.account import Order
from tests.simulation.bus import FakeBus, Streams
from tests.simulation.exchange import Connection, Server
from tests.simulation.faults import Faults
from tests.simulation.virtual_time import VirtualClock, until
from tests.simulation.world import WALLET, SimulatedSession

SYMBOL = "BTCUSDT"
PRICE = 10_000  # ticks
NAN = float("nan")
FULL = 8_333  # steps of the entry that every scene begins with
Play = Callable[..., None]
Instead = Callable[[str, Callable[[], Any], tuple[Any, ...]], Any]


class Scene:
    """The exchange, the streams, and a trader that can be killed and started again.

    Attributes
    ----------
    sent : list of tuple
        Every instruction that left the trader: name, client id and what else it says.
    reads : int
        Questions so far.
    """

    def __init__(self, folder: Path, risk: dict[str, float] | None = None) -> None:
        plain = make_session((SYMBOL,), risk=risk)
        self.session = SimulatedSession(
            **{name: getattr(plain, name) for name in plain.__struct_fields__}
        )
        self.folder = write_session(folder / "session", plain)
        self.streams = Streams()
        self.sent: list[tuple[Any, ...]] = []
        self.reads = 0
        self.server = Server(
            (SYMBOL,), WALLET, Faults(), 1, lambda *_: None, self._leaves, lambda _: None
        )
        self.account = self.server.account
        self.account.prices = {SYMBOL: PRICE}
        self.start()

    def start(self) -> None:
        """Start a trader."""
        self.connection = Connection(self.server, lambda _: None, lambda: False, lambda _: None)
        bus: Any = FakeBus(self.streams, lambda: False)
        self.trader = Trader(self.session, self.folder, bus, VirtualClock(), self.connection)
        self.task = asyncio.create_task(self.trader.run())

    async def kill(self) -> None:
        """End it without a word."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def at(self, ms: int) -> None:
        """Wait for a moment after the start."""
        await until(START + ms)

    def say(self, minute: int, signals: int = 0, *, stop: float = 12.0, take: float = 24.0) -> None:
        """Give the signal of a minute's close."""
        enters = bool(signals & ENTER_LONG)
        one = Signal(
            symbol=SYMBOL,
            open_time=START + (minute - 1) * MINUTE,
            high=self.account.prices[SYMBOL] / 10,
            low=self.account.prices[SYMBOL] / 10,
            close=self.account.prices[SYMBOL] / 10,
            row=(),
            signals=signals,
            stop_distance=stop if enters else NAN,
            take_distance=take if enters else NAN,
            trail_distance=NAN,
            hash="",
        )
        self.streams.add(SIGNALS, START + minute * MINUTE, Batch(START + minute * MINUTE, (one,)))

    def break_stream(self, *, noticed: bool = True) -> None:
        """Break the private socket; it stays broken until `mend_stream`."""
        self.connection.is_deaf = True
        self.connection.epoch += 1
        if noticed:
            self.connection.events.put_nowait(Disconnected("a fault"))

    def mend_stream(self) -> None:
        """Let the private socket connect again."""
        self.connection.is_deaf = False
        self.server.listener = self.connection
        self.connection.events.put_nowait(Connected())

    def answer_instead(self, instead: Instead) -> None:
        """Let a test answer instructions: it gets their name, what would do them, and content."""
        tell = self.connection._tell

        async def told(name: str, call: Callable[[], Outcome], *content: Any) -> Outcome:
            result = instead(name, call, content)
            if asyncio.iscoroutine(result):
                result = await result
            if result is not None:
                self._leaves(name, content)
                return result
            return await tell(name, call, *content)

        self.connection._tell = told  # type: ignore[method-assign]

    def trigger_partly(self, steps: int) -> None:
        """Let the stop go off, fill in part, and the rest of it expire, with nobody told."""
        stop = next(one for one in self.account.algos[SYMBOL] if "-s" in one.client_id)
        number = self.account._next()
        child = Order(number, stop.client_id, SYMBOL, stop.side, abs(self.held), True, 0)
        stop.child, stop.status = number, "TRIGGERED"
        self.account.orders[SYMBOL].append(child)
        self.account.fill(child, steps)
        self.account.expire(child)
        stop.status = "FINISHED"

    @property
    def held(self) -> int:
        """What the exchange says is held, signed steps."""
        return self.account.positions[SYMBOL].steps

    @property
    def standing(self) -> list[str]:
        """Legs and attempts of the conditional orders that stand, such as s1."""
        there = self.account.algos[SYMBOL]
        return sorted(one.client_id.rsplit("-", 1)[1] for one in there if one.status == "NEW")

    def legs_sent(self, leg: str) -> int:
        """Count the instructions of a leg."""
        ids = [content[0] for name, *content in self.sent if name != "cancel"]
        return sum(str(one).rsplit("-", 1)[-1].startswith(leg) for one in ids if one)

    def _leaves(self, name: str, content: tuple[Any, ...]) -> None:
        if name == "read":
            self.reads += 1
        elif name != "leverage":
            self.sent.append((name, *content))


async def enter(scene: Scene) -> None:
    """Let it enter at the first minute, and look whether all is as it should be."""
    await scene.at(60_020)
    scene.say(1, ENTER_LONG)
    await scene.at(60_500)
    assert (scene.held, scene.standing) == (FULL, ["s1", "t1"])
