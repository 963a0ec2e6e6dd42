"""The clocks behind live.clock: the wall clock, and the simulator's over its socket."""

import asyncio
import logging
import time
from contextlib import suppress

import aiohttp
import msgspec

from live.session import Session

log = logging.getLogger(__name__)

_LOOK_S = 1.0  # a measurement may move the time while somebody sleeps
# It counts on while the machine is suspended, where there is one that does.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_MS_NS = 1_000_000
_FIRST_WAIT_S, _LAST_WAIT_S = 0.02, 1.0


class WallClock:
    """The exchange's time as last measured, carried on by a clock that nobody can set.

    The system's clock is looked at once, for the time before the first measurement: a step of it
    would have every order refused, or a wait end too early.
    """

    def __init__(self) -> None:
        self._base_ns = time.time_ns() - _steady_ns()
        self._measured = False
        self._latest = 0

    async def start(self) -> None:
        """Do nothing: it runs."""

    def now_ms(self) -> int:
        """Return the time, UTC ms, never an earlier one than before."""
        self._latest = max(self._latest, self.stamp_ms())
        return self._latest

    def stamp_ms(self) -> int:
        """Return the exchange's time as last measured, UTC ms."""
        return (self._base_ns + _steady_ns()) // _MS_NS

    def correct(self, by_ms: int) -> None:
        """Move the time by what a measurement found."""
        self._base_ns += by_ms * _MS_NS
        if not self._measured:  # what the system's clock said so far binds nobody
            self._measured, self._latest = True, 0

    async def sleep_until(self, time_ms: int) -> None:
        """Wait for a moment."""
        while (left_ms := time_ms - self.now_ms()) > 0:
            await asyncio.sleep(min(left_ms / 1e3, _LOOK_S))

    async def pass_until(self, time_ms: int) -> None:
        """Wait for a moment."""
        await self.sleep_until(time_ms)

    async def closing(self, time_ms: int) -> frozenset[str] | None:
        """Return None: nobody can know."""
        return None

    @property
    def lockstep(self) -> bool:
        """False: this time never stands still."""
        return False

    @property
    def ended(self) -> bool:
        """False: this is no replay."""
        return False

    def acknowledge_settled(self, marker: int) -> None:
        """Do nothing: nobody waits for it."""

    def acknowledge_decided(self, time_ms: int) -> None:
        """Do nothing: nobody waits for it."""

    async def close(self) -> None:
        """Do nothing: there is no connection."""


class _Told(msgspec.Struct, frozen=True):
    now: int
    rate: float
    closing: tuple[str, ...] | None = None
    end: bool = False


