"""Time that stands still until the clients have done their work, and the socket they say so on.

The protocol of the clock socket is written down in live.clock; this is its other side.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from data.dates import show_time
from live.simulator.playback import Playback
from live.simulator.sockets import Connection
from strategy.errors import RunRefused

Messages = tuple[dict[str, Any], ...]

# Real time: the longest work between two words is compiling a strategy, a minute on a busy machine.
PATIENCE_S = 180.0


class Stalled(RunRefused):
    """Somebody does not say that his work is done, and time does not go on.

    Attributes
    ----------
    instant : int
        Of the candles that are not decided, 0 where the account's events are not worked off.
    symbols : list of str
        Whose candles close at it.
    """

    def __init__(self, sentence: str, instant: int, symbols: list[str]) -> None:
        super().__init__(
            sentence, "wick session status shows what each process does, and its logs say why"
        )
        self.instant = instant
        self.symbols = symbols


class _Said(msgspec.Struct):
    role: str = ""
    settled: int = 0
    decided: int = 0
    pass_until: int = 0
    closing: int = 0


class ClockServer:
    """The clock's connections: tells all of them the time, and gathers what they acknowledge.

    Attributes
    ----------
    settled, decided : int
        The furthest acknowledgement that any role has sent.
    wishes : set of int
        Times that somebody's work needs to come.
    roles : dict
        The open connections, and who they said they are.
    welcome : callable
        Returns what a role is told when it connects.
    about : callable
        Returns what a role is told that asks about an instant, nothing about one still to come.
    """

    def __init__(self) -> None:
        self.settled = 0
        self.decided = 0
        self.wishes: set[int] = set()
        self.roles: dict[Connection, str] = {}
        self.welcome: Callable[[], Messages] = tuple
        self.about: Callable[[int], Messages] = lambda _: ()
        self._news = asyncio.Event()

    def tell(self, *messages: dict[str, Any]) -> None:
        """Send messages to all roles."""
        for one in self.roles:
            _send(one, messages)

    async def news(self, wait_s: float) -> bool:
        """Wait until a role says something more, comes or goes; False if none does for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._news.wait()
        heard = self._news.is_set()
        self._news.clear()
        return heard

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one clock connection until it ends."""
        connection = Connection(request, "clock")
        writer = await connection.open()
        self.roles[connection] = ""
        self._news.set()
        _send(connection, self.welcome())
        try:
            async for message in connection.socket:
                if message.type is WSMsgType.TEXT:
                    self._hear(connection, message.data)
        finally:
            del self.roles[connection]
            self._news.set()
            writer.cancel()
        return connection.socket

    def close(self) -> None:
        """Break off every connection."""
        for one in list(self.roles):
            one.cut()

    def _hear(self, connection: Connection, text: str) -> None:
        try:
            said = msgspec.json.decode(text, type=_Said)
        except msgspec.MsgspecError as error:
            connection.send(msgspec.json.encode({"error": str(error)}))
            return
        self.roles[connection] = said.role or self.roles[connection]
        self.settled = max(self.settled, said.settled)
        self.decided = max(self.decided, said.decided)
        if said.pass_until:
            self.wishes.add(said.pass_until)
        if said.closing:
            _send(connection, self.about(said.closing))
        self._news.set()


def _closed(time_ms: int, closing: list[str]) -> dict[str, Any]:
    return {"now": time_ms, "rate": 0, "closing": closing}


def _send(connection: Connection, messages: Messages) -> None:
    for message in messages:
        connection.send(msgspec.json.encode(message))


class Lockstep:
    """Plays candle after candle, each step when the one before has been acknowledged.

    Parameters
    ----------
    playback : Playback
        What is played.
    clock : ClockServer
        Who acknowledges.
    """

    def __init__(self, playback: Playback, clock: ClockServer) -> None:
        self._playback = playback
        self._venue = playback.venue
        self._clock = clock
        self._latest = 0  # time must not pass the next close
        self._told = 0  # the newest instant whose candles were told
        self._closing: Messages = ()

    async def run(self) -> None:
        """Play from the first candle's open to the last one's close.

        Every instant has three steps: what happened inside the closed candles is told and worked
        off; the candles are told and decided upon; then the next ones open and held orders fill.
        Funding is told and worked off by itself: that of the instant before the held orders, that
        inside a candle before its stops and takes.

        Raises
        ------
        Stalled
            Roles are on the clock and none has said anything for `PATIENCE_S`.
        """
        instants = self._playback.replay.instants[1:]
        self._latest = instants[0] - 1
        self._clock.welcome = lambda: (*self._closing, self._now())
        self._clock.about = self._about
        self._clock.tell(self._now())
        await self._settle()
        ends = [*instants[1:], instants[-1] + self._playback.replay.timeframe_ms]
        for time_ms, following in zip(instants, ends, strict=True):
            self._latest = following - 1
            closing = self._playback.play(time_ms)
            self._clock.tell(self._now())
            self._playback.cut(time_ms, "close")
            await self._settle()
            if closing:
                await self._decide(time_ms, closing)
            await self._open(time_ms)
        last = {"now": self._venue.now, "rate": 0, "end": True}
        self._clock.tell(last)
        self._clock.welcome = lambda: (last,)

    async def _decide(self, time_ms: int, closing: list[str]) -> None:
        # This message's time is the instant's name, even where work on the private events has let
        # some time pass since; the one after it tells the time.
        self._told = time_ms
        self._closing = (_closed(time_ms, closing),)
        self._clock.tell(*self._closing)
        if self._venue.now > time_ms:
            self._clock.tell(self._now())
        self._playback.tell_closed(time_ms)
        while self._clock.decided < time_ms:
            await self._wait(time_ms, closing)
        self._closing = ()

    def _about(self, time_ms: int) -> Messages:
        if time_ms > self._told:
            return ()
        # Its rows may have to be made again: Redis lost them, or their role was killed.
        return (_closed(time_ms, self._playback.replay.symbols_closing(time_ms)), self._now())

    async def _open(self, time_ms: int) -> None:
        self._playback.cut(time_ms, "open")
        await self._settle_funding(self._playback.pay_at_open(time_ms))
        self._playback.open(time_ms)
        self._venue.fill_held()
        await self._settle()
        while self._venue.fill_held(closing=False):  # what had to wait for a flat position
            await self._settle()
        await self._settle_funding(self._playback.pay_inside(time_ms))
        while self._venue.fill_held():  # instead of a stop beyond which the candle has opened
            await self._settle()

    async def _settle_funding(self, payments: int) -> None:
        # What a trade has paid is known before the fill that may end it: it says whether it lost.
        if payments:
            self._clock.tell(self._now())
            await self._settle()

    async def _settle(self) -> None:
        # Without news there is nothing to work off; asking all the same would cost a third of the
        # time of a quiet candle. The first marker says that the account is being listened to.
        if not self._playback.publish() and self._playback.hub.marker:
            return
        marker = self._playback.hub.tell_marker(self._venue.now)
        while self._clock.settled < marker:
            await self._wait()

    async def _wait(self, instant: int = 0, symbols: list[str] | None = None) -> None:
        for wish in sorted(self._clock.wishes):
            reached = min(wish, self._latest)
            if reached > self._venue.now:
                self._venue.now = reached
                self._clock.tell(self._now())
        self._clock.wishes = {wish for wish in self._clock.wishes if wish > self._venue.now}
        if await self._clock.news(PATIENCE_S) or not self._clock.roles:
            return  # a process that is started again is waited for
        wait = "has not decided the candles that closed" if instant else "has not worked off a fill"
        at = show_time(self._venue.now)
        here = ", ".join(sorted(role or "somebody" for role in self._clock.roles.values()))
        raise Stalled(
            f"the lockstep has stood still for {PATIENCE_S:g} s at {at} UTC:"
            f" the trader {wait}; on the clock are {here}",
            instant,
            symbols or [],
        )

    def _now(self) -> dict[str, Any]:
        return {"now": self._venue.now, "rate": 0}