class SimulatorClock:
    """The simulator's clock; `start` it before anything else.

    Parameters
    ----------
    url : str
        Of the clock socket.
    role : str
        Who we say we are.

    Attributes
    ----------
    ended : bool
        Whether the replay is over.
    """

    def __init__(self, url: str, role: str) -> None:
        self._url = url
        self._role = role
        self._base = self._latest = 0
        self._told_at = 0.0
        self._rate = 0.0
        self._free = False
        self._first = asyncio.Event()
        self.ended = False
        self._closing: tuple[int, frozenset[str]] = (0, frozenset())
        self._sleepers: dict[asyncio.Future[None], int] = {}
        self._askers: list[asyncio.Future[None]] = []
        self._settled = self._decided = 0
        self._wishes: dict[int, int] = {}
        self._unsent: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, for as long as it takes, and wait until the time is known."""
        self._task = asyncio.create_task(self._supervise())
        await self._first.wait()

    def now_ms(self) -> int:
        """Return the simulator's time, never an earlier one than before."""
        now = self._base
        if self._rate:
            now += int((time.monotonic() - self._told_at) * 1e3 * self._rate)
        self._latest = max(self._latest, now)
        return self._latest

    def stamp_ms(self) -> int:
        """Return the simulator's time."""
        return self.now_ms()

    def correct(self, by_ms: int) -> None:
        """Do nothing: the simulator says what time it is."""

    async def sleep_until(self, time_ms: int) -> None:
        """Wait for a moment; one after the end of a replay never comes."""
        await self._until(time_ms, even_if_ended=True)

    async def _until(self, time_ms: int, *, even_if_ended: bool) -> None:
        loop = asyncio.get_running_loop()
        while (left_ms := time_ms - self.now_ms()) > 0 and (even_if_ended or not self.ended):
            waiter: asyncio.Future[None] = loop.create_future()
            self._sleepers[waiter] = time_ms
            timer = None
            if self._rate:  # at least 1 ms: rounding must not make it turn in circles
                delay_s = max(left_ms / 1e3 / self._rate, 1e-3)
                timer = loop.call_later(delay_s, _wake, waiter)
            try:
                await waiter
            finally:
                del self._sleepers[waiter]
                if timer:
                    timer.cancel()

    async def pass_until(self, time_ms: int) -> None:
        """Wait for a moment that the work at hand needs; lockstep lets the time pass.

        When a replay is over there is nothing to wait for: it is that moment at once.
        """
        self._wishes[time_ms] = self._wishes.get(time_ms, 0) + 1
        self._unsent.put_nowait(("pass_until", time_ms))
        try:
            await self._until(time_ms, even_if_ended=False)
            self._latest = max(self._latest, time_ms)
        finally:
            self._wishes[time_ms] -= 1
            if not self._wishes[time_ms]:
                del self._wishes[time_ms]

    async def closing(self, time_ms: int) -> frozenset[str] | None:
        """Return the symbols with a candle closing at this instant.

        An instant that is over is asked about. None when time runs freely, and after the end.
        """
        while self.lockstep and self._closing[0] != time_ms and not self.ended:
            self._unsent.put_nowait(("closing", time_ms))
            asker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._askers.append(asker)
            await asker
        return self._closing[1] if self.lockstep and self._closing[0] == time_ms else None

    @property
    def lockstep(self) -> bool:
        """Whether time stands still until acknowledged."""
        # A replay stands still before it begins and after it has ended, at any rate.
        return not self._free

    def acknowledge_settled(self, marker: int) -> None:
        """Say that all private events before a marker are worked off, protection included."""
        self._settled = marker
        self._unsent.put_nowait(("settled", marker))

    def acknowledge_decided(self, time_ms: int) -> None:
        """Say that the decision at an instant is taken and its orders are out."""
        self._decided = time_ms
        self._unsent.put_nowait(("decided", time_ms))

    async def close(self) -> None:
        """End the connection, when what was acknowledged is on its way."""
        if self._task is None:
            return
        for _ in range(10):
            if self._unsent.empty():
                break
            await asyncio.sleep(0.01)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _supervise(self) -> None:
        wait_s = _FIRST_WAIT_S
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.ws_connect(self._url, max_msg_size=0) as socket:
                        wait_s = _FIRST_WAIT_S
                        await self._talk(socket)
                    log.warning("clock=closed code=%s", socket.close_code)
                except (aiohttp.ClientError, OSError) as error:
                    log.warning("clock=away error=%s", type(error).__name__)
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, _LAST_WAIT_S)

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        # What was said on the connection before may not have arrived.
        while not self._unsent.empty():
            self._unsent.get_nowait()
        await _send(socket, "role", self._role)
        again = [("settled", self._settled), ("decided", self._decided)]
        again += [("pass_until", wish) for wish in self._wishes]
        for what, value in again:
            if value:
                await _send(socket, what, value)
        self._wake_askers()  # to ask again
        writer = asyncio.create_task(self._write(socket))
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._hear(msgspec.json.decode(message.data, type=_Told))
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await _send(socket, *await self._unsent.get())

    def _hear(self, told: _Told) -> None:
        if told.closing is not None:
            # Its time is the instant's name; the time itself may be further on already.
            self._closing = (told.now, frozenset(told.closing))
        self.now_ms()  # what was said so far is not taken back
        self._base, self._told_at = told.now, time.monotonic()
        changed = told.end or told.rate != self._rate
        self._rate, self._free = told.rate, self._free or told.rate > 0
        self.ended = self.ended or told.end
        now = self.now_ms()
        for waiter, time_ms in self._sleepers.items():
            if changed or time_ms <= now:
                _wake(waiter)
        if told.closing is not None or changed:
            self._wake_askers()
        self._first.set()

    def _wake_askers(self) -> None:
        for asker in self._askers:
            _wake(asker)
        self._askers.clear()


def make_clock(session: Session, role: str) -> WallClock | SimulatorClock:
    """Make the session's clock; `await clock.start()` before its first use."""
    if session.addresses.clock:
        return SimulatorClock(session.addresses.clock, role)
    return WallClock()


def _steady_ns() -> int:
    return time.clock_gettime_ns(_STEADY)


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


async def _send(socket: aiohttp.ClientWebSocketResponse, what: str, value: int | str) -> None:
    await socket.send_str(msgspec.json.encode({what: value}).decode())
